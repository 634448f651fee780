//! `audit`: the reports that the auditor, the privacy officer and the data protection officer ask for (Wpg 33, 34, 36;
//! Bpg 6:5), in one pass over the entries. Each line names its entry, so that it can be proven with `rtrctl ledger proof`.
//!
//! The log serves lawfulness, internal control, integrity and criminal proceedings only (Wpg 32a lid 2). So nothing here counts
//! what one person does, and no figure is made for a council or a manager; whoever wants statistics takes them from the
//! incident register. Who has rights and never used them is asked the other way round, and needs the months' keys.

mod disclosures;
mod findings;
mod lines;

use super::{LogAndKeys, purpose::Purpose, say, verify};
use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use findings::Findings;
use ledger::{Known, Leaf, MonthKeys, Published, leaves_in_order};
use lines::{Lines, at_most};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode, time::Instant};

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
    /// The folder of the months' keys: authorisations with their terms, and who never used theirs. The log's folder must hold
    /// the sequence file
    #[arg(long, value_name = "FOLDER", requires = "purpose")]
    months: Option<PathBuf>,
    /// For what the log is read; it stands in the report
    #[arg(long, value_enum)]
    purpose: Option<Purpose>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
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
    /// Holds that are not released, and those without a review date or past it
    Holds,
    /// Disclosures, by article: approvals, and files handed over
    Disclosures,
    /// Per camera: what was recorded, up to where it is destroyed, and the daily reports
    Destruction,
    /// The chain of agreements in force on the day
    Agreements,
    /// Authorisations recorded up to the day; with the months' keys those in force, with person, role and term
    Authorisations,
    /// Users whose authorisation was in force and who did nothing; needs the months' keys
    WithoutActivity,
    /// Changes of decrees, periods and windows, and who verified them
    Windows,
    /// Readings of the log, by purpose
    LogReading,
    /// Minutes in which the log was silent, recoveries of a failing log, entries lost
    Silence,
    /// Configuration, start, stop, maintenance
    Maintenance,
}

impl Report {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Why facts from before the log's first entry are not known from it.
fn earlier(log: &Published) -> Option<String> {
    if log.first() > 0 {
        return Some(format!("the entries before {} were purged at the end of their term", log.first()));
    }
    let (_, leaf) = leaves_in_order(log).next()?;
    let leaf = leaf.ok()?;
    let begins = Leaf::read(&leaf).is_some_and(|entry| entry.action == ledger::epoch::ACTION);
    begins.then(|| "this log follows another, which ended when this epoch was granted".to_owned())
}

impl Audit {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let policy = self.log.policy()?;
        let folder = self.log.folder();
        if !self.unverified {
            let known = Known { witnesses: policy.witnesses.clone(), ..Known::default() };
            let began = Instant::now();
            match ledger::inspect(&folder, &policy.log, &known) {
                Ok(verified) if !self.json => {
                    verify::report(&verified, &known, began.elapsed().as_secs_f64());
                }
                Ok(_) => {}
                Err(findings) => {
                    for finding in findings {
                        say(format!("WRONG: {finding}"));
                    }
                    bail!("a log that does not hold proves nothing; --unverified reads it all the same");
                }
            }
        }
        let log = Published::open(&folder, &policy.log)?;
        let mut details =
            self.months.as_deref().map(|months| MonthKeys::open(months)?.details(&folder)).transpose()?;
        let mut found = Findings::of_log_after(earlier(&log));
        for (seq, leaf) in leaves_in_order(&log) {
            let leaf = match leaf {
                Ok(leaf) => leaf,
                Err(finding) => bail!("{finding}"),
            };
            let Some(entry) = Leaf::read(&leaf) else {
                found.maintenance.add(seq, || "is none of this schema".to_owned());
                continue;
            };
            let at = entry.at.parse::<DateTime<Utc>>().ok();
            // A month whose key died with its log term has no details any more.
            let opened = match &mut details {
                Some(details) => {
                    details.of(seq, &leaf).with_context(|| format!("the details of entry {seq}"))?
                }
                None => None,
            };
            if let Some(opened) = &opened {
                found.persons(seq, &entry, &leaf, opened, (self.is_inside(at), self.is_by_then(at)));
            }
            self.take(&mut found, seq, &leaf, &entry, at);
        }
        self.take_end(&mut found, Utc::now());
        let end_of_day =
            self.on.and_then(|day| day.succ_opt()?.and_hms_opt(0, 0, 0)).map(|end| end.and_utc());
        self.print(&found, end_of_day.or(found.last.map(|(at, _)| at)).unwrap_or_else(Utc::now));
        Ok(ExitCode::SUCCESS)
    }

