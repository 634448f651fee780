//! The legal grounds as known at one instant: decrees with their ordinances, areas, signs, periods and windows, and
//! cameras with their positions and masks, compiled so that a question is a few look-ups.

use crate::{
    decision::{FactKind, FactRef},
    facts::{
        Area, Camera, Consultation, DecidedBy, Decree, Extension, ExtraWindow, Fact, FactBody,
        LiveOutsideWindow, Mask, Municipality, Ordinance, Period, Position, Revocation, Signage, Use,
        WeeklyWindow,
    },
    geometry,
    ids::{AreaId, CameraId, ConsultationId, DecreeId, MunicipalityId, OrdinanceId},
    register::RegisterError,
    spans::{Span, Spans},
    windows::{self, WindowTable},
};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

type Known<T> = (T, FactRef);

/// Everything about the basis.
#[derive(Debug, Default)]
pub(crate) struct Grounds {
    municipalities: BTreeMap<MunicipalityId, Municipality>,
    cameras: HashMap<CameraId, CameraGround>,
    camera_order: Vec<CameraId>,
    /// Of each municipality the decrees, in the order in which chains are preferred: latest start, then id.
    decrees: HashMap<MunicipalityId, Vec<DecreeGround>>,
    ordinances: Vec<Known<Ordinance>>,
    consultations: BTreeMap<ConsultationId, Known<Consultation>>,
}

/// A camera with its positions in order.
#[derive(Debug)]
pub(crate) struct CameraGround {
    pub(crate) camera: Camera,
    pub(crate) fact: FactRef,
    pub(crate) positions: Vec<PositionGround>,
}

/// Where a camera hung.
#[derive(Debug)]
pub(crate) struct PositionGround {
    pub(crate) position: Position,
    pub(crate) fact: FactRef,
    pub(crate) mask: Option<Known<Mask>>,
    /// For each decree of the municipality, in its order: the areas in which the point lies.
    pub(crate) areas: Vec<Vec<usize>>,
}

/// A decree version with all that hangs on it.
#[derive(Debug)]
pub(crate) struct DecreeGround {
    pub(crate) decree: Decree,
    pub(crate) fact: FactRef,
    pub(crate) ordinance: Option<Known<Ordinance>>,
    /// First instant of effect: start and publication (Awb 3:40); none: never published.
    pub(crate) effective_from: Option<DateTime<Utc>>,
    /// When it is in force: the decree itself, then what extensions add.
    pub(crate) validity: Spans<Option<FactRef>>,
    pub(crate) revocation: Option<Known<Revocation>>,
    /// The longest that the ordinance lets it last.
    pub(crate) limit: Option<DateTime<Utc>>,
    pub(crate) areas: Vec<AreaGround>,
    pub(crate) periods: Vec<PeriodGround>,
    pub(crate) extras: Vec<ExtraGround>,
}

/// A designated area.
#[derive(Debug)]
pub(crate) struct AreaGround {
    pub(crate) area: Area,
    pub(crate) fact: FactRef,
    /// A public place, or a place that the ordinance names (151c lid 1).
    pub(crate) place_allowed: bool,
    /// When all required sign points had a sign; rests on one sign of each point.
    pub(crate) signs: Spans<Box<[FactRef]>>,
}

/// Windows compiled to instants; shared between what was known at different instants, where they did not change.
pub(crate) type Windows = Arc<WindowTable<FactRef>>;

/// A period (151c lid 3).
#[derive(Debug)]
pub(crate) struct PeriodGround {
    pub(crate) period: Period,
    pub(crate) fact: FactRef,
    /// The consultation, if it was held at or before the period's start.
    pub(crate) consultation: Option<FactRef>,
    /// None: continuous.
    pub(crate) used: Option<Windows>,
    pub(crate) live: Windows,
    pub(crate) outside: LiveOutsideWindow,
}

/// An event or emergency window.
#[derive(Debug)]
pub(crate) struct ExtraGround {
    pub(crate) extra: ExtraWindow,
    pub(crate) fact: FactRef,
    /// Not before it was ordered.
    pub(crate) opens_at: DateTime<Utc>,
    pub(crate) competent: bool,
    /// The consultation, if it was held at or before the start.
    pub(crate) consultation: Option<FactRef>,
}

/// Facts of the basis by what they hang on; what is left over hangs on nothing and counts for nothing.
#[derive(Default)]
struct Loose<'a> {
    /// What was compiled already, to share what is the same.
    like: Option<&'a Grounds>,
    ordinances: HashMap<OrdinanceId, Known<Ordinance>>,
    decrees: Vec<Known<Decree>>,
    areas: HashMap<DecreeId, Vec<Known<Area>>>,
    extensions: HashMap<DecreeId, Vec<Known<Extension>>>,
    revocations: HashMap<DecreeId, Known<Revocation>>,
    periods: HashMap<DecreeId, Vec<Known<Period>>>,
    extras: HashMap<DecreeId, Vec<Known<ExtraWindow>>>,
    signs: HashMap<AreaId, Vec<Known<Signage>>>,
    cameras: Vec<Known<Camera>>,
    positions: HashMap<CameraId, Vec<Known<Position>>>,
    masks: HashMap<crate::ids::PositionId, Vec<Known<Mask>>>,
}

