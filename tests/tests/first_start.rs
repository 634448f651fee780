//! The first start in earnest: an empty register, a token shown on the host, two people of the police, and from there
//! everybody else by invitation. Nobody ever knows somebody else's password.

use anyhow::{Context as _, Result, ensure};
use end_to_end::programs;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself; the test has failed then anyway.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Host {
    bin: PathBuf,
    folder: PathBuf,
    url: String,
}

impl Host {
    fn rtrctl(&self, person: &str, password: &str, arguments: &[&str]) -> Result<(bool, String)> {
        let output = Command::new(self.bin.join("rtrctl"))
            .args(arguments)
            .env("RTR_SESSION", self.folder.join(format!("{person}.json")))
            .env("RTR_PASSWORD", password)
            .env("RTR_URL", &self.url)
            .env("RTR_CA", self.folder.join("state/tls/ca.pem"))
            .stdin(Stdio::null())
            .output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }

    fn done(&self, person: &str, password: &str, arguments: &[&str]) -> Result<String> {
        let (done, said) = self.rtrctl(person, password, arguments)?;
        ensure!(done, "{person} {arguments:?}: {said}");
        Ok(said)
    }
}

fn configuration(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder.join("municipalities"))?;
    fs::write(folder.join("organisations.toml"), "")?;
    let file = folder.join("rtr.toml");
    let text = "[daemon]\ndata = \"state\"\nlisten = \"127.0.0.1:0\"\norigin = \"test.rtr.invalid/ledger\"\n";
    fs::write(&file, text)?;
    Ok(file)
}

/// The token behind the word `--token`.
fn token(line: &str) -> Result<&str> {
    line.split_once("--token ").and_then(|(_, rest)| rest.split_whitespace().next()).context("no token")
}

