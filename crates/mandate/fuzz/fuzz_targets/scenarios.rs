//! A scenario table: whatever it says is data; it passes, fails, or is no table.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(report) = mandate::scenarios::check(text) {
        assert!(report.passed() + report.failed().count() == report.outcomes.len());
    }
});
