//! `rtrctl ledger`: the log checked, read and handed over by whoever does not trust its host. Everything here works on a
//! copy of the folder `ledger/` and with keys that came another way; only `mirror`, which makes the copy, asks the daemon.

mod audit;
mod epoch;
mod export;
mod keys;
mod mirror;
mod purpose;
mod query;
mod readable;
#[cfg(test)]
mod tests;
mod verify;

use clap::{Args, Subcommand};
use keys::Policy;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// `rtrctl ledger …`
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Prints the public keys of the log and of its witnesses, as a C2SP tlog-policy
    Vkeys(keys::Vkeys),
    /// Checks a whole log, one entry, a kept proof or an export; says what was checked, or where it is wrong
    Verify(verify::Verify),
    /// Writes the tlog-proof of one entry
    Proof(verify::Proof),
    /// Writes a range of entries as JSON lines, each with its proof
    Export(export::Export),
    /// Copies the log over HTTPS, as far as it is new, and checks it; needs a session and a purpose
    Mirror(mirror::Mirror),
    /// Prints the reports that an audit asks for
    Audit(audit::Audit),
    /// Finds entries by person, camera, municipality, operation, outcome, time, incident or case
    Query(query::Query),
    /// Builds the query index anew from the entries
    RebuildIndex(query::Rebuild),
}

/// A log and the keys by which it is believed.
#[derive(Args)]
pub(crate) struct LogAndKeys {
    /// The log's folder, or a copy of it: it holds `checkpoint` and `tile/`
    dir: PathBuf,
    #[command(flatten)]
    keys: keys::Keys,
}

impl LogAndKeys {
    /// The folder that holds the checkpoint; a data folder is taken for the log in it.
    fn folder(&self) -> PathBuf {
        folder(&self.dir)
    }

    fn policy(&self) -> anyhow::Result<Policy> {
        self.keys.policy()
    }
}

fn folder(dir: &Path) -> PathBuf {
    let inner = dir.join("ledger");
    if !dir.join("checkpoint").exists() && inner.join("checkpoint").exists() { inner } else { dir.to_owned() }
}

/// Runs a verb: 0 when it did and found nothing wrong, 1 when the log does not hold, 2 when it could not be asked.
pub(crate) fn run(verb: Verb, session: Option<PathBuf>) -> ExitCode {
    let outcome = match verb {
        Verb::Vkeys(verb) => verb.run(),
        Verb::Verify(verb) => verb.run(),
        Verb::Proof(verb) => verb.run(),
        Verb::Export(verb) => verb.run(),
        Verb::Mirror(verb) => verb.run(session),
        Verb::Audit(verb) => verb.run(),
        Verb::Query(verb) => verb.run(),
        Verb::RebuildIndex(verb) => verb.run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::from(2)
    })
}

/// Writes a line to standard output.
fn say(text: impl std::fmt::Display) {
    println!("{text}");
}