    fn is_inside(&self, at: Option<DateTime<Utc>>) -> bool {
        self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }

    /// Whether it counts for what is in force on the day that was asked for.
    fn is_by_then(&self, at: Option<DateTime<Utc>>) -> bool {
        self.on.is_none_or(|on| at.is_none_or(|at| at.date_naive() <= on))
    }

    fn take(&self, found: &mut Findings, seq: u64, leaf: &[u8], entry: &Leaf<'_>, at: Option<DateTime<Utc>>) {
        // What is in force on a day rests on all that came before it; a range restricts only what happened in it.
        let value = || serde_json::from_slice::<Value>(leaf).unwrap_or_default();
        if self.is_by_then(at) {
            found.standing(seq, entry, value);
        }
        let inside = self.is_inside(at);
        if let Some(at) = at {
            self.take_silence(found, seq, at);
            if found.last.is_none_or(|(last, _)| last < at) {
                found.last = Some((at, seq));
            }
        }
        if inside {
            found.entries += 1;
            found.happened(seq, entry, value);
        }
    }

    /// The silence up to an entry, where any of it lies in the range. Before the first entry of the log it counts from the range's
    /// beginning.
    fn take_silence(&self, found: &mut Findings, seq: u64, at: DateTime<Utc>) {
        let begins = found.last.is_none();
        let Some(before) = found.last.map(|(before, _)| before).or(self.since) else { return };
        let in_range =
            self.since.is_none_or(|since| at > since) && self.until.is_none_or(|until| before < until);
        if in_range && at - before > SILENCE {
            let why = if begins { " (the first that is in this log)" } else { "" };
            found
                .silence
                .add(seq, || format!("{before}: no entry for {} s{why}", (at - before).num_seconds()));
        }
    }

    /// The silence from the last entry to the end of the range, as far as that has come.
    fn take_end(&self, found: &mut Findings, now: DateTime<Utc>) {
        let (Some(until), Some((last, seq))) = (self.until.map(|until| until.min(now)), found.last) else {
            return;
        };
        if until - last > SILENCE && self.since.is_none_or(|since| until > since) {
            let silent = (until - last).num_seconds();
            found.silence.add(seq, || format!("{last}: no entry for {silent} s, to the end of the range"));
        }
    }

    /// The reports that were asked for, in their order.
    fn sections(&self, found: &Findings, on: DateTime<Utc>) -> Vec<(Report, String, Lines)> {
        let title = |report: Report| match report {
            Report::WithoutIncident => format!(
                "Footage consulted, handed over or secured without incident, offence, case or police instruction ({} of {})",
                found.without_incident.count(),
                found.accesses
            ),
            Report::Denied => {
                "Refused attempts (reason; role and organisation; how often; the last entry)".to_owned()
            }
            Report::OutsideWindows => "Live view that rested on no ordinary live window".to_owned(),
            Report::OpenLooks => "Looks without an end".to_owned(),
            Report::Holds => format!("Holds that stand on {on}"),
            Report::Disclosures => {
                "Disclosures, by article: what was approved, and which files were handed over".to_owned()
            }
            Report::Destruction => {
                format!("Recorded and destroyed, per camera, on {on}, and the daily reports")
            }
            Report::Agreements => format!("Agreements in force on {on}"),
            Report::Authorisations if self.months.is_some() => format!("Authorisations in force on {on}"),
            Report::Authorisations => {
                format!(
                    "Authorisations recorded up to {on} (persons as pseudonyms, terms as commitments; --months opens them)"
                )
            }
            Report::WithoutActivity => {
                format!("Users with an authorisation on {on} and without activity in the range")
            }
            Report::Windows => {
                "Changes of decrees, periods and windows, by whoever made them effective".to_owned()
            }
            Report::LogReading => "Readings of the log (purpose; role; how often; the last entry)".to_owned(),
            Report::Silence => "Silence, recoveries, losses".to_owned(),
            Report::Maintenance => "Configuration and maintenance".to_owned(),
        };
        let lines = |report: Report| match report {
            Report::WithoutIncident => found.without_incident.clone(),
            Report::Denied => found.denied(),
            Report::OutsideWindows => found.outside.clone(),
            Report::OpenLooks => found.open_looks(),
            Report::Holds => found.holds(on),
            Report::Disclosures => found.disclosures(),
            Report::Destruction => found.destruction(on),
            Report::Agreements => found.agreements(on),
            Report::Authorisations => found.authorisations(on, self.months.is_some()),
            Report::WithoutActivity => found.without_activity(on, self.months.is_some()),
            Report::Windows => found.windows.clone(),
            Report::LogReading => found.readings(),
            Report::Silence => found.silence.clone(),
            Report::Maintenance => found.maintenance.clone(),
        };
        let wanted = |report: &Report| self.report.is_empty() || self.report.contains(report);
        Report::value_variants()
            .iter()
            .copied()
            .filter(wanted)
            .map(|report| (report, title(report), lines(report)))
            .collect()
    }

