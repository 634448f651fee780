//! Everything a newcomer types: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`.
//!
//! It needs only std and a few small crates, so that it starts on a bare machine. It says what it will install, installs
//! it, builds, runs, and leaves no process behind, also on Ctrl-C.

// Before the others: its `println!` is theirs.
#[macro_use]
mod output;

mod bench;
mod bench_export;
mod bench_ledger;
pub mod demo;
mod floor;
pub mod packages;
pub mod processes;
pub mod room;
mod static_witness;
mod test;

use anyhow::{Result, bail};
use std::path::PathBuf;

const USAGE: &str = "\
cargo xtask demo  [--headless] [--for 30s] [--screenshot FILE] [--report FILE]
                  [--footage DIR] [--cameras N] [--data DIR]
    simulated cameras, the daemon, the witness and the console, ready to use
cargo xtask test  [FILTER]
    format, lints, documentation, unit, property and end-to-end tests
cargo xtask bench [record|live|wall|replay|law|export] [--cameras N] [--seconds S] [--warmup S] [--rtsp URL] [--footage DIR] [--json]
    figures as ratios against a peer in the same run
cargo xtask bench ledger [--entries N] [--append-seconds S]
    durable appends against one fdatasync; start, verification, proof and query of a long log
cargo xtask static-witness
    rtr-witness as one static file, for the police's machine";

/// Runs the command line; the exit code.
pub fn main() -> i32 {
    let outcome = run();
    if processes::is_reader_gone() {
        return 0;
    }
    if let Err(error) = outcome {
        if processes::interrupted() {
            println!("stopped.");
            return 130;
        }
        eprintln!("error: {error:#}");
        return 1;
    }
    0
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    if rest.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    processes::catch_interrupt()?;
    match command.as_deref() {
        Some("demo") => demo::run(&rest),
        Some("test") => test::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("floor") => floor::run(&rest),
        Some("static-witness") => static_witness::run(Arguments::new(&rest)),
        Some("help" | "--help" | "-h") | None => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => bail!("there is no `{other}`\n{USAGE}"),
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(std::path::Path::parent).map(std::path::Path::to_owned).unwrap_or(here)
}

/// `--name value` pairs and bare words of a command line.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn new(rest: &[String]) -> Self {
        Self(rest.to_vec())
    }

    /// Takes a switch.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|a| a == name);
        at.map(|i| self.0.remove(i)).is_some()
    }

    /// Takes an option with its value.
    pub(crate) fn option(&mut self, name: &str) -> Result<Option<String>> {
        let Some(at) = self.0.iter().position(|a| a == name) else { return Ok(None) };
        if at + 1 >= self.0.len() {
            bail!("{name} needs a value\n{USAGE}");
        }
        self.0.remove(at);
        Ok(Some(self.0.remove(at)))
    }

    /// A whole number.
    pub(crate) fn number(&mut self, name: &str, default: usize) -> Result<usize> {
        match self.option(name)? {
            Some(text) => {
                text.parse().map_err(|_| anyhow::anyhow!("{name} takes a whole number, not `{text}`"))
            }
            None => Ok(default),
        }
    }

    /// What is left over must be nothing.
    pub(crate) fn done(self) -> Result<()> {
        match self.0.first() {
            Some(unknown) => bail!("`{unknown}` is not understood\n{USAGE}"),
            None => Ok(()),
        }
    }

    /// The first bare word, if there is one.
    pub(crate) fn word(&mut self) -> Option<String> {
        let at = self.0.iter().position(|a| !a.starts_with("--"))?;
        Some(self.0.remove(at))
    }
}

/// `30`, `30s`, `5m` in seconds.
pub(crate) fn seconds(text: &str) -> Result<u64> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    match number.parse::<u64>() {
        Ok(n) => Ok(n * unit),
        Err(_) => bail!("`{text}` is not a duration; write it as 30s or 5m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_bench() {
        let bench = include_str!("bench.rs");
        for which in ["record", "live", "wall", "replay", "law", "export", "ledger"] {
            assert!(bench.contains(&format!("\"{which}\"")), "there is no bench {which}");
            let named = USAGE.contains(&format!("|{which}")) || USAGE.contains(&format!("[{which}"));
            assert!(named || USAGE.contains(&format!("bench {which}")), "the help does not name {which}");
        }
    }
}
