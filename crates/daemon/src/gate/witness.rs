//! Without the police's witness only the police look: an hour after the last cosignature (or after the start, if there
//! never was one) nobody else sees pictures until the witness is heard again (`decisions.md` 15). The witness alarms the
//! police long before.

use super::Gate;
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{Actor, facts::OrganisationKind, roles::fits};
use protocol::api::Sentence;

/// So long after the last cosignature only the police look.
pub const POLICE_ONLY_AFTER: TimeDelta = TimeDelta::minutes(60);

/// How the log names this refusal; it is no code of the law.
pub(super) const CODE: &str = "LOG_UNWITNESSED";

/// What the operator reads.
pub fn unwitnessed() -> Sentence {
    Sentence {
        nl: "De politie heeft het logboek al een uur niet bevestigd. Alleen de politie mag nu kijken. Opnemen gaat door. \
             Waarschuw de politie en de technisch beheerder."
            .to_owned(),
        en: "The police have not confirmed the log for an hour. Only the police may look now. Recording goes on. Call the \
             police and the system administrator."
            .to_owned(),
    }
}

impl Gate {
    /// From now on looks ask for the police's witness.
    pub fn require_witness(&self) {
        // Asked for twice, the first instant stands.
        self.0.witness_since.get_or_init(|| self.0.clock.now());
    }

    /// Whether a witness is asked for at all.
    pub fn requires_witness(&self) -> bool {
        self.0.witness_since.get().is_some()
    }

    /// Whether the police's witness has seen an entry; where no witness is asked for, every one counts as seen. Export
    /// downloads and holds wait for it (`decisions.md` 15).
    pub fn is_witnessed(&self, seq: u64) -> bool {
        !self.requires_witness() || self.0.log.health().borrow().witnessed_entries > seq
    }

    /// From when only the police look, as long as no newer cosignature comes; none where no witness is asked for.
    pub(super) fn police_only_from(&self) -> Option<DateTime<Utc>> {
        let since = *self.0.witness_since.get()?;
        let witnessed = self.0.log.health().borrow().witnessed_at;
        // A cosignature from before the start counts less than the start itself: a daemon that was off for an hour
        // gets time to reach its witness.
        Some(witnessed.map_or(since, |at| at.max(since)) + POLICE_ONLY_AFTER)
    }

    /// Whether this actor must wait for the witness.
    pub(super) fn waits_for_witness(&self, actor: &Actor, now: DateTime<Utc>) -> bool {
        let Actor::Person { role, .. } = actor else { return false };
        !fits(*role, OrganisationKind::Police) && self.police_only_from().is_some_and(|from| now >= from)
    }
}
