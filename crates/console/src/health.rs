//! The room for who keeps the cameras running: state of each, since when, why, and what arrives.

use crate::{model::Model, theme, time, widgets};
use egui::{Align2, Sense, Ui, vec2};
use protocol::api::CameraState;

/// Draws the room.
pub fn room(ui: &mut Ui, model: &Model) {
    let texts = &model.texts;
    egui::Frame::new().inner_margin(egui::Margin::same(24)).show(ui, |ui| {
        ui.label(
            egui::RichText::new(texts.get("room-health")).font(theme::title_font()).color(theme::TEXT_STRONG),
        );
        ui.add_space(8.0);
        let Some(health) = &model.health else {
            ui.label(egui::RichText::new(texts.get("health-asked")).color(theme::DIM));
            return;
        };
        widgets::fact(ui, &texts.get("health-log"), &health.ledger.entries.to_string());
        let recorded = format!("{:.1} GB", health.recorded_bytes as f64 / 1e9);
        widgets::fact(ui, &texts.get("health-recorded"), &recorded);
        ui.add_space(12.0);
        let columns = [
            (72.0, texts.get("health-number")),
            (260.0, texts.get("health-camera")),
            (320.0, texts.get("health-state")),
            (110.0, texts.get("health-rate")),
            (120.0, texts.get("health-pictures")),
            (120.0, texts.get("health-skips")),
        ];
        line(ui, columns.iter().map(|(width, text)| (*width, text.clone(), theme::FAINT)));
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for camera in &health.cameras {
                let view = model.camera(&camera.id);
                let (state, colour) = match &camera.main {
                    CameraState::Idle => (texts.get("state-idle"), theme::DIM),
                    CameraState::Connecting => (texts.get("state-connecting"), theme::TEXT),
                    CameraState::Up { since } => {
                        (texts.with("state-up", &[("time", time::clock(*since).into())]), theme::TEXT)
                    }
                    CameraState::Down { since, detail, .. } => {
                        (format!("{} · {}", time::clock(*since), texts.sentence(detail)), theme::AMBER)
                    }
                };
                let values = [
                    view.map_or_else(String::new, |v| v.number.to_string()),
                    view.map_or_else(|| camera.id.to_string(), |v| v.name.clone()),
                    state,
                    format!("{:.1} Mbit/s", camera.bits_per_second as f64 / 1e6),
                    camera.frames.to_string(),
                    camera.viewer_skips.to_string(),
                ];
                line(
                    ui,
                    columns.iter().zip(values).enumerate().map(|(i, ((width, _), value))| {
                        (*width, value, if i == 2 { colour } else { theme::TEXT })
                    }),
                );
            }
        });
    });
}

fn line(ui: &mut Ui, cells: impl Iterator<Item = (f32, String, egui::Color32)>) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        for (width, value, colour) in cells {
            let (rect, response) = ui.allocate_exact_size(vec2(width, 26.0), Sense::hover());
            widgets::clipped(
                ui.painter(),
                rect.left_center(),
                Align2::LEFT_CENTER,
                &value,
                theme::body_font(),
                colour,
                width - 8.0,
            );
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &value));
        }
    });
}
