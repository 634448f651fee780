//! What councils and mayors decide (Gemeentewet 151c): ordinances, decrees with their areas, extensions and revocations,
//! consultations, periods and windows, signs.

use crate::ids::{
    AreaId, ConsultationId, DecreeId, MunicipalityId, OrdinanceId, PeriodId, SignageId, WindowId,
};
use chrono::{DateTime, NaiveTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A municipality (gemeente): the boundary of every scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Municipality {
    /// `enschede`.
    pub id: MunicipalityId,
    /// The name people read.
    pub name: String,
    /// CBS code, for example `GM0153`.
    #[serde(default)]
    pub code: Option<String>,
}

/// A council ordinance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ordinance {
    /// Its id.
    pub id: OrdinanceId,
    /// Whose council.
    pub municipality: MunicipalityId,
    /// The article, as text.
    pub provision: String,
    /// Whether it gives the mayor the power of 151c.
    pub grants_power: bool,
    /// First instant in force.
    pub in_force_from: DateTime<Utc>,
    /// End, if any.
    #[serde(default)]
    pub in_force_until: Option<DateTime<Utc>>,
    /// The longest duration a decree may have, in calendar months.
    #[serde(default)]
    pub max_duration_months: Option<u32>,
    /// Other places open to everyone that it names (151c lid 1), for example `car_park`; public places always count.
    #[serde(default)]
    pub place_kinds: Vec<String>,
    /// Where its text was read.
    #[serde(default)]
    pub source_ref: Option<String>,
}

/// Who took a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The mayor.
    Mayor,
    /// Somebody under the mayor's written mandate.
    #[serde(alias = "mandated")]
    MayorMandated,
    /// Somebody else, in their own words: never competent.
    #[serde(untagged)]
    Other(String),
}

/// What a decree allows outside its live windows (GW-07).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiveOutsideWindow {
    /// Nothing.
    Never,
    /// On an open incident, and for processor staff on a police instruction. What a decree means that does not say.
    #[default]
    PoliceIncident,
    /// Any time inside the use period.
    Free,
}

/// A designation decree (aanwijzingsbesluit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decree {
    /// Its id, for example `DEMO-ENS-01`.
    pub id: DecreeId,
    /// Whose mayor.
    pub municipality: MunicipalityId,
    /// The ordinance it rests on.
    pub ordinance: OrdinanceId,
    /// Who decided.
    pub decided_by: DecidedBy,
    /// Who signed, and in what capacity (Gemeentewet 177).
    #[serde(default)]
    pub capacity: Option<String>,
    /// When it was signed.
    #[serde(default)]
    pub signed_at: Option<DateTime<Utc>>,
    /// When it was published; no effect before (Awb 3:40).
    #[serde(default)]
    pub published_at: Option<DateTime<Utc>>,
    /// Where it was published.
    #[serde(default)]
    pub publication_ref: Option<String>,
    /// First instant of validity.
    pub valid_from: DateTime<Utc>,
    /// End of validity.
    pub valid_until: DateTime<Utc>,
    /// Why it is necessary.
    #[serde(default)]
    pub necessity: Option<String>,
    /// Days of 24 hours that footage is kept; at most 28 counts.
    pub retention_days: u32,
    /// What it allows outside its live windows.
    #[serde(default)]
    pub live_outside_window: LiveOutsideWindow,
    /// When it must be reviewed.
    #[serde(default)]
    pub review_at: Option<DateTime<Utc>>,
    /// The data-protection impact assessment that covers it (Wpg 4c).
    #[serde(default)]
    pub impact_assessment_ref: Option<String>,
}

/// A ring of points, WGS 84, `[longitude, latitude]` in degrees.
pub type Ring = Vec<[f64; 2]>;

/// A designated area: a multi-polygon of one decree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// Its id.
    pub id: AreaId,
    /// The decree that designates it.
    pub decree: DecreeId,
    /// The name people read.
    pub name: String,
    /// `public_place`, or a kind that the ordinance names.
    #[serde(default = "public_place")]
    pub place_kind: String,
    /// Polygons; of each, the first ring is the outline, the others are holes.
    pub polygons: Vec<Vec<Ring>>,
    /// Why this area.
    #[serde(default)]
    pub reasoning: Option<String>,
}

fn public_place() -> String {
    "public_place".to_owned()
}

/// An extension of a decree (verlenging). It never fills a gap that has passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// The decree.
    pub decree: DecreeId,
    /// Running number within the decree, from 1.
    pub number: u32,
    /// When it was published.
    #[serde(default)]
    pub published_at: Option<DateTime<Utc>>,
    /// The new end.
    pub valid_until: DateTime<Utc>,
    /// The evaluation on which it rests.
    #[serde(default)]
    pub evaluation_ref: Option<String>,
}

