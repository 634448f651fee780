//! Entries as an auditor reads them: a look is one line from its start to its end, signs of life are counted, the rest is one line
//! each with who, what, where, why and how it ended.

use chrono::{DateTime, TimeDelta, Utc};
use ledger::{Leaf, entry::HEARTBEAT};
use std::collections::HashMap;

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
}

/// Lines in the making; entries come in rising order.
#[derive(Default)]
pub(super) struct Readable {
    lines: Vec<Line>,
    looks: HashMap<String, usize>,
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
            line.ended = Some((ending, at));
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
        let screen = screen.unwrap_or_default();
        for (open, part, close) in [(" on ", screen, ""), (" (", why, ")"), ("; ", ending, "")] {
            if !part.is_empty() {
                text = format!("{text}{open}{part}{close}");
            }
        }
        if begins && let Some(look) = &leaf.look {
            self.looks.insert(look.to_string(), self.lines.len());
        }
        self.push(seq, text, at);
    }

    fn push(&mut self, seq: u64, text: String, began: Option<DateTime<Utc>>) {
        self.lines.push(Line { seq, text, began, ended: None });
    }

    /// The lines, and the signs of life at the end.
    pub(super) fn into_lines(self) -> impl Iterator<Item = String> {
        let open: std::collections::HashSet<usize> = self.looks.into_values().collect();
        let heartbeats = self.heartbeats;
        let lines = self.lines.into_iter().enumerate().map(move |(n, line)| {
            let at = line.began.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M:%S").to_string());
            let span = match (&line.ended, line.began) {
                (Some((_, end)), Some(began)) => {
                    format!("–{} ({})", end.format("%H:%M:%S"), lasted(*end - began))
                }
                _ if open.contains(&n) => "–".to_owned(),
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
