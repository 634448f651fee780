//! The conditions, a module for each group, and the walk through them that gathers basis, `until` and obligations.

use crate::{
    decision::{Basis, FactRef, Obligations, ReasonCode},
    grounds::{CameraGround, Grounds},
    ids::MunicipalityId,
    register::Register,
    request::{Object, Request},
    roles,
    statement::Statement,
};
use chrono::{DateTime, Utc};

pub(crate) mod basis;
pub(crate) mod configure;
pub(crate) mod footage;
pub(crate) mod forbidden;
pub(crate) mod person;
pub(crate) mod picture;
pub(crate) mod purpose;
pub(crate) mod records;

/// The first condition that failed.
pub(crate) struct Refusal {
    pub(crate) code: ReasonCode,
    pub(crate) fact: Option<FactRef>,
}

/// One condition: it holds, or the walk ends here.
pub(crate) type Step = Result<(), Refusal>;

/// The condition fails.
pub(crate) fn refuse(code: ReasonCode, fact: Option<&FactRef>) -> Step {
    Err(Refusal { code, fact: fact.cloned() })
}

/// The condition holds, or fails with a code.
pub(crate) fn need(holds: bool, code: ReasonCode) -> Step {
    if holds { Ok(()) } else { refuse(code, None) }
}

/// One decision in the making.
pub(crate) struct Walk<'a> {
    pub(crate) register: &'a Register,
    pub(crate) request: &'a Request,
    pub(crate) at: DateTime<Utc>,
    pub(crate) basis: Basis,
    /// Every fact that the answer rests on is in the basis.
    pub(crate) complete: bool,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) obligations: Obligations,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(register: &'a Register, request: &'a Request, at: DateTime<Utc>) -> Self {
        let obligations = Obligations::new(roles::logged_as(request.action));
        Self { register, request, at, basis: Basis::new(), complete: true, until: None, obligations }
    }

    /// The answer rests on this fact. The capacity exceeds the longest chains; a range of footage can still exceed it, and then
    /// the permit says that it names not all.
    pub(crate) fn rests_on(&mut self, fact: &FactRef) {
        if self.basis.contains(fact) {
            return;
        }
        if self.basis.is_full() {
            self.complete = false;
        } else {
            self.basis.push(fact.clone());
        }
    }

    /// The answer could change at this instant.
    pub(crate) fn changes(&mut self, instant: Option<DateTime<Utc>>) {
        self.until = sooner(self.until, instant, self.at);
    }

    pub(crate) fn statement(&self) -> Option<&'a Statement> {
        self.request.statement.as_deref()
    }

    pub(crate) fn grounds(&self) -> &'a Grounds {
        self.register.grounds()
    }

    /// The camera that the request is about, as known now.
    pub(crate) fn camera(&self) -> Option<&'a CameraGround> {
        self.request.object.camera().and_then(|id| self.grounds().camera(id))
    }

    /// The municipality that the request is about.
    pub(crate) fn municipality(&self) -> Option<&'a MunicipalityId> {
        match &self.request.object {
            Object::None => None,
            Object::Municipality(municipality) => Some(municipality),
            Object::Camera(_) | Object::Footage { .. } => {
                self.camera().map(|ground| &ground.camera.municipality)
            }
        }
    }
}

/// The earlier of two instants, of those after `at`. The end of time is no instant.
pub(crate) fn sooner(
    one: Option<DateTime<Utc>>,
    other: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let other = other.filter(|instant| *instant > at && *instant < DateTime::<Utc>::MAX_UTC);
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
