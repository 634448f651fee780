//! The timeline: stretches with pictures and gaps with reasons, painted over each other so that no instant of an
//! interval is unexplained. Pure.
//!
//! A gap that was recorded wins over footage that a coarse row spans; footage wins over "destroyed" (a new key may
//! have begun in a destroyed hour); what nobody explains and is longer than jitter is [`GapReason::NotRunning`].

use crate::{
    config::{Span, SpanKind},
    index::{GapMark, JITTER, Piece, SECOND, ended, is_open},
};
use media::{GapReason, Micros};

/// Everything known of a stream in an interval.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) gaps: Vec<GapMark>,
    /// Where footage ends now, if the stream is being recorded: nothing is known beyond, and that is no gap.
    pub(crate) live_edge: Option<Micros>,
}

/// The spans of `from..until`, in order, without overlap.
pub(crate) fn spans(known: &Known, from: Micros, until: Micros) -> Vec<Span> {
    let until = known.live_edge.map_or(until, |edge| until.min(edge.max(from)));
    if until <= from {
        return Vec::new();
    }
    let mut spans = join(segments(known, from, until));
    for piece in &known.pieces {
        if let Some(span) =
            span_at(&mut spans, piece.from.max(from)).filter(|_| piece.until > from && piece.from < until)
        {
            span.bytes += piece.bytes;
        }
        // Seconds rise within a piece, so the span of the next is this one or one soon after.
        let mut index = 0;
        for (second, bytes) in &piece.activity {
            // A second is counted where it begins, or where the span begins within it.
            let at = Micros(second.saturating_mul(SECOND)).max(piece.from).max(from);
            if spans.get(index).is_none_or(|span| at < span.from || span.until <= at) {
                index = spans.partition_point(|span| span.until <= at);
            }
            if let Some(span) = spans.get_mut(index).filter(|span| span.kind == SpanKind::Recorded) {
                let place = (second - span.from.0.div_euclid(SECOND)) as usize;
                if let Some(slot) = span.activity.get_mut(place) {
                    *slot = slot.saturating_add(*bytes);
                }
            }
        }
    }
    spans
}

fn span_at(spans: &mut [Span], at: Micros) -> Option<&mut Span> {
    let index = spans.partition_point(|span| span.until <= at);
    spans.get_mut(index).filter(|span| span.kind == SpanKind::Recorded)
}

/// The elementary stretches between all borders, each with what it is; unexplained ones without.
fn segments(known: &Known, from: Micros, until: Micros) -> Vec<(Micros, Micros, Option<SpanKind>)> {
    // (instant, layer, +1 or -1); layers: 0 footage, 1 destroyed, 2.. the gap reasons.
    let mut borders: Vec<(Micros, usize, i32)> = Vec::new();
    let mut add = |start: Micros, end: Micros, layer: usize| {
        let (start, end) = (start.max(from), end.min(until));
        if start < end {
            borders.push((start, layer, 1));
            borders.push((end, layer, -1));
        }
    };
    for piece in &known.pieces {
        add(piece.from, piece.until, 0);
    }
    for gap in &known.gaps {
        let (gap, rest) = if is_open(gap) { ended(*gap, until) } else { (*gap, None) };
        for gap in [Some(gap), rest].into_iter().flatten() {
            let layer = if gap.reason == GapReason::Destroyed { 1 } else { 2 + gap.reason as usize };
            add(gap.from, gap.until, layer);
        }
    }
    borders.sort_unstable();
    let mut depth = [0_i32; 16];
    let mut at = from;
    let mut out = Vec::new();
    for (instant, layer, step) in borders.into_iter().chain([(until, 0, 0)]) {
        if instant > at {
            out.push((at, instant, kind(&depth)));
            at = instant;
        }
        if let Some(depth) = depth.get_mut(layer) {
            *depth += step;
        }
    }
    out
}

fn kind(depth: &[i32; 16]) -> Option<SpanKind> {
    let covered = |layer: usize| depth.get(layer).is_some_and(|depth| *depth > 0);
    if let Some(reason) = (2..16).find(|layer| covered(*layer)) {
        return GapReason::from_u8((reason - 2) as u8).map(SpanKind::Gap);
    }
    if covered(0) {
        return Some(SpanKind::Recorded);
    }
    covered(1).then_some(SpanKind::Gap(GapReason::Destroyed))
}

