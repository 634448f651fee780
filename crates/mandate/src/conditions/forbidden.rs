//! What nobody may ever do, whoever asks and in whatever role: these report their own code first (`decisions.md` 6).

use super::{Step, Walk, need, refuse};
use crate::{decision::ReasonCode, request::Action, statement::Operation};

/// Mask removal (151c lid 7), face search (Wpg 5), deleting log entries (Wpg 32a), recording sound, and answering a
/// data subject in the controller's place (Wpg 24a-28).
pub(crate) fn never(walk: &mut Walk<'_>) -> Step {
    match walk.request.action {
        Action::BiometricSearch => refuse(ReasonCode::BiometricNotPermitted, None),
        Action::DeleteLogEntry => refuse(ReasonCode::LogImmutable, None),
        Action::ProvideToDataSubject => refuse(ReasonCode::ReferToController, None),
        Action::ConfigureMask => {
            // Anything that is not known to keep or enlarge the mask counts as lifting it.
            let operation = walk.statement().and_then(|statement| statement.operation.as_ref());
            let keeps = matches!(operation, Some(Operation::Add | Operation::Verify));
            need(keeps, ReasonCode::MaskRemovalForbidden)
        }
        Action::Record => super::picture::no_sound(walk),
        _ => Ok(()),
    }
}
