//! Which looks are open: a `.start` without its `.stop`. After a crash they are closed as "stop: unknown, between the
//! last sign of life and the start" (decision 12).

use crate::entry::{Entry, Object, Operation, Outcome};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The action that says that an entry became durable after its maker had stopped waiting: it had no effect.
pub(crate) const UNANSWERED: &str = "ledger.unanswered";

/// A look that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenLook {
    /// What ties start and stop together.
    pub look: String,
    /// The number of its start.
    pub seq: u64,
    /// The leaf of its start.
    pub start: Value,
}

/// The looks that are open after the entries seen so far.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    open: BTreeMap<String, OpenLook>,
}

impl Looks {
    /// Goes on with those that were open.
    pub(crate) fn resume(open: Vec<OpenLook>) -> Self {
        Self { open: open.into_iter().map(|look| (look.look.clone(), look)).collect() }
    }

    /// Takes an entry into account.
    pub(crate) fn observe(&mut self, seq: u64, leaf: &[u8]) {
        // Most leaves belong to no look; they are not worth parsing.
        if !leaf.windows(7).any(|window| window == b"\"look\":") {
            return;
        }
        let Ok(start) = serde_json::from_slice::<Value>(leaf) else { return };
        let (Some(action), Some(look)) = (text(&start, "action"), text(&start, "look")) else { return };
        let permitted = !matches!(text(&start, "outcome"), Some("deny" | "failed"));
        let step = action.rsplit_once('.').map(|(_, step)| step);
        if step == Some("start") && permitted {
            let look = look.to_owned();
            self.open.insert(look.clone(), OpenLook { look, seq, start });
        } else if step == Some("stop") || action == UNANSWERED {
            self.open.remove(look);
        }
    }

    pub(crate) fn open(&self) -> Vec<OpenLook> {
        let mut looks: Vec<_> = self.open.values().cloned().collect();
        looks.sort_by_key(|look| look.seq);
        looks
    }
}

fn text<'a>(leaf: &'a Value, key: &str) -> Option<&'a str> {
    leaf.get(key).and_then(Value::as_str)
}

impl OpenLook {
    /// The entry that closes it at a start of the daemon, when nobody knows when it ended.
    pub fn closing(&self, last_sign_of_life: DateTime<Utc>, started: DateTime<Utc>) -> Entry {
        let action = text(&self.start, "action").unwrap_or("look");
        let operation = self
            .start
            .get("operation")
            .and_then(|operation| serde_json::from_value(operation.clone()).ok())
            .unwrap_or(Operation::Consult);
        let object = self.start.get("object").map(|object| {
            let field = |key| text(object, key).map(str::to_owned);
            let time = |key| text(object, key).and_then(|at| at.parse().ok());
            Object {
                kind: field("kind").unwrap_or_default(),
                id: field("id"),
                camera: field("camera"),
                municipality: field("municipality"),
                from: time("from"),
                until: time("until"),
                screen: field("screen"),
                person: None,
            }
        });
        Entry {
            look: Some(self.look.clone()),
            object,
            outcome: Outcome::Unknown,
            data: Some(json!({
                "start": self.seq,
                "stop": "unknown",
                "between": [crate::privacy::instant(last_sign_of_life), crate::privacy::instant(started)],
            })),
            ..Entry::new(started, operation, format!("{}.stop", action.trim_end_matches(".start")))
        }
    }
}
