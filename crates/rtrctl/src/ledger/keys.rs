//! The keys by which a log is believed: given one by one, or as a C2SP tlog-policy file, as `rtrctl ledger vkeys` prints it.

use super::say;
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use ledger::WitnessKey;
use std::{
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
            .collect::<Result<_>>()?;
        Ok(Policy { log, witnesses })
    }
}

pub(super) fn text_or_file(key: &str) -> Result<String> {
    if key.splitn(3, '+').count() == 3 && !Path::new(key).exists() {
        return Ok(key.trim().to_owned());
    }
    let text = fs::read_to_string(key).with_context(|| format!("the key file {key}"))?;
    Ok(text.trim().to_owned())
}

/// The keys of a tlog-policy. Its quorum must be `none` or name a witness or a group: all witnesses are then asked, and
/// what each of them signed is reported.
fn read_policy(text: &str) -> Result<Policy> {
    let mut log = None;
    let mut witnesses = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] | ["quorum", _] | ["group", ..] => {}
            [first, ..] if first.starts_with('#') => {}
            ["log", key, ..] if log.is_none() => log = Some((*key).to_owned()),
            ["log", ..] => bail!("line {number}: this reads one log at a time"),
            ["witness", _, key, ..] => {
                witnesses.push(WitnessKey::parse(key).map_err(|e| anyhow!("line {number}: {e}"))?);
            }
            _ => bail!("line {number} is not of a tlog-policy: {line}"),
        }
    }
    Ok(Policy { log: log.context("no log is named")?, witnesses })
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
}
