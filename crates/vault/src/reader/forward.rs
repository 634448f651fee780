//! In order of time, group by group.

use super::{
    LOOK_BACK_MINUTES, MINUTES_AHEAD, Sieve, broken, gap, joined,
    opener::Opener,
    sources::{Footage, Hole, Source, minutes},
};
use crate::{
    config::{Item, Pictures},
    error::VaultError,
    index::JITTER,
};
use media::Micros;
use std::collections::VecDeque;

pub(super) struct Forward {
    footage: Footage,
    opener: Opener,
    sieve: Sieve,
    until: Micros,
    /// Loaded, not yet given, in order.
    sources: VecDeque<Source>,
    /// Holes beside them, in order.
    holes: VecDeque<Hole>,
    ready: VecDeque<Item>,
    /// Capture time of the picture read last.
    last: Option<Micros>,
    /// A stretch that did not open, still growing.
    failed: Option<Hole>,
    /// The next minute of the index to be asked; none when all is loaded.
    next_minute: Option<i64>,
    /// Up to here holes are known.
    explained: Micros,
    /// What ends there: a hole no longer than jitter belongs to it.
    newest: Option<Source>,
}

impl Forward {
    pub(super) fn new(
        footage: Footage,
        from: Micros,
        until: Micros,
        pictures: Pictures,
    ) -> Result<Self, VaultError> {
        let first = minutes(from, until).0;
        let next_minute = first.saturating_add(MINUTES_AHEAD);
        let mut sources = footage.begins_in(first, next_minute - 1)?;
        let (mut before, mut tries) = (first, 0);
        let start = loop {
            match start_of(&sources, from) {
                Start::At(at) => break at,
                Start::Earlier(at) => {
                    tries += 1;
                    match footage.minute_before(before)?.filter(|_| tries <= LOOK_BACK_MINUTES) {
                        Some(minute) => {
                            before = minute;
                            let mut earlier = footage.begins_in(minute, minute)?;
                            earlier.append(&mut sources);
                            sources = earlier;
                        }
                        None => break at,
                    }
                }
            }
        };
        let mut reader = Self {
            footage,
            opener: Opener::default(),
            sieve: Sieve::new(pictures),
            until,
            sources: VecDeque::new(),
            holes: VecDeque::new(),
            ready: VecDeque::new(),
            last: None,
            failed: None,
            next_minute: Some(next_minute),
            explained: from,
            newest: None,
        };
        reader.add(sources, start)?;
        Ok(reader)
    }

    pub(super) fn key_frame(&self, at: Micros) -> Option<Micros> {
        let first = self.sources.front().filter(|source| source.starts_with_key())?;
        Some(first.from()).filter(|from| *from <= at)
    }

    /// Takes what was loaded; a hole at its end is left to what follows, so that none is told in two.
    fn add(&mut self, mut sources: Vec<Source>, start: usize) -> Result<(), VaultError> {
        sources.retain(|source| source.from() < self.until);
        let end = sources.iter().map(Source::until).max().map_or(self.explained, |end| end.min(self.until));
        if end > self.explained {
            self.holes.extend(self.footage.holes(self.explained, end, &sources)?);
            self.explained = end;
            self.newest = sources.iter().max_by_key(|source| source.until()).cloned();
        }
        self.sources.extend(sources.into_iter().skip(start));
        Ok(())
    }

    fn load(&mut self, minute: i64) -> Result<(), VaultError> {
        let last = minutes(self.until, self.until).0;
        let next = self.footage.minute_from(minute)?.filter(|minute| *minute <= last);
        if let Some(minute) = next {
            self.next_minute = Some(minute.saturating_add(MINUTES_AHEAD));
            let sources = self.footage.begins_in(minute, minute.saturating_add(MINUTES_AHEAD - 1))?;
            self.add(sources, 0)
        } else {
            self.next_minute = None;
            let newest: Vec<Source> = self.newest.take().into_iter().collect();
            let from = newest.first().map_or(self.explained, |source| source.from().min(self.explained));
            let holes = self.footage.holes(from, self.until, &newest)?;
            let known = self.explained;
            self.holes.extend(holes.into_iter().filter(|hole| hole.1 > known));
            Ok(())
        }
    }

    fn take_source(&mut self) {
        let Some(source) = self.sources.pop_front() else { return };
        if !self.sieve.wants(&source) {
            return;
        }
        let (from, until) = (source.from(), source.until());
        match (self.opener.open(&self.footage, source), self.failed.take()) {
            (Ok(mut units), failed) => {
                self.sieve.strain(&mut units);
                if let Some(failed) = failed {
                    self.ready.push_back(gap(failed));
                    if let Some(first) = units.first_mut() {
                        first.discontinuity = true;
                    }
                }
                if let Some(first) = units.first_mut() {
                    // Another pass over the same time: the clock had been set back.
                    first.discontinuity |= first.captured < self.last.unwrap_or(first.captured);
                }
                self.last = units.last().map(|unit| unit.captured).or(self.last);
                let until = self.until;
                self.ready.extend(units.into_iter().filter(|unit| unit.captured < until).map(Item::Unit));
            }
            (Err(reason), Some((start, end, known))) if known == reason && from <= end.plus(JITTER) => {
                self.failed = Some((start, until.max(end), reason));
            }
            (Err(reason), failed) => {
                self.ready.extend(failed.map(gap));
                self.failed = Some((from, until, reason));
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.sources.is_empty()
                && let Some(minute) = self.next_minute
            {
                if let Err(error) = self.load(minute) {
                    self.next_minute = None;
                    self.holes.push_back(broken(&error, self.explained, self.until));
                }
                continue;
            }
            let source = self.sources.front().map(Source::from);
            if let Some(hole) = self.holes.pop_front_if(|hole| source.is_none_or(|source| hole.0 <= source)) {
                self.ready.extend(self.failed.take().map(gap));
                self.ready.push_back(gap(hole));
            } else if source.is_some() {
                self.take_source();
            } else {
                return self.failed.take().map(gap);
            }
        }
    }
}

enum Start {
    At(usize),
    /// As far as it is loaded, footage is continuous back to here without a key frame.
    Earlier(usize),
}

fn start_of(sources: &[Source], from: Micros) -> Start {
    let Some(mut at) = sources.iter().rposition(|source| source.from() <= from) else {
        return Start::Earlier(0);
    };
    if sources.get(at).is_some_and(|source| source.until().plus(JITTER) < from) {
        return Start::At(at + 1);
    }
    loop {
        let Some(source) = sources.get(at) else { return Start::At(at) };
        if source.starts_with_key() {
            return Start::At(at);
        }
        let Some(before) = at.checked_sub(1) else { return Start::Earlier(at) };
        if sources.get(before).is_some_and(|before| !joined(before, source)) {
            return Start::At(at);
        }
        at = before;
    }
}
