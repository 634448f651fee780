//! The register as known at one instant: an immutable snapshot, ready to be asked.
//!
//! Building it resolves every reference, polygon and wall-clock window once, so that deciding only looks up. What was
//! known at an earlier instant is compiled ahead ([`Register::warm`]) or when a question about old footage first needs it, and
//! kept, also by the registers that follow ([`Register::share_known`]).

use crate::{
    decision::{FactKind, FactRef},
    facts::{
        AuditKind, Authorisation, Camera, Decree, Fact, FactBody, Municipality, Organisation, Person,
        PoliceInstruction, Position, Shift,
    },
    grounds::Grounds,
    ids::{AreaId, CameraId, DecreeId, InstructionId, MunicipalityId, OrganisationId, PersonId},
    people::People,
    policy::{Policy, RULES_VERSION},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};
use thiserror::Error;

/// Facts that contradict each other, so that no register can be built. A reference that leads nowhere is not an error:
/// what is missing is denied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The same version of the same id with two contents.
    #[error("{kind:?} `{id}` version {version} was recorded twice with different contents")]
    VersionTwice {
        /// What it is.
        kind: FactKind,
        /// Its id.
        id: Arc<str>,
        /// The version.
        version: u32,
    },
    /// A camera at two places at once.
    #[error("camera `{camera}` has two positions at the same time: `{first}` and `{second}`")]
    PositionsOverlap {
        /// The camera.
        camera: CameraId,
        /// The position that starts first.
        first: String,
        /// The other.
        second: String,
    },
}

/// An instant at which more became known about the basis, and what was known from then on; compiled when it is first asked
/// about, and shared with later snapshots.
type Epoch = (DateTime<Utc>, Arc<OnceLock<Arc<Grounds>>>);

/// The facts as known at one instant, resolved and compiled.
#[derive(Debug)]
pub struct Register {
    known_at: DateTime<Utc>,
    policy: Policy,
    policy_version: Arc<str>,
    now: Arc<Grounds>,
    people: People,
    /// The newest version of every fact.
    current: Vec<Fact>,
    /// Facts about the basis, kept for the question "as known then".
    history: Vec<Fact>,
    /// The instants at which what is known about the basis changed, with what was known from then on.
    epochs: Vec<Epoch>,
    /// Known before anything was.
    nothing: Grounds,
}

/// The newest version of every fact that was known at an instant, in the order of kind and id, so that the order of the
/// journal does not matter.
fn as_known(facts: &[Fact], at: DateTime<Utc>) -> Result<Vec<&Fact>, RegisterError> {
    let mut newest: BTreeMap<(FactKind, Arc<str>), &Fact> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.known_from <= at) {
        let key = fact.body.key();
        match newest.get(&key) {
            Some(other) if other.version == fact.version && other.body != fact.body => {
                return Err(RegisterError::VersionTwice { kind: key.0, id: key.1, version: fact.version });
            }
            Some(other) if other.version >= fact.version => {}
            _ => {
                newest.insert(key, fact);
            }
        }
    }
    Ok(newest.into_values().collect())
}

impl Register {
    /// The register as known at an instant, under the default policy.
    pub fn build(facts: &[Fact], known_at: DateTime<Utc>) -> Result<Self, RegisterError> {
        Self::with_policy(facts, known_at, Policy::default())
    }

    /// The register as known at an instant, under the controller's policy.
    pub fn with_policy(
        facts: &[Fact],
        known_at: DateTime<Utc>,
        policy: Policy,
    ) -> Result<Self, RegisterError> {
        let known = as_known(facts, known_at)?;
        let now = Grounds::compile(&known);
        now.check()?;
        now.prepare(known_at);
        let history: Vec<Fact> = facts
            .iter()
            .filter(|fact| fact.known_from <= known_at && fact.body.is_ground())
            .cloned()
            .collect();
        let instants: BTreeSet<DateTime<Utc>> = history.iter().map(|fact| fact.known_from).collect();
        let policy_version = format!(
            "rules {RULES_VERSION}, replay {} s, log {} y, host {}, time zones {}",
            policy.replay_limit.map_or(0, |limit| limit.num_seconds()),
            policy.log_term_years,
            policy.host.as_ref().map_or("-", OrganisationId::as_str),
            chrono_tz::IANA_TZDB_VERSION,
        );
        Ok(Self {
            known_at,
            policy,
            policy_version: policy_version.into(),
            now: Arc::new(now),
            people: People::compile(&known),
            current: known.into_iter().cloned().collect(),
            history,
            epochs: instants.into_iter().map(|at| (at, Arc::default())).collect(),
            nothing: Grounds::compile(&[]),
        })
    }