/// A revocation of a decree (intrekking). It acts from `revoked_from`, published or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The decree.
    pub decree: DecreeId,
    /// The instant from which it is without effect.
    pub revoked_from: DateTime<Utc>,
    /// When it was published.
    #[serde(default)]
    pub published_at: Option<DateTime<Utc>>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A consultation with the public prosecutor (overleg, not consent).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consultation {
    /// Its reference.
    pub id: ConsultationId,
    /// The municipality.
    pub municipality: MunicipalityId,
    /// When it was held.
    pub held_at: DateTime<Utc>,
    /// `meeting`, `telephone`, `mail`.
    #[serde(default)]
    pub mode: Option<String>,
    /// Its outcome; any recorded outcome counts.
    #[serde(default)]
    pub outcome: Option<String>,
    /// Who was consulted.
    #[serde(default)]
    pub prosecutor: Option<String>,
    /// Where the minutes lie.
    #[serde(default)]
    pub minutes_ref: Option<String>,
    /// When it is to be held again (agreed in the driehoek; what was consulted stays consulted).
    #[serde(default)]
    pub review_at: Option<DateTime<Utc>>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A weekly window in wall-clock time of Europe/Amsterdam. It belongs to the local day on which it starts;
/// an end at or before its start lies on the next local day (conventions V3, V4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeeklyWindow {
    /// Its id.
    pub id: WindowId,
    /// The days on which it starts.
    pub days: Vec<Day>,
    /// Wall-clock start, `HH:MM` or `HH:MM:SS`.
    #[serde(with = "wall_clock")]
    #[schemars(with = "String")]
    pub start: NaiveTime,
    /// Wall-clock end.
    #[serde(with = "wall_clock")]
    #[schemars(with = "String")]
    pub end: NaiveTime,
}

/// When the cameras of a decree are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Use {
    /// Day and night.
    Continuous,
    /// In weekly windows.
    Weekly {
        /// The windows.
        windows: Vec<WeeklyWindow>,
    },
}

/// The mayor's decision on use and live viewing (151c lid 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Its id.
    pub id: PeriodId,
    /// The decree it executes.
    pub decree: DecreeId,
    /// The consultation it rests on; none recorded: no basis.
    #[serde(default)]
    pub consultation: Option<ConsultationId>,
    /// First instant.
    pub effective_from: DateTime<Utc>,
    /// End, if any.
    #[serde(default)]
    pub effective_until: Option<DateTime<Utc>>,
    /// When images are recorded.
    #[serde(rename = "use")]
    pub used: Use,
    /// When they are watched live.
    #[serde(default)]
    pub live: Vec<WeeklyWindow>,
    /// What this period allows outside its live windows; none: what the decree says.
    #[serde(default)]
    pub live_outside_window: Option<LiveOutsideWindow>,
    /// Why shorter does not suffice, for continuous use.
    #[serde(default)]
    pub motivation: Option<String>,
}

/// Event or emergency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExtraKind {
    /// Planned.
    Event,
    /// The fast path (GW-20).
    Emergency,
}

/// An event or emergency window; valid ones open use and live both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraWindow {
    /// Its id.
    pub id: WindowId,
    /// The decree inside which it lies.
    pub decree: DecreeId,
    /// The area it opens; none: every area of the decree.
    #[serde(default)]
    pub area: Option<AreaId>,
    /// Event or emergency.
    #[serde(rename = "type")]
    pub kind: ExtraKind,
    /// Start.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// Who ordered it.
    pub ordered_by: DecidedBy,
    /// When it was ordered.
    #[serde(default)]
    pub ordered_at: Option<DateTime<Utc>>,
    /// The consultation, held at or before the start.
    #[serde(default)]
    pub consultation: Option<ConsultationId>,
    /// Why.
    #[serde(default)]
    pub ground: Option<String>,
    /// When the order was confirmed in writing.
    #[serde(default)]
    pub written_confirmation_at: Option<DateTime<Utc>>,
}

impl ExtraWindow {
    /// Whether it says nothing new but that the order was confirmed in writing (GW-20).
    pub fn only_confirms(&self, earlier: &Self) -> bool {
        let written_confirmation_at = self.written_confirmation_at;
        written_confirmation_at.is_some() && Self { written_confirmation_at, ..earlier.clone() } == *self
    }
}

/// One required sign point of an area, from when until when it stood there (kenbaarheid).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signage {
    /// Its id.
    pub id: SignageId,
    /// The area.
    pub area: AreaId,
    /// Where.
    #[serde(default)]
    pub location: Option<String>,
    /// When the sign was placed; none: still missing.
    #[serde(default)]
    pub placed_at: Option<DateTime<Utc>>,
    /// When somebody last saw that it stands.
    #[serde(default)]
    pub checked_at: Option<DateTime<Utc>>,
    /// When it was removed.
    #[serde(default)]
    pub removed_at: Option<DateTime<Utc>>,
    /// A photograph of it.
    #[serde(default)]
    pub photo_ref: Option<String>,
}

/// Wall-clock times as `HH:MM` or `HH:MM:SS`.
mod wall_clock {
    use chrono::NaiveTime;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(t: &NaiveTime, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&t.format("%H:%M:%S"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<NaiveTime, D::Error> {
        let text = String::deserialize(d)?;
        NaiveTime::parse_from_str(&text, "%H:%M:%S")
            .or_else(|_| NaiveTime::parse_from_str(&text, "%H:%M"))
            .map_err(|_| D::Error::custom(format!("`{text}` is not a time of day; write it as \"21:00\"")))
    }
}
