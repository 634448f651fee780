//! Which role may do what (`domain.md` 5b), and in which organisation a role can exist.
//!
//! Being in the table opens nothing by itself: the conditions of the action must hold too. Blank means never.

use crate::{
    decision::LogOperation,
    facts::{OrganisationKind, Role},
    request::Action,
};

/// The permission matrix: every action with the roles that may ever do it.
pub const ROLE_MATRIX: &[(Action, &[Role])] = &[
    (Action::LiveView, &[Role::Observer, Role::RoomCoordinator, Role::PoliceOperator]),
    (Action::PtzControl, &[Role::Observer, Role::PoliceOperator]),
    (Action::Replay, &[Role::Observer, Role::PoliceOperator, Role::Investigator, Role::PoliceApprover]),
    (Action::MarkIncident, &[Role::Observer, Role::RoomCoordinator, Role::PoliceOperator]),
    (Action::Snapshot, &[Role::Observer, Role::PoliceOperator]),
    (Action::Record, &[Role::System]),
    (Action::RequestExport, &[Role::PoliceOperator, Role::Investigator]),
    (Action::ApproveExport, &[Role::PoliceApprover]),
    (Action::DownloadExport, &[Role::Investigator, Role::PoliceApprover]),
    (Action::SetHold, &[Role::PoliceOperator, Role::PoliceApprover]),
    (Action::ReleaseHold, &[Role::PoliceApprover]),
    (Action::Destroy, &[Role::System]),
    (Action::ConfigureDecree, &[Role::LegalAdmin]),
    (Action::ConfigureWindow, &[Role::LegalAdmin]),
    (Action::ConfigureMask, &[Role::PoliceOperator]),
    (Action::ManageUsers, &[Role::UserAdmin]),
    (Action::ReadLog, &[Role::PrivacyOfficer, Role::Auditor]),
    (Action::DeleteLogEntry, &[]),
    (Action::PurgeLog, &[Role::System]),
    (Action::ReportStatistics, &[Role::PoliceOperator, Role::LegalAdmin, Role::MunicipalOfficer]),
    (Action::ShareLive, &[Role::PoliceOperator]),
    (Action::BiometricSearch, &[]),
    (Action::ProvideToDataSubject, &[]),
    // Without pictures, so that a screen can say what is open, and those who answer for it can see why.
    (
        Action::ListCameras,
        &[
            Role::Observer,
            Role::RoomCoordinator,
            Role::PoliceOperator,
            Role::Investigator,
            Role::PoliceApprover,
            Role::PrivacyOfficer,
            Role::Auditor,
            Role::LegalAdmin,
            Role::MunicipalOfficer,
            Role::SystemAdmin,
        ],
    ),
    (
        Action::ReadRegister,
        &[
            Role::RoomCoordinator,
            Role::PoliceOperator,
            Role::PoliceApprover,
            Role::PrivacyOfficer,
            Role::Auditor,
            Role::LegalAdmin,
            Role::MunicipalOfficer,
            Role::UserAdmin,
        ],
    ),
    (
        Action::ListIncidents,
        &[
            Role::Observer,
            Role::RoomCoordinator,
            Role::PoliceOperator,
            Role::Investigator,
            Role::PoliceApprover,
        ],
    ),
    (Action::ReadHealth, &[Role::RoomCoordinator, Role::PoliceOperator, Role::SystemAdmin]),
    (Action::ConfigureCamera, &[Role::SystemAdmin]),
    (Action::Instruct, &[Role::PoliceOperator]),
    (Action::ReadQuarantine, &[Role::PoliceOperator, Role::PoliceApprover, Role::PrivacyOfficer]),
    // Time decides what is destroyed and what is open, so the controller says it, never who runs the machine.
    (Action::AcceptClock, &[Role::PoliceOperator, Role::PoliceApprover]),
    // Who answers for the processing, and who checks it (Wpg 33, 34, 36); the processor keeps a register of its own.
    (Action::ReadRecords, &[Role::PoliceApprover, Role::PrivacyOfficer, Role::Auditor]),
    (Action::KeepRecords, &[Role::PrivacyOfficer]),
    (Action::Maintain, &[Role::SystemAdmin]),
    // The controller decides about what should not exist (`decisions.md` 8): never the processor that holds it.
    (Action::DecideQuarantine, &[Role::PoliceApprover, Role::PrivacyOfficer]),
];

/// Whether the matrix lets a role do an action at all.
pub fn may_ever(role: Role, action: Action) -> bool {
    ROLE_MATRIX.iter().any(|(listed, roles)| *listed == action && roles.contains(&role))
}

/// Replay without an incident, for an offence: a row of the matrix of its own.
pub const REPLAY_FOR_OFFENCE: &[Role] = &[Role::PoliceOperator, Role::Investigator, Role::PoliceApprover];

/// Short replay inside an open incident: a row of the matrix of its own.
pub const REPLAY_IN_INCIDENT: &[Role] = &[Role::Observer, Role::PoliceOperator];

/// Whether a role can exist in an organisation of this kind (`decisions.md` 6).
pub fn fits(role: Role, kind: OrganisationKind) -> bool {
    use OrganisationKind as K;
    match role {
        Role::Observer => kind == K::SecurityCompany,
        Role::RoomCoordinator => kind == K::Processor,
        Role::PoliceOperator | Role::Investigator | Role::PoliceApprover | Role::PrivacyOfficer => {
            kind == K::Police
        }
        Role::Auditor => matches!(kind, K::Police | K::Other),
        Role::LegalAdmin => matches!(kind, K::Processor | K::Police | K::Municipality),
        Role::MunicipalOfficer => kind == K::Municipality,
        Role::UserAdmin | Role::SystemAdmin => matches!(kind, K::Processor | K::Police),
        Role::System | Role::None => false,
    }
}

/// Whether one person may not have both roles: an auditor neither operates nor administers what is audited.
pub fn conflict(one: Role, other: Role) -> bool {
    (one == Role::Auditor) != (other == Role::Auditor)
}

/// As what an action is logged (Wpg 32a lid 1).
pub(crate) fn logged_as(action: Action) -> LogOperation {
    match action {
        Action::Record | Action::MarkIncident | Action::Snapshot => LogOperation::Collect,
        Action::LiveView
        | Action::PtzControl
        | Action::Replay
        | Action::RequestExport
        | Action::ReadLog
        | Action::ReportStatistics
        | Action::ListCameras
        | Action::ReadRegister
        | Action::ListIncidents
        | Action::ReadHealth
        | Action::ReadQuarantine
        | Action::ReadRecords => LogOperation::Consult,
        Action::ApproveExport | Action::DownloadExport | Action::ShareLive | Action::ProvideToDataSubject => {
            LogOperation::Disclose
        }
        Action::SetHold
        | Action::ReleaseHold
        | Action::ConfigureDecree
        | Action::ConfigureWindow
        | Action::ConfigureMask
        | Action::ManageUsers
        | Action::ConfigureCamera
        | Action::KeepRecords
        | Action::Maintain
        | Action::AcceptClock
        | Action::Instruct => LogOperation::Alter,
        Action::BiometricSearch => LogOperation::Combine,
        Action::Destroy | Action::DecideQuarantine | Action::DeleteLogEntry | Action::PurgeLog => {
            LogOperation::Destroy
        }
    }
}
