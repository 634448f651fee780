//! The register of decisions: reading it as it stood, its history, what waits; and what is wrong with a fact.

use super::{
    App, Caller, Endpoint, Needs, ask, endpoint,
    entering::{newest, unstamped},
    problem::ApiError,
    proposing::{propose, verify, verify_together, withdraw},
    query::Asked,
};
use crate::{
    gate::{request, word},
    identity::Session,
    journal::{ProposalOutcome, Proposed, Snapshot, municipality_of, name_of},
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    routing::{MethodRouter, delete, get, post},
};
use chrono::{DateTime, Utc};
use mandate::{Action, Fact, FactBody, MunicipalityId, Object, entry, roles::may_ever};
use protocol::api::{FactRecord, FieldChange, PeriodView, Proposal, ProposalState, Sentence};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Most proposals in one list, and in one verification.
pub(super) const MOST: u32 = 1000;

/// The endpoints of this room.
pub(super) fn table() -> Vec<(Endpoint, MethodRouter<App>)> {
    const REGISTER: Needs = Needs::Action(&[Action::ReadRegister]);
    const ENTER: Needs = Needs::Action(&[
        Action::ConfigureDecree,
        Action::ConfigureWindow,
        Action::ConfigureMask,
        Action::ConfigureCamera,
        Action::ManageUsers,
        Action::Instruct,
        Action::KeepRecords,
        Action::Maintain,
    ]);
    let e = endpoint;
    vec![
        (
            e(
                "GET",
                "/register/facts",
                REGISTER,
                "facts",
                "Every version of every fact, or the register as known at an instant",
                None,
                (200, Some("Fact[]")),
            )
            .asking(&["known_at", "holding_at", "kind", "id", "municipality"]),
            get(facts),
        ),
        (
            e(
                "GET",
                "/register/history/{kind}/{id}",
                REGISTER,
                "history",
                "Every version of one fact: who entered it, who verified it, what changed",
                None,
                (200, Some("FactRecord[]")),
            ),
            get(history),
        ),
        (
            e(
                "GET",
                "/register/proposals",
                REGISTER,
                "proposals",
                "Entries and how they stand",
                None,
                (200, Some("Proposal[]")),
            )
            .asking(&["state"]),
            get(proposals),
        ),
        (
            e(
                "POST",
                "/register/proposals",
                ENTER,
                "propose",
                "Enter a fact; where a second person is needed, they make it effective",
                Some("NewProposal"),
                (201, Some("Proposal")),
            ),
            post(propose),
        ),
        (
            e(
                "DELETE",
                "/register/proposals/{id}",
                ENTER,
                "withdraw",
                "Take back an entry that waits",
                None,
                (200, Some("Proposal")),
            ),
            delete(withdraw),
        ),
        (
            e(
                "POST",
                "/register/proposals/{id}/verification",
                Needs::SecondPerson,
                "verify",
                "Confirm somebody else's entry",
                None,
                (200, Some("Proposal")),
            ),
            post(verify),
        ),
        (
            e(
                "POST",
                "/register/verifications",
                Needs::SecondPerson,
                "verifyTogether",
                "Confirm several entries, which take effect together",
                Some("Verification"),
                (200, Some("Proposal[]")),
            ),
            post(verify_together),
        ),
        (
            e(
                "GET",
                "/periods",
                REGISTER,
                "periods",
                "Use and live periods, event and emergency windows",
                None,
                (200, Some("PeriodView[]")),
            ),
            get(periods),
        ),
    ]
}

/// Whether this person reads the register of a municipality; of none: of everything that belongs to none.
pub(super) fn municipality_scope(app: &App, session: &Session, municipality: Option<MunicipalityId>) -> bool {
    let object = municipality.map_or(Object::None, Object::Municipality);
    app.gate.preview(&request(session, Action::ReadRegister, object)).is_permit()
}

