//! What ends soon: agreements, authorisations, consultations, decrees, extensions, periods, signs to be looked at again,
//! permissions of company staff, training; and emergency windows that still wait for the mayor's written confirmation.

use crate::{
    decision::FactRef,
    facts::{ExtraKind, Fact, FactBody},
    ids::{AreaId, DecreeId, MunicipalityId, OrganisationId, PersonId, WindowId},
    policy::Policy,
    register::Register,
};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndingKind {
    /// A council ordinance (151c lid 1).
    Ordinance,
    /// A designation decree, at the end of its last extension (151c lid 2).
    Decree,
    /// A decree that must be reviewed (151c lid 5).
    DecreeReview,
    /// An extension of a decree.
    Extension,
    /// A period of use (151c lid 3).
    Period,
    /// An event or emergency window.
    ExtraWindow,
    /// A consultation that is to be held again.
    Consultation,
    /// A sign that somebody must look at again (151c lid 6).
    SignageCheck,
    /// Any agreement between the parties (Wpg 6c).
    Agreement,
    /// An authorisation (Wpg 6).
    Authorisation,
    /// The korpschef's permission for a person (Wpbr 7 lid 2).
    WpbrPermission,
    /// A person's training.
    Training,
}

impl EndingKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Ordinance,
        Self::Decree,
        Self::DecreeReview,
        Self::Extension,
        Self::Period,
        Self::ExtraWindow,
        Self::Consultation,
        Self::SignageCheck,
        Self::Agreement,
        Self::Authorisation,
        Self::WpbrPermission,
        Self::Training,
    ];
}

/// One fact that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// When (UTC).
    pub at: DateTime<Utc>,
    /// What.
    pub kind: EndingKind,
    /// Which fact, with its version.
    pub fact: FactRef,
    /// The municipalities that it is about; empty: all.
    pub municipalities: Vec<MunicipalityId>,
    /// The name people read, where the fact has one: the person, the area's sign, the parties.
    pub about: String,
}

/// An emergency window that waits for written confirmation (GW-20).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unconfirmed {
    /// The window.
    pub window: WindowId,
    /// Its fact.
    pub fact: FactRef,
    /// The decree.
    pub decree: DecreeId,
    /// The municipality.
    pub municipality: Option<MunicipalityId>,
    /// The area; none: every area of the decree.
    #[serde(default)]
    pub area: Option<AreaId>,
    /// When the mayor ordered it (UTC).
    #[serde(default)]
    pub ordered_at: Option<DateTime<Utc>>,
    /// Who entered it. The register does not know: the journal says it, where there is one.
    #[serde(default)]
    pub entered_by: Option<PersonId>,
    /// Start (UTC).
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// When the confirmation is due.
    pub due_at: DateTime<Utc>,
    /// Whether it is overdue.
    pub overdue: bool,
}

