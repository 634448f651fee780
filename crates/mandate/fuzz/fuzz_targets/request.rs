//! A request and the instant at which it is made, as JSON, against a small world in which much is open.
#![no_main]

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use mandate::{Fact, FactBody, Register, Request, decide, footage_pieces};
use std::sync::LazyLock;

/// The world, one fact a line.
static REGISTER: LazyLock<Register> = LazyLock::new(|| {
    let facts: Vec<Fact> = include_str!("world.jsonl")
        .lines()
        .map(|line| Fact {
            known_from: DateTime::UNIX_EPOCH,
            version: 1,
            body: serde_json::from_str::<FactBody>(line).expect("a fact a line"),
        })
        .collect();
    Register::build(&facts, DateTime::UNIX_EPOCH + chrono::TimeDelta::days(21_000)).expect("a sound world")
});

fuzz_target!(|data: &[u8]| {
    let Ok((request, at)) = serde_json::from_slice::<(Request, DateTime<Utc>)>(data) else { return };
    let decision = decide(&REGISTER, &request, at);
    assert!(decision.until().is_none_or(|until| until > at));
    if let Some(denial) = decision.denial() {
        assert!(!denial.sentence().0.is_empty());
    }
    // A range of years has thousands of pieces; the gate bounds what one request may ask.
    if let mandate::Object::Footage { from, until, .. } = &request.object
        && until.signed_duration_since(*from) < chrono::TimeDelta::days(30)
    {
        let pieces = footage_pieces(&REGISTER, &request, at);
        assert!(pieces.windows(2).all(|two| two[0].until == two[1].from));
    }
});
