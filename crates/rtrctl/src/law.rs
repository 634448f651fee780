//! `rtrctl law`: the rules run as a table, and the role matrix.

use mandate::{ROLE_MATRIX, Role};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path, process::ExitCode};

/// Runs a scenario file; each failure with expected, got and why, then `N passed, N failed`.
pub(crate) fn check(file: &Path) -> ExitCode {
    let report = std::fs::read_to_string(file)
        .map_err(|error| error.to_string())
        .and_then(|text| mandate::scenarios::check(&text).map_err(|error| error.to_string()));
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    };
    let failed = report.failed().inspect(|outcome| println!("{outcome}")).count();
    println!("{} passed, {failed} failed", report.passed());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the matrix: an `x` where the role may, if the conditions hold; never elsewhere.
pub(crate) fn matrix() -> ExitCode {
    let roles: BTreeSet<Role> = ROLE_MATRIX.iter().flat_map(|(_, roles)| roles.iter().copied()).collect();
    let word = |value: serde_json::Result<Value>| {
        value.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    };
    for (column, role) in roles.iter().enumerate() {
        println!("{:24}{}{}", "", "| ".repeat(column), word(serde_json::to_value(role)));
    }
    for (action, may) in ROLE_MATRIX {
        let marks: String = roles.iter().map(|role| if may.contains(role) { "x " } else { ". " }).collect();
        println!("{:24}{}", word(serde_json::to_value(action)), marks.trim_end());
    }
    ExitCode::SUCCESS
}
