//! Backward, group by group: the newest group first, the pictures of each in the order in which they are decoded. Whoever
//! shows them decodes a group and shows it from its end.

use super::{
    LOOK_BACK_MINUTES, MINUTES_AHEAD, Sieve, broken, gap, joined,
    opener::Opener,
    sources::{Footage, Hole, Source, minutes},
};
use crate::{
    config::{Item, Pictures},
    error::VaultError,
};
use media::Micros;
use std::collections::VecDeque;

pub(super) struct Backward {
    footage: Footage,
    opener: Opener,
    sieve: Sieve,
    from: Micros,
    until: Micros,
    /// Loaded, not yet given, in order of time: the next is the last.
    sources: Vec<Source>,
    ready: VecDeque<Item>,
    /// A stretch that did not open, still growing backward.
    failed: Option<Hole>,
    /// What begins in this minute or later is loaded; none when all is.
    loaded_from: Option<i64>,
    /// Minutes asked before the start.
    tries: u32,
    /// Down to here holes are known.
    explained: Micros,
    /// What begins there: a hole no longer than jitter belongs to it.
    oldest: Option<Source>,
    over: bool,
}

impl Backward {
    pub(super) fn new(footage: Footage, from: Micros, until: Micros, pictures: Pictures) -> Self {
        Self {
            footage,
            opener: Opener::default(),
            sieve: Sieve::new(pictures),
            from,
            until,
            sources: Vec::new(),
            ready: VecDeque::new(),
            failed: None,
            loaded_from: Some(minutes(until, until).0.saturating_add(1)),
            tries: 0,
            explained: until,
            oldest: None,
            over: until <= from,
        }
    }

    /// Loads what begins before what is known; `false` when there is nothing more.
    fn load(&mut self) -> Result<bool, VaultError> {
        let Some(before) = self.loaded_from else { return Ok(false) };
        let start = minutes(self.from, self.until).0;
        let minute = self.footage.minute_before(before)?;
        if minute.is_some_and(|minute| minute < start) {
            self.tries += 1;
        }
        let Some(minute) = minute.filter(|_| self.tries <= LOOK_BACK_MINUTES) else {
            self.loaded_from = None;
            return Ok(false);
        };
        let first = if minute < start { minute } else { (minute - MINUTES_AHEAD + 1).max(start) };
        let mut earlier = self.footage.begins_in(first, minute)?;
        earlier.retain(|source| source.from() < self.until);
        earlier.append(&mut self.sources);
        (self.sources, self.loaded_from) = (earlier, Some(first));
        Ok(true)
    }

    /// The next group, its key frame first; none when there are no more.
    fn group(&mut self) -> Result<Option<Vec<Source>>, VaultError> {
        let mut group: Vec<Source> = Vec::new();
        loop {
            let Some(source) = self.sources.pop() else {
                // What lies before the start matters only for the group that reaches into it.
                let done = self.loaded_from.is_some_and(|minute| minute <= minutes(self.from, self.until).0);
                if (done && group.is_empty() && self.tries > 0) || !self.load()? {
                    return Ok(None);
                }
                continue;
            };
            if group.last().is_some_and(|later| !joined(&source, later)) {
                // Its key frame is missing: it cannot be decoded.
                group.clear();
            }
            if group.is_empty() && source.until() <= self.from {
                return Ok(None);
            }
            let key = source.starts_with_key();
            group.push(source);
            if key {
                group.reverse();
                return Ok(Some(group));
            }
        }
    }

    fn step(&mut self) -> Result<(), VaultError> {
        let Some(group) = self.group()? else {
            self.over = true;
            let oldest: Vec<Source> = self.oldest.take().into_iter().collect();
            let until = oldest.first().map_or(self.explained, |source| source.until().max(self.explained));
            let mut holes = self.footage.holes(self.from, until, &oldest)?;
            holes.retain(|hole| hole.0 < self.explained);
            self.tell(holes);
            return Ok(());
        };
        let begins = group.first().map_or(self.from, Source::from);
        let edge = begins.max(self.from);
        if edge < self.explained {
            let holes = self.footage.holes(edge, self.explained, &group)?;
            self.tell(holes);
            self.explained = edge;
            self.oldest = group.first().cloned();
        }
        self.over = begins <= self.from;
        self.open(group);
        Ok(())
    }

    fn tell(&mut self, holes: Vec<Hole>) {
        if !holes.is_empty() {
            self.ready.extend(self.failed.take().map(gap));
        }
        self.ready.extend(holes.into_iter().rev().map(gap));
    }

    /// A group's units, up to the first that does not open: what follows that one cannot be decoded.
    fn open(&mut self, group: Vec<Source>) {
        let (mut units, end) = (Vec::new(), group.last().map_or(self.from, Source::until).min(self.until));
        let mut failed = None;
        for source in group {
            if !self.sieve.wants(&source) {
                continue;
            }
            let from = source.from();
            match self.opener.open(&self.footage, source) {
                Ok(mut more) => {
                    self.sieve.strain(&mut more);
                    units.append(&mut more);
                }
                Err(reason) => {
                    failed = Some((from, end, reason));
                    break;
                }
            }
        }
        match (failed, self.failed.take()) {
            (Some((from, _, reason)), Some((_, until, known))) if reason == known => {
                self.failed = Some((from, until, reason));
            }
            (failed, before) => {
                self.ready.extend(before.map(gap));
                self.failed = failed;
            }
        }
        if !units.is_empty() {
            self.ready.extend(self.failed.take().map(gap));
            let until = self.until;
            self.ready.extend(units.into_iter().filter(|unit| unit.captured < until).map(Item::Unit));
        }
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.over {
                return self.failed.take().map(gap);
            }
            if let Err(error) = self.step() {
                self.over = true;
                self.ready.push_back(gap(broken(&error, self.from, self.explained)));
            }
        }
    }
}
