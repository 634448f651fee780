//! The one room through which everything that touches a person's privacy passes: from a register, a request and an
//! instant to a decision.
//!
//! Conditions are tested in the order of [`ReasonCode`]; the first that fails is the answer. Each condition that is
//! tested says when it could change, and the earliest of those instants is the decision's `until`: conditions behind the
//! first failure cannot change the answer before it does. What a condition rests on goes into the basis.
//!
//! | group | module | asks |
//! |---|---|---|
//! | forbidden | `conditions::forbidden` | is this something that nobody may ever do? |
//! | P person | `conditions::person` | role, authorisation, scope, secrecy, agreements, clearance, shift |
//! | B basis, W window | `conditions::basis` | ordinance, decree, area, consultation, signs, use, live |
//! | M mask | `conditions::picture` | mask, sound, target of a steered camera |
//! | F footage | `conditions::footage` | lawful at capture as known then and now; term; hold |
//! | Z purpose | `conditions::purpose` | offence, case, recipient, four eyes |
//! | configuring | `conditions::configure` | decrees, windows, masks, roles |
//! | records | `conditions::records` | the log and figures |

use crate::{
    conditions::{
        Refusal, Step, Walk, basis, configure, footage, forbidden, person, picture, purpose, records, refuse,
    },
    decision::{Decision, Denial, Permit, ReasonCode},
    register::Register,
    request::{Action, Request},
};
use chrono::{DateTime, Utc};

/// Decides a request at an instant, on what the register knew. Pure: the same three give the same answer for ever.
///
/// For a live action pass the register as known now; for footage too: what was known at capture is in it.
pub fn decide(register: &Register, request: &Request, at: DateTime<Utc>) -> Decision {
    let mut walk = Walk::new(register, request, at);
    match conditions(&mut walk) {
        Ok(()) => {
            let Walk { basis, complete, until, obligations, .. } = walk;
            Decision::Permit(Permit { basis, complete, until, obligations })
        }
        Err(Refusal { code, fact }) => {
            let obligations = walk.obligations.of_a_refusal();
            Decision::Deny(Denial { code, fact, until: walk.until, obligations })
        }
    }
}

/// The row of the action in `domain.md` 5b.
pub(crate) fn conditions(walk: &mut Walk<'_>) -> Step {
    forbidden::never(walk)?;
    person::chain(walk)?;
    match walk.request.action {
        Action::LiveView | Action::MarkIncident => live(walk)?,
        Action::PtzControl => {
            live(walk)?;
            picture::target(walk)?;
        }
        Action::Snapshot => {
            live(walk)?;
            footage::inherits(walk);
            purpose::incident(walk)?;
        }
        Action::ShareLive => {
            live(walk)?;
            purpose::live_recipient(walk)?;
        }
        Action::Record => {
            basis::in_use(walk)?;
            picture::mask(walk)?;
            footage::starts_term(walk);
        }
        Action::Replay if purpose::within_incident(walk) => {
            basis::live(walk)?;
            footage::lawful(walk)?;
            footage::within_term(walk)?;
            footage::within_replay_limit(walk)?;
            purpose::incident(walk)?;
            purpose::of_public_order(walk)?;
        }
        Action::Replay => {
            footage::lawful(walk)?;
            footage::within_term(walk)?;
            purpose::concrete_offence(walk)?;
        }
        Action::RequestExport => {
            footage::lawful(walk)?;
            footage::within_term(walk)?;
            purpose::requested(walk)?;
        }
        Action::ApproveExport => {
            footage::lawful(walk)?;
            footage::within_term(walk)?;
            purpose::approved(walk)?;
            footage::held(walk);
        }
        Action::DownloadExport => purpose::fetched(walk)?,
        Action::SetHold => {
            footage::lawful(walk)?;
            footage::within_term(walk)?;
            purpose::concrete_offence(walk)?;
            purpose::case_number(walk)?;
            footage::held(walk);
        }
        Action::ReleaseHold => {
            purpose::reason_to_release(walk)?;
            footage::released(walk);
        }
        Action::Destroy => {
            footage::due(walk)?;
            walk.obligations.destroy_now = true;
        }
        Action::DecideQuarantine => {
            purpose::reason(walk)?;
            footage::to_be_decided_about(walk)?;
        }
        Action::ConfigureDecree => configure::decree(walk)?,
        Action::ConfigureWindow => configure::window(walk)?,
        Action::ManageUsers => configure::users(walk)?,
        Action::ReadLog => records::read_log(walk)?,
        Action::PurgeLog => records::purge_log(walk)?,
        Action::ReportStatistics => records::statistics(walk)?,
        // No pictures, or never fewer masks: the person chain is all there is.
        Action::ConfigureMask
        | Action::ListCameras
        | Action::ReadRegister
        | Action::ListIncidents
        | Action::ReadHealth
        | Action::ConfigureCamera
        | Action::Instruct
        | Action::AcceptClock
        | Action::ReadRecords
        | Action::KeepRecords
        | Action::Maintain
        | Action::ReadQuarantine => {}
        // `forbidden::never` has answered; nobody is in the matrix for these either.
        Action::DeleteLogEntry | Action::BiometricSearch | Action::ProvideToDataSubject => {
            return refuse(ReasonCode::RoleNotPermitted, None);
        }
    }
    person::role_fits_organisation(walk)
}

/// A person in a role, whatever they then do.
pub(crate) fn person(walk: &mut Walk<'_>) -> Step {
    person::chain(walk)?;
    person::role_fits_organisation(walk)
}

/// A live picture: basis, window, mask.
pub(crate) fn live(walk: &mut Walk<'_>) -> Step {
    basis::live(walk)?;
    picture::mask(walk)?;
    picture::no_sound(walk)
}
