//! What the tests of the ledger share.

#![allow(dead_code, reason = "each test program uses a part")]

use chrono::{DateTime, Utc};
use ledger::{Actor, Entry, Ledger, LedgerConfig, Object, Operation, Origin, Outcome};
use std::{path::Path, time::Duration};

pub(crate) fn config(root: &Path) -> LedgerConfig {
    LedgerConfig {
        // A shared disk stalls for seconds; what a slow disk does is tested with one that hangs.
        limit: Duration::from_mins(1),
        ..LedgerConfig::new(root.join("log"), root.join("keys/log.key"), "rtr.example/test")
    }
}

pub(crate) fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 123_000_000).unwrap()
}

pub(crate) fn look(action: &'static str, look: &str, person: &str, camera: &str) -> Entry {
    Entry {
        look: Some(look.to_owned()),
        actor: Actor::Person {
            person: person.to_owned(),
            role: "observer".to_owned(),
            organisation: "rj-security".to_owned(),
            authorisation: Some("AUT-1".to_owned()),
        },
        origin: Origin {
            workstation: Some("desk-3".to_owned()),
            address: Some("10.0.0.7".to_owned()),
            session: None,
        },
        object: Some(Object::camera(camera, "enschede")),
        outcome: Outcome::Permit,
        ..Entry::new(at(0), Operation::Consult, action)
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) async fn published(ledger: &Ledger, size: u64) {
    ledger.published().wait_for(|published| *published >= size).await.unwrap();
}