    /// The instant at which everything in it was known (UTC).
    pub fn known_at(&self) -> DateTime<Utc> {
        self.known_at
    }

    /// Which rules, settings and time-zone data decide; goes into the log.
    pub fn policy_version(&self) -> Arc<str> {
        Arc::clone(&self.policy_version)
    }

    /// The controller's settings.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The newest version of every fact, by kind and id.
    pub fn facts(&self) -> &[Fact] {
        &self.current
    }

    /// The municipalities, by id.
    pub fn municipalities(&self) -> impl Iterator<Item = &Municipality> {
        self.now.municipalities()
    }

    /// The cameras, by the number that operators type, then by id.
    pub fn cameras(&self) -> impl Iterator<Item = &Camera> {
        self.now.cameras()
    }

    /// One camera.
    pub fn camera(&self, id: &CameraId) -> Option<&Camera> {
        self.now.camera(id).map(|ground| &ground.camera)
    }

    /// Where a camera hangs at an instant.
    pub fn position_at(&self, camera: &CameraId, at: DateTime<Utc>) -> Option<&Position> {
        self.now.camera(camera)?.position_at(at).map(|ground| &ground.position)
    }

    /// The decrees of a municipality, the latest first.
    pub fn decrees(&self, municipality: &MunicipalityId) -> impl Iterator<Item = &Decree> {
        self.now.decrees(municipality).map(|ground| &ground.decree)
    }

    /// One decree.
    pub fn decree(&self, id: &DecreeId) -> Option<&Decree> {
        self.now.decree(id).map(|ground| &ground.decree)
    }

    /// When a decree ends by its own date or its last extension, revocation apart.
    pub fn decree_end(&self, id: &DecreeId) -> Option<DateTime<Utc>> {
        let ground = self.now.decree(id)?;
        ground.validity.iter().map(|span| span.until).max()
    }

    /// The municipality whose decree designates an area.
    pub fn municipality_of_area(&self, area: &AreaId) -> Option<&MunicipalityId> {
        let mut decrees = self.municipalities().flat_map(|municipality| self.now.decrees(&municipality.id));
        decrees
            .find(|decree| decree.areas.iter().any(|ground| ground.area.id == *area))
            .map(|ground| &ground.decree.municipality)
    }

    /// The decree in force at an instant (published, not over, not revoked) in whose area a camera then stands.
    pub fn decree_of(&self, camera: &CameraId, at: DateTime<Utc>) -> Option<&Decree> {
        let ground = self.now.camera(camera)?;
        let position = ground.position_at(at)?;
        self.now.decrees(&ground.camera.municipality).enumerate().find_map(|(index, decree)| {
            let inside = position.areas.get(index).is_some_and(|areas| !areas.is_empty());
            (inside && decree.in_force(at)).then_some(&decree.decree)
        })
    }

    /// One person.
    pub fn person(&self, id: &PersonId) -> Option<&Person> {
        self.people.person(id).map(|ground| &ground.person)
    }

    /// Everyone with an account, by id.
    pub fn persons(&self) -> impl Iterator<Item = &Person> {
        self.people.persons().map(|ground| &ground.person)
    }

    /// One organisation.
    pub fn organisation(&self, id: &OrganisationId) -> Option<&Organisation> {
        self.people.organisation(id)
    }

    /// The authorisations of a person, past and future ones too.
    pub fn authorisations(&self, person: &PersonId) -> impl Iterator<Item = &Authorisation> {
        self.people.person(person).into_iter().flat_map(|ground| ground.authorisations.iter().map(|(a, _)| a))
    }

