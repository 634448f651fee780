//! Incidents: the form that marks one (`M`, then one key), the shift's log beside the wall, and the room that lists them.

use crate::{
    command::{CATEGORY_KEYS, Command},
    model::{Model, Overlay},
    theme, time, widgets,
};
use egui::{Align2, Key, Ui, pos2};
use protocol::api::{Incident, IncidentSource};

/// What the operator has written in the form so far.
#[derive(Default)]
pub struct Draft {
    /// The note.
    pub note: String,
    /// Police instruction reference.
    pub instruction: String,
    /// Where the report came from.
    pub source: IncidentSource,
}

const SOURCES: [IncidentSource; 3] =
    [IncidentSource::Own, IncidentSource::Radio, IncidentSource::Emergency112];

/// The form, while it is open. One key marks; a note is optional and comes first.
pub fn form(ui: &mut Ui, model: &Model, draft: &mut Draft, commands: &mut Vec<Command>) {
    let texts = &model.texts;
    let Overlay::Mark { at, camera } = &model.overlay else { return };
    let Some(view) = model.camera(camera) else { return };
    let title =
        texts.with("mark-title", &[("camera", view.number.into()), ("time", time::clock(*at).into())]);
    ui.label(egui::RichText::new(title).font(theme::title_font()).color(theme::TEXT_STRONG));
    ui.label(egui::RichText::new(&view.name).color(theme::DIM));
    ui.add_space(8.0);
    let mut chosen = None;
    for (key, category) in CATEGORY_KEYS {
        let label = texts.category(category);
        let (rect, response) = widgets::row(ui, 28.0, false, &format!("{key} {label}"));
        let painter = ui.painter_at(rect);
        let cap = widgets::key_cap(&painter, pos2(rect.left() + 6.0, rect.center().y), &key.to_string());
        widgets::text(
            &painter,
            pos2(cap.right() + 12.0, rect.center().y),
            Align2::LEFT_CENTER,
            label,
            theme::body_font(),
            theme::TEXT,
        );
        if response.clicked() {
            chosen = Some(category);
        }
    }
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        for source in SOURCES {
            let selected = draft.source == source;
            let button = egui::Button::new(texts.source(source)).selected(selected);
            if ui.add(button).clicked() {
                draft.source = source;
            }
        }
    });
    ui.add_space(4.0);
    let width = ui.available_width() - 20.0;
    let note =
        widgets::field(ui, &mut draft.note, &texts.get("mark-note"), &texts.get("mark-note"), false, width);
    ui.add_space(2.0);
    let reference = texts.get("mark-instruction");
    let instruction = widgets::field(ui, &mut draft.instruction, &reference, &reference, false, width);
    ui.add_space(4.0);
    ui.label(egui::RichText::new(texts.get("mark-keys")).font(theme::small_font()).color(theme::FAINT));
    let writing = note.has_focus() || instruction.has_focus();
    if !writing {
        let (typed, note_key, left, right) = ui.input(|i| {
            let typed = i.events.iter().find_map(|e| match e {
                egui::Event::Text(text) => text.chars().next(),
                _ => None,
            });
            (typed, i.key_pressed(Key::N), i.key_pressed(Key::ArrowLeft), i.key_pressed(Key::ArrowRight))
        });
        if let Some((_, category)) = CATEGORY_KEYS.into_iter().find(|(key, _)| Some(*key) == typed) {
            chosen = Some(category);
        }
        if note_key {
            note.request_focus();
        }
        let place = SOURCES.iter().position(|s| *s == draft.source).unwrap_or(0);
        let step = usize::from(right) + if left { SOURCES.len() - 1 } else { 0 };
        if let Some(source) = SOURCES.get((place + step) % SOURCES.len()) {
            draft.source = *source;
        }
    }
    if let Some(category) = chosen {
        let written = std::mem::take(draft);
        let instruction = Some(written.instruction.trim().to_owned()).filter(|i| !i.is_empty());
        let note = written.note.trim().to_owned();
        commands.push(Command::Mark { category, note, source: written.source, instruction });
    }
}

