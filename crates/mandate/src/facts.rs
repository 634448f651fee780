//! The facts that decisions rest on (`Gemeentewet` 151c, `Wpg`), as the municipalities and the police recorded them.
//!
//! A fact is never overwritten. Each [`Fact`] carries the instant at which it became known; a correction is a new
//! version of the same id. The register "as known at k" is the newest version of every id with `known_from <= k`.
//! All instants are UTC; wall-clock windows are in Europe/Amsterdam. Intervals are half-open: `from <= t < until`.

use crate::ids::{
    AgreementId, AreaId, AuthorisationId, CameraId, ConsultationId, DecreeId, InstructionId, MaskId,
    MunicipalityId, OrdinanceId, OrganisationId, PeriodId, PersonId, PositionId, ShiftId, SignageId,
    WindowId,
};
use chrono::{DateTime, NaiveTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One version of one fact, with the instant from which it was known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// When this version became effective in the register (UTC).
    pub known_from: DateTime<Utc>,
    /// 1 for the first version of an id, then one more each time.
    pub version: u32,
    /// What was recorded.
    pub body: FactBody,
}

/// What a fact says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FactBody {
    /// A municipality that takes part.
    Municipality(Municipality),
    /// An organisation that takes part.
    Organisation(Organisation),
    /// A council ordinance that gives the mayor the power (151c lid 1).
    Ordinance(Ordinance),
    /// A designation decree of a mayor (151c lid 2).
    Decree(Decree),
    /// An area designated by a decree.
    Area(Area),
    /// An extension of a decree.
    Extension(Extension),
    /// A revocation of a decree (151c lid 5).
    Revocation(Revocation),
    /// A consultation with the public prosecutor (151c lid 3).
    Consultation(Consultation),
    /// The period in which cameras are used and watched (151c lid 3).
    Period(Period),
    /// An event or emergency window.
    ExtraWindow(ExtraWindow),
    /// A sign register entry (151c lid 6).
    Signage(Signage),
    /// A camera.
    Camera(Camera),
    /// Where a camera hung, from when until when.
    Position(Position),
    /// A privacy mask and its verification (151c lid 7).
    Mask(Mask),
    /// An agreement between the parties (Wpg 6c).
    Agreement(Agreement),
    /// A person with an account.
    Person(Person),
    /// An authorisation of a person (Wpg 6).
    Authorisation(Authorisation),
    /// A shift of an observer.
    Shift(Shift),
    /// A police instruction to look outside the live windows.
    Instruction(PoliceInstruction),
}

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

/// An organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// `politie`, `vrt`, `rj-security`, `gemeente-enschede`.
    pub id: OrganisationId,
    /// The name people read.
    pub name: String,
    /// Which part it plays under the Wpg; `type` in JSON, where `kind` is the tag of the fact (files may say `kind`).
    #[serde(rename = "type", alias = "kind")]
    pub kind: OrganisationKind,
}

/// The part an organisation plays under the Wpg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrganisationKind {
    /// The controller (Wpg 1 f).
    Police,
    /// The processor: the Veiligheidsregio (Wpg 6c).
    Processor,
    /// The sub-processor: the security company.
    SecurityCompany,
    /// A municipality.
    Municipality,
    /// The public prosecution service.
    PublicProsecutor,
    /// Anyone else.
    Other,
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
    #[default]
    Never,
    /// On an open incident, and for processor staff on a police instruction.
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

/// A camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// Its id.
    pub id: CameraId,
    /// Its municipality.
    pub municipality: MunicipalityId,
    /// The number that operators type.
    pub number: u32,
    /// The name people read.
    pub name: String,
    /// Whether it can be steered.
    #[serde(default)]
    pub ptz: bool,
    /// What it is: `fixed`, `dome`, `mobile`.
    #[serde(default)]
    pub model: Option<String>,
    /// Whether it delivers sound. Such a camera is neither recorded nor shown until its sound is switched off (policy).
    #[serde(default)]
    pub audio: bool,
}

/// Where a camera hung. Positions of one camera do not overlap; its area is derived, never entered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Its id.
    pub id: PositionId,
    /// The camera.
    pub camera: CameraId,
    /// WGS 84 `[longitude, latitude]` in degrees.
    pub point: [f64; 2],
    /// What the view is for (IEC 62676-4:2025: overview, outline, discern, perceive, characterise, validate, scrutinise).
    #[serde(default)]
    pub view_class: Option<String>,
    /// Pixels per metre, measured at the far end of the view.
    #[serde(default)]
    pub measured_px_m: Option<f64>,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End, if any.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
}

