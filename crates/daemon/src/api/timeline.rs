//! The time axis of a camera: what is recorded, why not where it is not, where something moved, and what this session may
//! see of it. No picture leaves here, so only a refusal to list is logged; looking is asked at the gate when it begins.

use super::{
    App, Caller, Endpoint, Needs, ask, endpoint,
    problem::ApiError,
    query::Asked,
    room::{in_scope, live_request},
};
use crate::{
    clock::{instant, micros},
    pieces::Pieces,
    recorder::gap_word,
    replay::{LONGEST, bad_range, gap_sentence},
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    routing::{MethodRouter, get},
};
use mandate::{Action, CameraId, IncidentId, Object, Statement};
use protocol::api::{GapText, RefusedSpan, Sentence, StreamRole, Timeline, TimelineSpan};
use std::collections::BTreeSet;
use vault::{Span, SpanKind};

/// Steps of one curve: what a wide screen shows.
const STEPS: i64 = 2_000;
const SECOND: i64 = 1_000_000;

/// The endpoint of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    let timeline = endpoint(
        "GET",
        "/cameras/{id}/timeline",
        Needs::Action(&[Action::Replay]),
        "timeline",
        "What is recorded of a camera, what not and why, where something moved, and what you may see of it",
        None,
        (200, Some("Timeline")),
    );
    let query = &["from", "until", "incident", "purpose", "offence_ref", "case_number"];
    vec![(timeline.asking(query), get(one))]
}

/// `GET /cameras/{id}/timeline`.
async fn one(
    State(app): State<App>,
    Extension(session): Caller,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Timeline>, ApiError> {
    let camera = CameraId::new(id);
    app.gate.list(&ask(&session, Action::ListCameras, Object::None, "timeline")).await?;
    let streams = app.streams.get(&camera).filter(|_| in_scope(&app, &session, &camera));
    let stream = streams.ok_or(ApiError::NotFound)?.stream(StreamRole::Main);
    let now = app.gate.clock().now();
    asked.needed("from")?;
    let from = asked.instant("from")?.unwrap_or(now);
    let until = asked.instant("until")?.unwrap_or(now).min(now);
    if from >= until || until - from > LONGEST {
        return Err(ApiError::Invalid(bad_range()));
    }
    // To the microsecond, as footage is told apart.
    let (start, end) = (micros(from), micros(until));
    let (from, until) = (instant(start), instant(end));
    let footage = Object::Footage { camera: camera.clone(), from, until };
    let mut replay = ask(&session, Action::Replay, footage, "timeline");
    replay.request = replay.request.saying(Statement {
        purpose: asked.word("purpose")?,
        offence_ref: asked.text("offence_ref").map(ToOwned::to_owned),
        case_number: asked.text("case_number").map(ToOwned::to_owned),
        ..Statement::default()
    });
    let incident = asked.text("incident").map(IncidentId::new);
    replay.request.resolved = live_request(&app, &session, &camera).resolved;
    replay.request.resolved.incident =
        incident.and_then(|id| app.incidents.resolve(&id, &camera).ok().flatten());
    let pieces = Pieces::of(&app, &replay.request, &camera, (from, until))?;
    let kept: BTreeSet<String> = pieces.runs.iter().flat_map(|run| run.kept.clone()).collect();
    let kept: Vec<String> = kept.into_iter().collect();
    let vault = app.vault.clone();
    let spans = tokio::task::spawn_blocking(move || vault.spans_also(stream, start, end, &kept)).await;
    let spans = spans
        .map_err(|e| ApiError::Internal(e.to_string()))?
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    let step = ((end.0 - start.0) / SECOND / STEPS + 1).max(1);
    let seen: Vec<_> = pieces.runs.iter().map(|run| (micros(run.from).0, micros(run.until).0)).collect();
    let activity = curve(&spans, start.0, end.0, step, &seen);
    let refused = pieces.refused.into_iter().map(|piece| {
        let (nl, en) = piece.denial.sentence();
        RefusedSpan {
            from: piece.from,
            until: piece.until,
            code: piece.denial.code,
            sentence: Sentence { nl, en },
        }
    });
    let spans = spans.iter().map(|span| TimelineSpan {
        from: instant(span.from),
        until: instant(span.until),
        gap: match span.kind {
            SpanKind::Recorded => None,
            SpanKind::Gap(reason) => {
                Some(GapText { reason: gap_word(reason).to_owned(), sentence: gap_sentence(reason) })
            }
        },
    });
    Ok(Json(Timeline {
        camera,
        from: instant(start),
        until: instant(end),
        spans: spans.collect(),
        refused: refused.collect(),
        step: u32::try_from(step).unwrap_or(u32::MAX),
        activity,
    }))
}

/// The curve in steps of so many seconds, of what may be seen only (µs UTC).
fn curve(spans: &[Span], from: i64, until: i64, step: i64, seen: &[(i64, i64)]) -> Vec<u32> {
    let count = (until - from).div_euclid(step * SECOND) + 1;
    let mut sums = vec![0_u64; usize::try_from(count).unwrap_or_default()];
    for span in spans {
        let first = span.from.0.div_euclid(SECOND);
        for (second, bytes) in (first..).zip(&span.activity) {
            // A second counts where it may be seen as a whole.
            let (start, end) =
                ((second * SECOND).max(span.from.0), ((second + 1) * SECOND).min(span.until.0));
            let visible = seen.iter().any(|(from, until)| *from <= start && end <= *until);
            let place = (start.max(from) - from).div_euclid(step * SECOND);
            if let Some(sum) = usize::try_from(place).ok().and_then(|place| sums.get_mut(place))
                && visible
            {
                *sum += u64::from(*bytes);
            }
        }
    }
    sums.into_iter().map(|sum| u32::try_from(sum / step as u64).unwrap_or(u32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::Micros;

    #[test]
    fn the_curve_tells_nothing_of_what_may_not_be_seen() {
        let span = |from: i64, until: i64, kind| Span {
            from: Micros(from * SECOND),
            until: Micros(until * SECOND),
            kind,
            bytes: 0,
            activity: vec![100; (until - from) as usize],
        };
        let spans = [
            span(100, 110, SpanKind::Recorded),
            Span { activity: Vec::new(), ..span(110, 112, SpanKind::Gap(media::GapReason::CameraOffline)) },
            span(112, 120, SpanKind::Recorded),
        ];
        let of = |step, seen: &[(i64, i64)]| {
            let seen: Vec<_> = seen.iter().map(|(from, until)| (from * SECOND, until * SECOND)).collect();
            curve(&spans, 100 * SECOND, 120 * SECOND, step, &seen)
        };
        assert_eq!(of(10, &[(100, 120)]), [100, 80, 0]);
        assert_eq!(of(10, &[(105, 115)]), [50, 30, 0]);
        assert_eq!(of(1, &[])[..], [0; 21]);
    }
}
