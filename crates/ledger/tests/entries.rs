//! The leaves that outsiders read: golden texts that must never change unnoticed, and nothing in them that the law keeps
//! out of a log.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use chrono::{DateTime, Utc};
use ledger::{
    Actor, Change, Clock, Entry, Justification, Ledger, LedgerConfig, LegalContext, Object, Operation,
    Origin, Outcome, Recipient, canonical::is_canonical,
};
use proptest::prelude::*;
use serde_json::json;

fn at() -> DateTime<Utc> {
    "2026-11-22T08:15:30.250Z".parse().unwrap()
}

fn leaf_of(entries: Vec<Entry>) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let config =
        LedgerConfig::new(root.path().join("log"), root.path().join("keys/log.key"), "rtr.example/test");
    let ledger = Ledger::open(config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut leaves = Vec::new();
        for entry in entries {
            let seq = ledger.append(entry).await.unwrap().seq;
            leaves.push(String::from_utf8(ledger.leaf(seq).unwrap()).unwrap());
        }
        leaves
    })
}

#[test]
fn the_text_of_a_leaf_is_fixed() {
    // Without persons, so without anything drawn by lot. Whoever changes one of these raises the schema's version.
    let footage = Object::footage("ENS-C01", "enschede", at() - chrono::TimeDelta::hours(1), at());
    let entries = vec![
        Entry::heartbeat(at(), Clock::Synchronised),
        Entry {
            object: Some(footage),
            data: Some(json!({ "term_days": 28, "keys": ["a1"], "bytes": "1048576" })),
            ..Entry::new(at(), Operation::Destroy, "destroy.done")
        },
        Entry {
            object: Some(Object::camera("ENS-C01", "enschede")),
            look: Some("0123456789abcdef".to_owned()),
            legal_context: LegalContext {
                basis: vec!["decree ENS-01 v2".to_owned()],
                policy_version: Some("p1".to_owned()),
                register_head: Some("00ff".to_owned()),
                until: Some(at()),
            },
            outcome: Outcome::Permit,
            ..Entry::new(at(), Operation::Collect, "record.start")
        },
        Entry {
            actor: Actor::Anonymous,
            outcome: Outcome::Deny { reason_code: "LOG_IN_REFUSED".to_owned() },
            ..Entry::new(at(), Operation::AccessDenied, "session.start")
        },
        Entry {
            object: Some(Object::thing("decree", "ENS-01")),
            change: Some(Change::Clear {
                old: json!(null),
                new: json!({ "days": 28, "point": [6.8937, 52.2215] }),
            }),
            ..Entry::new(at(), Operation::Admin, "register.record")
        },
    ];
    let golden = [
        r#"{"action":"ledger.heartbeat","actor":{"kind":"system"},"at":"2026-11-22T08:15:30.250Z","clock":"synchronised","operation":"maintenance","outcome":"done","v":1}"#,
        r#"{"action":"destroy.done","actor":{"kind":"system"},"at":"2026-11-22T08:15:30.250Z","clock":"unknown","data":{"bytes":"1048576","keys":["a1"],"term_days":28},"object":{"camera":"ENS-C01","from":"2026-11-22T07:15:30.250Z","kind":"footage","municipality":"enschede","until":"2026-11-22T08:15:30.250Z"},"operation":"destroy","outcome":"done","v":1}"#,
        r#"{"action":"record.start","actor":{"kind":"system"},"at":"2026-11-22T08:15:30.250Z","clock":"unknown","legal_context":{"basis":["decree ENS-01 v2"],"policy_version":"p1","register_head":"00ff","until":"2026-11-22T08:15:30.250Z"},"look":"0123456789abcdef","object":{"camera":"ENS-C01","kind":"camera","municipality":"enschede"},"operation":"collect","outcome":"permit","v":1}"#,
        r#"{"action":"session.start","actor":{"kind":"anonymous"},"at":"2026-11-22T08:15:30.250Z","clock":"unknown","operation":"access_denied","outcome":"deny","reason_code":"LOG_IN_REFUSED","v":1}"#,
        r#"{"action":"register.record","actor":{"kind":"system"},"at":"2026-11-22T08:15:30.250Z","change":{"new":{"days":28,"point":["6.8937","52.2215"]},"old":null},"clock":"unknown","object":{"id":"ENS-01","kind":"decree"},"operation":"admin","outcome":"done","v":1}"#,
    ];
    for (leaf, golden) in leaf_of(entries).iter().zip(golden) {
        assert_eq!(leaf, golden);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whatever a person is called, wherever they sit and whatever they write, no leaf shows it.
    #[test]
    fn no_leaf_shows_a_person_or_what_they_wrote(texts in proptest::collection::vec("[A-Z][a-z\u{e0}-\u{ff}]{5,12} (van )?[A-Z][a-z]{4,12}", 9)) {
        let text = |n: usize| Some(texts[n].clone());
        let entry = Entry {
            actor: Actor::Person {
                person: texts[0].clone(),
                role: "observer".to_owned(),
                organisation: "rj-security".to_owned(),
                authorisation: Some(format!("AUT {}", texts[0])),
            },
            origin: Origin { workstation: text(1), session: text(2), address: text(3) },
            object: Some(Object::person(&texts[4])),
            justification: Justification { case_number: text(5), note: text(6), ..Justification::default() },
            recipient: Some(Recipient { person: text(7), organisation: text(8), article: Some("Wpg 16".to_owned()) }),
            change: Some(Change::Private { old: json!({ "name": texts[0] }), new: json!({ "name": texts[4] }) }),
            ..Entry::new(at(), Operation::Disclose, "export.download")
        };
        let leaf = leaf_of(vec![entry]).remove(0);
        prop_assert!(is_canonical(leaf.as_bytes()));
        for secret in &texts {
            prop_assert!(!leaf.contains(secret.as_str()), "{secret} in {leaf}");
        }
        // Neither twice the same commitment for the same text: who guesses a name cannot check it.
        let value: serde_json::Value = serde_json::from_str(&leaf).unwrap();
        prop_assert!(value["origin"]["workstation"] != value["origin"]["session"]);
    }
}
