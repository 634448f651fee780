//! The keys by which a log is believed: given one by one, or as a C2SP tlog-policy file, as `rtrctl ledger vkeys` prints it.

use super::say;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Args;
use ledger::WitnessKey;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Where the keys come from. Never from the log's own folder: whoever changes the log would change them too.
#[derive(Args)]
pub(crate) struct Keys {
    /// The log's public key: the text `name+id+key`, or a file that holds it
    #[arg(long, value_name = "VKEY|FILE", required_unless_present = "policy")]
    log_key: Option<String>,
    /// A witness's public key (text or file); may be given more than once
    #[arg(long, value_name = "VKEY|FILE")]
    witness_key: Vec<String>,
    /// A tlog-policy file with all of them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["log_key", "witness_key"])]
    policy: Option<PathBuf>,
}

/// The keys themselves.
pub(crate) struct Policy {
    pub(crate) log: String,
    pub(crate) witnesses: Vec<WitnessKey>,
    pub(crate) quorum: Quorum,
}

/// Whose cosignatures are enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Quorum {
    /// This witness's, by its place in the policy.
    Witness(usize),
    /// That of so many of these; of none, nobody's is needed.
    AtLeast(usize, Vec<Self>),
}

impl Quorum {
    fn is_met(&self, signed: &[bool]) -> bool {
        match self {
            Self::Witness(number) => signed.get(*number).copied().unwrap_or_default(),
            Self::AtLeast(least, members) => {
                members.iter().filter(|member| member.is_met(signed)).count() >= *least
            }
        }
    }
}

impl Policy {
    /// What is missing where these witnesses have cosigned: nothing where they are enough.
    pub(crate) fn lacks(&self, cosigned: impl Fn(&WitnessKey) -> bool) -> Option<String> {
        let signed: Vec<bool> = self.witnesses.iter().map(cosigned).collect();
        let names = |wanted: bool| {
            let of = self.witnesses.iter().zip(&signed).filter(|(_, signed)| **signed == wanted);
            of.map(|(witness, _)| witness.name()).collect::<Vec<_>>().join(", ")
        };
        (!self.quorum.is_met(&signed)).then(|| match names(true).as_str() {
            "" => format!("no given witness has cosigned ({})", names(false)),
            some => format!("too few witnesses have cosigned: only {some}, not {}", names(false)),
        })
    }
}

impl Keys {
    pub(crate) fn policy(&self) -> Result<Policy> {
        if let Some(file) = &self.policy {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            return read_policy(&text).with_context(|| file.display().to_string());
        }
        let log = text_or_file(self.log_key.as_deref().unwrap_or_default())?;
        let witnesses = self
            .witness_key
            .iter()
            .map(|key| Ok(WitnessKey::parse(&text_or_file(key)?)?))
            .collect::<Result<Vec<_>>>()?;
        // As `vkeys` writes it: one of them is enough.
        let all = (0..witnesses.len()).map(Quorum::Witness).collect();
        let quorum = Quorum::AtLeast(1.min(witnesses.len()), all);
        Ok(Policy { log, witnesses, quorum })
    }
}

pub(super) fn text_or_file(key: &str) -> Result<String> {
    if key.splitn(3, '+').count() == 3 && !Path::new(key).exists() {
        return Ok(key.trim().to_owned());
    }
    let text = fs::read_to_string(key).with_context(|| format!("the key file {key}"))?;
    Ok(text.trim().to_owned())
}

/// The keys of a tlog-policy and its quorum.
fn read_policy(text: &str) -> Result<Policy> {
    let (mut log, mut quorum) = (None, None);
    let mut witnesses = Vec::new();
    let mut named: BTreeMap<&str, Quorum> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["log", key, ..] if log.is_none() => log = Some((*key).to_owned()),
            ["log", ..] => bail!("line {number}: this reads one log at a time"),
            ["witness", name, key, ..] => {
                named.insert(name, Quorum::Witness(witnesses.len()));
                witnesses.push(WitnessKey::parse(key).map_err(|e| anyhow!("line {number}: {e}"))?);
            }
            ["group", name, least, members @ ..] => {
                let group = group(&named, least, members).with_context(|| format!("line {number}"))?;
                named.insert(name, group);
            }
            ["quorum", "none"] if quorum.is_none() => quorum = Some(Quorum::AtLeast(0, Vec::new())),
            ["quorum", name] if quorum.is_none() => quorum = Some(member(&named, name)?),
            _ => bail!("line {number} is not of a tlog-policy: {line}"),
        }
    }
    let (log, quorum) = (log.context("no log is named")?, quorum.context("no quorum is named")?);
    Ok(Policy { log, witnesses, quorum })
}