/// The shift's log: short lines beside the wall.
pub fn shift_log(ui: &mut Ui, model: &Model) {
    let texts = &model.texts;
    widgets::heading(ui, &texts.get("shift-log"));
    if model.incidents.is_empty() {
        ui.label(
            egui::RichText::new(texts.get("shift-log-empty")).color(theme::FAINT).font(theme::small_font()),
        );
    }
    for incident in model.incidents.iter().take(40) {
        let (title, second) = (title(model, incident), second_line(model, incident));
        let top = ui.cursor().min;
        let width = ui.available_width() - 54.0;
        let painter = ui.painter().clone();
        widgets::text(
            &painter,
            top,
            Align2::LEFT_TOP,
            time::hour(incident.at),
            theme::body_font(),
            theme::DIM,
        );
        let first = painter.layout(title.clone(), theme::body_font(), theme::TEXT, width);
        let line = painter.layout(second.clone(), theme::small_font(), theme::DIM, width);
        let height = first.size().y + 3.0 + line.size().y;
        let (rect, response) =
            ui.allocate_exact_size(egui::vec2(ui.available_width(), height + 10.0), egui::Sense::hover());
        response.widget_info(|| {
            egui::WidgetInfo::labeled(
                egui::Role::Label,
                true,
                format!("{} {title}, {second}", time::hour(incident.at)),
            )
        });
        let at = pos2(rect.left() + 54.0, rect.top());
        let below = at + egui::vec2(0.0, first.size().y + 3.0);
        painter.galley(at, first, theme::TEXT);
        painter.galley(below, line, theme::DIM);
    }
}

fn title(model: &Model, incident: &Incident) -> String {
    let numbers: Vec<String> =
        incident.cameras.iter().filter_map(|c| model.camera(c)).map(|c| c.number.to_string()).collect();
    let camera = model.texts.get("word-camera").to_lowercase();
    format!("{} · {camera} {}", model.texts.category(incident.category), numbers.join(", "))
}

fn second_line(model: &Model, incident: &Incident) -> String {
    let mut parts = Vec::new();
    if let Some(instruction) = &incident.instruction {
        parts.push(model.texts.with("police-instruction", &[("reference", instruction.as_str().into())]));
    }
    if incident.note.is_empty() {
        parts.push(model.texts.source(incident.source));
    } else {
        parts.push(incident.note.clone());
    }
    if incident.closed_at.is_some() {
        parts.push(model.texts.get("incident-closed"));
    }
    parts.join(" · ")
}

/// The room: all incidents of the scope, and closing them.
pub fn room(ui: &mut Ui, model: &Model, commands: &mut Vec<Command>) {
    let texts = &model.texts;
    egui::Frame::new().inner_margin(egui::Margin::same(24)).show(ui, |ui| {
        ui.label(
            egui::RichText::new(texts.get("room-incidents"))
                .font(theme::title_font())
                .color(theme::TEXT_STRONG),
        );
        ui.add_space(12.0);
        if model.incidents.is_empty() {
            ui.label(egui::RichText::new(texts.get("shift-log-empty")).color(theme::DIM));
        }
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for incident in &model.incidents {
                ui.horizontal(|ui| {
                    ui.set_min_height(theme::ROW);
                    let cell = |ui: &mut Ui, width: f32, text: String, colour| {
                        let (rect, response) =
                            ui.allocate_exact_size(egui::vec2(width, theme::ROW), egui::Sense::hover());
                        widgets::clipped(
                            ui.painter(),
                            rect.left_center(),
                            Align2::LEFT_CENTER,
                            &text,
                            theme::body_font(),
                            colour,
                            width - 8.0,
                        );
                        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &text));
                    };
                    cell(ui, 130.0, time::stamp(incident.at), theme::DIM);
                    cell(ui, 280.0, title(model, incident), theme::TEXT);
                    cell(
                        ui,
                        (ui.available_width() - 330.0).max(80.0),
                        second_line(model, incident),
                        theme::DIM,
                    );
                    cell(ui, 150.0, incident.marked_by.to_string(), theme::DIM);
                    if incident.closed_at.is_none()
                        && widgets::button(ui, &texts.get("incident-close"), false).clicked()
                    {
                        commands.push(Command::CloseIncident(incident.id.clone()));
                    }
                });
            }
        });
    });
}