fn join(segments: Vec<(Micros, Micros, Option<SpanKind>)>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut segments = segments.into_iter().peekable();
    let mut push = |from: Micros, until: Micros, kind: SpanKind| match spans.last_mut() {
        Some(last) if last.kind == kind && last.until == from => last.until = until,
        _ => spans.push(Span { from, until, kind, bytes: 0, activity: Vec::new() }),
    };
    let mut before = None;
    while let Some((from, until, kind)) = segments.next() {
        let kind = kind.unwrap_or_else(|| {
            let beside = before.or_else(|| segments.peek().and_then(|next| next.2));
            match beside {
                Some(kind) if until.0 - from.0 <= JITTER => kind,
                _ => SpanKind::Gap(GapReason::NotRunning),
            }
        });
        before = Some(kind);
        push(from, until, kind);
    }
    for span in &mut spans {
        if span.kind == SpanKind::Recorded {
            let (first, last) = (span.from.0.div_euclid(SECOND), (span.until.0 - 1).div_euclid(SECOND));
            span.activity = vec![0; (last - first + 1) as usize];
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::OPEN;
    use proptest::prelude::*;

    fn piece(from: i64, until: i64) -> Piece {
        Piece {
            from: Micros(from * SECOND),
            until: Micros(until * SECOND),
            bytes: 10,
            activity: vec![(from, 3)],
        }
    }
    fn gap(from: i64, until: i64, reason: GapReason) -> GapMark {
        let until = if until == i64::MAX { OPEN } else { Micros(until * SECOND) };
        GapMark { from: Micros(from * SECOND), until, reason }
    }
    fn seconds(spans: &[Span]) -> Vec<(i64, i64, SpanKind)> {
        spans.iter().map(|s| (s.from.0 / SECOND, s.until.0 / SECOND, s.kind)).collect()
    }

    #[test]
    fn every_hole_has_a_reason() {
        use GapReason::{CameraOffline, Crash, NotRunning};
        use SpanKind::{Gap, Recorded};
        let known = Known {
            pieces: vec![piece(10, 20), piece(21, 30), piece(50, 60)],
            gaps: vec![gap(30, 40, CameraOffline), gap(60, i64::MAX, Crash)],
            live_edge: None,
        };
        let spans = spans(&known, Micros(0), Micros(100 * SECOND));
        assert_eq!(
            seconds(&spans),
            [
                (0, 10, Gap(NotRunning)),
                (10, 30, Recorded),
                (30, 40, Gap(CameraOffline)),
                (40, 50, Gap(NotRunning)),
                (50, 60, Recorded),
                (60, 62, Gap(Crash)),
                (62, 100, Gap(NotRunning)),
            ]
        );
        assert_eq!(spans[1].bytes, 20);
        assert_eq!((spans[1].activity.len(), spans[1].activity[0], spans[1].activity[11]), (20, 3, 3));
    }

    #[test]
    fn beyond_the_live_edge_nothing_is_claimed() {
        let known = Known { pieces: vec![piece(10, 20)], gaps: vec![], live_edge: Some(Micros(20 * SECOND)) };
        assert_eq!(
            seconds(&spans(&known, Micros(15 * SECOND), Micros(99 * SECOND))),
            [(15, 20, SpanKind::Recorded)]
        );
    }

    proptest! {
        #[test]
        fn spans_tile_the_interval(
            pieces in prop::collection::vec((0_i64..100, 1_i64..20), 0..12),
            gaps in prop::collection::vec((0_i64..100, 1_i64..20, 0_u8..9), 0..12),
        ) {
            let known = Known {
                pieces: pieces.into_iter().map(|(from, length)| piece(from, from + length)).collect(),
                gaps: gaps.into_iter().map(|(from, length, reason)| gap(from, from + length, GapReason::from_u8(reason).unwrap())).collect(),
                live_edge: None,
            };
            let spans = spans(&known, Micros(5 * SECOND), Micros(95 * SECOND));
            prop_assert_eq!(spans.first().unwrap().from, Micros(5 * SECOND));
            prop_assert_eq!(spans.last().unwrap().until, Micros(95 * SECOND));
            for pair in spans.windows(2) {
                prop_assert_eq!(pair[0].until, pair[1].from);
                prop_assert_ne!(pair[0].kind, pair[1].kind);
            }
        }
    }
}
