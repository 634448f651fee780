//! A range of a camera's footage as the law sees it for one ask: the stretches that may be seen, what may not and why, and
//! the holds that keep what the hour's key no longer opens.
//!
//! A range is decided in pieces between the instants where the answer changes (`decisions.md` 3). Footage past its
//! ordinary term is there for the case it was secured for and no other (HOLD_OTHER_CASE, `decisions.md` 6), so a piece also
//! ends where a hold does: no frame is judged by a hold that does not keep it.

use crate::{
    api::{App, problem::ApiError},
    clock::{instant, micros},
    gate::{Ask, EntryOf, Gate, Lease, Refused, Seen},
};
use chrono::{DateTime, TimeDelta, Utc};
use evidence::{FootageRequest, HeldStretch, RequestState};
use mandate::{
    Action, CameraId, Decision, Denial, Hold, HoldState, Object, ReasonCode, Request, footage_pieces,
};
use media::StreamId;
use std::collections::BTreeSet;
use vault::{Vault, VaultError};

/// A stretch of footage, UTC.
pub(crate) type Stretch = (DateTime<Utc>, DateTime<Utc>);

/// How far before an instant the key frame may lie from which its picture is decoded.
const LEAD: TimeDelta = TimeDelta::seconds(10);

/// A stretch that may be seen in one look.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// First instant.
    pub(crate) from: DateTime<Utc>,
    /// End.
    pub(crate) until: DateTime<Utc>,
    /// The holds without which it may not be seen: it is past its ordinary term.
    pub(crate) law: Vec<Hold>,
    /// Holds of the vault that keep some of it.
    pub(crate) kept: Vec<String>,
}

impl Run {
    pub(crate) fn footage(&self, camera: &CameraId) -> Object {
        Object::Footage { camera: camera.clone(), from: self.from, until: self.until }
    }
}

/// A stretch that may not be seen.
#[derive(Clone, Debug)]
pub(crate) struct RefusedPiece {
    /// First instant.
    pub(crate) from: DateTime<Utc>,
    /// End.
    pub(crate) until: DateTime<Utc>,
    /// Why.
    pub(crate) denial: Denial,
    law: Vec<Hold>,
}

/// A range in pieces.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// What may be seen, in order.
    pub(crate) runs: Vec<Run>,
    /// What may not, in order.
    pub(crate) refused: Vec<RefusedPiece>,
}

/// Footage of a camera that is secured, and for what.
#[derive(Clone, Debug)]
struct Secured {
    id: String,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    law: Hold,
    witnessed: bool,
}

/// The hold that a request's approval made, as the law sees it.
pub(crate) fn hold_of(request: &FootageRequest) -> Hold {
    Hold {
        case_number: request.asked.case_number.clone(),
        state: HoldState::Active,
        set_at: request.decided_at,
    }
}

/// Whether the police's witness has seen the approval of a request; what older ones secured counts as it did.
pub(crate) fn is_witnessed(gate: &Gate, request: &FootageRequest) -> bool {
    let entry = request.entry.map(|seq| EntryOf { seq, log: request.entry_log.clone() });
    entry.is_none_or(|entry| gate.seen(&entry) == Seen::Yes)
}

/// What is secured of a camera between two instants, by holds and by approved requests.
fn secured(app: &App, camera: &CameraId, (from, until): Stretch) -> Result<Vec<Secured>, ApiError> {
    let mut all = Vec::new();
    for row in app.holds.all()? {
        if row.asked.camera != *camera || row.released.is_some() {
            continue;
        }
        // It may begin earlier than it was asked: at the key frame.
        let held = app.vault.held(&row.id());
        let (from, until) =
            held.map_or((row.asked.from, row.asked.until), |held| (instant(held.from), instant(held.until)));
        let witnessed = row.witnessed(&app.gate);
        all.push(Secured { id: row.id(), from, until, law: row.in_law(), witnessed });
    }
    for request in app.exports.newest(u32::MAX)? {
        if request.state != RequestState::Approved {
            continue;
        }
        for held in request.held.iter().filter(|held| held.camera == *camera) {
            let law = hold_of(&request);
            let (from, until) = (held.from, held.until);
            let witnessed = is_witnessed(&app.gate, &request);
            all.push(Secured { id: held.hold.clone(), from, until, law, witnessed });
        }
    }
    all.retain(|one| one.from < until && from < one.until);
    Ok(all)
}

