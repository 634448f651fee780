//! The system packages of `deploy/apt-packages.txt`: says which are missing, installs them directly as root, else with sudo.

use crate::{processes, root};
use anyhow::{Context as _, Result, bail};
use std::process::{Command, Stdio};

/// Makes sure that the packages of these groups are installed.
///
/// # Errors
/// When the list cannot be read, the machine has no apt, or the installation fails.
pub fn ensure(groups: &[&str]) -> Result<()> {
    let file = root().join("deploy/apt-packages.txt");
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let wanted = of_groups(&text, groups);
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if Command::new("apt-get").arg("--version").stdout(Stdio::null()).status().is_err() {
        bail!(
            "these packages are missing, and this machine has no apt-get to install them: {}",
            missing.join(" ")
        );
    }
    println!("RTR needs {} system packages that are missing and installs them now:", missing.len());
    println!("  {}", missing.join(" "));
    apt(&["update", "-qq"])?;
    let mut arguments =
        vec!["install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    arguments.extend(&missing);
    apt(&arguments)
}

/// `[group]` lines start a group; `#` starts a comment.
fn of_groups<'a>(text: &'a str, groups: &[&str]) -> Vec<&'a str> {
    let mut group = "";
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            group = name;
        } else if !line.is_empty() && groups.contains(&group) {
            out.push(line);
        }
    }
    out
}

fn installed(name: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Abbrev}", name])
        .stderr(Stdio::null())
        .output();
    status.is_ok_and(|o| o.status.success() && o.stdout.starts_with(b"ii"))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = if is_root {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        sudo
    };
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    processes::run(&mut command)
        .with_context(|| format!("apt-get {} failed", arguments.first().unwrap_or(&"")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn groups_and_comments() {
        let text = "# all\n[build]\na # why\n\nb\n[run]\nc\n";
        assert_eq!(super::of_groups(text, &["build"]), ["a", "b"]);
        assert_eq!(super::of_groups(text, &["build", "run"]), ["a", "b", "c"]);
        assert!(super::of_groups(text, &["other"]).is_empty());
    }
}
