//! Looking ahead: when a camera is used and watched, when a person may act, and what a proposal would open and close.
//!
//! Nothing here decides anew: every interval is made of the same conditions that `decide` walks through, asked from one
//! instant at which the answer can change to the next.

use crate::{
    conditions::{Step, Walk},
    decide,
    decision::FactRef,
    facts::{Fact, FactBody, Role},
    ids::{CameraId, MunicipalityId, PersonId},
    register::Register,
    request::{Action, Object, Request},
    roles::{ROLE_MATRIX, may_ever},
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A stretch of time in which something is open, and what it rests on. Half-open, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Opening {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The facts it rests on; two openings touch where these change.
    pub basis: Vec<FactRef>,
}

/// A half-open stretch of time, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Recording (151c lid 3, use).
    Use,
    /// Live viewing inside the live windows (151c lid 3), whoever watches; looking on an incident is not in it.
    Live,
}

/// When one camera is used and watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CameraOutlook {
    /// The camera.
    pub camera: CameraId,
    /// Its municipality.
    pub municipality: MunicipalityId,
    /// When it is recorded.
    pub used: Vec<Opening>,
    /// When it is watched.
    pub live: Vec<Opening>,
}

/// When one person may act in one role in one municipality: authorisation, secrecy, agreements, clearance, shift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleOutlook {
    /// The role.
    pub role: Role,
    /// The municipality.
    pub municipality: MunicipalityId,
    /// When.
    pub openings: Vec<Opening>,
}

/// When one person may act, and which cameras they may watch when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonOutlook {
    /// The person.
    pub person: PersonId,
    /// Role by role.
    pub roles: Vec<RoleOutlook>,
    /// Each camera that opens for them at all, with the intervals of live viewing in any of their roles.
    pub cameras: Vec<(CameraId, Vec<Interval>)>,
}

impl PersonOutlook {
    /// Goes on with the outlook of the stretch that follows: what touches and rests on the same is one.
    pub fn append(&mut self, later: Self) {
        for role in later.roles {
            let known =
                self.roles.iter_mut().find(|r| r.role == role.role && r.municipality == role.municipality);
            let Some(known) = known else {
                self.roles.push(role);
                continue;
            };
            for opening in role.openings {
                match known.openings.last_mut() {
                    Some(last) if last.until == opening.from && last.basis == opening.basis => {
                        last.until = opening.until;
                    }
                    _ => known.openings.push(opening),
                }
            }
        }
        for (camera, intervals) in later.cameras {
            match self.cameras.iter_mut().find(|(known, _)| *known == camera) {
                Some((_, known)) => {
                    known.extend(intervals);
                    *known = union(std::mem::take(known));
                }
                None => self.cameras.push((camera, intervals)),
            }
        }
    }
}

