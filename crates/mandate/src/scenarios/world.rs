//! The facts and the request of one scenario, read leniently from JSON.

use crate::{
    dossier::{DestroyGround, Export, ExportState, Hold, HoldState},
    facts::{
        Agreement, AgreementKind, Area, Authorisation, Camera, Consultation, DecidedBy, Decree, Extension,
        ExtraKind, ExtraWindow, Fact, FactBody, LiveOutsideWindow, Mask, Municipality, Ordinance,
        Organisation, OrganisationKind, Period, Person, PoliceInstruction, Position, Revocation, Role, Shift,
        Signage, Use, WeeklyWindow,
    },
    ids::{CameraId, ExportId, IncidentId, InstructionId, MunicipalityId, OrganisationId, PersonId},
    policy::Policy,
    request::{Action, Actor, Object, Request, Resolved},
    statement::{DisclosureDecision, Proposal, RecipientKind, Statement, Target},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An area that no decree designates and in which nothing stands.
const NOWHERE: [f64; 2] = [-90.0, -45.0];

/// One scenario's world.
pub(super) struct World<'a> {
    given: &'a Value,
    scenario: &'a Value,
    said: &'a Value,
}

/// An instant in RFC 3339.
pub(super) fn instant(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| at.to_utc())
}

fn field<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    field(value, key).as_str()
}

fn owned(value: &Value, key: &str) -> Option<String> {
    text(value, key).map(str::to_owned)
}

fn at(value: &Value, key: &str) -> Option<DateTime<Utc>> {
    instant(field(value, key))
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    field(value, key).as_array().into_iter().flatten()
}

/// A word of a vocabulary; none when it is not in it.
fn word<T: DeserializeOwned>(value: &Value, key: &str) -> Option<T> {
    serde_json::from_value(field(value, key).clone()).ok()
}

fn number(value: &Value, key: &str) -> Option<u32> {
    field(value, key).as_u64().and_then(|number| u32::try_from(number).ok())
}

/// The beginning of time: facts without dates hold always.
fn always() -> DateTime<Utc> {
    DateTime::<Utc>::MIN_UTC
}

/// The end of any scenario: what has no start has not started yet (V8).
fn not_yet() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(9000, 1, 1).unwrap_or(NaiveDate::MAX).and_time(chrono::NaiveTime::MIN).and_utc()
}

/// The areas of a scenario as squares side by side, one for each name, so that a name is a place.
fn square(name: &str) -> [f64; 2] {
    // Any injective map of names will do; the suite's names are short, and equal hashes would need equal names here.
    let hash =
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    [(hash % 1_000_003) as f64 / 10_000.0, (hash / 1_000_003 % 1_000_003) as f64 / 100_000.0]
}

fn point_in(area: Option<&str>) -> [f64; 2] {
    area.map_or(NOWHERE, square)
}

impl<'a> World<'a> {
    pub(super) fn new(given: &'a Value, scenario: &'a Value) -> Self {
        Self { given, scenario, said: field(scenario, "request") }
    }

    /// The controller's settings.
    pub(super) fn policy(&self) -> Policy {
        let minutes = field(field(self.given, "settings"), "observer_replay_limit_minutes").as_i64();
        // The platform's own actor says where it runs.
        let host = text(field(field(self.given, "actors"), "system"), "organisation").map(Into::into);
        Policy { replay_limit: minutes.and_then(TimeDelta::try_minutes), host, ..Policy::default() }
    }