    /// The shift that a person is on.
    pub fn shift_at(&self, person: &PersonId, at: DateTime<Utc>) -> Option<&Shift> {
        self.people
            .person(person)?
            .shifts
            .iter()
            .map(|(shift, _)| shift)
            .find(|s| s.from <= at && at < s.until)
    }

    /// One police instruction.
    pub fn instruction(&self, id: &InstructionId) -> Option<&PoliceInstruction> {
        self.people.instruction(id).map(|(instruction, _)| instruction)
    }

    /// The newest police instruction that covers a camera at an instant, for the daemon to resolve.
    pub fn instruction_for(&self, camera: &CameraId, at: DateTime<Utc>) -> Option<&PoliceInstruction> {
        self.people.instruction_for(camera, at)
    }

    /// Until when the log has been audited by an independent auditor (Wpg 32 lid 4, 33): before any such audit nothing is
    /// covered, and nothing may be purged.
    pub fn audited_until(&self) -> Option<DateTime<Utc>> {
        let audits = self.current.iter().filter_map(|fact| match &fact.body {
            FactBody::Audit(audit) if audit.kind == AuditKind::External && audit.done_at.is_some() => {
                Some(audit.scope_until)
            }
            _ => None,
        });
        audits.max()
    }

    pub(crate) fn grounds(&self) -> &Grounds {
        &self.now
    }

    pub(crate) fn people(&self) -> &People {
        &self.people
    }

    /// What was known about the basis at an instant, and the instant at which more became known.
    pub(crate) fn grounds_known_at(&self, at: DateTime<Utc>) -> (&Grounds, Option<DateTime<Utc>>) {
        let next = self.epochs.partition_point(|(known_from, _)| *known_from <= at);
        let more_known_at = self.epochs.get(next).map(|(known_from, _)| *known_from);
        let grounds = match next.checked_sub(1).and_then(|index| self.epochs.get(index)) {
            None => &self.nothing,
            Some(_) if more_known_at.is_none() => &self.now,
            Some(epoch) => self.compiled(epoch),
        };
        (grounds, more_known_at)
    }

    fn compiled<'a>(&'a self, (known_from, grounds): &'a Epoch) -> &'a Grounds {
        grounds.get_or_init(|| {
            // `build` has found that no version is there twice, so an earlier choice among them exists too.
            let known = as_known(&self.history, *known_from).unwrap_or_default();
            Arc::new(Grounds::compile_beside(&known, Some(&self.now)))
        })
    }

    /// Compiles what was known at every instant of `from..until` (UTC), so that deciding about footage of then only looks up.
    pub fn warm(&self, from: DateTime<Utc>, until: DateTime<Utc>) {
        self.warm_lasting(from, until, TimeDelta::zero(), usize::MAX);
    }

    /// The same for what stayed known for `shortest` or longer, and for so many instants at most, the newest first: a register
    /// that was entered fact by fact knew something else at every one of them, and little of it was ever recorded under.
    pub fn warm_lasting(&self, from: DateTime<Utc>, until: DateTime<Utc>, shortest: TimeDelta, most: usize) {
        let first = self.epochs.partition_point(|(known_from, _)| *known_from <= from).saturating_sub(1);
        let ends = self.epochs.iter().skip(1).map(|(at, _)| *at);
        // The last of them is what is known now, which is compiled: it has no end to pair with.
        let mut lasting: Vec<&Epoch> = (self.epochs.iter().zip(ends).skip(first))
            .take_while(|((at, _), _)| *at < until)
            .filter(|((at, _), end)| shortest <= *end - *at)
            .map(|(epoch, _)| epoch)
            .collect();
        lasting.reverse();
        for epoch in lasting.into_iter().take(most) {
            self.compiled(epoch);
        }
    }

