//! What recorded footage is in law: lawful or not, as known when it was captured and as known now, piece by piece.
//!
//! The legality of a recording is fixed at capture (GW-21; Wpg 3 lid 2), but what is known about it grows: late knowledge
//! only narrows (`decisions.md` 3). The daemon closes off what turns out unlawful and the privacy officer's list shows it;
//! quarantine never extends a term.

use crate::{
    conditions::{
        basis::ChainFacts,
        footage::{self, Capture},
    },
    decision::{FactRef, ReasonCode},
    ids::CameraId,
    register::Register,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// As known when the basis was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// It was missing as known at capture, even if the register says otherwise now.
    Then,
    /// What became known later shows that it was missing.
    Now,
    /// It was missing either way.
    ThenAndNow,
}

/// Whether a piece of footage was recorded on a basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// It was, as known then and as known now.
    Lawful {
        /// What it rested on as known at capture: the basis that the footage carries.
        then: Vec<FactRef>,
        /// What it rests on as known now.
        now: Vec<FactRef>,
    },
    /// It was not: quarantine, tell the privacy officer, destroy by decision (GW-21).
    Unlawful {
        /// As known when.
        known: Knowledge,
        /// The condition that failed; of two the one as known now.
        code: ReasonCode,
        /// The fact that fails it, where there is one.
        fact: Option<FactRef>,
    },
}

/// One piece of footage with one verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// First capture time (UTC).
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// What it is in law.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long each of its frames is kept if nothing holds it, in seconds of elapsed time.
    #[serde(serialize_with = "seconds")]
    pub term: TimeDelta,
}

fn seconds<S: serde::Serializer>(term: &TimeDelta, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(term.num_seconds())
}

impl Judgement {
    /// Whether it was recorded on a basis.
    pub fn is_lawful(&self) -> bool {
        matches!(self.verdict, Verdict::Lawful { .. })
    }
}

/// Judges what a camera recorded between two instants, in pieces that tile the range in order. A camera that the
/// register does not know recorded nothing lawfully: one unlawful piece.
pub fn judge(
    register: &Register,
    camera: &CameraId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Judgement> {
    let Some(ground) = register.grounds().camera(camera) else {
        let code = ReasonCode::NoDecreeForMunicipality;
        let verdict = Verdict::Unlawful { known: Knowledge::ThenAndNow, code, fact: None };
        let term = TimeDelta::zero();
        return if from < until { vec![Judgement { from, until, verdict, term }] } else { Vec::new() };
    };
    let mut judged: Vec<Judgement> = Vec::new();
    let mut captured = from;
    while captured < until {
        let capture = footage::capture(register, ground, captured);
        let end = capture.same_until.map_or(until, |next| next.min(until));
        let (verdict, term) = (verdict(&capture), capture.term);
        match judged.last_mut() {
            Some(last) if last.verdict == verdict && last.term == term => last.until = end,
            _ => judged.push(Judgement { from: captured, until: end, verdict, term }),
        }
        captured = end;
    }
    judged
}

/// What was lawful by one register and is not by another with more knowledge: what must be closed off now.
pub fn turned_unlawful(
    before: &Register,
    after: &Register,
    camera: &CameraId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Judgement> {
    let was: Vec<Judgement> =
        judge(before, camera, from, until).into_iter().filter(Judgement::is_lawful).collect();
    let unlawful = judge(after, camera, from, until).into_iter().filter(|judgement| !judgement.is_lawful());
    let mut turned = Vec::new();
    for judgement in unlawful {
        for lawful in was.iter().filter(|was| was.from < judgement.until && judgement.from < was.until) {
            turned.push(Judgement {
                from: judgement.from.max(lawful.from),
                until: judgement.until.min(lawful.until),
                ..judgement.clone()
            });
        }
    }
    turned
}

fn verdict(capture: &Capture<'_>) -> Verdict {
    let known = match (&capture.unlawful_then, &capture.unlawful_now) {
        (None, None) => {
            let owned = |facts: &ChainFacts<'_>| facts.iter().cloned().collect();
            return Verdict::Lawful { then: owned(&capture.basis_then), now: owned(&capture.basis) };
        }
        (Some(_), None) => Knowledge::Then,
        (None, Some(_)) => Knowledge::Now,
        (Some(_), Some(_)) => Knowledge::ThenAndNow,
    };
    let unlawful = capture.unlawful();
    Verdict::Unlawful {
        known,
        code: unlawful.map_or(ReasonCode::UnlawfullyRecorded, |unlawful| unlawful.code),
        fact: unlawful.and_then(|unlawful| unlawful.fact.cloned()),
    }
}
