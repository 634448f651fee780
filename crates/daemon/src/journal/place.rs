//! In which municipality a fact matters, so that who looks for a municipality's entries in the log finds the changes of its
//! register too.

use mandate::{CameraId, DecreeId, Fact, FactBody, MunicipalityId};

/// The municipality of a fact, itself or of the decree or camera that it is about; none for facts about the whole region, and
/// for facts about persons, which the log names by pseudonym only.
pub(super) fn municipality_of(body: &FactBody, facts: &[Fact]) -> Option<MunicipalityId> {
    let of_decree = |id: &DecreeId| {
        facts.iter().rev().find_map(|fact| match &fact.body {
            FactBody::Decree(decree) if decree.id == *id => Some(decree.municipality.clone()),
            _ => None,
        })
    };
    let of_camera = |id: &CameraId| {
        facts.iter().rev().find_map(|fact| match &fact.body {
            FactBody::Camera(camera) if camera.id == *id => Some(camera.municipality.clone()),
            _ => None,
        })
    };
    match body {
        FactBody::Municipality(municipality) => Some(municipality.id.clone()),
        FactBody::Ordinance(ordinance) => Some(ordinance.municipality.clone()),
        FactBody::Decree(decree) => Some(decree.municipality.clone()),
        FactBody::Consultation(consultation) => Some(consultation.municipality.clone()),
        FactBody::Camera(camera) => Some(camera.municipality.clone()),
        FactBody::Area(area) => of_decree(&area.decree),
        FactBody::Extension(extension) => of_decree(&extension.decree),
        FactBody::Revocation(revocation) => of_decree(&revocation.decree),
        FactBody::Period(period) => of_decree(&period.decree),
        FactBody::ExtraWindow(window) => of_decree(&window.decree),
        FactBody::Position(position) => of_camera(&position.camera),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::facts;

    #[test]
    fn what_hangs_on_a_decree_or_a_camera_is_found_under_its_municipality() {
        let bodies = facts();
        let known: Vec<Fact> = bodies
            .iter()
            .map(|body| Fact { known_from: chrono::DateTime::UNIX_EPOCH, version: 1, body: body.clone() })
            .collect();
        let found = |is: fn(&FactBody) -> bool| {
            let body = bodies.iter().find(|body| is(body)).expect("the small register has one");
            municipality_of(body, &known).map(|id| id.to_string())
        };
        let decree = found(|body| matches!(body, FactBody::Decree(_)));
        assert!(decree.is_some());
        assert_eq!(found(|body| matches!(body, FactBody::Period(_))), decree);
        assert_eq!(found(|body| matches!(body, FactBody::Position(_))), decree);
        assert_eq!(found(|body| matches!(body, FactBody::Person(_))), None);
    }
}
