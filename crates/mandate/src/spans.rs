//! Spans of time, sorted and disjoint, each with what it rests on; found by binary search.

use chrono::{DateTime, Utc};

/// Disjoint half-open spans in order.
#[derive(Clone, Debug)]
pub(crate) struct Spans<T>(Vec<Span<T>>);

/// One span: `from <= t < until`.
#[derive(Clone, Debug)]
pub(crate) struct Span<T> {
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
    pub(crate) rests_on: T,
}

/// What a list of spans says about one instant.
pub(crate) enum Found<'a, T> {
    /// Inside a span.
    In(&'a Span<T>),
    /// Outside; the next span starts at the instant, if there is one.
    Out(Option<DateTime<Utc>>),
}

impl<T> Found<'_, T> {
    /// Where a span starts, or the one after it.
    pub(crate) fn start(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::In(span) => Some(span.from),
            Self::Out(next) => *next,
        }
    }
}

impl<T: Clone> Spans<T> {
    /// Makes overlapping spans disjoint: the one that starts first keeps its whole length, later ones get what is left.
    /// Empty spans vanish.
    pub(crate) fn new(mut spans: Vec<Span<T>>) -> Self {
        spans.sort_by_key(|span| (span.from, span.until));
        let mut disjoint: Vec<Span<T>> = Vec::with_capacity(spans.len());
        for mut span in spans {
            if let Some(last) = disjoint.last() {
                span.from = span.from.max(last.until);
            }
            if span.from < span.until {
                disjoint.push(span);
            }
        }
        Self(disjoint)
    }
}

impl<T> Spans<T> {
    /// What holds at an instant.
    pub(crate) fn at(&self, at: DateTime<Utc>) -> Found<'_, T> {
        let next = self.0.partition_point(|span| span.from <= at);
        match next.checked_sub(1).and_then(|index| self.0.get(index)) {
            Some(span) if at < span.until => Found::In(span),
            _ => Found::Out(self.0.get(next).map(|span| span.from)),
        }
    }

    /// Keeps some.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Span<T>) -> bool) {
        self.0.retain(keep);
    }

    /// The spans in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Span<T>> {
        self.0.iter()
    }
}
