//! The basis chain (B) and the window (W): ordinance, decree, area, consultation, signs, use, live (151c; Awb 3:40).
//!
//! A permit rests on one complete chain: decree version, its ordinance, area, and a period with its windows or an event
//! or emergency window (`decisions.md` 2). Any complete chain permits; else the chain that got furthest is reported.

use super::{Step, Walk, footage::Unlawful, refuse, sooner};
use crate::{
    decision::{FactKind, FactRef, ReasonCode},
    facts::{LiveOutsideWindow, OrganisationKind, PoliceInstruction, Role},
    grounds::{AreaGround, CameraGround, DecreeGround, ExtraGround, Grounds, PeriodGround, PositionGround},
    people::PersonGround,
    request::Actor,
    spans::Found,
    windows::WindowTable,
};
use arrayvec::ArrayVec;
use chrono::{DateTime, Utc};

/// The most facts of one chain beside its signs, with room.
const CHAIN_CAPACITY: usize = 16;

/// The facts of one chain.
#[derive(Clone, Default)]
pub(crate) struct ChainFacts<'a> {
    facts: ArrayVec<&'a FactRef, CHAIN_CAPACITY>,
    /// As many as the area has edges: they stay where the register has them.
    signs: &'a [FactRef],
}

impl<'a> ChainFacts<'a> {
    /// Each fact that the chain rests on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a FactRef> + use<'a, '_> {
        self.facts.iter().copied().chain(self.signs)
    }
}

/// How far a chain must reach.
#[derive(Clone, Copy)]
pub(crate) enum Reach<'a> {
    /// The use period: to record, and for footage.
    Use,
    /// Live viewing too, with what was resolved for looking outside the live windows (V12).
    Live(Outside<'a>),
}

/// What may open a picture outside the live windows.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'a> {
    incident: bool,
    /// Processor and company staff also need a police instruction.
    processor_staff: bool,
    instruction: Option<&'a (PoliceInstruction, FactRef)>,
    /// Who gave it.
    author: Option<&'a PersonGround>,
}

/// One chain, as far as it got.
#[derive(Clone)]
pub(crate) struct Chain<'a> {
    at: DateTime<Utc>,
    pub(crate) rests_on: ChainFacts<'a>,
    /// Whether it leans on the incident.
    on_incident: bool,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) failure: Option<Failure<'a>>,
    pub(crate) decree: Option<&'a DecreeGround>,
}

/// Where a chain broke.
#[derive(Clone, Copy)]
pub(crate) struct Failure<'a> {
    /// How far it got: the code's place in the order, after all of them for a window that only lacked its order.
    stage: (bool, ReasonCode),
    code: ReasonCode,
    fact: Option<&'a FactRef>,
}

type Link<'a> = Result<(), Failure<'a>>;

fn broken(code: ReasonCode, fact: Option<&FactRef>) -> Link<'_> {
    Err(Failure { stage: (false, code), code, fact })
}

impl<'a> Chain<'a> {
    fn new(at: DateTime<Utc>) -> Self {
        Self {
            at,
            rests_on: ChainFacts::default(),
            on_incident: false,
            until: None,
            failure: None,
            decree: None,
        }
    }

    fn rests_on(&mut self, fact: &'a FactRef) {
        if !self.rests_on.facts.is_full() {
            self.rests_on.facts.push(fact);
        }
    }

    fn changes(&mut self, instant: Option<DateTime<Utc>>) {
        self.until = sooner(self.until, instant, self.at);
    }
}

/// The basis to record now.
pub(crate) fn in_use(walk: &mut Walk<'_>) -> Step {
    adopt(walk, Reach::Use)
}

/// The basis to watch now.
pub(crate) fn live(walk: &mut Walk<'_>) -> Step {
    let staff = match &walk.request.actor {
        Actor::System => true,
        Actor::Person { person, .. } => {
            let kind = walk.register.people().person(person).and_then(|person| person.organisation.as_ref());
            !matches!(kind, Some((OrganisationKind::Police, _)))
        }
    };
    let resolved = &walk.request.resolved;
    let people = walk.register.people();
    let instruction = resolved.instruction.as_ref().and_then(|id| people.instruction(id));
    let outside = Outside {
        incident: resolved.incident.is_some(),
        processor_staff: staff,
        instruction,
        author: instruction.and_then(|(instruction, _)| people.person(&instruction.entered_by)),
    };
    adopt(walk, Reach::Live(outside))
}