    /// Takes over what another register of the same journal has compiled of what was known at instants from `since` on (UTC).
    /// Only where both know the same: a fact more, and the instant is compiled anew.
    pub fn share_known(&mut self, other: &Self, since: DateTime<Utc>) {
        let same =
            self.history.iter().zip(&other.history).take_while(|(one, another)| one == another).count();
        let beyond = |history: &[Fact]| history.iter().skip(same).map(|fact| fact.known_from).min();
        let differs_from = beyond(&self.history).into_iter().chain(beyond(&other.history)).min();
        let current = other.epochs.len().checked_sub(1);
        // What held at `since` was known before.
        let first = self.epochs.partition_point(|(known_from, _)| *known_from <= since).saturating_sub(1);
        for (known_from, grounds) in self.epochs.iter_mut().skip(first) {
            if differs_from.is_some_and(|differs| differs <= *known_from) {
                continue;
            }
            if let Ok(index) = other.epochs.binary_search_by_key(known_from, |(at, _)| *at)
                && let Some((_, known)) = other.epochs.get(index)
            {
                grounds.clone_from(known);
                if Some(index) == current {
                    // What the other knows now is what was known then.
                    grounds.get_or_init(|| Arc::clone(&other.now));
                }
            }
        }
    }
}

impl FactBody {
    /// Its kind and id: what a new version must share with the one that it corrects.
    pub fn key(&self) -> (FactKind, Arc<str>) {
        use crate::facts::AgreementKind;
        match self {
            Self::Municipality(f) => (FactKind::Municipality, f.id.shared()),
            Self::Organisation(f) => (FactKind::Organisation, f.id.shared()),
            Self::Ordinance(f) => (FactKind::Ordinance, f.id.shared()),
            Self::Decree(f) => (FactKind::Decree, f.id.shared()),
            Self::Area(f) => (FactKind::Area, f.id.shared()),
            Self::Extension(f) => (FactKind::Extension, format!("{}/{}", f.decree, f.number).into()),
            Self::Revocation(f) => (FactKind::Revocation, f.decree.shared()),
            Self::Consultation(f) => (FactKind::Consultation, f.id.shared()),
            Self::Period(f) => (FactKind::Period, f.id.shared()),
            Self::ExtraWindow(f) => (FactKind::ExtraWindow, f.id.shared()),
            Self::Signage(f) => (FactKind::Signage, f.id.shared()),
            Self::Camera(f) => (FactKind::Camera, f.id.shared()),
            Self::Position(f) => (FactKind::Position, f.id.shared()),
            Self::Mask(f) => (FactKind::Mask, f.id.shared()),
            Self::Agreement(f) => (
                match f.kind {
                    AgreementKind::Processor => FactKind::ProcessorAgreement,
                    AgreementKind::Subprocessor => FactKind::SubprocessorAgreement,
                    AgreementKind::Cooperation
                    | AgreementKind::ServiceMunicipalities
                    | AgreementKind::ServiceSecurity => FactKind::Agreement,
                },
                f.id.shared(),
            ),
            Self::Person(f) => (FactKind::Person, f.id.shared()),
            Self::Authorisation(f) => (FactKind::Authorisation, f.id.shared()),
            Self::Shift(f) => (FactKind::Shift, f.id.shared()),
            Self::Instruction(f) => (FactKind::Instruction, f.id.shared()),
            Self::Breach(f) => (FactKind::Breach, f.id.shared()),
            Self::SubjectRequest(f) => (FactKind::SubjectRequest, f.id.shared()),
            Self::Audit(f) => (FactKind::Audit, f.id.shared()),
            Self::AuditFinding(f) => (FactKind::AuditFinding, f.id.shared()),
            Self::Maintenance(f) => (FactKind::Maintenance, f.id.shared()),
        }
    }

    /// Whether it is about the legal basis rather than about persons: only these are asked for "as known then".
    fn is_ground(&self) -> bool {
        !matches!(
            self,
            Self::Organisation(_)
                | Self::Agreement(_)
                | Self::Person(_)
                | Self::Authorisation(_)
                | Self::Shift(_)
                | Self::Instruction(_)
                | Self::Maintenance(_)
        ) && !self.is_record()
    }
}

impl Fact {
    /// Its reference: kind, id and version.
    pub fn reference(&self) -> FactRef {
        let (kind, id) = self.body.key();
        FactRef { kind, id, version: self.version }
    }
}
