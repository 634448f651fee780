//! How things are printed: instants in local time with their offset, facts as lines of fields.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Europe::Amsterdam;
use mandate::outlook::{Change, Interval, Subject};
use protocol::api::{ChangeState, Difference, FieldChange, Preview};
use serde::Serialize;
use serde_json::Value;

/// An instant as people here read it, to the second.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.with_timezone(&Amsterdam).format("%Y-%m-%d %H:%M:%S%:z").to_string()
}

/// The same with its day of the week, which is how windows are thought of.
fn on_day(at: DateTime<Utc>) -> String {
    at.with_timezone(&Amsterdam).format("%a %Y-%m-%d %H:%M:%S%:z").to_string()
}

/// An instant that somebody typed: RFC 3339, `now`, or a local date and time.
pub(crate) fn read_instant(text: &str) -> Result<DateTime<Utc>, String> {
    use chrono::{LocalResult, NaiveDate, NaiveDateTime, TimeZone as _};
    if text == "now" {
        return Ok(Utc::now());
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M"))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"))
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
        .ok_or("write 2026-06-13T21:00:00+02:00, 2026-06-13T21:00 (Dutch time), 2026-06-13 or now")?;
    match Amsterdam.from_local_datetime(&local) {
        LocalResult::Single(at) => Ok(at.to_utc()),
        LocalResult::Ambiguous(..) => {
            Err("that hour comes twice in this night: write it with its offset".to_owned())
        }
        LocalResult::None => {
            Err("that hour does not exist in this night: write it with its offset".to_owned())
        }
    }
}

/// The stable word of an enum.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// A value on one line; instants in local time.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => match DateTime::parse_from_rfc3339(text) {
            Ok(at) => instant(at.to_utc()),
            Err(_) => text.clone(),
        },
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(self::value).collect::<Vec<_>>().join(", ")
        }
        Value::Object(fields) => weekly(fields).unwrap_or_else(|| value.to_string()),
        other => other.to_string(),
    }
}

/// A weekly window, or the windows of use, as somebody would write them down.
fn weekly(fields: &serde_json::Map<String, Value>) -> Option<String> {
    if let Some(mode) = fields.get("mode").and_then(Value::as_str) {
        return match fields.get("windows") {
            Some(windows) => Some(value(windows)),
            None => Some(mode.to_owned()),
        };
    }
    let text = |key: &str| fields.get(key)?.as_str();
    let days: Vec<&str> = fields.get("days")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let hour = |key: &str| text(key).map(|time| time.strip_suffix(":00").unwrap_or(time).to_owned());
    Some(format!("{} {}–{} ({})", days.join("+"), hour("start")?, hour("end")?, text("id")?))
}

/// The fields of a fact on one line, without kind and id.
pub(crate) fn fields(body: &impl Serialize) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(body) else { return String::new() };
    let shown = fields.iter().filter(|(key, v)| {
        !v.is_null() && *key != "kind" && *key != "id" && v.as_array().is_none_or(|a| !a.is_empty())
    });
    shown.map(|(key, v)| format!("{key}={}", value(v))).collect::<Vec<_>>().join(" ")
}

/// What differs, a line each.
pub(crate) fn field_changes(changes: &[FieldChange]) {
    for change in changes {
        println!("      {}: {} → {}", change.field, value(&change.old), value(&change.new));
    }
}

/// `new`, `changed` …: one sign each, so that the list reads at a glance.
fn sign(state: ChangeState) -> &'static str {
    match state {
        ChangeState::New => "+",
        ChangeState::Changed => "~",
        ChangeState::Unchanged => "=",
        ChangeState::Gone => "-",
    }
}

fn difference(difference: &Difference) {
    let waits = difference.waits.map(|id| format!("  (waits as proposal {id})")).unwrap_or_default();
    println!("  {} {} {}{waits}", sign(difference.state), difference.kind, difference.id);
    field_changes(&difference.fields);
    if let Some(refused) = &difference.refused {
        println!("      would be refused: {}", refused.en);
    }
    for remark in &difference.remarks {
        println!("      note: {}", remark.en);
    }
}

/// Differences first, then what opens and closes.
pub(crate) fn preview(preview: &Preview) {
    let count = |state| preview.differences.iter().filter(|d| d.state == state).count();
    for d in preview.differences.iter().filter(|d| d.state != ChangeState::Unchanged) {
        difference(d);
    }
    println!(
        "{} new, {} changed, {} unchanged, {} in the register and not named",
        count(ChangeState::New),
        count(ChangeState::Changed),
        count(ChangeState::Unchanged),
        count(ChangeState::Gone)
    );
    if preview.changes.is_empty() {
        println!("Nothing opens or closes until {}.", instant(preview.until));
        return;
    }
    println!("Until {}:", instant(preview.until));
    for (sign, pick) in [("opens ", opens as fn(&Change) -> &[Interval]), ("closes", closes)] {
        for (same, subjects) in alike(&preview.changes, pick) {
            stretches(&format!("  {sign} {subjects}"), same);
        }
    }
}

fn opens(change: &Change) -> &[Interval] {
    &change.opens
}

fn closes(change: &Change) -> &[Interval] {
    &change.closes
}

/// Subjects for whom the same stretches change, together: a decree is rarely about one camera.
fn alike(changes: &[Change], pick: fn(&Change) -> &[Interval]) -> Vec<(&[Interval], String)> {
    let mut groups: Vec<(&[Interval], String, Vec<String>)> = Vec::new();
    for change in changes.iter().filter(|change| !pick(change).is_empty()) {
        let (what, who) = match &change.subject {
            Subject::Camera { camera, view, .. } => (word(view), format!("camera {camera}")),
            Subject::Person { person, role, municipality } => {
                (format!("as {} in {municipality}", word(role)), person.to_string())
            }
        };
        match groups.iter_mut().find(|(same, of, _)| *same == pick(change) && *of == what) {
            Some((_, _, subjects)) => subjects.push(who),
            None => groups.push((pick(change), what, vec![who])),
        }
    }
    groups.into_iter().map(|(same, what, who)| (same, format!("{}, {what}", who.join(", ")))).collect()
}

/// The same, or what is said of none.
pub(crate) fn stretches_or(head: &str, list: &[Interval], none: &str) {
    if list.is_empty() {
        println!("{head}\n{none}");
    } else {
        stretches(head, list);
    }
}

/// A list of stretches, the first few in full.
pub(crate) fn stretches(head: &str, stretches: &[Interval]) {
    const SHOWN: usize = 5;
    if stretches.is_empty() {
        return;
    }
    println!("{head}");
    for stretch in stretches.iter().take(SHOWN) {
        println!("      {} – {}", on_day(stretch.from), on_day(stretch.until));
    }
    if let (true, Some(last)) = (stretches.len() > SHOWN, stretches.last()) {
        println!("      … {} more, until {}", stretches.len() - SHOWN, on_day(last.until));
    }
}

/// Anything as JSON, for programs.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// An instant for a query.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