    /// Everything in the world, known always.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let mut bodies = Vec::new();
        self.basis(&mut bodies);
        self.camera(&mut bodies);
        self.parties(&mut bodies);
        self.persons(&mut bodies);
        bodies.into_iter().map(|body| Fact { known_from: always(), version: 1, body }).collect()
    }

    fn basis(&self, bodies: &mut Vec<FactBody>) {
        let ordinance = field(self.given, "ordinance");
        let ordinance_id = text(ordinance, "id").unwrap_or("ordinance");
        if let Some(in_force_from) = at(ordinance, "in_force_from") {
            bodies.push(FactBody::Ordinance(Ordinance {
                id: ordinance_id.into(),
                municipality: text(ordinance, "municipality").unwrap_or_default().into(),
                provision: owned(ordinance, "provision").unwrap_or_default(),
                grants_power: field(ordinance, "grants_power").as_bool().unwrap_or(false),
                in_force_from,
                in_force_until: at(ordinance, "in_force_until"),
                max_duration_months: number(ordinance, "max_duration_months"),
                place_kinds: list(ordinance, "place_kinds")
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                source_ref: None,
            }));
        }
        let decree = field(self.given, "decree");
        let Some(id) = text(decree, "id") else { return };
        let valid_from = at(decree, "valid_from").unwrap_or_else(not_yet);
        let municipality: MunicipalityId = text(decree, "municipality").unwrap_or_default().into();
        bodies.push(FactBody::Municipality(Municipality {
            id: municipality.clone(),
            name: municipality.to_string(),
            code: None,
        }));
        bodies.push(FactBody::Decree(Decree {
            id: id.into(),
            municipality: municipality.clone(),
            ordinance: ordinance_id.into(),
            decided_by: decided_by(decree, "decided_by"),
            signed_at: at(decree, "signed_at"),
            published_at: at(decree, "published_at"),
            publication_ref: None,
            valid_from,
            // Without an end there is no definite duration, so it never is in force.
            valid_until: at(decree, "valid_until").unwrap_or(valid_from),
            necessity: None,
            retention_days: number(decree, "retention_days").unwrap_or(0),
            // A table that does not say it means none (V12), whatever the register takes a silent decree for (GW-07).
            live_outside_window: word(decree, "live_outside_window").unwrap_or(LiveOutsideWindow::Never),
            review_at: None,
            capacity: None,
            impact_assessment_ref: None,
        }));
        for (number, extension) in list(decree, "extensions").enumerate() {
            if let Some(valid_until) = at(extension, "valid_until") {
                bodies.push(FactBody::Extension(Extension {
                    decree: id.into(),
                    number: number as u32 + 1,
                    published_at: at(extension, "published_at"),
                    valid_until,
                    evaluation_ref: None,
                }));
            }
        }
        if let Some(revoked_from) = at(decree, "revoked_from") {
            bodies.push(FactBody::Revocation(Revocation {
                decree: id.into(),
                revoked_from,
                published_at: None,
                reason: None,
            }));
        }
        if let Some(area) = text(decree, "area_id") {
            let [x, y] = square(area);
            let side = 0.000_001;
            let ring =
                vec![[x - side, y - side], [x + side, y - side], [x + side, y + side], [x - side, y + side]];
            bodies.push(FactBody::Area(Area {
                id: area.into(),
                decree: id.into(),
                name: area.to_owned(),
                place_kind: text(decree, "place_kind").unwrap_or("public_place").to_owned(),
                polygons: vec![vec![ring]],
                reasoning: None,
            }));
            bodies.push(FactBody::Signage(Signage {
                id: "signs".into(),
                area: area.into(),
                location: None,
                placed_at: at(decree, "signage_in_place_since"),
                removed_at: None,
                checked_at: None,
                photo_ref: None,
            }));
        }
        self.period(bodies, id, &municipality);
    }

    fn period(&self, bodies: &mut Vec<FactBody>, decree: &str, municipality: &MunicipalityId) {
        let period = field(self.given, "period");
        let consulted = |bodies: &mut Vec<FactBody>, value: &Value, id: &str| {
            let consultation = field(value, "ovj_consultation");
            let held_at = at(consultation, "held_at")?;
            bodies.push(FactBody::Consultation(Consultation {
                id: id.into(),
                municipality: municipality.clone(),
                held_at,
                mode: owned(consultation, "mode"),
                outcome: owned(consultation, "outcome"),
                prosecutor: None,
                minutes_ref: None,
                review_at: None,
            }));
            Some(id.into())
        };
        for (number, extra) in list(period, "extra").enumerate() {
            let kind: Option<ExtraKind> = word(extra, "kind");
            if let (Some(kind), Some(from), Some(until)) = (kind, at(extra, "from"), at(extra, "until")) {
                let consultation = consulted(bodies, extra, &format!("consultation of extra {number}"));
                bodies.push(FactBody::ExtraWindow(ExtraWindow {
                    id: text(extra, "id").map_or_else(|| format!("extra {number}"), str::to_owned).into(),
                    decree: decree.into(),
                    // No area named is inside no area.
                    area: Some(text(extra, "area_id").unwrap_or("(no area)").into()),
                    kind,
                    from,
                    until,
                    ordered_by: decided_by(extra, "ordered_by"),
                    ordered_at: at(extra, "ordered_at"),
                    consultation,
                    ground: owned(extra, "ground"),
                    written_confirmation_at: at(extra, "written_confirmation_at"),
                }));
            }
        }
        if !period.is_object() {
            return;
        }
        let effective_from = at(period, "effective_from").unwrap_or_else(not_yet);
        let used = field(period, "use");
        let consultation = consulted(bodies, period, "consultation");
        // Said by the decree or by the period; by both, the narrower holds.
        let outside =
            [field(period, "live_outside_window"), field(field(self.given, "decree"), "live_outside_window")]
                .into_iter()
                .filter(|value| !value.is_null())
                .map(|value| serde_json::from_value(value.clone()).unwrap_or(LiveOutsideWindow::Never))
                .min_by_key(|outside| *outside as u8);
        bodies.push(FactBody::Period(Period {
            id: "period".into(),
            decree: decree.into(),
            consultation,
            effective_from,
            effective_until: at(period, "effective_until"),
            used: match text(used, "mode") {
                Some("continuous") => Use::Continuous,
                Some("weekly") => Use::Weekly { windows: windows(used, "windows") },
                _ => Use::Weekly { windows: Vec::new() },
            },
            live: windows(period, "live"),
            live_outside_window: outside,
            motivation: None,
        }));
    }

    fn camera_id(&self) -> CameraId {
        text(field(self.given, "camera"), "id").unwrap_or("camera").into()
    }

    fn camera(&self, bodies: &mut Vec<FactBody>) {
        let camera = field(self.given, "camera");
        bodies.push(FactBody::Camera(Camera {
            id: self.camera_id(),
            municipality: text(camera, "municipality").unwrap_or_default().into(),
            number: 1,
            name: self.camera_id().to_string(),
            ptz: field(camera, "ptz").as_bool().unwrap_or(false),
            audio: field(camera, "audio").as_bool().unwrap_or(false),
            model: None,
        }));
        let verified = field(camera, "mask_verified").as_bool() == Some(true);
        for (number, position) in list(camera, "positions").enumerate() {
            let id = format!("position {}", number + 1);
            bodies.push(FactBody::Position(Position {
                id: id.as_str().into(),
                camera: self.camera_id(),
                point: point_in(text(position, "area_id")),
                from: at(position, "from").unwrap_or_else(always),
                until: at(position, "until"),
                view_class: None,
                measured_px_m: None,
            }));
            bodies.push(FactBody::Mask(Mask {
                id: format!("mask of {id}").into(),
                position: id.into(),
                verified_at: verified.then(always),
                verified_by: None,
                geometry_ref: None,
                presets: Vec::new(),
            }));
        }
    }

    fn parties(&self, bodies: &mut Vec<FactBody>) {
        let agreements = field(self.given, "agreements");
        let kinds = [
            ("processor", "controller", AgreementKind::Processor),
            ("subprocessor", "processor", AgreementKind::Subprocessor),
        ];
        for (name, first, kind) in kinds {
            let agreement = field(agreements, name);
            if let Some(valid_from) = at(agreement, "valid_from") {
                bodies.push(FactBody::Agreement(Agreement {
                    id: format!("{name} agreement").into(),
                    kind,
                    parties: [first, name]
                        .map(|key| text(agreement, key).unwrap_or_default().into())
                        .to_vec(),
                    valid_from,
                    valid_until: at(agreement, "valid_until"),
                    controller_consent_ref: owned(agreement, "controller_consent_ref"),
                    parent: None,
                    checklist: Vec::new(),
                }));
            }
        }
    }

    /// The part an organisation plays, by its name, or by the agreement in which it is a party.
    fn organisation_kind(&self, name: &str) -> OrganisationKind {
        let agreements = field(self.given, "agreements");
        let party = |agreement: &str, key: &str| text(field(agreements, agreement), key) == Some(name);
        match name {
            "politie" => OrganisationKind::Police,
            "vrt" => OrganisationKind::Processor,
            "rj-security" => OrganisationKind::SecurityCompany,
            "om" | "openbaar-ministerie" => OrganisationKind::PublicProsecutor,
            name if name.starts_with("gemeente") => OrganisationKind::Municipality,
            _ if party("processor", "controller") => OrganisationKind::Police,
            _ if party("processor", "processor") || party("subprocessor", "processor") => {
                OrganisationKind::Processor
            }
            _ if party("subprocessor", "subprocessor") => OrganisationKind::SecurityCompany,
            _ => OrganisationKind::Other,
        }
    }

    fn persons(&self, bodies: &mut Vec<FactBody>) {
        let actors = field(self.given, "actors").as_object();
        let mut organisations: Vec<String> =
            ["politie", "vrt", "rj-security"].into_iter().map(str::to_owned).collect();
        for (name, actor) in actors.into_iter().flatten() {
            let person: PersonId = name.as_str().into();
            let organisation = text(actor, "organisation").unwrap_or("(none)");
            organisations.push(organisation.to_owned());
            let signed = field(actor, "confidentiality_signed").as_bool() == Some(true);
            bodies.push(FactBody::Person(Person {
                id: person.clone(),
                name: name.clone(),
                organisation: organisation.into(),
                secrecy_signed_at: signed.then(always),
                wpbr_permission_until: at(actor, "wpbr_permission_until"),
                personnel_no: None,
                training_until: None,
            }));
            let authorisation = field(actor, "authorisation");
            if let (Some(role), true) = (word::<Role>(actor, "role"), authorisation.is_object()) {
                let from = at(authorisation, "from");
                bodies.push(FactBody::Authorisation(Authorisation {
                    id: format!("authorisation of {name}").into(),
                    person: person.clone(),
                    role,
                    municipalities: list(authorisation, "municipalities")
                        .filter_map(Value::as_str)
                        .map(MunicipalityId::from)
                        .collect(),
                    from: from.unwrap_or_else(always),
                    // Dated, or not valid: an authorisation without an end is none (V8).
                    until: at(authorisation, "until").or(from).unwrap_or_else(always),
                    document_ref: owned(authorisation, "ref"),
                    granted_by: None,
                }));
            }
            if field(actor, "on_shift").as_bool() == Some(true) {
                bodies.push(FactBody::Shift(Shift {
                    id: format!("shift of {name}").into(),
                    person,
                    from: always(),
                    until: DateTime::<Utc>::MAX_UTC,
                    desk: None,
                    rotation_minutes: None,
                }));
            }
        }
        self.second_person(bodies, &mut organisations);
        self.instruction(bodies);
        organisations.sort();
        organisations.dedup();
        bodies.extend(organisations.into_iter().map(|name| {
            FactBody::Organisation(Organisation {
                id: OrganisationId::from(name.as_str()),
                kind: self.organisation_kind(&name),
                name,
            })
        }));
    }

    /// A police instruction that is named exists, covers the camera, and comes from a police operator in scope.
    fn instruction(&self, bodies: &mut Vec<FactBody>) {
        let Some(instruction) =
            text(self.said, "police_instruction_ref").filter(|name| !name.trim().is_empty())
        else {
            return;
        };
        let author = PersonId::from("(police operator who instructs)");
        let (from, until) = (always(), DateTime::<Utc>::MAX_UTC);
        bodies.push(FactBody::Instruction(PoliceInstruction {
            id: instruction.into(),
            cameras: vec![self.camera_id()],
            from,
            until,
            entered_by: author.clone(),
        }));
        bodies.push(FactBody::Person(Person {
            id: author.clone(),
            name: author.to_string(),
            organisation: "politie".into(),
            secrecy_signed_at: Some(from),
            wpbr_permission_until: None,
            personnel_no: None,
            training_until: None,
        }));
        bodies.push(FactBody::Authorisation(Authorisation {
            id: format!("authorisation of {author}").into(),
            person: author,
            role: Role::PoliceOperator,
            municipalities: vec![
                text(field(self.given, "camera"), "municipality").unwrap_or_default().into(),
            ],
            from,
            until,
            document_ref: None,
            granted_by: None,
        }));
    }

    /// A second person whom the fixtures do not list exists all the same, as a municipal officer in scope.
    fn second_person(&self, bodies: &mut Vec<FactBody>, organisations: &mut Vec<String>) {
        let Some(name) = text(self.said, "verified_by").filter(|name| !name.trim().is_empty()) else {
            return;
        };
        if field(self.given, "actors").get(name).is_some() {
            return;
        }
        let organisation = "gemeente (second person)".to_owned();
        bodies.push(FactBody::Person(Person {
            id: name.into(),
            name: name.to_owned(),
            organisation: organisation.as_str().into(),
            secrecy_signed_at: Some(always()),
            wpbr_permission_until: None,
            personnel_no: None,
            training_until: None,
        }));
        bodies.push(FactBody::Authorisation(Authorisation {
            id: format!("authorisation of {name}").into(),
            person: name.into(),
            role: Role::MunicipalOfficer,
            municipalities: text(field(self.given, "decree"), "municipality")
                .into_iter()
                .map(Into::into)
                .collect(),
            from: always(),
            until: DateTime::<Utc>::MAX_UTC,
            document_ref: None,
            granted_by: None,
        }));
        organisations.push(organisation);
    }

    /// The request; none if the action does not exist.
    pub(super) fn request(&self) -> Option<Request> {
        let action: Action = word(self.scenario, "action")?;
        let name = text(self.scenario, "actor").unwrap_or_default();
        let role: Role = word(field(field(self.given, "actors"), name), "role").unwrap_or(Role::None);
        let actor = match role {
            Role::System => Actor::System,
            role => Actor::Person { person: name.into(), role },
        };
        Some(Request {
            actor,
            action,
            object: self.object(action),
            resolved: self.resolved(),
            statement: Some(Box::new(self.statement())),
        })
    }

    fn object(&self, action: Action) -> Object {
        let captured = at(field(self.given, "footage"), "captured_at");
        let municipality = |of: &str| text(field(self.given, of), "municipality").unwrap_or_default().into();
        match action {
            Action::Replay
            | Action::RequestExport
            | Action::ApproveExport
            | Action::DownloadExport
            | Action::SetHold
            | Action::ReleaseHold
            | Action::Destroy => match captured {
                // One frame.
                Some(from) => Object::Footage {
                    camera: self.camera_id(),
                    from,
                    until: from.checked_add_signed(TimeDelta::nanoseconds(1)).unwrap_or(from),
                },
                None => Object::Camera(self.camera_id()),
            },
            Action::ConfigureDecree | Action::ConfigureWindow => Object::Municipality(municipality("decree")),
            Action::ReportStatistics => Object::Municipality(municipality("camera")),
            Action::ManageUsers
            | Action::ReadLog
            | Action::DeleteLogEntry
            | Action::PurgeLog
            | Action::ProvideToDataSubject => Object::None,
            _ => Object::Camera(self.camera_id()),
        }
    }

    fn resolved(&self) -> Resolved {
        let named = |key: &str| text(self.said, key).filter(|name| !name.trim().is_empty());
        let hold = field(self.given, "hold");
        let state: Option<HoldState> = word(hold, "state");
        let holds = state.map(|state| Hold {
            case_number: owned(hold, "case_number"),
            state,
            set_at: at(hold, "set_at"),
        });
        // A decision that the reason names exists; whether it carries the destruction is the law's question.
        let ground = text(self.said, "reason").map(str::to_lowercase).and_then(|reason| {
            let names = |word: &str| reason.contains(word);
            if names("quarantine") || names("unlawful") {
                Some(DestroyGround::QuarantineDecision)
            } else if names("budget") {
                Some(DestroyGround::BudgetInstruction)
            } else {
                (names("hold") && names("release")).then_some(DestroyGround::HoldReleased)
            }
        });
        Resolved {
            incident: named("incident_ref").map(IncidentId::from),
            instruction: named("police_instruction_ref").map(InstructionId::from),
            verified_by: named("verified_by").map(PersonId::from),
            holds: holds.into_iter().collect(),
            export: self.export().map(Box::new),
            destroy_ground: ground,
        }
    }

    fn export(&self) -> Option<Export> {
        let export = field(self.given, "export");
        if !export.is_object() {
            return None;
        }
        Some(Export {
            id: ExportId::from(text(export, "id").unwrap_or("export")),
            state: word(export, "state").unwrap_or(ExportState::Closed),
            requested_by: text(export, "requested_by").map(PersonId::from),
            approved_by: text(export, "approved_by").map(PersonId::from),
            approved_at: at(export, "approved_at"),
            recipient: owned(export, "recipient"),
            recipient_kind: word::<RecipientKind>(export, "recipient_kind")
                .or_else(|| word(self.said, "recipient_kind"))
                .unwrap_or_default(),
            purpose: word(export, "purpose"),
            offence_ref: owned(export, "offence_ref"),
            case_number: owned(export, "case_number"),
            description: owned(export, "description"),
            sha256_ok: field(export, "sha256_ok").as_bool() == Some(true),
            download_until: at(export, "download_until"),
        })
    }

    fn statement(&self) -> Statement {
        let said = self.said;
        let flag = |key: &str| field(field(said, "target"), key).as_bool() == Some(true);
        let decision = field(said, "disclosure_decision");
        Statement {
            purpose: word(said, "purpose"),
            offence_ref: owned(said, "offence_ref"),
            case_number: owned(said, "case_number"),
            reason: owned(said, "reason"),
            recipient_kind: word(said, "recipient_kind").unwrap_or_default(),
            disclosure: decision.is_object().then(|| DisclosureDecision {
                article: owned(decision, "article"),
                authority: owned(decision, "authority"),
                requester: owned(decision, "requester"),
                description: owned(decision, "description"),
                purpose: word(decision, "purpose"),
            }),
            target: Some(Target { public_place: flag("public_place"), in_area: flag("in_area") }),
            operation: word(said, "operation"),
            log_purpose: word(said, "log_purpose"),
            entries_until: at(said, "entries_until"),
            audit_covered_until: at(said, "last_external_audit_covered_until"),
            level: word(said, "level"),
            source: word(said, "source"),
            proposal: Proposal {
                ordinance: None,
                decree: text(said, "decree_id").map(Into::into),
                from: at(said, "from"),
                until: at(said, "until"),
                valid_from: at(said, "valid_from"),
                valid_until: at(said, "valid_until"),
                published_at: at(said, "published_at"),
                retention_days: field(said, "retention_days")
                    .as_f64()
                    .map(|days| if days > f64::from(u32::MAX) { u32::MAX } else { days.ceil() as u32 }),
                consultation_ref: owned(said, "ovj_ref"),
                consultation_held_at: at(said, "ovj_held_at"),
            },
            subject: text(said, "subject").map(Into::into),
            role: word(said, "role"),
            authorisation_ref: owned(said, "authorisation_ref"),
        }
    }
}

fn decided_by(value: &Value, key: &str) -> DecidedBy {
    word(value, key).unwrap_or_else(|| DecidedBy::Other(String::new()))
}

/// The windows that can be read; a day or a time outside the vocabulary opens nothing.
fn windows(value: &Value, key: &str) -> Vec<WeeklyWindow> {
    list(value, key)
        .enumerate()
        .filter_map(|(number, window)| {
            let days =
                list(window, "days").filter_map(|day| serde_json::from_value(day.clone()).ok()).collect();
            let id = text(window, "id").map_or_else(|| format!("window {number}"), str::to_owned);
            let time = |key| {
                // The end of a day is the start of the next.
                let text = match text(window, key)? {
                    "24:00" | "24:00:00" if key == "end" => "00:00",
                    text => text,
                };
                let parsed = chrono::NaiveTime::parse_from_str(text, "%H:%M:%S");
                parsed.or_else(|_| chrono::NaiveTime::parse_from_str(text, "%H:%M")).ok()
            };
            Some(WeeklyWindow { id: id.into(), days, start: time("start")?, end: time("end")? })
        })
        .collect()
}
