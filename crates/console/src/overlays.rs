//! What may lie over the window because someone asked for it: the keypad entry, all keys, the command palette; and the
//! word about what was just refused. None of them stops a picture.

use crate::{
    command::{Command, Room, SHORTCUTS},
    layout::Layout,
    model::{Model, Overlay},
    theme, widgets,
};
use egui::{Align2, Area, CornerRadius, Id, Key, Order, Rect, Ui, pos2, vec2};
use fluent_bundle::FluentValue;

/// What is typed in the palette.
#[derive(Default)]
pub struct PaletteDraft {
    query: String,
    chosen: usize,
}

/// Draws whichever is open. `wall` is the room below the bars.
pub fn ui(ui: &Ui, wall: Rect, model: &Model, draft: &mut PaletteDraft, commands: &mut Vec<Command>) {
    entry(ui, wall, model);
    notice(ui, wall, model);
    match &model.overlay {
        Overlay::Help => help(ui, wall, model),
        Overlay::Palette => palette(ui, wall, model, draft, commands),
        _ => *draft = PaletteDraft::default(),
    }
}

/// The number being typed, large enough to read without looking for it.
fn entry(ui: &Ui, wall: Rect, model: &Model) {
    let entry = model.keypad.entry();
    if entry.is_empty() {
        return;
    }
    let painter = ui.ctx().layer_painter(egui::LayerId::new(Order::Foreground, Id::unique("entry")));
    let found = model.cameras.iter().find(|c| {
        let number = entry.rsplit('.').next().unwrap_or_default();
        !entry.starts_with('*') && c.number.to_string() == number
    });
    let width = 360.0;
    let rect = Rect::from_center_size(pos2(wall.center().x, wall.bottom() - 110.0), vec2(width, 120.0));
    painter.rect(
        rect,
        CornerRadius::same(theme::RADIUS_CARD),
        theme::SURFACE,
        theme::line(),
        egui::StrokeKind::Inside,
    );
    let at = pos2(rect.center().x, rect.center().y - 12.0);
    widgets::text(&painter, at, Align2::CENTER_CENTER, entry, theme::entry_font(), theme::TEXT_STRONG);
    let below = found.map_or_else(|| model.texts.get("entry-keys"), |c| format!("{} ⏎", c.name));
    let at = pos2(rect.center().x, rect.bottom() - 20.0);
    widgets::clipped(
        &painter,
        at,
        Align2::CENTER_CENTER,
        below,
        theme::small_font(),
        theme::DIM,
        width - 24.0,
    );
}

fn notice(ui: &Ui, wall: Rect, model: &Model) {
    let Some(notice) = &model.notice else { return };
    let area = Area::new(Id::unique("notice")).order(Order::Foreground).pivot(Align2::CENTER_BOTTOM);
    area.fixed_pos(pos2(wall.center().x, wall.bottom() - 16.0)).interactable(false).show(ui.ctx(), |ui| {
        let (ground, colour) =
            if notice.grave { (theme::AMBER_GROUND, theme::AMBER) } else { (theme::RAISED, theme::TEXT) };
        egui::Frame::new()
            .fill(ground)
            .corner_radius(CornerRadius::same(theme::RADIUS))
            .inner_margin(12.0)
            .show(ui, |ui| {
                ui.set_max_width(wall.width() * 0.7);
                ui.label(egui::RichText::new(&notice.text).color(colour));
            });
    });
}

fn help(ui: &Ui, wall: Rect, model: &Model) {
    let texts = &model.texts;
    let area = Area::new(Id::unique("help")).order(Order::Foreground).pivot(Align2::CENTER_CENTER);
    area.fixed_pos(wall.center()).show(ui.ctx(), |ui| {
        theme::card().show(ui, |ui| {
            ui.set_width(560.0);
            ui.label(
                egui::RichText::new(texts.get("do-help")).font(theme::title_font()).color(theme::TEXT_STRONG),
            );
            ui.add_space(8.0);
            let keypad = [("7 ⏎", "keypad-camera"), ("3 . 7 ⏎", "keypad-tile"), ("* 2 ⏎", "keypad-layout")];
            let all = keypad.into_iter().chain(SHORTCUTS.iter().map(|s| (s.cap, s.text)));
            for (cap, text) in all {
                let (rect, _) = ui.allocate_exact_size(vec2(520.0, 26.0), egui::Sense::hover());
                widgets::key_cap(ui.painter(), pos2(rect.left(), rect.center().y), cap);
                let at = pos2(rect.left() + 96.0, rect.center().y);
                widgets::text(
                    ui.painter(),
                    at,
                    Align2::LEFT_CENTER,
                    texts.get(text),
                    theme::body_font(),
                    theme::TEXT,
                );
            }
        });
    });
}

