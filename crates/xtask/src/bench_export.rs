//! `cargo xtask bench export`: footage becoming a file against `cp` of the same bytes (see
//! `crates/vault/examples/export_speed.rs`).

use crate::Arguments;
use anyhow::{Context as _, Result, bail};
use std::process::Command;

/// # Errors
/// When it does not build or run.
pub(crate) fn run(mut arguments: Arguments, json: bool) -> Result<()> {
    let mib = arguments.number("--mib", 512)?;
    arguments.done()?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "--package", "vault", "--example", "export_speed", "--"]);
    command.args(["--mib", &mib.to_string()]);
    if json {
        command.arg("--json");
    }
    // On the disk of the build, not in a folder that may be memory.
    command.arg(crate::room::target());
    if !command.current_dir(crate::root()).status().context("cargo does not start")?.success() {
        bail!("the export's bench failed");
    }
    Ok(())
}