fn adopt(walk: &mut Walk<'_>, reach: Reach<'_>) -> Step {
    let Some(camera) = walk.camera() else {
        return refuse(ReasonCode::NoDecreeForMunicipality, None);
    };
    let chain = best(walk.grounds(), camera, walk.at, reach);
    walk.changes(chain.until);
    if let Some(failure) = chain.failure {
        return refuse(failure.code, failure.fact);
    }
    for fact in chain.rests_on.iter() {
        walk.rests_on(fact);
    }
    if chain.on_incident
        && let Some(incident) = &walk.request.resolved.incident
    {
        walk.rests_on(&FactRef { kind: FactKind::Incident, id: incident.shared(), version: 1 });
    }
    Ok(())
}

/// The first complete chain in the order of preference, else the one that got furthest.
///
/// `until` of a complete chain also counts the chains that are preferred to it and could become complete; of an
/// incomplete one, every chain.
pub(crate) fn best<'a>(
    grounds: &'a Grounds,
    camera: &'a CameraGround,
    at: DateTime<Utc>,
    reach: Reach<'a>,
) -> Chain<'a> {
    let mut search = Search { awaited: None, furthest: None };
    let position = camera.position_at(at);
    for (index, decree) in grounds.decrees(&camera.camera.municipality).enumerate() {
        let mut chain = Chain::new(at);
        chain.decree = Some(decree);
        let links = decree_links(&mut chain, decree);
        let areas = position.and_then(|position| position.areas.get(index)).map_or(&[][..], Vec::as_slice);
        let links = links.and_then(|()| camera_link(&mut chain, camera, position, areas, &decree.fact));
        if let Err(failure) = links {
            search.offer_broken(chain, failure);
            continue;
        }
        for area in areas.iter().filter_map(|index| decree.areas.get(*index)) {
            for period in &decree.periods {
                let mut chain = chain.clone();
                let links = area_link(&mut chain, area)
                    .and_then(|()| period_links(&mut chain, area, period, camera, reach));
                if let Some(complete) = search.offer(chain, links) {
                    return complete;
                }
            }
            for extra in &decree.extras {
                if let Some((chain, links)) = extra_chain(&chain, area, extra)
                    && let Some(complete) = search.offer(chain, links)
                {
                    return complete;
                }
                search.await_extra(area, extra, at);
            }
            if decree.periods.is_empty() {
                let mut chain = chain.clone();
                let links = area_link(&mut chain, area)
                    .and_then(|()| broken(ReasonCode::OvjConsultationMissing, Some(&decree.fact)));
                if let Some(complete) = search.offer(chain, links) {
                    return complete;
                }
            }
        }
    }
    let mut chain = search.furthest.unwrap_or_else(|| {
        let mut none = Chain::new(at);
        let code = ReasonCode::NoDecreeForMunicipality;
        none.failure = Some(Failure { stage: (false, code), code, fact: Some(&camera.fact) });
        none
    });
    chain.until = sooner(chain.until, search.awaited, at);
    chain
}

struct Search<'a> {
    /// The earliest instant at which a chain that broke could do better.
    awaited: Option<DateTime<Utc>>,
    furthest: Option<Chain<'a>>,
}

impl<'a> Search<'a> {
    /// Returns the chain if it is complete; remembers it otherwise.
    fn offer(&mut self, mut chain: Chain<'a>, links: Link<'a>) -> Option<Chain<'a>> {
        match links {
            Ok(()) => {
                chain.until = sooner(chain.until, self.awaited, chain.at);
                Some(chain)
            }
            Err(failure) => {
                self.offer_broken(chain, failure);
                None
            }
        }
    }

    fn offer_broken(&mut self, mut chain: Chain<'a>, failure: Failure<'a>) {
        self.awaited = sooner(self.awaited, chain.until, chain.at);
        chain.failure = Some(failure);
        let best = self.furthest.as_ref().and_then(|furthest| furthest.failure).map(|failure| failure.stage);
        // Strictly further: of equals the first in the order of preference stays.
        if best.is_none_or(|best| failure.stage > best) {
            self.furthest = Some(chain);
        }
    }

    /// An event or emergency window that opens later can change the answer then.
    fn await_extra(&mut self, area: &AreaGround, extra: &ExtraGround, at: DateTime<Utc>) {
        if covers_area(extra, area) && extra.opens_at < extra.extra.until {
            self.awaited = sooner(self.awaited, Some(extra.opens_at), at);
        }
    }
}

