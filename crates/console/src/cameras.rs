//! The list of cameras: by municipality, with what is open and what is not, and a search that takes a number, a name or
//! a place.

use crate::{command::Command, model::Model, theme, time, widgets};
use egui::{Align2, Key, Ui, pos2};
use mandate::{MunicipalityId, ReasonCode};
use protocol::api::{Access, CameraState, CameraView};
use std::collections::BTreeSet;

/// What the operator has typed and folded; belongs to the window, not to the model.
#[derive(Default)]
pub struct Draft {
    /// The search.
    pub search: String,
    /// Municipalities folded or unfolded against their custom.
    pub toggled: BTreeSet<MunicipalityId>,
}

/// Draws search and list.
pub fn ui(ui: &mut Ui, model: &Model, draft: &mut Draft, commands: &mut Vec<Command>) {
    let texts = &model.texts;
    let width = ui.available_width() - 20.0;
    let hint = texts.get("search-hint");
    let field = widgets::field(ui, &mut draft.search, &hint, &hint, false, width);
    if model.search_wanted {
        field.request_focus();
    }
    let wanted = draft.search.trim().to_lowercase();
    let found = |camera: &CameraView| {
        wanted.is_empty()
            || camera.number.to_string().starts_with(&wanted)
            || camera.name.to_lowercase().contains(&wanted)
            || model.municipality(&camera.municipality).to_lowercase().contains(&wanted)
    };
    if field.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter)) && !wanted.is_empty() {
        // An exact number wins over a number that begins so.
        let exact = model.cameras.iter().find(|c| c.number.to_string() == wanted);
        if let Some(camera) = exact.or_else(|| model.cameras.iter().find(|c| found(c))) {
            commands.push(Command::Show { camera: camera.id.clone(), tile: None });
            draft.search.clear();
        }
    }
    widgets::heading(ui, &texts.get("cameras"));
    let mut places: Vec<&MunicipalityId> = Vec::new();
    for camera in &model.cameras {
        if !places.contains(&&camera.municipality) {
            places.push(&camera.municipality);
        }
    }
    for place in places {
        let cameras: Vec<&CameraView> =
            model.cameras.iter().filter(|c| &c.municipality == place && found(c)).collect();
        if cameras.is_empty() {
            continue;
        }
        let any_open = cameras.iter().any(|c| matches!(c.access, Access::Open { .. }));
        let folded = !wanted.is_empty() || (any_open != draft.toggled.contains(place));
        if group(ui, model, place, &cameras, folded) && wanted.is_empty() && !draft.toggled.remove(place) {
            draft.toggled.insert(place.clone());
        }
        if folded {
            for camera in cameras {
                row(ui, model, camera, commands);
            }
        }
    }
}

/// One municipality; returns whether it was clicked.
fn group(
    ui: &mut Ui,
    model: &Model,
    place: &MunicipalityId,
    cameras: &[&CameraView],
    unfolded: bool,
) -> bool {
    let name = model.municipality(place);
    let (summary, amber) = summary(model, cameras);
    let (rect, response) = widgets::row(ui, theme::ROW, false, &format!("{name}, {summary}"));
    let painter = ui.painter_at(rect);
    let y = rect.center().y;
    let caret = if unfolded { theme::icon::UNFOLDED } else { theme::icon::FOLDED };
    widgets::icon(&painter, pos2(rect.left() + 24.0, y), caret, 11.0, theme::DIM);
    let colour = if amber { theme::AMBER } else { theme::DIM };
    let right = widgets::text(
        &painter,
        pos2(rect.right() - 8.0, y),
        Align2::RIGHT_CENTER,
        summary,
        theme::small_font(),
        colour,
    );
    let left = rect.left() + 36.0;
    widgets::clipped(
        &painter,
        pos2(left, y),
        Align2::LEFT_CENTER,
        name,
        theme::body_font(),
        theme::TEXT,
        right.left() - left - 8.0,
    );
    response.clicked()
}

/// The state of a municipality in two words, and whether someone should look at it.
fn summary(model: &Model, cameras: &[&CameraView]) -> (String, bool) {
    let texts = &model.texts;
    let open: Vec<_> = cameras.iter().filter(|c| matches!(c.access, Access::Open { .. })).collect();
    let down = open.iter().filter(|c| matches!(c.state, CameraState::Down { .. })).count();
    if down > 0 {
        return (texts.with("group-down", &[("count", fluent_bundle::FluentValue::from(down))]), true);
    }
    if !open.is_empty() {
        let words = texts.with(
            "group-open",
            &[
                ("open", fluent_bundle::FluentValue::from(open.len())),
                ("all", fluent_bundle::FluentValue::from(cameras.len())),
            ],
        );
        return (words, false);
    }
    let refusals = cameras.iter().filter_map(|c| match &c.access {
        Access::Closed(refusal) => Some(refusal),
        Access::Open { .. } => None,
    });
    let opens = refusals.clone().filter_map(|r| r.opens_at).min();
    let unused = refusals.clone().all(|r| r.code == ReasonCode::OutsideUsePeriod);
    match opens {
        Some(at) if !unused => (
            texts.with("group-closed-until", &[("when", time::when(at, model.clock.now(), texts).into())]),
            false,
        ),
        _ if unused => (texts.get("group-not-in-use"), false),
        _ => (texts.get("group-closed"), false),
    }
}

fn row(ui: &mut Ui, model: &Model, camera: &CameraView, commands: &mut Vec<Command>) {
    let texts = &model.texts;
    let tile = model.tile_of(&camera.id);
    let chosen = tile == Some(model.selected);
    let closed = matches!(camera.access, Access::Closed(_));
    let down = !closed && matches!(camera.state, CameraState::Down { .. });
    let (state, colour) = if down {
        (texts.get("word-offline"), theme::AMBER)
    } else if closed {
        (texts.get("word-closed"), theme::FAINT)
    } else if let Some(tile) = tile {
        (texts.with("on-tile", &[("tile", fluent_bundle::FluentValue::from(tile + 1))]), theme::DIM)
    } else {
        (String::new(), theme::DIM)
    };
    let spoken = format!("{} {}", camera.number, camera.name);
    let (rect, response) = widgets::row(ui, theme::ROW, chosen, &spoken);
    let painter = ui.painter_at(rect);
    let y = rect.center().y;
    widgets::text(
        &painter,
        pos2(rect.left() + 26.0, y),
        Align2::RIGHT_CENTER,
        camera.number.to_string(),
        theme::small_font(),
        theme::DIM,
    );
    let right = widgets::text(
        &painter,
        pos2(rect.right() - 8.0, y),
        Align2::RIGHT_CENTER,
        state,
        theme::small_font(),
        colour,
    );
    let name = if closed { theme::DIM } else { theme::TEXT };
    let left = rect.left() + 36.0;
    widgets::clipped(
        &painter,
        pos2(left, y),
        Align2::LEFT_CENTER,
        &camera.name,
        theme::body_font(),
        name,
        right.left() - left - 8.0,
    );
    if response.clicked() {
        commands.push(match tile {
            Some(tile) => Command::Select(tile),
            None => Command::Show { camera: camera.id.clone(), tile: None },
        });
    }
    response.dnd_set_drag_payload(camera.id.clone());
}
