//! The choices that are the controller's, not the statute's (`policy` in `domain.md`), in one place.

use crate::ids::OrganisationId;
use chrono::TimeDelta;

/// The version of the rules in this crate; raised with every change that can change an answer.
pub(crate) const RULES_VERSION: u32 = 2;

/// The statutory ceiling for footage: four weeks of 24 hours (151c lid 9).
pub(crate) const MAXIMUM_RETENTION_DAYS: u32 = 28;

/// Settings of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How far back a short replay may reach; none set: not at all.
    pub replay_limit: Option<TimeDelta>,
    /// How many calendar years log entries stay at least (Wpg 25, 32: four; the proposal is five).
    pub log_term_years: u32,
    /// Days after which somebody must look again whether a sign still stands (151c lid 6; the interval is policy).
    pub sign_check_days: u32,
    /// Hours after its start within which an emergency window must be confirmed in writing (the term is policy).
    pub confirmation_hours: u32,
    /// The processor at which the platform runs: recording rests on the agreement with this one (WP-10). None: on any processor's.
    pub host: Option<OrganisationId>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            replay_limit: TimeDelta::try_minutes(15),
            log_term_years: 5,
            sign_check_days: 180,
            confirmation_hours: 24,
            host: None,
        }
    }
}
