//! `rtrctl vault check`: a vault's folder, looked at without a key and without the daemon.

use chrono::{DateTime, Utc};
use std::{path::Path, process::ExitCode};
use volumes::{check, recovery};

/// Prints what is in the folder and everything that is wrong with it; makes the index anew first where asked.
pub(crate) fn run(dir: &Path, rebuild_index: bool) -> ExitCode {
    if rebuild_index {
        if let Err(error) = recovery::rebuild_index(dir) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
        println!("the index was made anew from the volumes");
    }
    let report = match check::check(dir) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{} volumes ({} sealed), {} bytes", report.volumes, report.sealed, report.bytes);
    println!(
        "{} records, {} pictures of {} streams under {} keys",
        report.records, report.units, report.streams, report.keys
    );
    if let Some((from, until)) = report.range {
        let show = |at: media::Micros| {
            DateTime::<Utc>::from_timestamp_micros(at.0)
                .map_or_else(|| at.0.to_string(), |at| at.to_rfc3339())
        };
        println!("from {} to {}", show(from), show(until));
    }
    for note in &report.notes {
        println!("note: {note}");
    }
    for problem in &report.problems {
        println!("problem: {problem}");
    }
    if report.more_problems > 0 {
        println!("and {} more problems", report.more_problems);
    }
    if report.is_clean() {
        println!("all is well");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
