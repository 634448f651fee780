//! What one pass over the entries finds: what happened in the range, and what stands until something ends it.

use super::{super::readable::short, lines::Lines};
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Details, Leaf, entry::HEARTBEAT};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The term of Gemeentewet 151c lid 9 and the hour in which destruction must follow (policy).
const TERM: TimeDelta = TimeDelta::hours(28 * 24 + 1);
/// Facts whose history an auditor reads.
const LEGAL_KINDS: [&str; 8] =
    ["ordinance", "decree", "extension", "revocation", "consultation", "period", "window", "extra_window"];

#[derive(Default)]
struct Camera {
    recorded_since: Option<String>,
    destroyed_until: Option<String>,
    destructions: u64,
}

struct Held {
    seq: u64,
    text: String,
    review_at: Option<DateTime<Utc>>,
}

/// An authorisation as the months' keys open it.
struct Authorisation {
    seq: u64,
    person: String,
    role: String,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

#[derive(Default)]
pub(super) struct Findings {
    pub(super) without_incident: Lines,
    pub(super) accesses: u64,
    pub(super) outside: Lines,
    pub(super) windows: Lines,
    pub(super) silence: Lines,
    pub(super) maintenance: Lines,
    pub(super) last_at: Option<DateTime<Utc>>,
    pub(super) entries: u64,
    denied: BTreeMap<(String, String), (u64, u64)>,
    looks: BTreeMap<String, (u64, String)>,
    holds: BTreeMap<String, Held>,
    disclosures: BTreeMap<String, Lines>,
    cameras: BTreeMap<String, Camera>,
    daily: Lines,
    facts: BTreeMap<(String, String), (u64, Value)>,
    readings: BTreeMap<(String, String), (u64, u64)>,
    opened: BTreeMap<String, Authorisation>,
    active: BTreeSet<String>,
}

fn time(value: &Value, key: &str) -> Option<DateTime<Utc>> {
    value.get(key)?.as_str()?.parse().ok()
}

impl Findings {
    /// What the months' keys open: who did something, and which authorisations say what.
    pub(super) fn persons(&mut self, seq: u64, leaf: &Leaf<'_>, text: &[u8], opened: &Details, inside: bool) {
        // Logging in alone is no use of a right.
        if let Some(actor) = opened.actor.as_ref().filter(|_| inside && !leaf.is("session")) {
            self.active.insert(actor.clone());
        }
        let value = || serde_json::from_slice::<Value>(text).unwrap_or_default();
        if leaf.action == "register.record" && value().pointer("/data/kind") == Some(&"authorisation".into())
        {
            let new = opened.committed.get("change.new");
            let fact: Value = new.and_then(|new| serde_json::from_str(&new.text).ok()).unwrap_or_default();
            let text = |key: &str| fact.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let person = if text("person").is_empty() {
                opened.object.clone().unwrap_or_default()
            } else {
                text("person")
            };
            let authorisation = Authorisation {
                seq,
                person,
                role: text("role"),
                from: time(&fact, "from"),
                until: time(&fact, "until"),
            };
            self.opened.insert(text("id"), authorisation);
        }
    }

    /// What stands until something ends it.
    pub(super) fn standing(&mut self, seq: u64, leaf: &Leaf<'_>, value: impl Fn() -> Value) {
        let step = leaf.step();
        if let Some(look) = &leaf.look {
            if step == "start" && leaf.took_place() {
                self.looks.insert(look.to_string(), (seq, short(leaf)));
            } else if matches!(step, "stop" | "unanswered") {
                self.looks.remove(look.as_ref());
            }
        }
        match leaf.action.as_ref() {
            "hold.secured" => {
                let review_at = value().get("data").and_then(|data| time(data, "review_at"));
                self.holds.insert(leaf.object.id.to_string(), Held { seq, text: short(leaf), review_at });
            }
            "hold.released" => drop(self.holds.remove(leaf.object.id.as_ref())),
            "destroy.report" => {
                let data = value().get("data").map(ToString::to_string).unwrap_or_default();
                let municipality = leaf.object.municipality.as_deref().unwrap_or("–").to_owned();
                self.daily.add(seq, || format!("{municipality}: {data}"));
            }
            "register.record" => {
                let value = value();
                let kind = value.pointer("/data/kind").and_then(Value::as_str).unwrap_or_default().to_owned();
                let id = match leaf.object.id.as_ref() {
                    "" => leaf.object.pseudonym.as_deref().unwrap_or_default(),
                    id => id,
                };
                self.facts.insert((kind, id.to_owned()), (seq, value));
            }
            _ => {}
        }
        let Some(camera) = &leaf.object.camera else { return };
        if leaf.operation == "collect" && step == "start" {
            let camera = self.cameras.entry(camera.to_string()).or_default();
            camera.recorded_since.get_or_insert_with(|| leaf.at.to_string());
        }
        if leaf.action == "destroy.done" {
            let camera = self.cameras.entry(camera.to_string()).or_default();
            camera.destructions += 1;
            camera.destroyed_until =
                camera.destroyed_until.take().max(leaf.object.until.as_ref().map(ToString::to_string));
        }
    }