/// Everything that ends at `from <= t < until`, the soonest first. A fact that has a newer version ends as that says; a
/// decree that was extended ends with its last extension, and one that was revoked has ended.
pub fn endings(register: &Register, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Ending> {
    let mut endings: Vec<Ending> = register
        .facts()
        .iter()
        .flat_map(|fact| ends_of(register, fact))
        .filter(|ending| from <= ending.at && ending.at < until)
        .collect();
    endings.sort_by(|a, b| {
        (a.at, a.kind, &a.fact.id, a.fact.version).cmp(&(b.at, b.kind, &b.fact.id, b.fact.version))
    });
    endings
}

fn ends_of(register: &Register, fact: &Fact) -> Vec<Ending> {
    let reference = fact.reference();
    let ending = |kind, at: Option<DateTime<Utc>>, municipalities: Vec<MunicipalityId>, about: String| {
        let fact = reference.clone();
        at.map(|at| Ending { at, kind, fact, municipalities, about })
    };
    let of_decree = |id: &DecreeId| -> Vec<MunicipalityId> {
        register.decree(id).map(|decree| decree.municipality.clone()).into_iter().collect()
    };
    let revoked = |id: &DecreeId| register.grounds().decree(id).and_then(|ground| ground.revocation.as_ref());
    match &fact.body {
        FactBody::Ordinance(f) => vec![ending(
            EndingKind::Ordinance,
            f.in_force_until,
            vec![f.municipality.clone()],
            f.provision.clone(),
        )],
        FactBody::Decree(f) if revoked(&f.id).is_none() => {
            let here = vec![f.municipality.clone()];
            let end = register.decree_end(&f.id).unwrap_or(f.valid_until);
            vec![
                ending(EndingKind::Decree, Some(end), here.clone(), f.id.to_string()),
                ending(EndingKind::DecreeReview, f.review_at, here, f.id.to_string()),
            ]
        }
        FactBody::Extension(f) if revoked(&f.decree).is_none() => vec![ending(
            EndingKind::Extension,
            Some(f.valid_until),
            of_decree(&f.decree),
            f.decree.to_string(),
        )],
        FactBody::Period(f) if revoked(&f.decree).is_none() => {
            vec![ending(EndingKind::Period, f.effective_until, of_decree(&f.decree), f.decree.to_string())]
        }
        FactBody::ExtraWindow(f) if revoked(&f.decree).is_none() => {
            vec![ending(EndingKind::ExtraWindow, Some(f.until), of_decree(&f.decree), f.decree.to_string())]
        }
        FactBody::Consultation(f) => vec![ending(
            EndingKind::Consultation,
            f.review_at,
            vec![f.municipality.clone()],
            f.id.to_string(),
        )],
        FactBody::Signage(f) if f.removed_at.is_none() => {
            let seen_at = f.placed_at.map(|placed_at| f.checked_at.unwrap_or(placed_at).max(placed_at));
            let days = TimeDelta::days(register.policy().sign_check_days.into());
            let about = f.location.clone().unwrap_or_else(|| f.area.to_string());
            let here = register.municipality_of_area(&f.area).into_iter().cloned().collect();
            vec![ending(
                EndingKind::SignageCheck,
                seen_at.and_then(|at| at.checked_add_signed(days)),
                here,
                about,
            )]
        }
        FactBody::Agreement(f) => {
            let parties: Vec<&str> = f.parties.iter().map(OrganisationId::as_str).collect();
            vec![ending(EndingKind::Agreement, f.valid_until, Vec::new(), parties.join(" – "))]
        }
        FactBody::Authorisation(f) => {
            let name = register.person(&f.person).map_or_else(|| f.person.to_string(), |p| p.name.clone());
            vec![ending(EndingKind::Authorisation, Some(f.until), f.municipalities.clone(), name)]
        }
        FactBody::Person(f) => {
            let clearance = f.wpbr_permission_until;
            vec![
                ending(EndingKind::WpbrPermission, clearance, Vec::new(), f.name.clone()),
                ending(EndingKind::Training, f.training_until, Vec::new(), f.name.clone()),
            ]
        }
        _ => Vec::new(),
    }
    .into_iter()
    .flatten()
    .collect()
}

/// Emergency windows that have been entered and not yet confirmed in writing, the oldest first.
pub fn unconfirmed(register: &Register, at: DateTime<Utc>) -> Vec<Unconfirmed> {
    let Policy { confirmation_hours, .. } = register.policy();
    let term = TimeDelta::hours((*confirmation_hours).into());
    let mut waiting: Vec<Unconfirmed> = register
        .facts()
        .iter()
        .filter_map(|fact| match &fact.body {
            FactBody::ExtraWindow(f)
                if f.kind == ExtraKind::Emergency
                    && f.written_confirmation_at.is_none_or(|confirmed| at < confirmed) =>
            {
                let due_at = f.from.checked_add_signed(term).unwrap_or(f.from);
                Some(Unconfirmed {
                    window: f.id.clone(),
                    fact: fact.reference(),
                    municipality: register.decree(&f.decree).map(|decree| decree.municipality.clone()),
                    decree: f.decree.clone(),
                    area: f.area.clone(),
                    ordered_at: f.ordered_at,
                    entered_by: None,
                    from: f.from,
                    until: f.until,
                    due_at,
                    overdue: due_at <= at,
                })
            }
            _ => None,
        })
        .collect();
    waiting.sort_by(|a, b| (a.from, &a.window).cmp(&(b.from, &b.window)));
    waiting
}
