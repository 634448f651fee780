//! `cargo xtask bench ledger`: builds and runs the ledger crate's own measurement, which stands in its examples so that
//! xtask itself needs no more than it does. The long log stays under `target/bench/` and is used again.

use crate::{Arguments, processes, room};
use anyhow::{Result, ensure};
use std::process::Command;

/// # Errors
/// When it does not build or a part of it fails.
pub(crate) fn run(mut arguments: Arguments) -> Result<()> {
    let entries = arguments.number("--entries", 10_000_000)?;
    let seconds = arguments.number("--append-seconds", 20)?;
    arguments.done()?;
    ensure!(entries > 0, "a log without entries has no figures");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The whole workspace's selection, so that its dependencies are built once.
    build.args(["build", "--release", "--workspace", "--bins", "--example", "ledger_bench"]);
    processes::run(build.current_dir(crate::root()))?;
    let bench = room::target().join("release/examples/ledger_bench");
    let folder = room::target().join("bench");
    let appends = seconds.to_string();
    processes::run(Command::new(&bench).arg("append").arg(folder.join("ledger-append")).arg(appends))?;
    let long = folder.join(format!("ledger-{entries}"));
    processes::run(Command::new(&bench).arg("scale").arg(long).arg(entries.to_string()))
}