impl Grounds {
    /// Compiles facts that come sorted by kind and id.
    pub(crate) fn compile(facts: &[&Fact]) -> Self {
        Self::compile_beside(facts, None)
    }

    /// The same; windows of periods that other grounds know in the same version are shared with those.
    pub(crate) fn compile_beside(facts: &[&Fact], like: Option<&Self>) -> Self {
        let mut grounds = Self::default();
        let mut loose = Loose { like, ..Loose::default() };
        for fact in facts {
            let reference = fact.reference();
            match &fact.body {
                FactBody::Municipality(f) => {
                    grounds.municipalities.insert(f.id.clone(), f.clone());
                }
                FactBody::Ordinance(f) => {
                    grounds.ordinances.push((f.clone(), reference.clone()));
                    loose.ordinances.insert(f.id.clone(), (f.clone(), reference));
                }
                FactBody::Consultation(f) => {
                    grounds.consultations.insert(f.id.clone(), (f.clone(), reference));
                }
                FactBody::Decree(f) => loose.decrees.push((f.clone(), reference)),
                FactBody::Area(f) => {
                    loose.areas.entry(f.decree.clone()).or_default().push((f.clone(), reference));
                }
                FactBody::Extension(f) => {
                    loose.extensions.entry(f.decree.clone()).or_default().push((f.clone(), reference));
                }
                FactBody::Revocation(f) => {
                    loose.revocations.insert(f.decree.clone(), (f.clone(), reference));
                }
                FactBody::Period(f) => {
                    loose.periods.entry(f.decree.clone()).or_default().push((f.clone(), reference));
                }
                FactBody::ExtraWindow(f) => {
                    loose.extras.entry(f.decree.clone()).or_default().push((f.clone(), reference));
                }
                FactBody::Signage(f) => {
                    loose.signs.entry(f.area.clone()).or_default().push((f.clone(), reference));
                }
                FactBody::Camera(f) => loose.cameras.push((f.clone(), reference)),
                FactBody::Position(f) => {
                    loose.positions.entry(f.camera.clone()).or_default().push((f.clone(), reference));
                }
                FactBody::Mask(f) => {
                    loose.masks.entry(f.position.clone()).or_default().push((f.clone(), reference));
                }
                _ => {}
            }
        }
        let mut decrees = std::mem::take(&mut loose.decrees);
        decrees.sort_by(|(a, _), (b, _)| b.valid_from.cmp(&a.valid_from).then_with(|| a.id.cmp(&b.id)));
        for (decree, fact) in decrees {
            let municipality = decree.municipality.clone();
            let ground = grounds.decree_ground(decree, fact, &mut loose);
            grounds.decrees.entry(municipality).or_default().push(ground);
        }
        let mut cameras = std::mem::take(&mut loose.cameras);
        cameras.sort_by(|(a, _), (b, _)| a.number.cmp(&b.number).then_with(|| a.id.cmp(&b.id)));
        for (camera, fact) in cameras {
            let mut positions: Vec<PositionGround> = loose
                .positions
                .remove(&camera.id)
                .unwrap_or_default()
                .into_iter()
                // One that was called off before it began hangs nowhere, and hides no other.
                .filter(|(position, _)| position.until.is_none_or(|until| position.from < until))
                .map(|(position, fact)| {
                    let masks = loose.masks.remove(&position.id).unwrap_or_default();
                    // Of several masks for one position the one verified last counts.
                    let mask = masks.into_iter().max_by(|(a, _), (b, _)| {
                        a.verified_at.cmp(&b.verified_at).then_with(|| a.id.cmp(&b.id))
                    });
                    let areas =
                        grounds.decrees(&camera.municipality).map(|decree| decree.areas_at(position.point));
                    PositionGround { areas: areas.collect(), position, fact, mask }
                })
                .collect();
            positions.sort_by(|a, b| {
                a.position.from.cmp(&b.position.from).then_with(|| a.position.id.cmp(&b.position.id))
            });
            grounds.camera_order.push(camera.id.clone());
            grounds.cameras.insert(camera.id.clone(), CameraGround { camera, fact, positions });
        }
        grounds
    }

    /// Compiles the windows around an instant, so that deciding about it only looks up.
    pub(crate) fn prepare(&self, around: DateTime<Utc>) {
        for period in self.decrees.values().flatten().flat_map(|decree| &decree.periods) {
            period.live.prepare(around);
            if let Some(used) = &period.used {
                used.prepare(around);
            }
        }
    }

