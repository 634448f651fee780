//! `cargo xtask test`: all that must hold, in the order in which a mistake is cheapest to find.

use crate::{Arguments, packages, processes, room, root};
use anyhow::{Context as _, Result};
use std::{process::Command, time::Instant};

/// # Errors
/// The first step that fails.
pub(crate) fn run(rest: &[String]) -> Result<()> {
    let mut arguments = Arguments::new(rest);
    let filter = arguments.word();
    arguments.done()?;
    packages::ensure(&["build", "run", "test"])?;
    // Test programs hold back what they print when they pass; whether real clips were there must be seen.
    if let Some(material) = room::material() {
        println!("real clips: {}", material.display());
    }

    if filter.is_none() {
        step("format", &["fmt", "--all", "--check"])?;
        step("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])?;
        step("documentation", &["doc", "--workspace", "--no-deps", "--quiet"])?;
    }
    // The end-to-end tests start the programs as processes. All targets, so that features unify as in the next step and
    // nothing is built twice.
    step("build", &["build", "--workspace", "--all-targets", "--quiet"])?;
    let mut tests = vec!["test", "--workspace", "--quiet", "--no-fail-fast"];
    tests.extend(filter.as_deref());
    step("tests", &tests)
}

fn step(name: &str, arguments: &[&str]) -> Result<()> {
    println!("── {name}: cargo {}", arguments.join(" "));
    let started = Instant::now();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root()).env("RUSTDOCFLAGS", "--deny warnings");
    // A judge from outside that is missing is a failure here, and not something that a passing test holds back.
    cargo.env("RTR_JUDGES", "required");
    processes::run(&mut cargo).with_context(|| format!("{name} failed"))?;
    println!("   {name}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}
