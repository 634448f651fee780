//! `cargo xtask static-witness`: the witness as one file that needs no library of the machine it runs on, to be carried to the
//! police. Its key is a file then: a PKCS#11 module is a shared library, and a static program loads none.

use crate::{Arguments, processes, room};
use anyhow::{Context as _, Result, ensure};
use std::{fs, process::Command};

/// # Errors
/// When it does not build, or what was built is not static.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    arguments.done()?;
    let rustc = Command::new("rustc").arg("-vV").output().context("rustc does not run")?;
    let said = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    // A folder of its own: other flags would build everything anew in the usual one.
    let folder = room::target().join("static");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(crate::root()).args(["build", "--release", "--package", "witness"]);
    build.args(["--no-default-features", "--target", host]).arg("--target-dir").arg(&folder);
    build.env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols");
    processes::run(&mut build).context("the static witness does not build")?;
    let program = folder.join(host).join("release/rtr-witness");
    let ldd = Command::new("ldd").arg(&program).output().context("ldd does not run")?;
    let said = [ldd.stdout, ldd.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(
        said.contains("statically linked") || said.contains("not a dynamic executable"),
        "it is not static: {said}"
    );
    let mib = fs::metadata(&program)?.len() as f64 / f64::from(1 << 20);
    println!("{}: {}, {mib:.1} MiB", program.display(), said.trim());
    Ok(())
}