    /// What happened at its instant.
    pub(super) fn happened(&mut self, seq: u64, leaf: &Leaf<'_>, value: impl Fn() -> Value) {
        let permitted = leaf.took_place();
        let begins = !matches!(leaf.step(), "stop" | "continue");
        let footage =
            ["replay", "snapshot", "hold.set", "export.request", "export.approve", "export.download"];
        if footage.iter().any(|what| leaf.is(what)) && permitted && begins {
            self.accesses += 1;
            if !leaf.is_justified() {
                self.without_incident.add(seq, || short(leaf));
            }
        }
        if leaf.operation == "access_denied" {
            let who = format!("{} {}", leaf.actor.role, leaf.actor.organisation);
            let who = if leaf.actor.kind == "person" { who } else { leaf.actor.kind.to_string() };
            // A program that asked again and again: one entry says how often.
            let times = value().pointer("/data/repeated").and_then(Value::as_u64).unwrap_or(0).max(1);
            let slot = self.denied.entry((leaf.reason_code.to_string(), who)).or_insert((0, seq));
            *slot = (slot.0 + times, seq);
        }
        if leaf.action == "live_view.start" && permitted {
            let on =
                |kind: &str| leaf.legal_context.basis.iter().any(|fact| fact.split(' ').next() == Some(kind));
            if !on("window") {
                let on = if on("extra_window") {
                    "an extra window"
                } else if leaf.is_justified() {
                    "an incident or instruction"
                } else {
                    "the use period alone"
                };
                self.outside.add(seq, || format!("{} on {on}", short(leaf)));
            }
        }
        if leaf.operation == "disclose" && permitted {
            let article = match leaf.recipient.article.as_ref() {
                "" => "no article named",
                article => article,
            };
            self.disclosures.entry(article.to_owned()).or_default().add(seq, || short(leaf));
        }
        if leaf.is("log") && permitted {
            let key = (leaf.justification.purpose.to_string(), leaf.actor.role.to_string());
            let slot = self.readings.entry(key).or_insert((0, seq));
            *slot = (slot.0 + 1, seq);
        }
        if leaf.is("register") && permitted {
            let value = value();
            let kind =
                value.pointer("/data/kind").and_then(Value::as_str).unwrap_or(leaf.object.kind.as_ref());
            if LEGAL_KINDS.contains(&kind) {
                let proposal = value.pointer("/data/proposal").and_then(Value::as_u64);
                let proposal = proposal.map_or_else(String::new, |number| format!(" (proposal {number})"));
                self.windows.add(seq, || format!("{}{proposal}", short(leaf)));
            }
        }
        if matches!(leaf.action.as_ref(), "ledger.recovered" | "ledger.tail_dropped" | "ledger.unanswered") {
            let data = value().get("data").map(ToString::to_string).unwrap_or_default();
            self.silence.add(seq, || format!("{} {} {data}", leaf.at, leaf.action));
        } else if leaf.operation == "maintenance" && leaf.action != HEARTBEAT || leaf.is("configuration") {
            self.maintenance.add(seq, || short(leaf));
        }
    }

    pub(super) fn denied(&self) -> Lines {
        let mut lines = Lines::default();
        for ((code, who), (count, seq)) in &self.denied {
            lines.add(*seq, || format!("{code}; {who}; {count}"));
        }
        lines
    }

    pub(super) fn open_looks(&self) -> Lines {
        let mut lines = Lines::default();
        for (look, (seq, text)) in &self.looks {
            lines.add(*seq, || format!("{text} (look {look})"));
        }
        lines
    }

    pub(super) fn holds(&self, on: DateTime<Utc>) -> Lines {
        let mut lines = Lines::default();
        for (hold, held) in &self.holds {
            let review = match held.review_at {
                None => "; WITHOUT a review date".to_owned(),
                Some(at) if at <= on => format!("; its review was due at {at}"),
                Some(at) => format!("; review at {at}"),
            };
            lines.add(held.seq, || format!("{hold}, {}{review}", held.text));
        }
        lines
    }

    pub(super) fn disclosures(&self) -> Lines {
        let mut lines = Lines::default();
        for (article, disclosed) in &self.disclosures {
            lines.say(|| format!("{article}: {}", disclosed.count()));
            for row in disclosed.shown() {
                lines.say(|| format!("  {row}"));
            }
        }
        lines
    }

    pub(super) fn destruction(&self, on: DateTime<Utc>) -> Lines {
        let mut lines = Lines::default();
        for (camera, state) in &self.cameras {
            lines.say(|| state.line(camera, on));
        }
        for row in self.daily.shown() {
            lines.say(|| format!("daily report, {row}"));
        }
        lines
    }