/// The privacy mask of a camera at a position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// Its id.
    pub id: MaskId,
    /// The position it was made for.
    pub position: PositionId,
    /// When a police operator verified it; none: not verified.
    #[serde(default)]
    pub verified_at: Option<DateTime<Utc>>,
    /// Who verified it.
    #[serde(default)]
    pub verified_by: Option<PersonId>,
    /// What it covers, in words or as a reference to the polygons in the camera.
    #[serde(default)]
    pub geometry_ref: Option<String>,
    /// The presets for which it was made, of a camera that can be steered.
    #[serde(default)]
    pub presets: Vec<String>,
}

/// Which agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgreementKind {
    /// Police and VRT cooperate.
    Cooperation,
    /// Police – VRT (Wpg 6c lid 2).
    Processor,
    /// VRT – security company (Wpg 6c lid 4).
    Subprocessor,
    /// Municipalities – VRT.
    ServiceMunicipalities,
    /// VRT – security company, services.
    ServiceSecurity,
}

/// An agreement between the parties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Its id.
    pub id: AgreementId,
    /// Which one.
    #[serde(rename = "type")]
    pub kind: AgreementKind,
    /// The parties, controller or client first.
    pub parties: Vec<OrganisationId>,
    /// First instant.
    pub valid_from: DateTime<Utc>,
    /// End, if any.
    #[serde(default)]
    pub valid_until: Option<DateTime<Utc>>,
    /// The controller's written consent (sub-processor only).
    #[serde(default)]
    pub controller_consent_ref: Option<String>,
    /// The agreement above it in the chain.
    #[serde(default)]
    pub parent: Option<AgreementId>,
    /// The points of Bpg 6:1b that it covers.
    #[serde(default)]
    pub checklist: Vec<String>,
}

/// A natural person with an account; never a shared desk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Its id, which is also the log-in name.
    pub id: PersonId,
    /// The name people read.
    pub name: String,
    /// The employer.
    pub organisation: OrganisationId,
    /// When the undertaking of secrecy was signed (Wpg 7).
    #[serde(default)]
    pub secrecy_signed_at: Option<DateTime<Utc>>,
    /// End of the korpschef's permission (Wpbr 7 lid 2), company staff only.
    #[serde(default)]
    pub wpbr_permission_until: Option<DateTime<Utc>>,
    /// The employer's number for them.
    #[serde(default)]
    pub personnel_no: Option<String>,
    /// End of the training that is valid (policy; listed ahead, no condition).
    #[serde(default)]
    pub training_until: Option<DateTime<Utc>>,
}

/// A role. The first names are those of `domain.md` 5b.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Camera-observant (security company).
    Observer,
    /// RTR-coördinator (VRT).
    RoomCoordinator,
    /// Politieregisseur.
    PoliceOperator,
    /// Opsporingsambtenaar.
    Investigator,
    /// Mandated police officer for release and hold.
    PoliceApprover,
    /// Privacyfunctionaris (Wpg 34).
    PrivacyOfficer,
    /// Auditor (Wpg 33).
    Auditor,
    /// Beheerder besluitenregister.
    LegalAdmin,
    /// Ambtenaar OOV of one municipality.
    MunicipalOfficer,
    /// Autorisatiebeheerder.
    UserAdmin,
    /// Technisch beheerder.
    SystemAdmin,
    /// The platform itself.
    System,
    /// No role in this processing.
    None,
}

/// An authorisation of one person for one role (Wpg 6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorisation {
    /// Its id.
    pub id: AuthorisationId,
    /// The person.
    pub person: PersonId,
    /// The role.
    pub role: Role,
    /// The municipalities in scope.
    pub municipalities: Vec<MunicipalityId>,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The controller's document.
    #[serde(default)]
    pub document_ref: Option<String>,
    /// Who granted it; never the person itself.
    #[serde(default)]
    pub granted_by: Option<PersonId>,
}

/// A shift of an observer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Its id.
    pub id: ShiftId,
    /// The person.
    pub person: PersonId,
    /// Start.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// At which desk.
    #[serde(default)]
    pub desk: Option<String>,
    /// Minutes between two changes of desk.
    #[serde(default)]
    pub rotation_minutes: Option<u32>,
}

/// A police operator's instruction to look at cameras outside the live windows (V12).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoliceInstruction {
    /// Its reference.
    pub id: InstructionId,
    /// The cameras.
    pub cameras: Vec<CameraId>,
    /// Start.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The police operator who entered it.
    pub entered_by: PersonId,
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
