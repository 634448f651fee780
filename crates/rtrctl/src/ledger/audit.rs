//! `audit`: the reports that the auditor, the privacy officer and the data protection officer ask for (Wpg 33, 34, 36;
//! Bpg 6:5), in one pass over the entries. Each line names its entry, so that it can be proven with `rtrctl ledger proof`.
//!
//! The log serves lawfulness, internal control, integrity and criminal proceedings only (Wpg 32a lid 2). So nothing here counts
//! what one person does, and no figure is made for a council or a manager; whoever wants statistics takes them from the
//! incident register.

use super::{LogAndKeys, say, verify};
use anyhow::{Result, bail};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use ledger::{Known, Published, leaves_in_order};
use serde::Deserialize;
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, process::ExitCode, time::Instant};

/// Lines of one report; the rest is counted.
const MOST_LINES: usize = 200;
/// The term of Gemeentewet 151c lid 9 and the hour in which destruction must follow (policy).
const TERM: TimeDelta = TimeDelta::hours(28 * 24 + 1);
/// A heartbeat is due each minute: a longer silence is one.
const SILENCE: TimeDelta = TimeDelta::seconds(150);

/// `rtrctl ledger audit`
#[derive(Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    log: LogAndKeys,
    /// Which reports; all of them otherwise
    #[arg(long, value_enum)]
    report: Vec<Report>,
    /// Entries from this instant on
    #[arg(long)]
    since: Option<DateTime<Utc>>,
    /// Entries before this instant
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// The day (UTC) for which agreements, authorisations and holds are listed; the log's last day otherwise
    #[arg(long)]
    on: Option<NaiveDate>,
    /// Takes the entries as they are, without verifying the log first
    #[arg(long)]
    unverified: bool,
}

/// One report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Report {
    /// Footage consulted, handed over or secured without incident, offence, case or police instruction
    WithoutIncident,
    /// Refused attempts, by reason, role and organisation
    Denied,
    /// Live view that rested on no live window: on an extra window, an incident or a police instruction
    OutsideWindows,
    /// Looks without an end
    OpenLooks,
    /// Holds that are not released, and those without a review date
    Holds,
    /// Disclosures, by article
    Disclosures,
    /// Per camera: what was recorded and up to where it is destroyed
    Destruction,
    /// The chain of agreements in force on the day
    Agreements,
    /// Authorisations recorded up to the day
    Authorisations,
    /// Changes of decrees, periods and windows, and who verified them
    Windows,
    /// Readings of the log, by purpose
    LogReading,
    /// Minutes in which the log was silent, recoveries of a failing log, entries lost
    Silence,
    /// Configuration, start, stop, maintenance
    Maintenance,
}

#[derive(Deserialize)]
struct Leaf<'a> {
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow, default)]
    reason_code: Cow<'a, str>,
    #[serde(borrow, default)]
    look: Cow<'a, str>,
    #[serde(borrow, default)]
    actor: Actor<'a>,
    #[serde(borrow, default)]
    object: Object<'a>,
    #[serde(borrow, default)]
    justification: Why<'a>,
    #[serde(borrow, default)]
    legal_context: Law<'a>,
    #[serde(borrow, default)]
    recipient: Recipient<'a>,
}

#[derive(Default, Deserialize)]
struct Actor<'a> {
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pseudonym: Cow<'a, str>,
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    organisation: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    camera: Cow<'a, str>,
    #[serde(borrow, default)]
    pseudonym: Cow<'a, str>,
    #[serde(borrow, default)]
    until: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Why<'a> {
    #[serde(borrow, default)]
    purpose: Cow<'a, str>,
    #[serde(borrow, default)]
    incident: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    offence: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    instruction: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    case_number: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Law<'a> {
    #[serde(borrow, default)]
    basis: Vec<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Recipient<'a> {
    #[serde(borrow, default)]
    article: Cow<'a, str>,
}

impl Leaf<'_> {
    fn is(&self, what: &str) -> bool {
        self.action.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn justified(&self) -> bool {
        let why = &self.justification;
        [&why.incident, &why.offence, &why.instruction, &why.case_number]
            .iter()
            .any(|reference| reference.is_some())
    }

    /// `camera ENS-C01 by observer of rj-security 2026-11/Kq…`.
    fn short(&self) -> String {
        let object = [&self.object.kind, &self.object.id, &self.object.camera].map(Cow::as_ref);
        let actor = [&self.actor.role, &self.actor.organisation, &self.actor.pseudonym].map(Cow::as_ref);
        let words =
            |parts: &[&str]| parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(" ");
        let actor = if self.actor.kind == "person" { words(&actor) } else { self.actor.kind.to_string() };
        format!("{} {}: {} by {actor}", self.at, self.action, words(&object))
    }
}