/// Everything that binds footage of a camera between two instants, as the law sees it: a hold that no witness has seen yet
/// keeps it from being destroyed, too.
///
/// # Errors
/// When what is secured cannot be looked up.
pub(crate) fn binding(app: &App, camera: &CameraId, range: Stretch) -> Result<Vec<Hold>, ApiError> {
    Ok(secured(app, camera, range)?.into_iter().map(|one| one.law).collect())
}

/// What secured all of a stretch at an instant, as far as it is known today: of a request that was closed since, nothing.
///
/// # Errors
/// When what was secured cannot be looked up.
pub(crate) fn binding_at(
    app: &App,
    camera: &CameraId,
    (from, until): Stretch,
    at: DateTime<Utc>,
) -> Result<Vec<Hold>, ApiError> {
    let mut all = Vec::new();
    for row in app.holds.all()? {
        let bound = row.set_at <= at && row.released.as_ref().is_none_or(|(released, _)| at < *released);
        if bound && row.asked.camera == *camera && row.asked.from <= from && until <= row.asked.until {
            all.push(Hold { state: HoldState::Active, ..row.in_law() });
        }
    }
    for request in app.exports.newest(u32::MAX)? {
        let bound =
            request.state == RequestState::Approved && request.decided_at.is_some_and(|then| then <= at);
        let covers = |held: &HeldStretch| held.camera == *camera && held.from <= from && until <= held.until;
        if bound && request.held.iter().any(covers) {
            all.push(hold_of(&request));
        }
    }
    Ok(all)
}

/// The case that a request is about.
fn case(request: &Request) -> Option<&str> {
    match (request.action, &request.resolved.export) {
        (Action::ApproveExport, Some(export)) => export.case_number.as_deref(),
        _ => request.statement.as_ref().and_then(|statement| statement.case_number.as_deref()),
    }
}

impl Pieces {
    /// Cuts a range of a camera's footage into what this request gets and what not.
    ///
    /// # Errors
    /// When what is secured cannot be looked up.
    pub(crate) fn of(
        app: &App,
        request: &Request,
        camera: &CameraId,
        range: Stretch,
    ) -> Result<Self, ApiError> {
        let mut secured = secured(app, camera, range)?;
        // What the witness has not seen yet, and what the vault does not keep, gives nobody anything (`decisions.md` 15).
        secured.retain(|one| one.witnessed && app.vault.held(&one.id).is_some());
        let snapshot = app.gate.snapshot();
        let decide = |request: &Request| footage_pieces(&snapshot.register, request, app.gate.clock().now());
        Ok(Self::cut(request, camera, range, &secured, decide))
    }

    fn cut(
        request: &Request,
        camera: &CameraId,
        (from, until): Stretch,
        secured: &[Secured],
        decide: impl Fn(&Request) -> Vec<mandate::Piece>,
    ) -> Self {
        let inside = |at: &DateTime<Utc>| *at > from && *at < until;
        let mut borders: BTreeSet<DateTime<Utc>> =
            secured.iter().flat_map(|held| [held.from, held.until]).filter(inside).collect();
        borders.extend([from, until]);
        let borders: Vec<_> = borders.into_iter().collect();
        let asked = |from, until, law: Vec<Hold>| {
            let mut one = request.clone();
            one.object = Object::Footage { camera: camera.clone(), from, until };
            one.resolved.holds = law;
            one
        };
        let mut pieces = Self::default();
        for pair in borders.windows(2) {
            let [from, until] = *pair else { continue };
            let covering: Vec<_> =
                secured.iter().filter(|held| held.from <= from && until <= held.until).collect();
            let law: Vec<Hold> = covering.iter().map(|held| held.law.clone()).collect();
            let of_case = |held: &&&Secured| held.law.case_number.as_deref() == case(request);
            for piece in decide(&asked(from, until, Vec::new())) {
                let late = matches!(&piece.decision,
                    Decision::Deny(denial) if denial.code == ReasonCode::RetentionExceeded);
                if late && !covering.is_empty() {
                    let kept: Vec<_> = covering.iter().filter(of_case).map(|held| held.id.clone()).collect();
                    for piece in decide(&asked(piece.from, piece.until, law.clone())) {
                        pieces.add(piece, law.clone(), kept.clone());
                    }
                } else {
                    // An hour's key may die before the last frame of its hour is due: what a hold has of it is shown.
                    pieces.add(piece, Vec::new(), covering.iter().map(|held| held.id.clone()).collect());
                }
            }
        }
        pieces
    }