/// The same, remembered for the length of one answer.
pub(super) struct Scope<'a> {
    app: &'a App,
    session: &'a Session,
    known: HashMap<MunicipalityId, bool>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(app: &'a App, session: &'a Session) -> Self {
        Self { app, session, known: HashMap::new() }
    }

    /// Whether this person reads a fact: it lies in their scope, and records of the processing are for those who answer
    /// for it and those who check it.
    pub(super) fn sees(&mut self, snapshot: &Snapshot, body: &FactBody) -> bool {
        (!body.is_record() || may_ever(self.session.role, Action::ReadRecords))
            && self.holds(municipality_of(snapshot, body).as_ref())
    }

    /// Facts of no municipality (parties, agreements, people) are seen by whoever may read the register.
    pub(super) fn holds(&mut self, municipality: Option<&MunicipalityId>) -> bool {
        let Some(municipality) = municipality else { return true };
        let (app, session) = (self.app, self.session);
        *self
            .known
            .entry(municipality.clone())
            .or_insert_with(|| municipality_scope(app, session, Some(municipality.clone())))
    }
}

/// `GET /register/facts`.
async fn facts(
    State(app): State<App>,
    Extension(session): Caller,
    asked: Asked,
) -> Result<Json<Vec<Fact>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.read")).await?;
    let known_at = asked.instant("known_at")?;
    let holding_at = asked.instant("holding_at")?;
    let (kind, id) = (asked.text("kind"), asked.text("id"));
    let municipality = asked.text("municipality");
    let snapshot = app.gate.snapshot();
    let mut scope = Scope::new(&app, &session);
    let mut seen: Vec<Fact> = Vec::new();
    for fact in snapshot.facts.iter().filter(|f| known_at.is_none_or(|at| f.known_from <= at)) {
        let (its_kind, its_id) = name_of(&fact.body);
        let of = municipality_of(&snapshot, &fact.body);
        let wanted = kind.is_none_or(|k| k == its_kind)
            && id.is_none_or(|i| i == its_id)
            && municipality.is_none_or(|m| of.as_ref().is_some_and(|of| of.as_str() == m));
        if wanted && scope.sees(&snapshot, &fact.body) {
            seen.push(fact.clone());
        }
    }
    if known_at.is_some() || holding_at.is_some() {
        seen = newest_versions(seen);
    }
    if let Some(at) = holding_at {
        seen.retain(|fact| holds_at(&fact.body, at));
    }
    Ok(Json(seen))
}

/// Of each id the newest version, in the order in which the ids first became known.
fn newest_versions(facts: Vec<Fact>) -> Vec<Fact> {
    let mut places = HashMap::new();
    let mut newest: Vec<Fact> = Vec::new();
    for fact in facts {
        match places.get(&fact.body.key()).and_then(|place: &usize| newest.get_mut(*place)) {
            Some(older) if older.version < fact.version => *older = fact,
            Some(_) => {}
            None => {
                places.insert(fact.body.key(), newest.len());
                newest.push(fact);
            }
        }
    }
    newest
}

/// Whether a fact says of itself that it holds at an instant. A decree's extension and revocation are facts of their own.
fn holds_at(body: &FactBody, at: DateTime<Utc>) -> bool {
    let inside = |from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>| {
        from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until)
    };
    match body {
        FactBody::Ordinance(f) => inside(Some(f.in_force_from), f.in_force_until),
        FactBody::Decree(f) => inside(Some(f.valid_from), Some(f.valid_until)),
        FactBody::Extension(f) => inside(None, Some(f.valid_until)),
        FactBody::Revocation(f) => inside(Some(f.revoked_from), None),
        FactBody::Period(f) => inside(Some(f.effective_from), f.effective_until),
        FactBody::ExtraWindow(f) => inside(Some(f.from), Some(f.until)),
        FactBody::Signage(f) => f.placed_at.is_some() && inside(f.placed_at, f.removed_at),
        FactBody::Position(f) => inside(Some(f.from), f.until),
        FactBody::Mask(f) => f.verified_at.is_some() && inside(f.verified_at, None),
        FactBody::Agreement(f) => inside(Some(f.valid_from), f.valid_until),
        FactBody::Authorisation(f) => inside(Some(f.from), Some(f.until)),
        FactBody::Shift(f) => inside(Some(f.from), Some(f.until)),
        FactBody::Maintenance(f) => inside(Some(f.from), Some(f.until)),
        FactBody::Instruction(f) => inside(Some(f.from), Some(f.until)),
        FactBody::Consultation(f) => inside(Some(f.held_at), None),
        FactBody::Breach(f) => inside(Some(f.known_at), None),
        FactBody::SubjectRequest(f) => inside(Some(f.received_at), f.decided_at),
        FactBody::Audit(f) => inside(Some(f.scope_from), Some(f.scope_until)),
        FactBody::Municipality(_)
        | FactBody::Organisation(_)
        | FactBody::Area(_)
        | FactBody::Camera(_)
        | FactBody::Person(_)
        | FactBody::AuditFinding(_) => true,
    }
}