/// Lines of one report.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    more: u64,
}

impl Lines {
    fn add(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(line());
        } else {
            self.more += 1;
        }
    }

    fn count(&self) -> u64 {
        self.lines.len() as u64 + self.more
    }

    fn print(&self) {
        self.lines.iter().for_each(|line| say(format!("  {line}")));
        if self.more > 0 {
            say(format!("  and {} more", self.more));
        }
    }
}

#[derive(Default)]
struct Camera {
    recorded_since: Option<String>,
    destroyed_until: Option<String>,
    destructions: u64,
}

#[derive(Default)]
struct Findings {
    without_incident: Lines,
    accesses: u64,
    denied: BTreeMap<(String, String), (u64, u64)>,
    outside: Lines,
    looks: BTreeMap<String, (u64, String)>,
    holds: BTreeMap<String, (u64, String, bool)>,
    disclosures: BTreeMap<String, Lines>,
    cameras: BTreeMap<String, Camera>,
    facts: BTreeMap<(String, String), (u64, Value)>,
    windows: Lines,
    readings: BTreeMap<(String, String), (u64, u64)>,
    silence: Lines,
    maintenance: Lines,
    last_at: Option<DateTime<Utc>>,
    /// The newest time of all entries read, also of those outside the asked range.
    entries: u64,
}

/// Facts whose history an auditor reads.
const LEGAL_KINDS: [&str; 8] =
    ["ordinance", "decree", "extension", "revocation", "consultation", "period", "window", "extra_window"];

