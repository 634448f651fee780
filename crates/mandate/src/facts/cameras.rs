//! Cameras, where they hang, and what is masked in their pictures (Gemeentewet 151c lid 7).

use crate::ids::{CameraId, MaskId, MunicipalityId, PersonId, PositionId};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