/// What differs between two versions, field by field.
pub(super) fn field_changes(old: Option<&FactBody>, new: &FactBody) -> Vec<FieldChange> {
    use serde_json::{Map, Value};
    let fields = |body: &FactBody| -> Map<String, Value> {
        match serde_json::to_value(body) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    };
    let (old, new) = (old.map(fields).unwrap_or_default(), fields(new));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |fields: &Map<String, Value>, name: &str| fields.get(name).cloned().unwrap_or(Value::Null);
    names
        .into_iter()
        .filter(|name| *name != "kind")
        .map(|name| FieldChange { field: name.clone(), old: value(&old, name), new: value(&new, name) })
        .filter(|change| change.old != change.new)
        .collect()
}

/// `GET /register/history/{kind}/{id}`.
async fn history(
    State(app): State<App>,
    Extension(session): Caller,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Json<Vec<FactRecord>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.read")).await?;
    let snapshot = app.gate.snapshot();
    let recorded = app.journal.history(&kind, &id)?;
    let Some(newest) = recorded.last() else { return Err(ApiError::NotFound) };
    if !Scope::new(&app, &session).sees(&snapshot, &newest.fact.body) {
        return Err(ApiError::NotFound);
    }
    let mut old: Option<FactBody> = None;
    let records = recorded.into_iter().map(|event| {
        let changes = field_changes(old.as_ref(), &event.fact.body);
        old = Some(event.fact.body.clone());
        FactRecord {
            seq: event.seq,
            ledger_seq: event.ledger_seq,
            fact: event.fact,
            entered_by: event.entered_by,
            verified_by: event.verified_by,
            changes,
        }
    });
    Ok(Json(records.collect()))
}

/// `GET /periods`.
async fn periods(
    State(app): State<App>,
    Extension(session): Caller,
) -> Result<Json<Vec<PeriodView>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.read")).await?;
    let snapshot = app.gate.snapshot();
    let mut scope = Scope::new(&app, &session);
    // Newest version of each only.
    let mut views: BTreeMap<(MunicipalityId, String), PeriodView> = BTreeMap::new();
    for fact in snapshot.facts.iter().rev() {
        let (decree, kind) = match &fact.body {
            FactBody::Period(p) => (p.decree.to_string(), "period".to_owned()),
            FactBody::ExtraWindow(w) => (w.decree.to_string(), word(&w.kind)),
            _ => continue,
        };
        let (_, id) = name_of(&fact.body);
        let Some(municipality) = municipality_of(&snapshot, &fact.body) else { continue };
        if scope.holds(Some(&municipality)) {
            views.entry((municipality.clone(), id.clone())).or_insert_with(|| PeriodView {
                municipality,
                decree,
                id,
                kind,
                fact: fact.body.clone(),
            });
        }
    }
    Ok(Json(views.into_values().collect()))
}

