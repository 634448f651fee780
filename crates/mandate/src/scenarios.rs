//! The law as a table: scenarios in JSON (facts, an action at an instant, the decision that must come out) run against
//! [`decide`](crate::decide()). A jurist reads and writes the table; this module turns it into facts and requests.
//!
//! The format: `fixtures` holds named sets of facts; a scenario takes one, merges `given.patch` into it (objects
//! recursively, the rest replaced, null and absent alike), and names `actor`, `action`, `at`, `request`, `expect`,
//! `reason_code`, `also_accept` and `effects`. Names that a scenario mentions exist, are open and in scope. A value outside
//! a vocabulary is data, never an error: it satisfies no condition that needs a particular value.

mod world;

use crate::{
    decide::decide,
    decision::{Decision, Denial, LogOperation, Obligations, ReasonCode},
    register::Register,
};
use serde_json::Value;
use std::fmt;
use thiserror::Error;

/// Why a table could not be run at all.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// It is not JSON.
    #[error("the table is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It has no `scenarios` list.
    #[error("the table has no list `scenarios`")]
    NoScenarios,
}

/// What came out of one scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its id, for example `L01`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Whether decision, code and effects are as expected.
    pub passed: bool,
    /// What must come out.
    pub expected: String,
    /// What came out.
    pub got: String,
    /// What the answer rests on, or what differs.
    pub why: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.passed { "ok  " } else { "FAIL" };
        let Self { id, title, expected, got, why, .. } = self;
        write!(f, "{mark} {id:4} {title}\n       expected {expected}; got {got}: {why}")
    }
}

/// What came out of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each scenario, in the order of the table.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// How many came out as expected.
    pub fn passed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.passed).count()
    }

    /// Those that did not.
    pub fn failed(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| !outcome.passed)
    }
}

/// Runs a table, given as the text of its JSON file.
pub fn check(json: &str) -> Result<Report, ScenarioError> {
    let table: Value = serde_json::from_str(json)?;
    let scenarios = table.get("scenarios").and_then(Value::as_array).ok_or(ScenarioError::NoScenarios)?;
    let fixtures = table.get("fixtures").unwrap_or(&Value::Null);
    Ok(Report { outcomes: scenarios.iter().map(|scenario| run(fixtures, scenario)).collect() })
}

fn run(fixtures: &Value, scenario: &Value) -> Outcome {
    let text = |key: &str| scenario.get(key).and_then(Value::as_str).unwrap_or_default();
    let codes: Vec<&str> = std::iter::once(text("reason_code"))
        .chain(
            scenario
                .get("also_accept")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str),
        )
        .collect();
    let expected = match text("expect") {
        "deny" => format!("deny {}", codes.join(" or ")),
        other => other.to_owned(),
    };
    let (got, complaint) = match answer(fixtures, scenario) {
        Ok(decision) => {
            (describe(&decision), complaint(&decision, text("expect"), &codes, scenario.get("effects")))
        }
        Err(problem) => ("nothing".to_owned(), Err(problem)),
    };
    let passed = complaint.is_ok();
    let why = complaint.unwrap_or_else(|problem| problem);
    Outcome { id: text("id").to_owned(), title: text("title").to_owned(), passed, expected, got, why }
}

fn answer(fixtures: &Value, scenario: &Value) -> Result<Decision, String> {
    let given = scenario.get("given").unwrap_or(&Value::Null);
    let base = given.get("base").and_then(Value::as_str).unwrap_or("base");
    let mut facts = fixtures.get(base).cloned().unwrap_or(Value::Null);
    if let Some(patch) = given.get("patch") {
        merge(&mut facts, patch);
    }
    let at = scenario.get("at").and_then(world::instant).ok_or("`at` is not an instant")?;
    let world = world::World::new(&facts, scenario);
    let register =
        Register::with_policy(&world.facts(), at, world.policy()).map_err(|error| error.to_string())?;
    Ok(match world.request() {
        Some(request) => decide(&register, &request, at),
        // Every operation is in the table of actions; an unlisted one is refused (`decisions.md` 8).
        None => Decision::Deny(Denial {
            code: ReasonCode::RoleNotPermitted,
            fact: None,
            until: None,
            obligations: Obligations::new(LogOperation::Consult),
        }),
    })
}

/// V10: objects recursively, scalars and arrays replaced.
fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

fn describe(decision: &Decision) -> String {
    match decision {
        Decision::Permit(_) => "permit".to_owned(),
        Decision::Deny(denial) => {
            format!("deny {}", code(decision).unwrap_or_else(|| format!("{:?}", denial.code)))
        }
    }
}

/// The code in the vocabulary of the table.
fn code(decision: &Decision) -> Option<String> {
    let code = serde_json::to_value(decision.denial()?.code).ok()?;
    code.as_str().map(str::to_owned)
}

/// Ok with what the answer rests on, or what differs.
fn complaint(
    decision: &Decision,
    expect: &str,
    codes: &[&str],
    effects: Option<&Value>,
) -> Result<String, String> {
    match (expect, decision) {
        ("permit", Decision::Permit(_)) => {}
        ("deny", Decision::Deny(_)) => {
            let code = code(decision).unwrap_or_default();
            if !codes.contains(&code.as_str()) {
                return Err(format!("another reason: {}", reason(decision)));
            }
        }
        _ => return Err(reason(decision)),
    }
    for (name, wanted) in effects.and_then(Value::as_object).into_iter().flatten() {
        if !effect(decision.obligations(), name, wanted) {
            return Err(format!(
                "effect `{name}` must be {wanted}; obligations are {:?}",
                decision.obligations()
            ));
        }
    }
    Ok(reason(decision))
}

fn reason(decision: &Decision) -> String {
    match decision {
        Decision::Permit(permit) => {
            let facts: Vec<&str> = permit.basis().iter().map(|fact| &*fact.id).collect();
            format!("rests on {}", facts.join(", "))
        }
        Decision::Deny(denial) => denial.sentence().1,
    }
}

/// Whether an obligation is what the table says.
fn effect(obligations: &Obligations, name: &str, wanted: &Value) -> bool {
    match name {
        "quarantine" => wanted.as_bool() == Some(obligations.quarantine),
        "extends_retention" => wanted.as_bool() == Some(obligations.extends_retention),
        "inherits_retention" => wanted.as_bool() == Some(obligations.inherits_retention),
        "creates_hold" => wanted.as_bool() == Some(obligations.creates_hold),
        "notify" => serde_json::to_value(obligations.notify).is_ok_and(|role| role == *wanted),
        "log" => wanted.as_str() == Some(dutch(obligations.log)),
        "destroy" => (wanted.as_str() == Some("immediately")) == obligations.destroy_now,
        "destroy_at" => world::instant(wanted) == obligations.destroy_at,
        _ => false,
    }
}

/// The words of Wpg 32a lid 1.
fn dutch(operation: LogOperation) -> &'static str {
    match operation {
        LogOperation::Collect => "verzamelen",
        LogOperation::Alter => "wijzigen",
        LogOperation::Consult => "raadplegen",
        LogOperation::Disclose => "verstrekken",
        LogOperation::Combine => "combineren",
        LogOperation::Destroy => "vernietigen",
    }
}