#[test]
fn an_empty_register_begins_with_two_people_of_the_police() -> Result<()> {
    let bin = programs()?;
    let folder = tempfile::tempdir()?;
    let config = configuration(folder.path())?;
    let rtrd = |arguments: &[&str]| {
        let mut command = Command::new(bin.join("rtrd"));
        command.arg("--config").arg(&config).args(arguments).stderr(Stdio::null());
        command
    };
    ensure!(!rtrd(&[]).status()?.success(), "an empty register was served");
    let shown = String::from_utf8(rtrd(&["init"]).output()?.stdout)?;
    let first =
        shown.lines().find_map(|l| l.strip_prefix("token ")).context("no token was shown")?.to_owned();

    let mut child = Daemon(rtrd(&[]).stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(child.0.stdout.take().context("no output")?).lines();
    let url = loop {
        let line = lines.next().context("the daemon ended")??;
        if let Some(url) = line.strip_prefix("ready ") {
            break url.to_owned();
        }
    };
    let host = Host { bin: bin.clone(), folder: folder.path().to_owned(), url };

    let begin = |token: &str| {
        host.rtrctl(
            "nobody",
            "",
            &[
                "init",
                "--token",
                token,
                "--municipality",
                "borne=Borne",
                "--authoriser",
                "agent",
                "--authoriser-name",
                "A. Agent",
                "--user-admin",
                "beheerder",
                "--user-admin-name",
                "B. Beheerder",
                "--secrecy-signed-at",
                "2026-01-02",
                "--document",
                "POL-1",
                "--until",
                "2030-01-01",
            ],
        )
    };
    ensure!(!begin("0000000000000000000000000000000000000000")?.0, "a made-up token was taken");
    let (done, said) = begin(&first)?;
    ensure!(done, "{said}");
    ensure!(!begin(&first)?.0, "the token was good twice");
    let invited: Vec<&str> = said.lines().map(token).collect::<Result<_>>()?;
    ensure!(invited.len() == 2, "{said}");
    let (police, admin) = ("the agent's own password", "the admin's own password");
    ensure!(
        !host.rtrctl("agent", "short", &["enrol", "--token", invited[0]])?.0,
        "a short password was taken"
    );
    host.done("agent", police, &["enrol", "--token", invited[0]])?;
    ensure!(
        !host.rtrctl("agent", police, &["enrol", "--token", invited[0]])?.0,
        "an invitation was good twice"
    );
    host.done("beheerder", admin, &["enrol", "--token", invited[1]])?;
    host.done("agent", police, &["login", "--user", "agent"])?;
    host.done("beheerder", admin, &["login", "--user", "beheerder"])?;

    // The next person: entered by one, authorised by the other, and their password is their own.
    let file = folder.path().join("jurist.toml");
    fs::write(
        &file,
        "[[person]]\nid = \"jurist\"\nname = \"J. Jurist\"\norganisation = \"politie\"\n\
         secrecy_signed_at = \"2026-01-02T09:00:00Z\"\n\n[[authorisation]]\nid = \"AUT-jurist\"\nperson = \"jurist\"\n\
         role = \"legal_admin\"\nmunicipalities = [\"borne\"]\nfrom = \"2026-01-01T00:00:00Z\"\nuntil = \"2030-01-01T00:00:00Z\"\n\
         document_ref = \"POL-2\"\n",
    )?;
    let entered = host.done("beheerder", admin, &["enter", &file.display().to_string()])?;
    ensure!(
        entered.contains("effective person jurist") && entered.contains("open authorisation"),
        "{entered}"
    );
    let invitation = host.done("beheerder", admin, &["invite", "jurist"])?;
    let own = "the jurist's own password";
    host.done("jurist", own, &["enrol", "--token", token(&invitation)?])?;
    let (done, said) = host.rtrctl("jurist", own, &["login", "--user", "jurist"])?;
    ensure!(!done && said.contains("AUTHORISATION_MISSING"), "without a role: {said}");
    ensure!(!host.rtrctl("beheerder", admin, &["verify", "2", "--yes"])?.0, "the user admin verified");
    let verified = host.done("agent", police, &["verify", "--all", "--yes"])?;
    ensure!(verified.contains("verified by agent"), "{verified}");
    host.done("jurist", own, &["login", "--user", "jurist"])?;
    ensure!(host.done("jurist", own, &["me"])?.contains("as legal_admin"));
    ensure!(!rtrd(&["init"]).status()?.success(), "a register that is not empty began anew");
    // Whoever has an account gets a new password only with a second person of the police.
    let again = host.done("beheerder", admin, &["invite", "jurist"])?;
    let another = "another password of the jurist's";
    let taken = ["enrol", "--token", token(&again)?];
    ensure!(
        again.contains("--confirm") && !host.rtrctl("beheerder", another, &taken)?.0,
        "an account was taken over"
    );
    for (person, password) in [("beheerder", admin), ("jurist", own)] {
        let confirmed = host.rtrctl(person, password, &["invite", "jurist", "--confirm"])?;
        ensure!(!confirmed.0, "{person} confirmed: {}", confirmed.1);
    }
    host.done("agent", police, &["invite", "jurist", "--confirm"])?;
    host.done("jurist", another, &taken)?;
    host.done("jurist", another, &["login", "--user", "jurist"])?;
    let (done, said) = host.rtrctl("beheerder", admin, &["invite", "agent"])?;
    ensure!(!done && said.contains("second person"), "the only authoriser: {said}");
    // Each invitation and each enrolment stands in the log, and no name does.
    let sequence = fs::read(folder.path().join("state/ledger/sequence"))?;
    let log = String::from_utf8_lossy(&sequence);
    let count = |action: &str| log.matches(&format!("{{\"action\":\"{action}\"")).count();
    ensure!(count("account.invite") >= 1 && count("account.enrolled") >= 1 && count("account.confirm") >= 1);
    ensure!(!log.contains("J. Jurist"), "a name stands in the log");
    Ok(())
}
