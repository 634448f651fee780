//! Technical work on the platform (technisch werk): who does it, on which ticket, when, and who watches.

use crate::ids::{MaintenanceId, PersonId};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Access for technical work, announced and witnessed. It opens nothing: whoever maintains the platform sees no picture (Wpg 6a
/// lid 3), and no decision rests on it. It is on record so that what was done in a window can be told from what was not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceAccess {
    /// Its number.
    pub id: MaintenanceId,
    /// Who does the work.
    pub person: PersonId,
    /// The ticket or order that asks for it.
    pub ticket: String,
    /// Start (UTC).
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// Who watches: confirms it beforehand, and is somebody else.
    pub witness: PersonId,
}
