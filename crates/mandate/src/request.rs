//! What is asked: who wants to do what to which thing, and what they say about it. Nothing in it is evidence:
//! references count only when the daemon has resolved them (`Resolved`).

use crate::{
    dossier::{DestroyGround, Export, Hold},
    facts::Role,
    ids::{CameraId, IncidentId, InstructionId, MunicipalityId, PersonId},
    statement::Statement,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Every action there is; an action that is not here does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Watch a camera live.
    LiveView,
    /// Steer a camera.
    PtzControl,
    /// Look back.
    Replay,
    /// Mark an incident on a camera.
    MarkIncident,
    /// Keep a still with an incident.
    Snapshot,
    /// Pull and record a camera (the system).
    Record,
    /// Ask for footage.
    RequestExport,
    /// Approve such a request.
    ApproveExport,
    /// Fetch an approved export.
    DownloadExport,
    /// Secure footage for a case.
    SetHold,
    /// Release it.
    ReleaseHold,
    /// Destroy footage (the system).
    Destroy,
    /// Enter a decree.
    ConfigureDecree,
    /// Enter a window or period.
    ConfigureWindow,
    /// Enter or lift a mask.
    ConfigureMask,
    /// Give or take roles.
    ManageUsers,
    /// Read the log.
    ReadLog,
    /// Delete a log entry: never.
    DeleteLogEntry,
    /// Purge the log past its term.
    PurgeLog,
    /// Take statistics.
    ReportStatistics,
    /// Show a live picture to others.
    ShareLive,
    /// Search for a face: never.
    BiometricSearch,
    /// Give data to the person they are about: the controller does.
    ProvideToDataSubject,
    /// See which cameras there are and whether they are open (no pictures).
    ListCameras,
    /// Read the register of decisions.
    ReadRegister,
    /// Read the incident list of one's scope.
    ListIncidents,
    /// See the state of cameras, disks and services (no pictures).
    ReadHealth,
    /// Enter a camera (no pictures).
    ConfigureCamera,
    /// Instruct observers to look outside the live windows (V12).
    Instruct,
    /// See which footage was closed off as unlawfully recorded (no pictures).
    ReadQuarantine,
    /// Say that the server's clock is right where no witness does (no pictures).
    AcceptClock,
    /// Read the records of breaches, data subjects' requests and audits.
    ReadRecords,
    /// Keep them.
    KeepRecords,
    /// Announce technical work on the platform (no pictures).
    Maintain,
    /// Decide that such footage is destroyed before its term (GW-21).
    DecideQuarantine,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The platform itself: recorder and retention job.
    System,
    /// A person, acting in one role.
    Person {
        /// Who.
        person: PersonId,
        /// In which role.
        role: Role,
    },
}

/// What the action is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// Nothing in particular.
    None,
    /// A municipality.
    Municipality(MunicipalityId),
    /// A camera, now.
    Camera(CameraId),
    /// Recorded frames of a camera, `from <= captured < until`.
    Footage {
        /// The camera.
        camera: CameraId,
        /// First frame.
        from: DateTime<Utc>,
        /// End.
        until: DateTime<Utc>,
    },
}

/// What the daemon has looked up for this request: it exists, is open and lies in the request's scope. This, and the
/// register, is what a decision rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// An open incident that concerns this camera.
    #[serde(default)]
    pub incident: Option<IncidentId>,
    /// An instruction; the register says whether it covers this camera now.
    #[serde(default)]
    pub instruction: Option<InstructionId>,
    /// The second person, by their own authenticated confirmation.
    #[serde(default)]
    pub verified_by: Option<PersonId>,
    /// Holds on the footage.
    #[serde(default)]
    pub holds: Vec<Hold>,
    /// The request for footage that is to be approved or fetched.
    #[serde(default)]
    pub export: Option<Box<Export>>,
    /// Why footage may go before its term.
    #[serde(default)]
    pub destroy_ground: Option<DestroyGround>,
}

/// A request, ready to be decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub actor: Actor,
    /// What they want to do.
    pub action: Action,
    /// To what.
    pub object: Object,
    /// References that hold.
    #[serde(default)]
    pub resolved: Resolved,
    /// What the actor says about it.
    #[serde(default)]
    pub statement: Option<Box<Statement>>,
}

impl Request {
    /// A person's request about one object, with nothing said and nothing resolved.
    pub fn new(person: PersonId, role: Role, action: Action, object: Object) -> Self {
        let actor = Actor::Person { person, role };
        Self { actor, action, object, resolved: Resolved::default(), statement: None }
    }

    /// The platform's own request: recorder and retention job.
    pub fn by_system(action: Action, object: Object) -> Self {
        Self { actor: Actor::System, action, object, resolved: Resolved::default(), statement: None }
    }

    /// With what the actor says about it.
    #[must_use]
    pub fn saying(mut self, statement: Statement) -> Self {
        self.statement = Some(Box::new(statement));
        self
    }

    /// With an open incident that concerns the camera.
    #[must_use]
    pub fn for_incident(mut self, incident: IncidentId) -> Self {
        self.resolved.incident = Some(incident);
        self
    }
}

impl Object {
    /// The camera it is about, if any.
    pub fn camera(&self) -> Option<&CameraId> {
        match self {
            Self::Camera(camera) | Self::Footage { camera, .. } => Some(camera),
            Self::None | Self::Municipality(_) => None,
        }
    }
}
