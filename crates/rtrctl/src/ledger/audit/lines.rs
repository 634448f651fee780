//! The lines of a report: a text, and the entry that it rests on.

use serde_json::{Value, json};

/// Lines of one report that are printed as text; the rest is counted.
const MOST_SHOWN: usize = 200;
/// Lines that are kept: an audit's memory must not grow with the log.
const MOST_KEPT: usize = 20_000;

/// Lines of one report.
#[derive(Clone, Default)]
pub(super) struct Lines {
    lines: Vec<(Option<u64>, String)>,
    more: u64,
}

impl Lines {
    /// A line about one entry.
    pub(super) fn add(&mut self, seq: u64, text: impl FnOnce() -> String) {
        self.push(Some(seq), text);
    }

    /// A line about no entry in particular.
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        self.push(None, text);
    }

    fn push(&mut self, seq: Option<u64>, text: impl FnOnce() -> String) {
        if self.lines.len() < MOST_KEPT {
            self.lines.push((seq, text()));
        } else {
            self.more += 1;
        }
    }

    /// The lines of another report, each with its entry, and how many of them were not kept.
    pub(super) fn append(&mut self, other: &Self, text: impl Fn(&str) -> String) {
        for (seq, line) in &other.lines {
            self.push(*seq, || text(line));
        }
        self.more += other.more;
    }

    /// Lines that were counted and not kept.
    pub(super) fn left_out(&self) -> u64 {
        self.more
    }

    pub(super) fn count(&self) -> u64 {
        self.lines.len() as u64 + self.more
    }

    pub(super) fn shown(&self) -> impl Iterator<Item = String> {
        self.lines.iter().take(MOST_SHOWN).map(|(seq, text)| match seq {
            Some(seq) => format!("entry {seq}: {text}"),
            None => text.clone(),
        })
    }

    pub(super) fn rows(&self) -> Vec<Value> {
        self.lines.iter().map(|(seq, text)| json!({ "entry": seq, "text": text })).collect()
    }
}

/// How many lines are not shown.
pub(super) fn at_most(lines: &Lines) -> Option<u64> {
    lines.count().checked_sub(MOST_SHOWN as u64).filter(|more| *more > 0)
}