impl Audit {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let policy = self.log.policy()?;
        let folder = self.log.folder();
        if !self.unverified {
            let known = Known { witnesses: policy.witnesses.clone(), kept: Vec::new() };
            let began = Instant::now();
            match ledger::inspect(&folder, &policy.log, &known) {
                Ok(verified) => verify::report(&verified, &known, began.elapsed().as_secs_f64()),
                Err(findings) => {
                    for finding in findings {
                        say(format!("WRONG: {finding}"));
                    }
                    bail!("a log that does not hold proves nothing; --unverified reads it all the same");
                }
            }
        }
        let log = Published::open(&folder, &policy.log)?;
        let mut findings = Findings::default();
        for (seq, leaf) in leaves_in_order(&log) {
            let leaf = match leaf {
                Ok(leaf) => leaf,
                Err(finding) => bail!("{finding}"),
            };
            let Ok(entry) = serde_json::from_slice::<Leaf<'_>>(&leaf) else {
                findings.maintenance.add(|| format!("entry {seq} is none of this schema"));
                continue;
            };
            let at = entry.at.parse::<DateTime<Utc>>().ok();
            self.take(&mut findings, seq, &leaf, &entry, at);
        }
        let end_of_day =
            self.on.and_then(|day| day.succ_opt()?.and_hms_opt(0, 0, 0)).map(|end| end.and_utc());
        self.print(&findings, end_of_day.or(findings.last_at).unwrap_or_else(Utc::now));
        Ok(ExitCode::SUCCESS)
    }

    fn take(&self, found: &mut Findings, seq: u64, leaf: &[u8], entry: &Leaf<'_>, at: Option<DateTime<Utc>>) {
        // What is in force on a day rests on all that came before it; a range restricts only what happened in it.
        let value = || serde_json::from_slice::<Value>(leaf).unwrap_or_default();
        let day_is_over = |on: NaiveDate| at.is_some_and(|at| at.date_naive() > on);
        if !self.on.is_some_and(day_is_over) {
            found.standing(seq, entry, value);
        }
        let inside = self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until));
        if let (Some(before), Some(at)) = (found.last_at, at)
            && inside
            && at - before > SILENCE
        {
            found.silence.add(|| {
                format!("{before}: no entry for {} s, until entry {seq}", (at - before).num_seconds())
            });
        }
        found.last_at = found.last_at.max(at);
        if inside {
            found.entries += 1;
            found.happened(seq, entry, value);
        }
    }

    fn print(&self, found: &Findings, on: DateTime<Utc>) {
        let wanted = |report: Report| self.report.is_empty() || self.report.contains(&report);
        let head = |title: &str| say(format!("\n== {title}"));
        say(format!("{} entries in the range", found.entries));
        if wanted(Report::WithoutIncident) {
            head(
                "Footage consulted, handed over or secured without incident, offence, case or police instruction",
            );
            say(format!("  {} of {}", found.without_incident.count(), found.accesses));
            found.without_incident.print();
        }
        if wanted(Report::Denied) {
            head("Refused attempts (reason; role and organisation; how often; an entry)");
            for ((code, who), (count, seq)) in &found.denied {
                say(format!("  {code}; {who}; {count}; entry {seq}"));
            }
        }
        if wanted(Report::OutsideWindows) {
            head("Live view that rested on no ordinary live window");
            found.outside.print();
        }
        if wanted(Report::OpenLooks) {
            head("Looks without an end");
            for (look, (seq, text)) in &found.looks {
                say(format!("  entry {seq}: {text} (look {look})"));
            }
        }
        if wanted(Report::Holds) {
            head(&format!("Holds that stand on {on}"));
            for (hold, (seq, text, reviewed)) in &found.holds {
                let review = if *reviewed { "" } else { "; WITHOUT a review date" };
                say(format!("  {hold}: entry {seq}, {text}{review}"));
            }
        }
        if wanted(Report::Disclosures) {
            head("Disclosures, by article");
            for (article, lines) in &found.disclosures {
                say(format!("  {article}: {}", lines.count()));
                lines.print();
            }
        }
        if wanted(Report::Destruction) {
            head(&format!("Recorded and destroyed, per camera, on {on}"));
            for (camera, state) in &found.cameras {
                say(format!("  {}", state.line(camera, on)));
            }
        }
        if wanted(Report::Agreements) {
            head(&format!("Agreements in force on {on}"));
            found.agreements(on);
        }
        if wanted(Report::Authorisations) {
            head(&format!(
                "Authorisations recorded up to {on} (persons as pseudonyms, terms as commitments)"
            ));
            for ((_, id), (seq, entry)) in found.facts.iter().filter(|((kind, _), _)| kind == "authorisation")
            {
                let version = entry.pointer("/data/version").and_then(Value::as_u64).unwrap_or(0);
                say(format!("  {id}: version {version}, entry {seq}"));
            }
        }
        if wanted(Report::Windows) {
            head("Changes of decrees, periods and windows");
            found.windows.print();
        }
        if wanted(Report::LogReading) {
            head("Readings of the log (purpose; role; how often; the last entry)");
            for ((purpose, role), (count, seq)) in &found.readings {
                say(format!("  {purpose}; {role}; {count}; entry {seq}"));
            }
        }
        if wanted(Report::Silence) {
            head("Silence, recoveries, losses");
            found.silence.print();
        }
        if wanted(Report::Maintenance) {
            head("Configuration and maintenance");
            found.maintenance.print();
        }
    }
}

