//! The law as a table: our own scenarios, and the larger suite where it lies beside the repository.

use mandate::scenarios::{Report, check};
use std::path::PathBuf;

fn assert_all_pass(report: &Report, at_least: usize) {
    let failed: Vec<String> = report.failed().map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{} of {} fail:\n{}", failed.len(), report.outcomes.len(), failed.join("\n"));
    assert!(report.passed() >= at_least, "only {} scenarios were found", report.passed());
}

#[test]
fn own_scenarios_come_out_as_written() {
    assert_all_pass(&check(include_str!("scenarios.json")).unwrap(), 350);
}

#[test]
fn the_suite_comes_out_as_written() {
    let folder = std::env::var_os("RTR_LAW").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/law")),
        PathBuf::from,
    );
    let file = folder.join("scenarios.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!(
            "no suite at {}: only our own scenarios were run (set RTR_LAW to its folder)",
            file.display()
        );
        return;
    };
    assert_all_pass(&check(&text).unwrap(), 1);
}

#[test]
fn a_table_that_is_wrong_says_so() {
    let wrong = include_str!("scenarios.json").replacen("\"expect\": \"permit\"", "\"expect\": \"deny\"", 1);
    let report = check(&wrong).unwrap();
    assert_eq!(report.failed().count(), 1, "a scenario that expects the opposite must fail");
    assert!(check("[]").is_err());
    assert!(check("{").is_err());
}
