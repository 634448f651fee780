//! The picture itself (M): the mask over what is not public, no sound, and where a steered camera looks (151c lid 7).

use super::{Step, Walk, need, refuse};
use crate::decision::ReasonCode;

/// The mask is verified for the position where the camera hangs now.
pub(crate) fn mask(walk: &mut Walk<'_>) -> Step {
    let position = walk.camera().and_then(|camera| camera.position_at(walk.at));
    let Some((mask, fact)) = position.and_then(|position| position.mask.as_ref()) else {
        return refuse(ReasonCode::MaskNotVerified, position.map(|position| &position.fact));
    };
    match mask.verified_at {
        Some(verified_at) if verified_at <= walk.at => {
            walk.rests_on(fact);
            Ok(())
        }
        verified_at => {
            walk.changes(verified_at);
            refuse(ReasonCode::MaskNotVerified, Some(fact))
        }
    }
}

/// The camera delivers no sound: 151c speaks of images only.
pub(crate) fn no_sound(walk: &mut Walk<'_>) -> Step {
    match walk.camera() {
        Some(camera) if camera.camera.audio => refuse(ReasonCode::AudioNotPermitted, Some(&camera.fact)),
        _ => Ok(()),
    }
}

/// A steered camera looks at a public place inside the area.
pub(crate) fn target(walk: &mut Walk<'_>) -> Step {
    let target = walk.statement().and_then(|statement| statement.target).unwrap_or_default();
    need(target.public_place, ReasonCode::TargetNotPublic)?;
    need(target.in_area, ReasonCode::TargetOutsideArea)
}
