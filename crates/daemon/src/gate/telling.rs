//! What the gate tells the log beside its decisions: what a refusal rests on, how often the same was asked again, who guesses
//! passwords beyond the limit of attempts, and, at a stop, everything that was counted and not told yet.

use super::{
    Ask, Gate,
    entries::{entry_of, fact_text, personal, word},
};
use chrono::{DateTime, Utc};
use ledger::{Actor as LogActor, Entry, Operation, Origin, Outcome};
use mandate::{Denial, Object, Request};
use std::net::IpAddr;

/// What a refused log-in beyond the limit of attempts is called; it is no code of the law.
const TOO_MANY: &str = "TOO_MANY_ATTEMPTS";

/// Writes into an entry on what a refusal rests: the fact that fails it, until when, and what must be done about it. Facts about
/// persons are named by their kind only.
pub(super) fn rests_on(entry: &mut Entry, denial: &Denial) {
    let mut data = match entry.data.take() {
        Some(serde_json::Value::Object(data)) => data,
        _ => serde_json::Map::new(),
    };
    if let Some(fact) = &denial.fact {
        let named = if personal(fact.kind) { word(&fact.kind) } else { fact_text(fact) };
        data.insert("refused_by".to_owned(), named.into());
    }
    if let Some(until) = denial.until {
        data.insert("refused_until".to_owned(), serde_json::json!(until));
    }
    let must = &denial.obligations;
    if let Some(role) = must.notify {
        data.insert("notify".to_owned(), word(&role).into());
    }
    for (what, asked) in [("quarantine", must.quarantine), ("destroy_now", must.destroy_now)] {
        if asked {
            data.insert(what.to_owned(), true.into());
        }
    }
    entry.data = (!data.is_empty()).then_some(serde_json::Value::Object(data));
}

impl Gate {
    /// Somebody goes on guessing passwords beyond the limit of attempts: the first stands in the log, the others of the same
    /// address are counted. A log that can be filled at will is no log, and one that says nothing of a night of guessing is none
    /// either (WP-24).
    pub fn guessed(&self, address: IpAddr) {
        let now = self.0.clock.now();
        if let Some(repeated) = self.0.guesses.tell(address, now) {
            self.0.log.append_spooled(guess_entry(address, repeated, now));
        }
    }

    /// Logs how often what was refused was asked again, once a minute; at a stop all that was counted, for nobody else will.
    pub fn tell_refusals(&self, all: bool) {
        let now = self.0.clock.now();
        let (refusals, guesses) = if all {
            (self.0.refusals.rest(), self.0.guesses.rest())
        } else {
            (self.0.refusals.overdue(now), self.0.guesses.overdue(now))
        };
        for ((actor, action, camera, name, reason_code), repeated) in refusals {
            let mut request = Request::by_system(action, camera.map_or(Object::None, Object::Camera));
            request.actor = actor;
            let ask = Ask { request, session: None, name, display: None };
            let mut entry = entry_of(&ask, Operation::AccessDenied, "", now, &self.snapshot(), &[], None);
            entry.outcome = Outcome::Deny { reason_code };
            entry.data = Some(serde_json::json!({ "repeated": repeated }));
            self.0.log.append_spooled(entry);
        }
        for (address, repeated) in guesses {
            self.0.log.append_spooled(guess_entry(address, repeated, now));
        }
    }
}

fn guess_entry(address: IpAddr, repeated: u64, now: DateTime<Utc>) -> Entry {
    let mut entry = Entry::new(now, Operation::AccessDenied, "session.start");
    entry.actor = LogActor::Anonymous;
    entry.origin = Origin { address: Some(address.to_string()), ..Origin::default() };
    entry.outcome = Outcome::Deny { reason_code: TOO_MANY.to_owned() };
    if repeated > 0 {
        entry.data = Some(serde_json::json!({ "repeated": repeated }));
    }
    entry
}