    /// The chain below the police: agreements in force, and those whose parent is not.
    pub(super) fn agreements(&self, on: DateTime<Utc>) -> Lines {
        let mut lines = Lines::default();
        let all: Vec<(&String, u64, &Value)> = self
            .facts
            .iter()
            .filter(|((kind, _), _)| kind.contains("agreement"))
            .filter_map(|((_, id), (seq, entry))| Some((id, *seq, entry.pointer("/change/new")?)))
            .collect();
        let in_force = |agreement: &Value| {
            time(agreement, "valid_from").is_some_and(|from| from <= on)
                && time(agreement, "valid_until").is_none_or(|until| on < until)
        };
        for (id, seq, agreement) in &all {
            let text = |key: &str| agreement.get(key).and_then(Value::as_str).unwrap_or("–").to_owned();
            let parties = agreement.get("parties").and_then(Value::as_array);
            let parties: Vec<&str> = parties.into_iter().flatten().filter_map(Value::as_str).collect();
            let parent = agreement.get("parent").and_then(Value::as_str);
            let broken = parent.is_some_and(|parent| {
                !all.iter().any(|(other, _, above)| other.as_str() == parent && in_force(above))
            });
            let mut remarks = String::new();
            if !in_force(agreement) {
                remarks.push_str("; NOT in force");
            }
            if broken {
                remarks.push_str("; the agreement above it is NOT in force");
            }
            if text("type").contains("sub")
                && agreement.get("controller_consent_ref").is_none_or(Value::is_null)
            {
                remarks.push_str("; WITHOUT the controller's consent (Wpg 6c lid 4)");
            }
            lines.add(*seq, || {
                format!(
                    "{id} ({}): {}, {} to {}, below {}{remarks}",
                    text("type"),
                    parties.join(" and "),
                    text("valid_from"),
                    text("valid_until"),
                    parent.unwrap_or("none")
                )
            });
        }
        if all.is_empty() {
            lines.say(|| "none is recorded".to_owned());
        }
        lines
    }

    pub(super) fn authorisations(&self, on: DateTime<Utc>, opened: bool) -> Lines {
        let mut lines = Lines::default();
        if opened {
            for (id, a) in self.in_force(on) {
                let day = |at: Option<DateTime<Utc>>| at.map_or("–".to_owned(), |at| at.to_rfc3339());
                lines.add(a.seq, || {
                    format!("{id}: {} as {}, {} to {}", a.person, a.role, day(a.from), day(a.until))
                });
            }
            return lines;
        }
        for ((_, id), (seq, entry)) in self.facts.iter().filter(|((kind, _), _)| kind == "authorisation") {
            let version = entry.pointer("/data/version").and_then(Value::as_u64).unwrap_or(0);
            lines.add(*seq, || format!("{id}: version {version}"));
        }
        lines
    }

    pub(super) fn without_activity(&self, on: DateTime<Utc>, opened: bool) -> Lines {
        let mut lines = Lines::default();
        if !opened {
            lines.say(|| "persons are sealed: give the months' keys with --months".to_owned());
            return lines;
        }
        for (id, a) in self.in_force(on).filter(|(_, a)| !self.active.contains(&a.person)) {
            lines.add(a.seq, || format!("{} as {} ({id})", a.person, a.role));
        }
        lines
    }

    fn in_force(&self, on: DateTime<Utc>) -> impl Iterator<Item = (&String, &Authorisation)> {
        self.opened.iter().filter(move |(_, a)| {
            a.from.is_none_or(|from| from <= on) && a.until.is_none_or(|until| on < until)
        })
    }

    pub(super) fn readings(&self) -> Lines {
        let mut lines = Lines::default();
        for ((purpose, role), (count, seq)) in &self.readings {
            lines.add(*seq, || format!("{purpose}; {role}; {count}"));
        }
        lines
    }
}

impl Camera {
    fn line(&self, camera: &str, on: DateTime<Utc>) -> String {
        let since = self.recorded_since.as_deref();
        let oldest = self.destroyed_until.as_deref().max(since);
        let age = oldest.and_then(|at| at.parse::<DateTime<Utc>>().ok()).map(|at| on - at);
        let late = age.is_some_and(|age| age > TERM);
        format!(
            "{camera}: recorded since {}, destroyed up to {} in {} acts; oldest footage at most {}{}",
            since.unwrap_or("–"),
            self.destroyed_until.as_deref().unwrap_or("–"),
            self.destructions,
            age.map_or_else(
                || "–".to_owned(),
                |age| format!("{} days {} hours", age.num_days(), age.num_hours() % 24)
            ),
            if late { "; LATER than the term" } else { "" }
        )
    }
}
