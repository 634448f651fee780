//! Questions over a stretch of time: when is something open, when does it open next, which pieces of footage may be seen.

use crate::{
    conditions::footage,
    decide::decide,
    decision::Decision,
    ids::CameraId,
    register::Register,
    request::{Object, Request},
};
use chrono::{DateTime, TimeDelta, Utc};

/// When a request would be permitted between two instants (UTC), as known now; touching intervals are one.
pub fn open_intervals(
    register: &Register,
    request: &Request,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut open: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    let mut at = from;
    while at < until {
        let decision = decide(register, request, at);
        let next = decision.until().map_or(until, |next| next.min(until));
        if decision.is_permit() {
            match open.last_mut() {
                Some(last) if last.1 == at => last.1 = next,
                _ => open.push((at, next)),
            }
        }
        at = next;
    }
    open
}

/// The first instant at or after `at` (UTC) at which a request would be permitted, as known now, no later than `at +
/// horizon`.
pub fn next_opening(
    register: &Register,
    request: &Request,
    at: DateTime<Utc>,
    horizon: TimeDelta,
) -> Option<DateTime<Utc>> {
    let last = at.checked_add_signed(horizon).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let mut instant = at;
    while instant <= last {
        let decision = decide(register, request, instant);
        if decision.is_permit() {
            return Some(instant);
        }
        instant = decision.until()?;
    }
    None
}

/// How long a frame of a camera captured at an instant is kept if nothing holds it: the least of 28 days, the term as
/// known then and as known now, in elapsed hours. None: the camera is not known.
pub fn retention_term(register: &Register, camera: &CameraId, captured: DateTime<Utc>) -> Option<TimeDelta> {
    let camera = register.grounds().camera(camera)?;
    Some(footage::capture(register, camera, captured).term)
}

/// A part of a range of footage with one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First capture time (UTC).
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// May it be seen, and why not.
    pub decision: Decision,
}

/// Cuts a range of footage into pieces with one answer each, in order and without gaps; a refused piece is a gap with a
/// reason (`decisions.md` 3). Empty when the request is not about footage.
pub fn footage_pieces(register: &Register, request: &Request, at: DateTime<Utc>) -> Vec<Piece> {
    let Object::Footage { camera, from, until } = &request.object else { return Vec::new() };
    let mut pieces: Vec<Piece> = Vec::new();
    let mut start = *from;
    while start < *until {
        let end = footage::piece_end(register, camera, start, at).map_or(*until, |end| end.min(*until));
        let object = Object::Footage { camera: camera.clone(), from: start, until: end };
        let decision = decide(register, &Request { object, ..request.clone() }, at);
        pieces.push(Piece { from: start, until: end, decision });
        start = end;
    }
    pieces
}
