//! Entries as an auditor reads them: a look is one line from its start to its end, signs of life are counted, the rest is one line
//! each with who, what, where, why and how it ended. A picture that is made larger or smaller, or a connection that is made
//! again, is a new look each time: those of one person at one place at the same camera, for the same reason and without a break,
//! stand on one line with their number.

use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Leaf, entry::HEARTBEAT};
use std::collections::HashMap;

/// So long after one look has ended of itself the next like it still goes on with its line.
const SAME: TimeDelta = TimeDelta::seconds(5);

/// Joins the words that are there.
fn words(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

/// Who: role, organisation and the pseudonym of the month, or `system`.
pub(super) fn who(leaf: &Leaf<'_>) -> String {
    if leaf.actor.kind != "person" {
        return leaf.actor.kind.to_string();
    }
    let pseudonym = leaf.actor.pseudonym.as_deref().unwrap_or_default();
    words(&[&leaf.actor.role, &leaf.actor.organisation, pseudonym])
}

/// To what.
pub(super) fn what(leaf: &Leaf<'_>) -> String {
    words(&[
        &leaf.object.kind,
        &leaf.object.id,
        leaf.object.camera.as_deref().unwrap_or_default(),
        leaf.object.pseudonym.as_deref().unwrap_or_default(),
    ])
}

/// `2026-11-22T09:00:00.000Z live_view.start: camera ENS-C01 by observer rj-security 2026-11/Kq…`.
pub(super) fn short(leaf: &Leaf<'_>) -> String {
    format!("{} {}: {} by {}", leaf.at, leaf.action, what(leaf), who(leaf))
}

struct Line {
    seq: u64,
    text: String,
    began: Option<DateTime<Utc>>,
    ended: Option<(String, DateTime<Utc>)>,
    /// Looks that it stands for.
    looks: u64,
    /// Those of them that go on.
    open: u64,
}

impl Line {
    /// Whether a look that begins now, and reads the same, goes on with it.
    fn goes_on(&self, at: Option<DateTime<Utc>>) -> bool {
        let recent = |end: DateTime<Utc>| self.open > 0 || at.is_some_and(|at| at - end <= SAME);
        self.ended.as_ref().is_none_or(|(why, end)| why.is_empty() && recent(*end))
    }
}

/// Lines in the making; entries come in rising order.
#[derive(Default)]
pub(super) struct Readable {
    lines: Vec<Line>,
    looks: HashMap<String, usize>,
    /// The newest line of each text that stands for looks.
    going: HashMap<String, usize>,
    heartbeats: u64,
}

impl Readable {
    pub(super) fn add(&mut self, seq: u64, text: &[u8]) {
        let screen: Option<String> = serde_json::from_slice::<serde_json::Value>(text)
            .ok()
            .and_then(|leaf| Some(leaf.pointer("/object/screen")?.as_str()?.to_owned()));
        let Some(leaf) = Leaf::read(text) else {
            self.push(seq, "is none of this schema".to_owned(), None);
            return;
        };
        if leaf.action == HEARTBEAT {
            self.heartbeats += 1;
            return;
        }
        let at: Option<DateTime<Utc>> = leaf.at.parse().ok();
        let ending = match leaf.outcome.as_ref() {
            "permit" | "done" => String::new(),
            outcome => words(&[outcome, &leaf.reason_code]),
        };
        if leaf.step() == "stop"
            && let Some(look) = &leaf.look
            && let Some(line) = self.looks.remove(look.as_ref()).and_then(|line| self.lines.get_mut(line))
            && let Some(at) = at
        {
            line.open = line.open.saturating_sub(1);
            // That one of them was taken away is not hidden by how the others end.
            let why = line.ended.take().map(|(why, _)| why).filter(|why| !why.is_empty()).unwrap_or(ending);
            line.ended = Some((why, at));
            return;
        }
        let begins = leaf.step() == "start" && leaf.look.is_some() && leaf.took_place();
        let action = if begins { leaf.action.trim_end_matches(".start") } else { leaf.action.as_ref() };
        let why = &leaf.justification;
        let why = words(&[
            &why.purpose,
            &why.incident.as_ref().map(|incident| format!("incident {incident}")).unwrap_or_default(),
            &why.offence.as_ref().map(|offence| format!("offence {offence}")).unwrap_or_default(),
            if why.case_number.is_some() { "case" } else { "" },
        ]);
        let mut text = format!("{action}: {} by {}", what(&leaf), who(&leaf));
        let placed = screen.is_some();
        let screen = screen.unwrap_or_default();
        for (open, part, close) in [(" on ", screen, ""), (" (", why, ")"), ("; ", ending, "")] {
            if !part.is_empty() {
                text = format!("{text}{open}{part}{close}");
            }
        }
        if begins && let Some(look) = &leaf.look {
            // Where no place was named, two at a time may be two places.
            let before = self.going.get(&text).copied().filter(|_| placed);
            if let Some((number, line)) = before.and_then(|n| Some((n, self.lines.get_mut(n)?)))
                && line.goes_on(at)
            {
                line.looks += 1;
                line.open += 1;
                self.looks.insert(look.to_string(), number);
                return;
            }
            self.looks.insert(look.to_string(), self.lines.len());
            self.going.insert(text.clone(), self.lines.len());
            self.lines.push(Line { seq, text, began: at, ended: None, looks: 1, open: 1 });
            return;
        }
        self.push(seq, text, at);
    }

    fn push(&mut self, seq: u64, text: String, began: Option<DateTime<Utc>>) {
        self.lines.push(Line { seq, text, began, ended: None, looks: 0, open: 0 });
    }

    /// The lines, and the signs of life at the end.
    pub(super) fn into_lines(self) -> impl Iterator<Item = String> {
        let heartbeats = self.heartbeats;
        let lines = self.lines.into_iter().map(move |line| {
            let at = line.began.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M:%S").to_string());
            let looks = if line.looks > 1 { format!(", {} looks", line.looks) } else { String::new() };
            let span = match (&line.ended, line.began) {
                _ if line.open > 0 => format!("–{looks}"),
                (Some((_, end)), Some(began)) => {
                    format!("–{} ({}{looks})", end.format("%H:%M:%S"), lasted(*end - began))
                }
                _ => String::new(),
            };
            let ending = line.ended.map(|(why, _)| why).filter(|why| !why.is_empty());
            let ending = ending.map_or_else(String::new, |why| format!("; ended: {why}"));
            format!("{}\t{at}{span}\t{}{ending}", line.seq, line.text)
        });
        let signs = (heartbeats > 0).then(|| format!("\t\tand {heartbeats} signs of life"));
        lines.chain(signs)
    }
}

fn lasted(time: TimeDelta) -> String {
    match (time.num_hours(), time.num_minutes() % 60, time.num_seconds() % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_that_follow_one_another_are_one_line_unless_one_was_ended() {
        let mut readable = Readable::default();
        let leaf = |at: &str, step: &str, look: &str, outcome: &str| {
            format!(
                r#"{{"action":"live_view.{step}","actor":{{"kind":"person","organisation":"o","pseudonym":"2026-11/p","role":"observer"}},"at":"2026-11-22T{at}.000Z","look":"{look}","object":{{"camera":"C1","kind":"camera","screen":"tile 3"}},"operation":"consult","outcome":"{outcome}","reason_code":"DECREE_REVOKED","v":1}}"#
            )
        };
        let shift = [
            ("09:00:00", "start", "a", "permit"),
            // The larger picture is there before the smaller goes.
            ("09:10:00", "start", "b", "permit"),
            ("09:10:01", "stop", "a", "done"),
            // A connection that broke, and came back in three seconds.
            ("09:20:00", "stop", "b", "done"),
            ("09:20:03", "start", "c", "permit"),
            ("09:30:00", "stop", "c", "deny"),
            // What was taken away and comes back is another line, and so is what was left for a while.
            ("09:30:02", "start", "d", "permit"),
            ("09:40:00", "stop", "d", "done"),
            ("09:41:00", "start", "e", "permit"),
            ("09:42:00", "start", "f", "permit"),
        ];
        for (seq, (at, step, look, outcome)) in (1..).zip(shift) {
            readable.add(seq, leaf(at, step, look, outcome).as_bytes());
        }
        let rest = "live_view: camera C1 by observer o 2026-11/p on tile 3";
        let lines: Vec<String> = readable.into_lines().collect();
        assert_eq!(
            lines,
            [
                format!(
                    "1\t2026-11-22 09:00:00–09:30:00 (30 min 0 s, 3 looks)\t{rest}; ended: deny DECREE_REVOKED"
                ),
                format!("7\t2026-11-22 09:30:02–09:40:00 (9 min 58 s)\t{rest}"),
                format!("9\t2026-11-22 09:41:00–, 2 looks\t{rest}"),
            ]
        );
    }

    #[test]
    fn a_look_is_one_line_and_signs_of_life_are_a_count() {
        let mut readable = Readable::default();
        let leaf = |at: &str, action: &str, look: &str, outcome: &str| {
            format!(
                r#"{{"action":"{action}","actor":{{"kind":"person","organisation":"o","pseudonym":"2026-11/p","role":"observer"}},"at":"2026-11-22T{at}.000Z","look":"{look}","object":{{"camera":"C1","kind":"camera"}},"operation":"consult","outcome":"{outcome}","reason_code":"DECREE_REVOKED","v":1}}"#
            )
        };
        readable.add(1, leaf("09:00:00", "live_view.start", "a", "permit").as_bytes());
        readable.add(2, leaf("09:00:05", "live_view.start", "b", "permit").as_bytes());
        readable.add(3, leaf("09:01:00", HEARTBEAT, "", "done").as_bytes());
        readable.add(4, leaf("09:02:30", "live_view.stop", "a", "deny").as_bytes());
        readable.add(5, leaf("09:03:00", "live_view", "", "deny").as_bytes());
        let lines: Vec<String> = readable.into_lines().collect();
        assert_eq!(
            lines,
            [
                "1\t2026-11-22 09:00:00–09:02:30 (2 min 30 s)\tlive_view: camera C1 by observer o 2026-11/p; ended: deny DECREE_REVOKED",
                "2\t2026-11-22 09:00:05–\tlive_view: camera C1 by observer o 2026-11/p",
                "5\t2026-11-22 09:03:00\tlive_view: camera C1 by observer o 2026-11/p; deny DECREE_REVOKED",
                "\t\tand 1 signs of life",
            ]
        );
    }
}