/// The links that depend on the decree alone.
fn decree_links<'a>(chain: &mut Chain<'a>, ground: &'a DecreeGround) -> Link<'a> {
    let at = chain.at;
    let decree = &ground.decree;
    let Some((ordinance, fact)) = &ground.ordinance else {
        return broken(ReasonCode::OrdinanceNotInForce, Some(&ground.fact));
    };
    if !ordinance.grants_power || ordinance.municipality != decree.municipality {
        return broken(ReasonCode::OrdinanceNotInForce, Some(fact));
    }
    if at < ordinance.in_force_from || ordinance.in_force_until.is_some_and(|until| at >= until) {
        chain.changes(Some(ordinance.in_force_from));
        return broken(ReasonCode::OrdinanceNotInForce, Some(fact));
    }
    chain.changes(ordinance.in_force_until);
    chain.rests_on(fact);
    if !crate::grounds::competent(&decree.decided_by) {
        return broken(ReasonCode::NotCompetent, Some(&ground.fact));
    }
    if ground.effective_from.is_none_or(|from| at < from) {
        chain.changes(ground.effective_from);
        return broken(ReasonCode::DecreeNotInForce, Some(&ground.fact));
    }
    match ground.validity.at(at) {
        Found::In(span) => {
            chain.changes(Some(span.until));
            chain.rests_on(&ground.fact);
            if let Some(extension) = &span.rests_on {
                chain.rests_on(extension);
            }
        }
        Found::Out(next) => {
            chain.changes(next);
            return broken(ReasonCode::DecreeExpired, Some(&ground.fact));
        }
    }
    if let Some((revocation, fact)) = &ground.revocation {
        if revocation.revoked_from <= at {
            return broken(ReasonCode::DecreeRevoked, Some(fact));
        }
        chain.changes(Some(revocation.revoked_from));
    }
    if let Some(limit) = ground.limit {
        if limit <= at {
            return broken(ReasonCode::DecreeExceedsOrdinance, Some(&ground.fact));
        }
        chain.changes(Some(limit));
    }
    Ok(())
}

/// The camera hangs in an area of the decree. `areas` are those in which its point lies.
fn camera_link<'a>(
    chain: &mut Chain<'a>,
    camera: &'a CameraGround,
    position: Option<&'a PositionGround>,
    areas: &[usize],
    decree: &'a FactRef,
) -> Link<'a> {
    chain.changes(camera.next_position_from(chain.at));
    let Some(position) = position else {
        return broken(ReasonCode::CameraOutsideArea, Some(&camera.fact));
    };
    chain.changes(position.position.until);
    if areas.is_empty() {
        return broken(ReasonCode::CameraOutsideArea, Some(decree));
    }
    chain.rests_on(&camera.fact);
    chain.rests_on(&position.fact);
    Ok(())
}

/// The area is a place that may be designated at all (151c lid 1).
fn area_link<'a>(chain: &mut Chain<'a>, area: &'a AreaGround) -> Link<'a> {
    if !area.place_allowed {
        return broken(ReasonCode::CameraOutsideArea, Some(&area.fact));
    }
    chain.rests_on(&area.fact);
    Ok(())
}

/// The signs stand (151c lid 6).
fn sign_link<'a>(chain: &mut Chain<'a>, area: &'a AreaGround) -> Link<'a> {
    match area.signs.at(chain.at) {
        Found::In(span) => {
            chain.changes(Some(span.until));
            chain.rests_on.signs = &span.rests_on;
            Ok(())
        }
        Found::Out(next) => {
            chain.changes(next);
            broken(ReasonCode::SignageMissing, Some(&area.fact))
        }
    }
}

/// A window list opens, now.
fn window_link<'a>(
    chain: &mut Chain<'a>,
    windows: &'a WindowTable<FactRef>,
    code: ReasonCode,
    period: &'a FactRef,
) -> Link<'a> {
    match windows.at(chain.at) {
        Found::In(span) => {
            chain.changes(Some(span.until));
            chain.rests_on(&span.rests_on);
            Ok(())
        }
        Found::Out(next) => {
            chain.changes(next);
            broken(code, Some(period))
        }
    }
}

