//! What one pass over the entries finds: what happened in the range, and what stands until something ends it.

use super::{super::readable::short, disclosures::Disclosures, lines::Lines};
use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Details, Leaf, entry::HEARTBEAT};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The term of Gemeentewet 151c lid 9 and the hour in which destruction must follow (policy).
const TERM: TimeDelta = TimeDelta::hours(28 * 24 + 1);
/// That hour.
const GRACE: TimeDelta = TimeDelta::hours(1);
/// Facts whose history an auditor reads.
const LEGAL_KINDS: [&str; 8] =
    ["ordinance", "decree", "extension", "revocation", "consultation", "period", "window", "extra_window"];

#[derive(Default)]
struct Camera {
    recorded_since: Option<String>,
    destroyed_until: Option<String>,
    destructions: u64,
}

/// A look that has begun and not ended.
struct Look {
    seq: u64,
    text: String,
    live: bool,
    justified: bool,
}

struct Held {
    seq: u64,
    text: String,
    review_at: Option<DateTime<Utc>>,
}

/// A key that must be destroyed by an instant (UTC).
struct Due {
    seq: u64,
    camera: String,
    at: DateTime<Utc>,
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
    /// The newest time so far, and its entry.
    pub(super) last: Option<(DateTime<Utc>, u64)>,
    pub(super) entries: u64,
    /// Why facts from before the first entry are not known here.
    pub(super) earlier: Option<String>,
    denied: BTreeMap<(String, String), (u64, u64)>,
    looks: BTreeMap<String, Look>,
    holds: BTreeMap<String, Held>,
    disclosed: Disclosures,
    cameras: BTreeMap<String, Camera>,
    daily: Lines,
    /// Keys of footage that were announced to be destroyed, by their commitment.
    due: BTreeMap<String, Due>,
    facts: BTreeMap<(String, String), (u64, Value)>,
    /// Authorisations as they stand sealed in the log: entry, pseudonym, version. Which belong to one another only the months' keys
    /// tell, for a person may have several.
    sealed: Vec<(u64, String, u64)>,
    readings: BTreeMap<(String, String), (u64, u64)>,
    opened: BTreeMap<String, Authorisation>,
    active: BTreeSet<String>,
}

/// On what live view rests that rests on no ordinary live window.
fn outside_windows<'a>(basis: impl Iterator<Item = &'a str>, justified: bool) -> Option<&'static str> {
    let kinds: Vec<&str> = basis.filter_map(|fact| fact.split(' ').next()).collect();
    match () {
        () if kinds.contains(&"window") => None,
        () if kinds.contains(&"extra_window") => Some("an extra window"),
        () if justified => Some("an incident or instruction"),
        () => Some("the use period alone"),
    }
}

fn time(value: &Value, key: &str) -> Option<DateTime<Utc>> {
    value.get(key)?.as_str()?.parse().ok()
}

impl Findings {
    /// Nothing found yet; `earlier` says why facts from before the first entry are not known, where they are not.
    pub(super) fn of_log_after(earlier: Option<String>) -> Self {
        Self { earlier, ..Self::default() }
    }