    fn add(&mut self, piece: mandate::Piece, law: Vec<Hold>, kept: Vec<String>) {
        let (from, until) = (piece.from, piece.until);
        match piece.decision {
            Decision::Permit(_) => match self.runs.last_mut() {
                Some(last) if last.until == from && last.law == law && last.kept == kept => {
                    last.until = until;
                }
                _ => self.runs.push(Run { from, until, law, kept }),
            },
            Decision::Deny(denial) => match self.refused.last_mut() {
                Some(last) if last.until == from && last.denial.code == denial.code => last.until = until,
                _ => self.refused.push(RefusedPiece { from, until, denial, law }),
            },
        }
    }

    /// The holds that all of it would rest on, for asking the gate about what may not be seen anyway.
    pub(crate) fn all_law(&self) -> Vec<Hold> {
        self.refused.iter().flat_map(|piece| piece.law.iter().cloned()).collect()
    }

    /// Opens a look for each run, each with its own entry; where there is none, the whole range is asked, and the gate
    /// refuses and logs that.
    ///
    /// # Errors
    /// Why the first look does not begin, or that none can.
    pub(crate) async fn looks(
        self,
        gate: &Gate,
        base: &Ask,
        camera: &CameraId,
        (from, until): Stretch,
    ) -> Result<(Vec<(Lease, Run)>, Vec<RefusedPiece>), Refused> {
        let law = self.all_law();
        let runs =
            if self.runs.is_empty() { vec![Run { from, until, law, kept: Vec::new() }] } else { self.runs };
        let mut looks = Vec::new();
        for run in runs {
            let mut one = base.clone();
            one.request.object = run.footage(camera);
            one.request.resolved.holds.clone_from(&run.law);
            match gate.look(one).await {
                Ok(lease) => looks.push((lease, run)),
                Err(Refused::Denied { .. }) if !looks.is_empty() => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok((looks, self.refused))
    }
}

/// A range in pieces, from the key frame on from which its first picture is decoded, where that may be seen too; and where
/// it begins.
///
/// # Errors
/// When what is there cannot be looked up.
pub(crate) async fn decodable(
    app: &App,
    request: &Request,
    camera: &CameraId,
    stream: StreamId,
    (from, until): Stretch,
) -> Result<(DateTime<Utc>, Pieces), ApiError> {
    let key = reach_back(app, camera, stream, from).await?;
    let pieces = Pieces::of(app, request, camera, (key, until))?;
    if pieces.refused.iter().any(|piece| piece.from < from) {
        return Ok((from, Pieces::of(app, request, camera, (from, until))?));
    }
    Ok((key, pieces))
}

/// The key frame from which the picture of an instant is decoded, or the instant itself where there is none near.
pub(crate) fn decodable_from(
    vault: &Vault,
    stream: StreamId,
    from: DateTime<Utc>,
    holds: &[String],
) -> Result<DateTime<Utc>, VaultError> {
    let key = vault.key_frame_before(stream, micros(from), holds)?.map(instant);
    Ok(key.filter(|key| from - *key <= LEAD).unwrap_or(from))
}

/// The same for all of a camera that is secured there; blocks for the disk.
pub(crate) async fn reach_back(
    app: &App,
    camera: &CameraId,
    stream: StreamId,
    from: DateTime<Utc>,
) -> Result<DateTime<Utc>, ApiError> {
    let holds = secured(app, camera, (from, from + TimeDelta::microseconds(1)))?;
    let holds: Vec<String> = holds.into_iter().map(|held| held.id).collect();
    let vault = app.vault.clone();
    let key = tokio::task::spawn_blocking(move || decodable_from(&vault, stream, from, &holds)).await;
    key.map_err(|e| ApiError::Internal(e.to_string()))?.map_err(|e| ApiError::Internal(e.to_string()))
}

#[cfg(test)]
mod tests;