    /// Whether the facts contradict each other.
    pub(crate) fn check(&self) -> Result<(), RegisterError> {
        for camera in self.cameras.values() {
            for (first, second) in camera.positions.iter().zip(camera.positions.iter().skip(1)) {
                let overlap = first.position.until.is_none_or(|until| second.position.from < until)
                    && second.position.until.is_none_or(|until| second.position.from < until);
                if overlap {
                    return Err(RegisterError::PositionsOverlap {
                        camera: camera.camera.id.clone(),
                        first: first.position.id.to_string(),
                        second: second.position.id.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    fn decree_ground(&self, decree: Decree, fact: FactRef, loose: &mut Loose<'_>) -> DecreeGround {
        let like = loose.like.and_then(|like| like.decree(&decree.id));
        let ordinance = loose.ordinances.get(&decree.ordinance).cloned();
        let effective_from = decree.published_at.map(|published| published.max(decree.valid_from));
        let mut validity: Vec<Span<Option<FactRef>>> = effective_from
            .map(|from| Span { from, until: decree.valid_until, rests_on: None })
            .into_iter()
            .collect();
        let mut end = decree.valid_until;
        for (extension, fact) in loose.extensions.remove(&decree.id).unwrap_or_default() {
            if let (Some(from), Some(published)) = (effective_from, extension.published_at) {
                // An extension never fills a gap that has passed, and adds nothing before the decree's own end.
                let from = published.max(decree.valid_until).max(from);
                validity.push(Span { from, until: extension.valid_until, rests_on: Some(fact) });
                end = end.max(extension.valid_until);
            }
        }
        let limit = ordinance
            .as_ref()
            .and_then(|(ordinance, _)| ordinance.max_duration_months)
            .map(|months| windows::months_later(decree.valid_from, months).unwrap_or(decree.valid_from));
        let place_kinds = ordinance.as_ref().map(|(o, _)| o.place_kinds.clone()).unwrap_or_default();
        let areas = loose
            .areas
            .remove(&decree.id)
            .unwrap_or_default()
            .into_iter()
            .map(|(area, fact)| AreaGround {
                place_allowed: area.place_kind == "public_place" || place_kinds.contains(&area.place_kind),
                signs: signs(&loose.signs.remove(&area.id).unwrap_or_default()),
                area,
                fact,
            })
            .collect();
        let mut periods: Vec<PeriodGround> = loose
            .periods
            .remove(&decree.id)
            .unwrap_or_default()
            .into_iter()
            .map(|(period, fact)| self.period_ground(period, fact, &decree, end, like))
            .collect();
        periods.sort_by(|a, b| {
            b.period.effective_from.cmp(&a.period.effective_from).then_with(|| a.period.id.cmp(&b.period.id))
        });
        let mut extras: Vec<ExtraGround> = loose
            .extras
            .remove(&decree.id)
            .unwrap_or_default()
            .into_iter()
            .map(|(extra, fact)| ExtraGround {
                opens_at: extra.ordered_at.map_or(extra.from, |ordered| ordered.max(extra.from)),
                competent: competent(&extra.ordered_by),
                consultation: self.consulted(extra.consultation.as_ref(), &decree.municipality, extra.from),
                extra,
                fact,
            })
            .collect();
        extras.sort_by(|a, b| a.extra.from.cmp(&b.extra.from).then_with(|| a.extra.id.cmp(&b.extra.id)));
        DecreeGround {
            revocation: loose.revocations.remove(&decree.id),
            validity: Spans::new(validity),
            decree,
            fact,
            ordinance,
            effective_from,
            limit,
            areas,
            periods,
            extras,
        }
    }

    fn period_ground(
        &self,
        period: Period,
        fact: FactRef,
        decree: &Decree,
        end: DateTime<Utc>,
        like: Option<&DecreeGround>,
    ) -> PeriodGround {
        let from = period.effective_from.max(decree.valid_from);
        let until = period.effective_until.map_or(end, |until| until.min(end));
        let same = like
            .into_iter()
            .flat_map(|like| &like.periods)
            .find(|other| other.fact == fact && other.period == period && other.live.runs(from, until));
        let (used, live) = if let Some(same) = same {
            (same.used.clone(), Arc::clone(&same.live))
        } else {
            let used = match &period.used {
                Use::Continuous => None,
                Use::Weekly { windows } => Some(compiled(&fact, windows, from, until)),
            };
            (used, compiled(&fact, &period.live, from, until))
        };
        PeriodGround {
            consultation: self.consulted(
                period.consultation.as_ref(),
                &decree.municipality,
                period.effective_from,
            ),
            used,
            live,
            outside: period.live_outside_window.unwrap_or(decree.live_outside_window),
            period,
            fact,
        }
    }

    /// The consultation, if it exists, is of this municipality and was held at or before an instant. Any outcome counts.
    fn consulted(
        &self,
        id: Option<&ConsultationId>,
        municipality: &MunicipalityId,
        before: DateTime<Utc>,
    ) -> Option<FactRef> {
        let (consultation, fact) = self.consultations.get(id?)?;
        (consultation.municipality == *municipality && consultation.held_at <= before).then(|| fact.clone())
    }

    pub(crate) fn municipalities(&self) -> impl Iterator<Item = &Municipality> {
        self.municipalities.values()
    }

    pub(crate) fn cameras(&self) -> impl Iterator<Item = &Camera> {
        self.camera_order.iter().filter_map(|id| self.cameras.get(id)).map(|ground| &ground.camera)
    }

    pub(crate) fn camera(&self, id: &CameraId) -> Option<&CameraGround> {
        self.cameras.get(id)
    }

    pub(crate) fn decrees(&self, municipality: &MunicipalityId) -> impl Iterator<Item = &DecreeGround> {
        self.decrees.get(municipality).into_iter().flatten()
    }

    pub(crate) fn decree(&self, id: &DecreeId) -> Option<&DecreeGround> {
        self.decrees.values().flatten().find(|ground| ground.decree.id == *id)
    }

    /// The ordinances of a municipality.
    pub(crate) fn ordinances<'a>(
        &'a self,
        municipality: &'a MunicipalityId,
    ) -> impl Iterator<Item = &'a Ordinance> {
        self.ordinances
            .iter()
            .map(|(ordinance, _)| ordinance)
            .filter(move |o| o.municipality == *municipality)
    }
}

impl CameraGround {
    /// The position at an instant.
    pub(crate) fn position_at(&self, at: DateTime<Utc>) -> Option<&PositionGround> {
        let next = self.positions.partition_point(|ground| ground.position.from <= at);
        let ground = self.positions.get(next.checked_sub(1)?)?;
        ground.position.until.is_none_or(|until| at < until).then_some(ground)
    }

    /// When the next position starts.
    pub(crate) fn next_position_from(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.positions.partition_point(|ground| ground.position.from <= at);
        self.positions.get(next).map(|ground| ground.position.from)
    }
}

/// A period's windows as they run inside `from..until`, each resting on the period's version.
fn compiled(
    period: &FactRef,
    windows: &[WeeklyWindow],
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Windows {
    let referenced = windows.iter().map(|w| {
        let fact = FactRef { kind: FactKind::Window, id: w.id.shared(), version: period.version };
        (w.clone(), fact)
    });
    Arc::new(WindowTable::new(referenced.collect(), from, until))
}

impl DecreeGround {
    fn areas_at(&self, point: [f64; 2]) -> Vec<usize> {
        let inside = |(_, ground): &(usize, &AreaGround)| geometry::inside(point, &ground.area.polygons);
        self.areas.iter().enumerate().filter(inside).map(|(index, _)| index).collect()
    }

    /// Published, started, not over, not revoked.
    pub(crate) fn in_force(&self, at: DateTime<Utc>) -> bool {
        matches!(self.validity.at(at), crate::spans::Found::In(_))
            && self.revocation.as_ref().is_none_or(|(revocation, _)| at < revocation.revoked_from)
    }
}

/// Whether the one who decided may (151c lid 2; Gemeentewet 177).
pub(crate) fn competent(decided_by: &DecidedBy) -> bool {
    matches!(decided_by, DecidedBy::Mayor | DecidedBy::MayorMandated)
}

/// When every required sign point of an area had a sign (GW-13). Entries with the same location are one point: a new
/// sign there replaces the old one. No entry at all: never.
fn signs(entries: &[Known<Signage>]) -> Spans<Box<[FactRef]>> {
    let mut points: BTreeMap<String, Vec<Span<Box<[FactRef]>>>> = BTreeMap::new();
    for (sign, fact) in entries {
        let point = sign.location.clone().unwrap_or_else(|| format!("#{}", sign.id));
        let spans = points.entry(point).or_default();
        if let Some(from) = sign.placed_at {
            let until = sign.removed_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
            spans.push(Span { from, until, rests_on: Box::new([fact.clone()]) });
        }
    }
    let mut points = points.into_values().map(Spans::new);
    let Some(first) = points.next() else { return Spans::new(Vec::new()) };
    points.fold(first, |all, point| {
        let mut both = Vec::new();
        for one in all.iter() {
            for other in point.iter() {
                let (from, until) = (one.from.max(other.from), one.until.min(other.until));
                if from < until {
                    let rests_on = one.rests_on.iter().chain(&other.rests_on).cloned().collect();
                    both.push(Span { from, until, rests_on });
                }
            }
        }
        Spans::new(both)
    })
}
