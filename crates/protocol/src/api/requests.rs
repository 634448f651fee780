//! Footage requests: asked, approved by another person, fetched by who is named.

pub use evidence::{
    Asked, ExportFile, FootageRequest, HeldStretch, LeftOut, NewFootageRequest, RequestState,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /requests/{id}/approve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// For how many hours it may be fetched, 1 to 336; 72 when nothing is said.
    #[serde(default = "Approval::usual_hours")]
    pub download_hours: u32,
}

impl Approval {
    fn usual_hours() -> u32 {
        72
    }
}

impl Default for Approval {
    fn default() -> Self {
        Self { download_hours: Self::usual_hours() }
    }
}

/// `POST /requests/{id}/refuse` and `POST /requests/{id}/close`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithReason {
    /// Why; kept.
    pub reason: String,
}