/// So many of these: `any`, `all` or a number.
fn group(named: &BTreeMap<&str, Quorum>, least: &str, members: &[&str]) -> Result<Quorum> {
    let members = members.iter().map(|name| member(named, name)).collect::<Result<Vec<_>>>()?;
    let least = match least {
        "any" => 1,
        "all" => members.len(),
        number => number.parse().with_context(|| format!("`{number}` is neither any, all nor a number"))?,
    };
    ensure!((1..=members.len()).contains(&least), "a group of {} cannot give {least}", members.len());
    Ok(Quorum::AtLeast(least, members))
}

fn member(named: &BTreeMap<&str, Quorum>, name: &str) -> Result<Quorum> {
    named.get(name).cloned().with_context(|| format!("no witness or group before it is called {name}"))
}

/// `rtrctl ledger vkeys`
#[derive(Args)]
pub(crate) struct Vkeys {
    /// The daemon's configuration: names the data folder and the witnesses
    #[arg(long, default_value = "config/rtr.toml")]
    config: PathBuf,
}

impl Vkeys {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let settings = settings::load(&self.config)?;
        let file = settings.daemon.data.join("ledger.vkey");
        let log = fs::read_to_string(&file)
            .with_context(|| format!("{}: the daemon writes it at its first start", file.display()))?;
        say(
            "# tlog-policy of this log (c2sp.org/tlog-policy). Carry it to the police by hand; compare it on both sides.",
        );
        say(format!("log {}", log.trim()));
        let mut names = Vec::new();
        for (n, vkey) in (1..).zip(&settings.daemon.witnesses) {
            WitnessKey::parse(vkey).with_context(|| format!("{}: witnesses", self.config.display()))?;
            say(format!("witness W{n} {vkey}"));
            names.push(format!("W{n}"));
        }
        match names.as_slice() {
            [] => say("quorum none"),
            [one] => say(format!("quorum {one}")),
            all => {
                say(format!("group police any {}", all.join(" ")));
                say("quorum police");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::note::CosignerKey;

    #[test]
    fn a_policy_is_read_and_nonsense_is_named() {
        let log = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        let policy = read_policy(&format!("# c\n\n log {log} https://x\nquorum none\n")).unwrap();
        assert_eq!((policy.log.as_str(), policy.witnesses.len()), (log, 0));
        assert!(read_policy("quorum none\n").is_err());
        let wrong = read_policy(&format!("log {log}\nwitness W1 {log}\n")).err().unwrap().to_string();
        assert!(wrong.starts_with("line 2:"), "{wrong}");
        assert!(read_policy("log a\nfrobnicate\n").is_err());
    }

    #[test]
    fn the_quorum_of_a_policy_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let vkey = |n: usize| {
            let path = folder.path().join(n.to_string());
            CosignerKey::load_or_create(&path, &format!("politie.example/{n}")).unwrap().vkey()
        };
        let witnesses = [1, 2, 3].map(|n| format!("witness W{n} {}\n", vkey(n))).concat();
        let lacks = |rest: &str, signed: &[&str]| {
            let policy = read_policy(&format!("log a\n{witnesses}{rest}")).unwrap();
            policy.lacks(|witness| signed.iter().any(|n| witness.name() == format!("politie.example/{n}")))
        };
        assert_eq!(lacks("quorum none\n", &[]), None);
        assert_eq!(lacks("quorum W2\n", &["2"]), None);
        assert!(lacks("quorum W2\n", &["1", "3"]).unwrap().contains("not politie.example/2"));
        assert_eq!(lacks("group g any W1 W2\nquorum g\n", &["2"]), None);
        assert!(lacks("group g any W1 W2\nquorum g\n", &["3"]).is_some());
        assert!(lacks("group g all W1 W2\nquorum g\n", &["2"]).is_some());
        let nested = "group g any W1 W2\ngroup h 2 g W3\nquorum h\n";
        assert_eq!(lacks(nested, &["1", "3"]), None);
        assert!(lacks(nested, &["1", "2"]).is_some());
        for wrong in ["", "quorum W9\n", "group g 3 W1 W2\nquorum g\n", "group g some W1\nquorum g\n"] {
            assert!(read_policy(&format!("log a\n{witnesses}{wrong}")).is_err(), "{wrong}");
        }
    }
}