/// The ordinary way: a period with its consultation, signs, use and live windows (151c lid 3).
fn period_links<'a>(
    chain: &mut Chain<'a>,
    area: &'a AreaGround,
    ground: &'a PeriodGround,
    camera: &'a CameraGround,
    reach: Reach<'a>,
) -> Link<'a> {
    let at = chain.at;
    let Some(consultation) = &ground.consultation else {
        return broken(ReasonCode::OvjConsultationMissing, Some(&ground.fact));
    };
    chain.rests_on(consultation);
    sign_link(chain, area)?;
    let period = &ground.period;
    if at < period.effective_from || period.effective_until.is_some_and(|until| at >= until) {
        chain.changes(Some(period.effective_from));
        return broken(ReasonCode::OutsideUsePeriod, Some(&ground.fact));
    }
    chain.changes(period.effective_until);
    chain.rests_on(&ground.fact);
    if let Some(windows) = &ground.used {
        window_link(chain, windows, ReasonCode::OutsideUsePeriod, &ground.fact)?;
    }
    let Reach::Live(outside) = reach else { return Ok(()) };
    let in_window = window_link(chain, &ground.live, ReasonCode::OutsideLiveWindow, &ground.fact);
    match (in_window, ground.outside) {
        (Ok(()), _) | (Err(_), LiveOutsideWindow::Free) => Ok(()),
        (Err(failure), LiveOutsideWindow::Never) => Err(failure),
        (Err(failure), LiveOutsideWindow::PoliceIncident) => {
            if !outside.incident {
                return Err(failure);
            }
            chain.on_incident = true;
            if outside.processor_staff { instruction_link(chain, outside, camera, failure) } else { Ok(()) }
        }
    }
}

/// The police instruction covers this camera now (V12), and whoever gave it is a police operator who is authorised here
/// now (Wpg 6c lid 3): an instruction ends with the authority behind it.
fn instruction_link<'a>(
    chain: &mut Chain<'a>,
    outside: Outside<'a>,
    camera: &CameraGround,
    failure: Failure<'a>,
) -> Link<'a> {
    let Some((instruction, fact)) =
        outside.instruction.filter(|(i, _)| i.cameras.contains(&camera.camera.id))
    else {
        return Err(failure);
    };
    chain.changes(Some(instruction.from));
    if chain.at < instruction.from || chain.at >= instruction.until {
        return Err(failure);
    }
    chain.changes(Some(instruction.until));
    chain.rests_on(fact);
    let Some(author) = outside.author else { return Err(failure) };
    let Some((OrganisationKind::Police, organisation)) = &author.organisation else { return Err(failure) };
    for (authorisation, fact) in &author.authorisations {
        if authorisation.role == Role::PoliceOperator
            && authorisation.municipalities.contains(&camera.camera.municipality)
        {
            chain.changes(Some(authorisation.from));
            if authorisation.from <= chain.at && chain.at < authorisation.until {
                chain.changes(Some(authorisation.until));
                chain.rests_on(&author.fact);
                chain.rests_on(organisation);
                chain.rests_on(fact);
                return Ok(());
            }
        }
    }
    Err(failure)
}

fn covers_area(extra: &ExtraGround, area: &AreaGround) -> bool {
    extra.extra.area.as_ref().is_none_or(|id| *id == area.area.id)
}

/// An event or emergency window that is for this area and runs now: a chain of its own that opens use and live both.
/// One that does not run opens nothing and closes nothing. One that runs and lacks only a competent order or the
/// consultation got further than a period whose windows are closed, so that the reason names what was forgotten.
fn extra_chain<'a>(
    chain: &Chain<'a>,
    area: &'a AreaGround,
    extra: &'a ExtraGround,
) -> Option<(Chain<'a>, Link<'a>)> {
    if !covers_area(extra, area) || chain.at < extra.opens_at || chain.at >= extra.extra.until {
        return None;
    }
    let mut chain = chain.clone();
    let links = area_link(&mut chain, area).and_then(|()| sign_link(&mut chain, area)).and_then(|()| {
        chain.changes(Some(extra.extra.until));
        let lacking = |code| Err(Failure { stage: (true, code), code, fact: Some(&extra.fact) });
        if !extra.competent {
            return lacking(ReasonCode::NotCompetent);
        }
        let Some(consultation) = &extra.consultation else {
            return lacking(ReasonCode::OvjConsultationMissing);
        };
        chain.rests_on(consultation);
        chain.rests_on(&extra.fact);
        Ok(())
    });
    Some((chain, links))
}

impl<'a> Chain<'a> {
    /// That nothing recorded on it is lawful, if it broke.
    pub(crate) fn unlawful(&self) -> Option<Unlawful<'a>> {
        self.failure.map(|Failure { code, fact, .. }| Unlawful { code, fact })
    }
}
