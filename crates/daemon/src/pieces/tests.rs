//! Footage past its term, on a real register.

use super::*;
use crate::{
    clock::ManualClock,
    journal::Journal,
    testing::{FakeLog, journal},
};
use mandate::{PersonId, Purpose, Role, Statement};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn room() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(at("2026-06-13T20:00:00Z"));
    let journal = journal(folder.path(), &FakeLog::new(&clock), &clock).await;
    (folder, journal)
}

fn replay(case: Option<&str>) -> Request {
    let (bert, role) = (PersonId::new("bert"), Role::PoliceOperator);
    Request::new(bert, role, Action::Replay, Object::None).saying(Statement {
        purpose: Some(Purpose::Investigation),
        offence_ref: Some("Sr 300".to_owned()),
        case_number: case.map(ToOwned::to_owned),
        ..Statement::default()
    })
}

fn held(id: &str, case: &str, from: &str, until: &str, set_at: &str) -> Secured {
    let law = Hold { case_number: Some(case.to_owned()), state: HoldState::Active, set_at: Some(at(set_at)) };
    Secured { id: id.to_owned(), from: at(from), until: at(until), law, witnessed: true }
}

#[tokio::test]
async fn past_its_term_footage_is_there_for_its_own_case_and_exactly_as_far_as_it_was_secured() {
    let (_folder, journal) = room().await;
    let camera = CameraId::new("C1");
    let range = (at("2026-06-13T20:10:00Z"), at("2026-06-13T20:40:00Z"));
    let secured = [
        held("hold-1", "case A", "2026-06-13T20:20:00Z", "2026-06-13T20:30:00Z", "2026-06-14T08:00:00Z"),
        held("hold-2", "case B", "2026-06-13T20:25:00Z", "2026-06-13T20:35:00Z", "2026-06-14T09:00:00Z"),
    ];
    let snapshot = journal.snapshot();
    let cut = |case: Option<&str>, secured: &[Secured], now: &str| {
        let now = at(now);
        Pieces::cut(&replay(case), &camera, range, secured, |request| {
            footage_pieces(&snapshot.register, request, now)
        })
    };
    let stretches = |pieces: &Pieces| pieces.runs.iter().map(|run| (run.from, run.until)).collect::<Vec<_>>();
    let refused = |pieces: &Pieces| {
        pieces.refused.iter().map(|piece| (piece.from, piece.until, piece.denial.code)).collect::<Vec<_>>()
    };

    // Inside its term nobody needs a case.
    let young = cut(None, &secured, "2026-06-20T00:00:00Z");
    assert_eq!(young.runs.first().map(|run| run.from), Some(range.0));
    assert_eq!(young.runs.last().map(|run| run.until), Some(range.1));
    assert!(young.refused.is_empty() && young.runs.iter().all(|run| run.law.is_empty()));

    // Weeks after its term: what was secured for the case, no frame more, and read out of that hold alone.
    let late = "2026-08-01T00:00:00Z";
    let of_a = cut(Some("case A"), &secured, late);
    assert_eq!(
        stretches(&of_a),
        [
            (at("2026-06-13T20:20:00Z"), at("2026-06-13T20:25:00Z")),
            (at("2026-06-13T20:25:00Z"), at("2026-06-13T20:30:00Z"))
        ]
    );
    assert!(of_a.runs.iter().all(|run| run.kept == ["hold-1"]));
    assert_eq!(
        refused(&of_a),
        [
            (range.0, at("2026-06-13T20:20:00Z"), ReasonCode::RetentionExceeded),
            (at("2026-06-13T20:30:00Z"), at("2026-06-13T20:35:00Z"), ReasonCode::HoldOtherCase),
            (at("2026-06-13T20:35:00Z"), range.1, ReasonCode::RetentionExceeded),
        ]
    );
    let of_none = cut(None, &secured, late);
    assert!(of_none.runs.is_empty());
    assert!(refused(&of_none).iter().any(|(.., code)| *code == ReasonCode::HoldOtherCase));

    // A hold that was set when the footage should have been gone brings nothing back.
    let afterwards =
        [held("hold-3", "case C", "2026-06-13T20:20:00Z", "2026-06-13T20:30:00Z", "2026-07-20T00:00:00Z")];
    assert!(cut(Some("case C"), &afterwards, late).runs.is_empty());
}

/// A decree that ends within the range: the pieces before and after it are decided apart.
#[tokio::test]
async fn a_basis_that_ended_within_the_range_leaves_a_gap_with_its_reason() {
    let (_folder, journal) = room().await;
    let revocation = serde_json::json!({ "kind": "revocation", "decree": "D1",
        "revoked_from": "2026-06-13T20:10:00Z" });
    let fact = serde_json::from_value(revocation).unwrap();
    journal.record(fact, crate::journal::Provenance::default()).await.unwrap();
    let snapshot = journal.snapshot();
    let (from, until) = (at("2026-06-13T20:00:00Z"), at("2026-06-13T20:20:00Z"));
    let now = at("2026-06-13T21:00:00Z");
    let pieces = Pieces::cut(&replay(None), &CameraId::new("C1"), (from, until), &[], |request| {
        footage_pieces(&snapshot.register, request, now)
    });
    let seen: Vec<_> = pieces.runs.iter().map(|run| (run.from, run.until)).collect();
    assert_eq!(seen, [(from, at("2026-06-13T20:10:00Z"))]);
    let refused: Vec<_> = pieces.refused.iter().map(|p| (p.from, p.until, p.denial.code)).collect();
    assert_eq!(refused, [(at("2026-06-13T20:10:00Z"), until, ReasonCode::UnlawfullyRecorded)]);
}

/// What an approval secured gives nobody anything beyond its term before the witness has seen the approval.
#[tokio::test]
async fn an_approval_counts_once_the_witness_has_seen_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(at("2026-06-13T20:00:00Z"));
    let log = FakeLog::new(&clock);
    let journal = journal(folder.path(), &log, &clock).await;
    let gate = Gate::new(journal.watch(), log.clone(), std::sync::Arc::new(clock.clone()));
    let new = serde_json::json!({
        "cameras": ["C1"], "from": "2026-06-13T19:00:00Z", "until": "2026-06-13T19:10:00Z", "purpose": "investigation",
        "recipient_kind": "police",
    });
    let (bert, now) = (PersonId::new("bert"), at("2026-06-13T20:00:00Z"));
    let mut request = FootageRequest::new("1".into(), bert, now, serde_json::from_value(new).unwrap());
    gate.require_witness();
    assert!(is_witnessed(&gate, &request), "an older one has no entry");
    request.entry = Some(0);
    assert!(!is_witnessed(&gate, &request));
    log.witnessed_all();
    assert!(is_witnessed(&gate, &request));
}