    fn print(&self, found: &Findings, on: DateTime<Utc>) {
        let sections = self.sections(found, on);
        if self.json {
            let reports: serde_json::Map<String, Value> = sections
                .into_iter()
                .map(|(report, title, lines)| {
                    let (count, left_out) = (lines.count(), lines.left_out());
                    let lines = lines.rows();
                    let figures =
                        json!({ "title": title, "count": count, "left_out": left_out, "lines": lines });
                    (report.name(), figures)
                })
                .collect();
            let purpose = self.purpose.map(Purpose::word);
            say(json!({
                "entries": found.entries, "earlier": found.earlier, "on": on, "purpose": purpose, "reports": reports,
            }));
            return;
        }
        if let Some(purpose) = self.purpose {
            let names =
                if self.months.is_some() { ", with the names that the months' keys open" } else { "" };
            say(format!("read for the purpose {}{names}", purpose.word()));
        }
        say(format!("{} entries in the range", found.entries));
        if let Some(earlier) = &found.earlier {
            say(format!(
                "ATTENTION: {earlier}; what was recorded there and still holds is not in these reports"
            ));
        }
        for (_, title, lines) in sections {
            say(format!("\n== {title}"));
            for row in lines.shown() {
                say(format!("  {row}"));
            }
            if let Some(more) = at_most(&lines) {
                say(format!("  and {more} more; --json has all of them"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_up_to_the_edges_of_the_range() {
        let at = |second: i64| DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap();
        let told = |since: Option<i64>, until: Option<i64>, entries: &[i64]| {
            #[derive(clap::Parser)]
            struct Line {
                #[command(flatten)]
                audit: Audit,
            }
            let mut audit = <Line as clap::Parser>::parse_from(["audit", "log", "--log-key", "k"]).audit;
            (audit.since, audit.until) = (since.map(at), until.map(at));
            let mut found = Findings::default();
            for (seq, second) in (0..).zip(entries) {
                let leaf = json!({ "action": "heartbeat", "operation": "maintenance", "outcome": "done",
                    "at": at(*second).to_rfc3339_opts(chrono::SecondsFormat::Millis, true) });
                let leaf = leaf.to_string();
                let entry = Leaf::read(leaf.as_bytes()).unwrap();
                audit.take(&mut found, seq, leaf.as_bytes(), &entry, entry.at.parse().ok());
            }
            audit.take_end(&mut found, at(100_000));
            let text =
                |row: &Value| row["text"].as_str().unwrap().split("no entry for ").nth(1).unwrap().to_owned();
            found.silence.rows().iter().map(text).collect::<Vec<_>>()
        };
        let beats = [0, 60, 120, 1000, 1060];
        assert_eq!(told(None, None, &beats), ["880 s"]);
        assert_eq!(told(Some(-600), Some(130), &beats), ["600 s (the first that is in this log)", "880 s"]);
        assert_eq!(told(Some(0), Some(121), &beats[..3]), Vec::<String>::new());
        assert_eq!(told(Some(200), Some(300), &beats), ["880 s"], "a range without any entry");
        assert_eq!(told(Some(1000), Some(2000), &beats), ["940 s, to the end of the range"]);
        assert_eq!(told(Some(1000), Some(200_000), &beats), ["98940 s, to the end of the range"]);
    }
}