/// Every command in words: shortcuts, layouts and cameras.
fn choices(model: &Model) -> Vec<(String, &'static str, Command)> {
    let texts = &model.texts;
    let rooms = model.rooms();
    let mut all: Vec<(String, &'static str, Command)> = SHORTCUTS
        .iter()
        .map(|s| (texts.get(s.text), s.cap, (s.command)()))
        .filter(|(_, _, c)| !matches!(c, Command::Palette))
        .filter(|(_, _, c)| !matches!(c, Command::Enter(room) if !rooms.contains(room)))
        .collect();
    for layout in Layout::ALL {
        let words = texts.with("do-divide", &[("tiles", FluentValue::from(layout.tiles()))]);
        all.push((words, "", Command::Divide(layout)));
    }
    for camera in &model.cameras {
        let words = format!("{} {} {}", texts.get("word-camera"), camera.number, camera.name);
        all.push((words, "", Command::Show { camera: camera.id.clone(), tile: None }));
    }
    all
}

fn palette(ui: &Ui, wall: Rect, model: &Model, draft: &mut PaletteDraft, commands: &mut Vec<Command>) {
    let texts = &model.texts;
    let wanted = draft.query.to_lowercase();
    let found: Vec<_> = choices(model)
        .into_iter()
        .filter(|(words, _, _)| wanted.split_whitespace().all(|w| words.to_lowercase().contains(w)))
        .take(10)
        .collect();
    let (up, down, enter) =
        ui.input(|i| (i.key_pressed(Key::ArrowUp), i.key_pressed(Key::ArrowDown), i.key_pressed(Key::Enter)));
    draft.chosen =
        (draft.chosen + usize::from(down)).saturating_sub(usize::from(up)).min(found.len().saturating_sub(1));
    let mut done = enter.then(|| found.get(draft.chosen).map(|(_, _, c)| c.clone())).flatten();
    let area = Area::new(Id::unique("palette")).order(Order::Foreground).pivot(Align2::CENTER_TOP);
    area.fixed_pos(pos2(wall.center().x, wall.top() + 48.0)).show(ui.ctx(), |ui| {
        theme::card().inner_margin(12.0).show(ui, |ui| {
            ui.set_width(520.0);
            let hint = texts.get("palette-hint");
            let field = widgets::field(ui, &mut draft.query, &hint, &hint, false, 500.0);
            // The arrows choose below while the cursor stays here.
            if !field.has_focus() {
                field.request_focus();
            }
            if field.changed() {
                draft.chosen = 0;
            }
            ui.add_space(6.0);
            for (index, (words, cap, command)) in found.iter().enumerate() {
                let (rect, response) = widgets::row(ui, 28.0, index == draft.chosen, words);
                let at = pos2(rect.left() + 10.0, rect.center().y);
                widgets::text(ui.painter(), at, Align2::LEFT_CENTER, words, theme::body_font(), theme::TEXT);
                if !cap.is_empty() {
                    let at = pos2(rect.right() - 56.0, rect.center().y);
                    widgets::key_cap(ui.painter(), at, cap);
                }
                if response.clicked() {
                    done = Some(command.clone());
                }
            }
        });
    });
    if let Some(command) = done {
        commands.push(Command::Back);
        commands.push(command);
    }
}

/// The rooms in the order of the rail, with their icon and name.
pub const RAIL: [(Room, &str, &str); 4] = [
    (Room::Wall, theme::icon::WALL, "room-wall"),
    (Room::Replay, theme::icon::LOOK_BACK, "room-back"),
    (Room::Incidents, theme::icon::INCIDENT, "room-incidents"),
    (Room::Health, theme::icon::HEALTH, "room-health"),
];
