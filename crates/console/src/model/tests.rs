//! What commands and news make of the state.

use super::*;
use crate::{command::Command, gallery::made_up_model, net::News};
use egui::{Pos2, Rect, pos2, vec2};
use protocol::api::{IncidentCategory, IncidentSource, NewIncident};

#[test]
fn zoom_keeps_the_point_under_the_pointer() {
    let zoom = Zoom::default().zoomed(2.0, pos2(0.25, 0.75));
    let part = zoom.part();
    let under = part.min + vec2(0.25 * part.width(), 0.75 * part.height());
    assert!((under - pos2(0.25, 0.75)).length() < 1e-5);
    assert_eq!(Zoom::default().zoomed(0.5, pos2(0.5, 0.5)), Zoom::default());
    let far = zoom.moved(vec2(10.0, 10.0)).part();
    assert!(Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0)).expand(1e-5).contains_rect(far));
}

#[test]
fn looking_back_opens_an_incident_first() {
    let mut model = made_up_model(Language::Nl);
    model.incidents.clear();
    model.selected = 0;
    model.apply(Command::LookBack);
    assert!(matches!(&model.outbox[..], [Ask::Mark(NewIncident { quick: true, .. })]));
    assert!(model.wants(false).iter().all(|w| w.shows == Shows::Live), "no replay before its incident");
    let camera = model.tiles[0].camera.clone().unwrap();
    let incident = Incident {
        id: "INC-9".into(),
        at: model.clock.now(),
        cameras: vec![camera],
        category: IncidentCategory::Other,
        note: String::new(),
        source: IncidentSource::Own,
        instruction: None,
        marked_by: "observant".into(),
        closed_at: None,
        outside_number: None,
    };
    model.learn(News::Incident(incident));
    assert!(
        matches!(&model.wants(false)[0].shows, Shows::Replay { incident: Some(id), .. } if id.as_str() == "INC-9")
    );
    model.apply(Command::Back);
    assert!(model.wants(false).iter().all(|w| w.shows == Shows::Live));
}

#[test]
fn a_refused_mark_ends_the_look_back_that_waits_for_it() {
    let mut model = made_up_model(Language::Nl);
    model.incidents.clear();
    model.apply(Command::LookBack);
    model.learn(News::Failed(Trouble::Said(Sentence { nl: "Nee.".into(), en: "No.".into() })));
    assert!(model.tiles[0].look_back.is_none());
    assert_eq!(model.notice.as_ref().map(|n| n.text.as_str()), Some("Nee."));
}

#[test]
fn a_camera_stands_on_one_tile() {
    let mut model = made_up_model(Language::Nl);
    let (first, second) = (model.tiles[0].camera.clone(), model.tiles[1].camera.clone());
    let number = model.camera(second.as_ref().unwrap()).unwrap().number;
    model.apply(Command::ShowNumber { number, tile: Some(0) });
    assert_eq!((&model.tiles[0].camera, &model.tiles[1].camera), (&second, &first));
}

#[test]
fn closed_cameras_are_never_asked_for() {
    let mut model = made_up_model(Language::Nl);
    for want in model.wants(false) {
        assert!(matches!(model.camera(&want.camera).unwrap().access, Access::Open { .. }));
    }
}

#[test]
fn what_this_workstation_checked_itself_outlives_a_session() {
    let mut model = made_up_model(Language::Nl);
    let checked =
        crate::receipts::Witnessed { checked: true, entries: 12, receipts: 3, ..Default::default() };
    model.learn(News::Witnessed(checked.clone()));
    model.learn(News::LoggedOut(None));
    assert_eq!(model.witnessed, checked);
}

#[test]
fn logging_out_leaves_nothing_behind() {
    let mut model = made_up_model(Language::En);
    model.learn(News::LoggedOut(None));
    assert!(model.cameras.is_empty() && model.incidents.is_empty());
    assert!(model.tiles.iter().all(|t| t.camera.is_none()));
    assert_eq!(model.texts.language(), Language::En);
}
