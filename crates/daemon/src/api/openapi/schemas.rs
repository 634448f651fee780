//! JSON Schemas (draft 2020-12, as OpenAPI 3.1 takes them) of the types that travel, derived from the types themselves: a
//! field that is added to a type is in the document by that alone.

use mandate::{Fact, endings::Unconfirmed};
use protocol::api::{
    About, Approval, CameraView, CaptureBasis, Checkpoint, ClockAcceptance, ClockView, DestroyQuarantined,
    Emergency, Endings, Enrolled, Enrolment, Explanation, FactRecord, FirstStart, FootageRequest, Health,
    HoldRelease, HoldView, Incident, IncidentChange, Invitation, LedgerEntry, LogIn, Me, MunicipalityView,
    NewEmergency, NewFirstStart, NewFootageRequest, NewHold, NewIncident, NewInvitation, NewPreview,
    NewProposal, Outlook, PeriodView, Preview, Problem, Proposal, Quarantine, Report, Session, Timeline,
    Verification, Why, WithReason,
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// Describes each type under its own name, and whatever it consists of.
macro_rules! described {
    ($generator:ident: $($name:ident)*) => { $(describe::<$name>(&mut $generator);)* };
}

fn describe<T: JsonSchema>(generator: &mut SchemaGenerator) {
    // The reference is not needed here; asking for it puts the type among the definitions.
    let _reference = generator.subschema_for::<T>();
}

/// The schemas of the document, by name. What may be left out of a body may be missing in the schema's sense too; answers
/// always carry it.
pub(super) fn all() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        "/components/schemas".clone_into(s.definitions_path.to_mut());
        s.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    described!(generator:
        About Approval CameraView CaptureBasis Checkpoint ClockAcceptance ClockView DestroyQuarantined Emergency Endings Enrolled Enrolment Explanation Fact FactRecord FirstStart FootageRequest Health HoldRelease HoldView Incident IncidentChange Invitation LedgerEntry LogIn Me MunicipalityView NewEmergency NewFirstStart NewFootageRequest NewHold NewIncident NewInvitation NewPreview NewProposal Outlook PeriodView Preview Problem Proposal Quarantine Report Session Timeline Unconfirmed Verification Why WithReason
    );
    let mut schemas = generator.take_definitions(true);
    // An OpenAPI document is described by its own standard.
    schemas
        .insert("OpenApi".to_owned(), json!({ "type": "object", "description": "An OpenAPI 3.1 document" }));
    schemas
}