/// A proposal in the words of the API.
pub(super) fn view(proposed: Proposed) -> Proposal {
    let end = proposed.end.as_ref();
    Proposal {
        id: proposed.id,
        state: match end.map(|end| end.outcome) {
            None if proposed.settling => ProposalState::Settling,
            None => ProposalState::Open,
            Some(ProposalOutcome::Verified) => ProposalState::Verified,
            Some(ProposalOutcome::Effective) => ProposalState::Effective,
            Some(ProposalOutcome::Withdrawn) => ProposalState::Withdrawn,
        },
        verified_by: end.filter(|end| end.outcome == ProposalOutcome::Verified).map(|end| end.by.clone()),
        ended_at: end.map(|end| end.at),
        waits_for_witness: proposed.unwitnessed,
        body: proposed.body,
        entered_by: proposed.entered_by,
        entered_at: proposed.entered_at,
        note: proposed.note,
    }
}

/// The register as it would be if everything that waits took effect; as it is, should that contradict itself.
pub(super) fn with_waiting(app: &App) -> Result<Arc<Snapshot>, ApiError> {
    let waiting = app.journal.open_proposals()?;
    if waiting.is_empty() {
        return Ok(app.gate.snapshot());
    }
    let supposed = app.journal.suppose(waiting.into_iter().map(|p| p.body));
    Ok(supposed.map_or_else(|_| app.gate.snapshot(), Arc::new))
}

/// `GET /register/proposals`.
async fn proposals(
    State(app): State<App>,
    Extension(session): Caller,
    asked: Asked,
) -> Result<Json<Vec<Proposal>>, ApiError> {
    app.gate.list(&ask(&session, Action::ReadRegister, Object::None, "register.read")).await?;
    let supposed = with_waiting(&app)?;
    let mut scope = Scope::new(&app, &session);
    let state = asked.text("state");
    let all = match state {
        // The others may be many; what waits must never fall off the end of the list.
        Some("open") => app.journal.open_proposals()?,
        _ => app.journal.proposals(MOST)?,
    };
    let seen = all.into_iter().filter(|p| scope.sees(&supposed, &p.body));
    let seen = seen.map(view).filter(|p| state.is_none_or(|state| word(&p.state) == state));
    Ok(Json(seen.collect()))
}

pub(super) fn invalid(nl: String, en: String) -> ApiError {
    ApiError::Invalid(Sentence { nl, en })
}

/// What is wrong with a fact whoever enters it: nothing new, or an invariant of `mandate::entry` that it breaks. Gives what
/// the second person should know.
pub(super) fn flaw(app: &App, snapshot: &Snapshot, body: &FactBody) -> Result<Vec<Sentence>, ApiError> {
    if newest(snapshot, body).is_some_and(|known| unstamped(known.clone()) == *body) {
        return Err(invalid(
            "Dit staat al zo in het register.".to_owned(),
            "The register says so already.".to_owned(),
        ));
    }
    let now = app.gate.clock().now();
    let found = entry::check(&snapshot.register, &snapshot.facts, std::slice::from_ref(body), Some(now))
        .map_err(|e| invalid(e.to_string(), e.to_string()))?;
    let (objections, remarks) = sentences(&found);
    if objections.is_empty() {
        return Ok(remarks);
    }
    let joined = |text: fn(&Sentence) -> &str| objections.iter().map(text).collect::<Vec<_>>().join("; ");
    Err(invalid(joined(|s| s.nl.as_str()), joined(|s| s.en.as_str())))
}

/// Findings in words: objections, and remarks.
pub(super) fn sentences(findings: &[entry::Finding]) -> (Vec<Sentence>, Vec<Sentence>) {
    let (objections, remarks): (Vec<_>, Vec<_>) =
        findings.iter().partition(|finding| finding.severity == entry::Severity::Objection);
    let words = |finding: &entry::Finding| Sentence {
        nl: format!("`{}`: {} [{}]", finding.field, finding.nl, finding.source),
        en: format!("`{}`: {} [{}]", finding.field, finding.en, finding.source),
    };
    (objections.into_iter().map(words).collect(), remarks.into_iter().map(words).collect())
}