/// When a camera is used or watched between two instants.
pub fn camera_openings(
    register: &Register,
    camera: &CameraId,
    view: View,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Opening> {
    let object = Object::Camera(camera.clone());
    match view {
        View::Use => {
            openings(register, &Request::by_system(Action::Record, object), decide::conditions, from, until)
        }
        // Nobody in particular watches: the person chain is left out, the picture's own conditions are not.
        View::Live => {
            openings(register, &Request::by_system(Action::LiveView, object), decide::live, from, until)
        }
    }
}

/// When one camera is used and watched. None: the register does not know it.
pub fn of_camera(
    register: &Register,
    camera: &CameraId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<CameraOutlook> {
    let municipality = register.camera(camera)?.municipality.clone();
    Some(CameraOutlook {
        camera: camera.clone(),
        municipality,
        used: camera_openings(register, camera, View::Use, from, until),
        live: camera_openings(register, camera, View::Live, from, until),
    })
}

/// The same for every camera of a municipality, in the order of their numbers.
pub fn of_municipality(
    register: &Register,
    municipality: &MunicipalityId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<CameraOutlook> {
    let cameras = register.cameras().filter(|camera| camera.municipality == *municipality);
    cameras.filter_map(|camera| of_camera(register, &camera.id, from, until)).collect()
}

/// When a person may act, and what they may watch live. None: the register does not know them.
///
/// Costs about a millisecond for each camera and month; ask a person's outlook for days or weeks, not for years.
pub fn of_person(
    register: &Register,
    person: &PersonId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<PersonOutlook> {
    register.person(person)?;
    let roles = role_outlooks(register, person, from, until);
    let watching: BTreeSet<Role> =
        roles.iter().map(|r| r.role).filter(|role| may_ever(*role, Action::LiveView)).collect();
    let mut cameras = Vec::new();
    for camera in register.cameras() {
        let mut open = Vec::new();
        for role in &watching {
            let object = Object::Camera(camera.id.clone());
            let request = Request::new(person.clone(), *role, Action::LiveView, object);
            let intervals = crate::calendar::open_intervals(register, &request, from, until);
            open.extend(intervals.into_iter().map(|(from, until)| Interval { from, until }));
        }
        if !open.is_empty() {
            cameras.push((camera.id.clone(), union(open)));
        }
    }
    Some(PersonOutlook { person: person.clone(), roles, cameras })
}

/// When a person may act, for every role and municipality in which they are or were authorised.
pub fn role_outlooks(
    register: &Register,
    person: &PersonId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<RoleOutlook> {
    let places: BTreeSet<(Role, &MunicipalityId)> = register
        .authorisations(person)
        .flat_map(|authorisation| authorisation.municipalities.iter().map(|m| (authorisation.role, m)))
        .collect();
    let outlook = |(role, municipality): (Role, &MunicipalityId)| {
        // Any action of the role will do: the chain asks the same for each, but for what a screen may always list.
        let (action, _) = ROLE_MATRIX.iter().find(|(_, roles)| roles.contains(&role))?;
        let object = Object::Municipality(municipality.clone());
        let request = Request::new(person.clone(), role, *action, object);
        let openings = openings(register, &request, decide::person, from, until);
        Some(RoleOutlook { role, municipality: municipality.clone(), openings })
    };
    places.into_iter().filter_map(outlook).collect()
}

/// Walks some conditions from boundary to boundary.
fn openings(
    register: &Register,
    request: &Request,
    conditions: impl Fn(&mut Walk<'_>) -> Step,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Opening> {
    let mut openings: Vec<Opening> = Vec::new();
    let mut at = from;
    while at < until {
        let mut walk = Walk::new(register, request, at);
        let open = conditions(&mut walk).is_ok();
        let next = walk.until.map_or(until, |next| next.min(until));
        if open {
            match openings.last_mut() {
                Some(last) if last.until == at && last.basis[..] == walk.basis[..] => last.until = next,
                _ => openings.push(Opening { from: at, until: next, basis: walk.basis.to_vec() }),
            }
        }
        at = next;
    }
    openings
}

/// The intervals of openings, touching ones joined.
pub fn joined(openings: &[Opening]) -> Vec<Interval> {
    union(openings.iter().map(|o| Interval { from: o.from, until: o.until }).collect())
}

/// Overlapping and touching intervals as one, in order; empty ones vanish.
pub fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals.into_iter().filter(|interval| interval.from < interval.until) {
        match joined.last_mut() {
            Some(last) if interval.from <= last.until => last.until = last.until.max(interval.until),
            _ => joined.push(interval),
        }
    }
    joined
}

/// What lies in the first list and not in the second; both as [`union`] makes them.
pub fn without(ones: &[Interval], others: &[Interval]) -> Vec<Interval> {
    let mut left = Vec::new();
    for one in ones {
        let mut from = one.from;
        for other in others.iter().filter(|other| other.until > one.from && other.from < one.until) {
            if from < other.from {
                left.push(Interval { from, until: other.from });
            }
            from = from.max(other.until);
        }
        if from < one.until {
            left.push(Interval { from, until: one.until });
        }
    }
    left
}

/// Whom or what a change is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "subject")]
pub enum Subject {
    /// A camera's recording or live viewing.
    Camera {
        /// The camera.
        camera: CameraId,
        /// Its municipality.
        municipality: MunicipalityId,
        /// Recording or watching.
        view: View,
    },
    /// A person in a role.
    Person {
        /// The person.
        person: PersonId,
        /// The role.
        role: Role,
        /// Where.
        municipality: MunicipalityId,
    },
}

/// What a proposal changes for one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Whom or what it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// Open after it and not before.
    pub opens: Vec<Interval>,
    /// Open before it and not after.
    pub closes: Vec<Interval>,
}

/// The facts as they would be if some were entered at an instant: each becomes the next version of its id. Build a
/// register of the result, known at that instant or later, and [`compare`] it with the one that is.
pub fn proposed(facts: &[Fact], bodies: &[FactBody], at: DateTime<Utc>) -> Vec<Fact> {
    let mut facts = facts.to_vec();
    for body in bodies {
        let key = body.key();
        let newest = facts.iter().filter(|fact| fact.body.key() == key).map(|fact| fact.version).max();
        let version = newest.map_or(1, |version| version.saturating_add(1));
        facts.push(Fact { known_from: at, version, body: body.clone() });
    }
    facts
}

/// What one register opens and closes between two instants, compared with another: cameras first, then persons. Those
/// for whom nothing changes are not in it.
///
/// Cameras that stand in the same areas at the same times are asked once, so that a year of hundreds takes well under a
/// second.
pub fn compare(
    before: &Register,
    after: &Register,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Change> {
    let (mut was, mut will) = (BTreeMap::new(), BTreeMap::new());
    every_camera(before, from, until, &mut was);
    every_camera(after, from, until, &mut will);
    every_person(before, from, until, &mut was);
    every_person(after, from, until, &mut will);
    let subjects: BTreeSet<&Subject> = was.keys().chain(will.keys()).collect();
    let changed = subjects.into_iter().filter_map(|subject| {
        let (was, will) = (was.get(subject), will.get(subject));
        let (was, will) = (was.map_or(&[][..], Vec::as_slice), will.map_or(&[][..], Vec::as_slice));
        let (opens, closes) = (without(will, was), without(was, will));
        let changes = !opens.is_empty() || !closes.is_empty();
        changes.then(|| Change { subject: subject.clone(), opens, closes })
    });
    changed.collect()
}

fn every_camera(
    register: &Register,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    all: &mut BTreeMap<Subject, Vec<Interval>>,
) {
    // The answer about a camera depends on where it stands when, its mask and its sound, and on nothing else of it.
    let mut known = BTreeMap::new();
    for camera in register.cameras() {
        let standing = register.grounds().camera(&camera.id).map(|ground| {
            let positions: Vec<_> = ground
                .positions
                .iter()
                .map(|p| {
                    let verified_at = p.mask.as_ref().and_then(|(mask, _)| mask.verified_at);
                    (p.position.from, p.position.until, p.areas.clone(), verified_at)
                })
                .collect();
            (camera.municipality.clone(), camera.audio, positions)
        });
        for view in [View::Use, View::Live] {
            let intervals = known
                .entry((standing.clone(), view))
                .or_insert_with(|| joined(&camera_openings(register, &camera.id, view, from, until)));
            let (camera, municipality) = (camera.id.clone(), camera.municipality.clone());
            all.insert(Subject::Camera { camera, municipality, view }, intervals.clone());
        }
    }
}

fn every_person(
    register: &Register,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    all: &mut BTreeMap<Subject, Vec<Interval>>,
) {
    for person in register.persons() {
        for outlook in role_outlooks(register, &person.id, from, until) {
            let RoleOutlook { role, municipality, openings } = outlook;
            all.insert(Subject::Person { person: person.id.clone(), role, municipality }, joined(&openings));
        }
    }
}