    /// What the months' keys open: who did something `inside` the range, and which authorisations were recorded `by_then`.
    pub(super) fn persons(
        &mut self,
        seq: u64,
        leaf: &Leaf<'_>,
        text: &[u8],
        opened: &Details,
        (inside, by_then): (bool, bool),
    ) {
        // Logging in alone is no use of a right.
        if let Some(actor) = opened.actor.as_ref().filter(|_| inside && !leaf.is("session")) {
            self.active.insert(actor.clone());
        }
        let value = || serde_json::from_slice::<Value>(text).unwrap_or_default();
        if by_then
            && leaf.action == "register.record"
            && value().pointer("/data/kind") == Some(&"authorisation".into())
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
                let (live, justified) = (leaf.is("live_view"), leaf.is_justified());
                self.looks.insert(look.to_string(), Look { seq, text: short(leaf), live, justified });
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
                if kind == "authorisation" {
                    let version = value.pointer("/data/version").and_then(Value::as_u64).unwrap_or(0);
                    self.sealed.push((seq, id.to_owned(), version));
                    return;
                }
                self.facts.insert((kind, id.to_owned()), (seq, value));
            }
            _ => {}
        }
        let Some(camera) = &leaf.object.camera else { return };
        if leaf.operation == "collect" && step == "start" {
            let camera = self.cameras.entry(camera.to_string()).or_default();
            camera.recorded_since.get_or_insert_with(|| leaf.at.to_string());
        }
        if leaf.action == "destroy.due" {
            self.announced(seq, camera, &value());
        }
        if leaf.action == "destroy.done" {
            self.destroyed(&value());
            let camera = self.cameras.entry(camera.to_string()).or_default();
            camera.destructions += 1;
            camera.destroyed_until =
                camera.destroyed_until.take().max(leaf.object.until.as_ref().map(ToString::to_string));
        }
    }

    fn announced(&mut self, seq: u64, camera: &str, entry: &Value) {
        for key in entry.pointer("/data/keys").and_then(Value::as_array).into_iter().flatten() {
            let commitment = key.get("commitment").and_then(Value::as_str);
            if let (Some(commitment), Some(at)) = (commitment, time(key, "due")) {
                self.due.insert(commitment.to_owned(), Due { seq, camera: camera.to_owned(), at });
            }
        }
    }

    /// Each stream of a camera has keys of its own, so an hour of one that failed is told though the other's went.
    fn destroyed(&mut self, entry: &Value) {
        if entry.pointer("/data/unfinished") == Some(&true.into()) {
            return;
        }
        for key in entry.pointer("/data/keys").and_then(Value::as_array).into_iter().flatten() {
            self.due.remove(key.as_str().unwrap_or_default());
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
        if matches!(leaf.action.as_ref(), "live_view.start" | "live_view.continue") && permitted {
            let basis = leaf.legal_context.basis.iter().map(AsRef::as_ref);
            if let Some(on) = outside_windows(basis, leaf.is_justified()) {
                self.outside.add(seq, || format!("{} on {on}", short(leaf)));
            }
        }
        if leaf.action == "looks.continue" && permitted {
            self.continued(seq, leaf, &value());
        }
        self.disclosed.take(seq, leaf, &value);
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

    /// Many looks that go on under another basis, in one entry.
    fn continued(&mut self, seq: u64, leaf: &Leaf<'_>, value: &Value) {
        let looks = value.pointer("/data/looks").and_then(Value::as_array);
        for continued in looks.into_iter().flatten() {
            let id = continued.get("look").and_then(Value::as_str).unwrap_or_default();
            let look = self.looks.get(id);
            if look.is_some_and(|look| !look.live) {
                continue;
            }
            let basis = continued.get("basis").and_then(Value::as_array);
            let basis = basis.into_iter().flatten().filter_map(Value::as_str);
            if let Some(on) = outside_windows(basis, look.is_some_and(|look| look.justified)) {
                let began = look.map_or_else(String::new, |look| format!(", begun {}", look.text));
                self.outside.add(seq, || format!("{} {}: look {id} on {on}{began}", leaf.at, leaf.action));
            }
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
        for (id, look) in &self.looks {
            lines.add(look.seq, || format!("{} (look {id})", look.text));
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
        self.disclosed.lines()
    }

    pub(super) fn destruction(&self, on: DateTime<Utc>) -> Lines {
        let mut lines = Lines::default();
        for (camera, state) in &self.cameras {
            lines.say(|| state.line(camera, on));
        }
        for Due { seq, camera, at } in self.due.values().filter(|due| due.at + GRACE < on) {
            lines.add(*seq, || {
                format!("{camera}: a key that was due at {at}, and no entry says that it was destroyed")
            });
        }
        lines.append(&self.daily, |row| format!("daily report, {row}"));
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
            let above = parent.map(|parent| all.iter().find(|(other, _, _)| other.as_str() == parent));
            let mut remarks = String::new();
            if !in_force(agreement) {
                remarks.push_str("; NOT in force");
            }
            match above {
                Some(None) if self.earlier.is_some() => {
                    remarks.push_str(
                        "; the agreement above it is not in this log: see what lies before its first entry",
                    );
                }
                Some(None) => remarks.push_str("; the agreement above it is NOT in force"),
                Some(Some((_, _, above))) if !in_force(above) => {
                    remarks.push_str("; the agreement above it is NOT in force");
                }
                _ => {}
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
        for (seq, person, version) in &self.sealed {
            lines.add(*seq, || format!("{person}: version {version}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Opening;
    use serde_json::json;

    fn take(findings: &mut Findings, seq: u64, entry: &Value) {
        let text = entry.to_string();
        let leaf = Leaf::read(text.as_bytes()).unwrap();
        findings.standing(seq, &leaf, || entry.clone());
        findings.happened(seq, &leaf, || entry.clone());
    }

    #[test]
    fn live_view_that_goes_on_outside_the_windows_is_listed_one_by_one_and_in_one_entry() {
        let mut findings = Findings::default();
        let look = |action: &str, look: &str, basis: &[&str]| {
            json!({ "action": action, "look": look, "at": "2026-11-22T09:00:00.000Z", "operation": "consult",
                "outcome": "permit", "object": { "kind": "camera", "camera": "C1" },
                "legal_context": { "basis": basis } })
        };
        take(&mut findings, 0, &look("live_view.start", "a", &["window W1 v1"]));
        take(&mut findings, 1, &look("live_view.continue", "a", &["period P1 v1"]));
        take(&mut findings, 2, &look("live_view.start", "b", &["window W1 v1"]));
        take(&mut findings, 3, &look("replay.start", "c", &["period P1 v1"]));
        let many = json!({ "action": "looks.continue", "at": "2026-11-22T10:00:00.000Z", "operation": "consult",
            "outcome": "permit", "data": { "looks": [
                { "look": "a", "basis": ["window W1 v2"] },
                { "look": "b", "basis": ["extra_window X1 v1"] },
                { "look": "c", "basis": ["period P1 v2"] },
            ] } });
        take(&mut findings, 4, &many);
        let rows: Vec<(u64, String)> = findings
            .outside
            .rows()
            .iter()
            .map(|row| (row["entry"].as_u64().unwrap(), row["text"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(rows.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 4]);
        assert!(rows[0].1.contains("the use period alone"), "{rows:?}");
        assert!(
            rows[1].1.contains("look b on an extra window, begun") && rows[1].1.contains("C1"),
            "{rows:?}"
        );
    }

    fn rows(lines: &Lines) -> Vec<String> {
        lines.rows().iter().map(|row| format!("{} {}", row["entry"], row["text"].as_str().unwrap())).collect()
    }

    #[test]
    fn an_agreement_below_one_that_is_not_in_the_log_is_accused_only_where_the_log_is_whole() {
        let agreement = |id: &str, parent: Value, until: &str| {
            json!({ "action": "register.record", "at": "2026-11-22T09:00:00.000Z", "operation": "admin",
                "outcome": "done", "object": { "kind": "agreement", "id": id }, "data": { "kind": "agreement" },
                "change": { "new": { "type": "processing", "parent": parent, "valid_from": "2026-01-01T00:00:00Z",
                    "valid_until": until } } })
        };
        let mut findings = Findings::default();
        take(&mut findings, 300, &agreement("B", json!("A"), "2028-01-01T00:00:00Z"));
        take(&mut findings, 301, &agreement("C", json!("B"), "2028-01-01T00:00:00Z"));
        take(&mut findings, 302, &agreement("D", json!(null), "2026-02-01T00:00:00Z"));
        take(&mut findings, 303, &agreement("E", json!("D"), "2028-01-01T00:00:00Z"));
        let on = "2026-11-23T00:00:00Z".parse().unwrap();
        let accused = |findings: &Findings| {
            let lines = rows(&findings.agreements(on));
            ["B", "C", "E"].map(|id| {
                let line = lines.iter().find(|line| line.contains(&format!(" {id} (")));
                line.unwrap().contains("above it is NOT in force")
            })
        };
        assert_eq!(accused(&findings), [true, false, true]);
        findings.earlier = Some("the entries before 256 were purged".to_owned());
        assert_eq!(accused(&findings), [false, false, true], "what is not seen is not accused");
        assert!(rows(&findings.agreements(on))[0].contains("not in this log"));
    }

    #[test]
    fn two_sealed_authorisations_of_one_person_are_two_lines() {
        let mut findings = Findings::default();
        let record = json!({ "action": "register.record", "at": "2026-11-22T09:00:00.000Z", "operation": "admin",
            "outcome": "done", "object": { "kind": "person", "pseudonym": "p-1" },
            "data": { "kind": "authorisation", "version": 1 } });
        take(&mut findings, 7, &record);
        take(&mut findings, 9, &record);
        let on = "2026-11-23T00:00:00Z".parse().unwrap();
        assert_eq!(rows(&findings.authorisations(on, false)), ["7 p-1: version 1", "9 p-1: version 1"]);
    }

    #[test]
    fn an_hour_of_one_stream_that_was_not_destroyed_is_told_though_the_other_stream_s_was() {
        let mut findings = Findings::default();
        let entry = |action: &str, data: Value| {
            json!({ "action": action, "at": "2026-11-22T09:00:00.000Z", "operation": "destroy", "outcome": "done",
                "object": { "kind": "footage", "camera": "C1", "until": "2026-10-25T13:00:00.000Z" }, "data": data })
        };
        let due = |commitment: &str, at: &str| json!({ "id": "1", "commitment": commitment, "due": at });
        let announced = |main: &str, sub: &str, at: &str| json!({ "keys": [due(main, at), due(sub, at)] });
        take(&mut findings, 1, &entry("destroy.due", announced("m12", "s12", "2026-11-22T12:00:00Z")));
        take(&mut findings, 2, &entry("destroy.due", announced("m13", "s13", "2026-11-22T13:00:00Z")));
        take(&mut findings, 3, &entry("destroy.done", json!({ "keys": ["m12", "s12", "m13"] })));
        take(&mut findings, 4, &entry("destroy.done", json!({ "keys": ["s13"], "unfinished": true })));
        let told = |findings: &Findings, on: &str| {
            let lines = rows(&findings.destruction(on.parse().unwrap()));
            lines.into_iter().filter(|line| line.contains("no entry says")).collect::<Vec<_>>()
        };
        assert!(told(&findings, "2026-11-22T13:59:00Z").is_empty(), "within its hour");
        let late = told(&findings, "2026-11-22T14:01:00Z");
        assert!(
            late.len() == 1 && late[0].starts_with("2 C1: a key that was due at 2026-11-22 13:00"),
            "{late:?}"
        );
        take(&mut findings, 5, &entry("destroy.done", json!({ "keys": ["s13"], "recovered": true })));
        assert!(told(&findings, "2026-11-22T14:01:00Z").is_empty());
    }

    #[test]
    fn an_authorisation_recorded_after_the_day_is_not_in_force_on_it() {
        let mut findings = Findings::default();
        let text = json!({ "action": "register.record", "at": "2026-11-22T09:00:00.000Z",
            "data": { "kind": "authorisation" } })
        .to_string();
        let leaf = Leaf::read(text.as_bytes()).unwrap();
        let fact = json!({ "id": "AUT-1", "person": "observant", "role": "observer" }).to_string();
        let opening = Opening { salt: String::new(), text: fact };
        let opened = Details {
            committed: [("change.new".to_owned(), opening)].into_iter().collect(),
            ..Details::default()
        };
        let on = "2026-11-20T00:00:00Z".parse().unwrap();
        findings.persons(0, &leaf, text.as_bytes(), &opened, (true, false));
        assert_eq!(findings.authorisations(on, true).count(), 0);
        findings.persons(0, &leaf, text.as_bytes(), &opened, (true, true));
        assert_eq!(findings.authorisations(on, true).count(), 1);
    }
}
