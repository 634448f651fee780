//! `rtrctl law`: the rules run as a table, and the role matrix.

use mandate::{
    Action, ROLE_MATRIX, Role,
    roles::{REPLAY_FOR_OFFENCE, REPLAY_IN_INCIDENT},
};
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
    for (column, role) in roles.iter().enumerate() {
        println!("{:24}{}{}", "", "| ".repeat(column), word(serde_json::to_value(role)));
    }
    for (action, may) in rows() {
        let marks: String = roles.iter().map(|role| if may.contains(role) { "x " } else { ". " }).collect();
        println!("{action:24}{}", marks.trim_end());
    }
    ExitCode::SUCCESS
}

fn word(value: serde_json::Result<Value>) -> String {
    value.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The rows of `domain.md` 5b: looking back is two, with conditions and roles of their own.
fn rows() -> Vec<(String, &'static [Role])> {
    let rows = ROLE_MATRIX.iter().flat_map(|(action, roles)| match action {
        Action::Replay => vec![
            ("replay_in_incident".to_owned(), REPLAY_IN_INCIDENT),
            ("replay_for_offence".to_owned(), REPLAY_FOR_OFFENCE),
        ],
        action => vec![(word(serde_json::to_value(action)), *roles)],
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_back_is_two_rows() {
        let rows = rows();
        let of = |action: &str| rows.iter().find(|(name, _)| name == action).map(|(_, roles)| *roles);
        assert_eq!(of("replay_in_incident"), Some(&[Role::Observer, Role::PoliceOperator][..]));
        assert!(of("replay_for_offence").is_some_and(|roles| !roles.contains(&Role::Observer)));
        assert_eq!(of("replay"), None);
        // Nobody is in either who is not in the matrix's one.
        let both: BTreeSet<Role> = REPLAY_IN_INCIDENT.iter().chain(REPLAY_FOR_OFFENCE).copied().collect();
        let one = ROLE_MATRIX.iter().find(|(action, _)| *action == Action::Replay).map(|(_, roles)| *roles);
        assert_eq!(one.map(|roles| roles.iter().copied().collect()), Some(both));
    }
}