impl Findings {
    /// What stands until something ends it.
    fn standing(&mut self, seq: u64, entry: &Leaf<'_>, value: impl Fn() -> Value) {
        let done = matches!(entry.outcome.as_ref(), "permit" | "done");
        let step = entry.action.rsplit_once('.').map_or("", |(_, step)| step);
        if !entry.look.is_empty() {
            if step == "start" && done {
                self.looks.insert(entry.look.to_string(), (seq, entry.short()));
            } else if matches!(step, "stop" | "unanswered") {
                self.looks.remove(entry.look.as_ref());
            }
        }
        if entry.is("hold") && done {
            let id = entry.object.id.to_string();
            if step == "release" || step == "released" {
                self.holds.remove(&id);
            } else if matches!(step, "set" | "done") {
                let reviewed = value().pointer("/data/review_at").is_some_and(|review| !review.is_null());
                self.holds.insert(id, (seq, entry.short(), reviewed));
            }
        }
        if entry.operation == "collect" && !entry.object.camera.is_empty() {
            let camera = self.cameras.entry(entry.object.camera.to_string()).or_default();
            if step == "start" && camera.recorded_since.is_none() {
                camera.recorded_since = Some(entry.at.to_string());
            }
        }
        if entry.action == "destroy.done" && !entry.object.camera.is_empty() {
            let camera = self.cameras.entry(entry.object.camera.to_string()).or_default();
            camera.destructions += 1;
            camera.destroyed_until =
                camera.destroyed_until.take().max(entry.object.until.as_ref().map(ToString::to_string));
        }
        if entry.action == "register.record" {
            let value = value();
            let kind = value.pointer("/data/kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            let id = if entry.object.id.is_empty() { &entry.object.pseudonym } else { &entry.object.id };
            self.facts.insert((kind, id.to_string()), (seq, value));
        }
    }

    /// What happened at its instant.
    fn happened(&mut self, seq: u64, entry: &Leaf<'_>, value: impl Fn() -> Value) {
        let permitted = matches!(entry.outcome.as_ref(), "permit" | "done");
        let begins = entry.action.ends_with(".start")
            || !entry.action.ends_with(".stop") && !entry.action.ends_with(".continue");
        let footage = ["replay", "snapshot", "hold", "export"].iter().any(|what| entry.is(what));
        if footage && permitted && begins {
            self.accesses += 1;
            if !entry.justified() {
                self.without_incident.add(|| format!("entry {seq}: {}", entry.short()));
            }
        }
        if entry.operation == "access_denied" {
            let who = format!("{} {}", entry.actor.role, entry.actor.organisation);
            let who = if entry.actor.kind == "person" { who } else { entry.actor.kind.to_string() };
            let slot = self.denied.entry((entry.reason_code.to_string(), who)).or_insert((0, seq));
            *slot = (slot.0 + 1, seq);
        }
        if entry.action == "live_view.start" && permitted {
            let on = |kind: &str| {
                entry.legal_context.basis.iter().any(|fact| fact.split(' ').next() == Some(kind))
            };
            if !on("window") {
                let on = if on("extra_window") {
                    "an extra window"
                } else if entry.justified() {
                    "an incident or instruction"
                } else {
                    "the use period alone"
                };
                self.outside.add(|| format!("entry {seq}: {} on {on}", entry.short()));
            }
        }
        if entry.operation == "disclose" && permitted {
            let article = if entry.recipient.article.is_empty() {
                "no article named"
            } else {
                &entry.recipient.article
            };
            self.disclosures
                .entry(article.to_owned())
                .or_default()
                .add(|| format!("  entry {seq}: {}", entry.short()));
        }
        if entry.is("log") && permitted {
            let key = (entry.justification.purpose.to_string(), entry.actor.role.to_string());
            let slot = self.readings.entry(key).or_insert((0, seq));
            *slot = (slot.0 + 1, seq);
        }
        if entry.is("register") && permitted {
            let value = value();
            let kind =
                value.pointer("/data/kind").and_then(Value::as_str).unwrap_or(entry.object.kind.as_ref());
            if LEGAL_KINDS.contains(&kind) {
                self.windows.add(|| format!("entry {seq}: {}", entry.short()));
            }
        }
        if matches!(entry.action.as_ref(), "ledger.recovered" | "ledger.tail_dropped" | "ledger.unanswered") {
            let data = value().get("data").map(ToString::to_string).unwrap_or_default();
            self.silence.add(|| format!("entry {seq}: {} {} {data}", entry.at, entry.action));
        } else if entry.operation == "maintenance" && !ledger_noise(&entry.action) {
            self.maintenance.add(|| format!("entry {seq}: {}", entry.short()));
        }
    }

    /// The chain below the police: agreements in force, and those whose parent is not.
    fn agreements(&self, on: DateTime<Utc>) {
        let all: Vec<(&String, u64, &Value)> = self
            .facts
            .iter()
            .filter(|((kind, _), _)| kind.contains("agreement"))
            .filter_map(|((_, id), (seq, entry))| Some((id, *seq, entry.pointer("/change/new")?)))
            .collect();
        let time = |agreement: &Value, key: &str| agreement.get(key)?.as_str()?.parse::<DateTime<Utc>>().ok();
        let in_force = |agreement: &Value| {
            time(agreement, "valid_from").is_some_and(|from| from <= on)
                && time(agreement, "valid_until").is_none_or(|until| on < until)
        };
        for (id, seq, agreement) in &all {
            let text = |key: &str| agreement.get(key).and_then(Value::as_str).unwrap_or("–").to_owned();
            let parties: Vec<&str> = agreement
                .get("parties")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
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
            say(format!(
                "  {id} ({}): {}, {} to {}, below {}{remarks}, entry {seq}",
                text("type"),
                parties.join(" and "),
                text("valid_from"),
                text("valid_until"),
                parent.unwrap_or("none")
            ));
        }
        if all.is_empty() {
            say("  none is recorded");
        }
    }
}

fn ledger_noise(action: &str) -> bool {
    action == "ledger.heartbeat"
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
