//! `?` on a tile: why may I see this, or why not? The daemon's answer in words, with every fact it rests on.

use crate::{
    model::{Model, Overlay},
    theme, tile, time, widgets,
};
use egui::Ui;
use protocol::api::Access;

/// The answer, in the side panel.
pub fn ui(ui: &mut Ui, model: &Model) {
    let texts = &model.texts;
    let Overlay::Why { camera, answer } = &model.overlay else { return };
    let Some(view) = model.camera(camera) else { return };
    let now = model.clock.now();
    let title = format!("{} {} · {}", texts.get("word-camera"), view.number, view.name);
    ui.label(egui::RichText::new(title).font(theme::title_font()).color(theme::TEXT_STRONG));
    let access = answer.as_ref().map_or(&view.access, |why| &why.access);
    match access {
        Access::Open { until } => {
            ui.label(egui::RichText::new(texts.get("why-open")).color(theme::TEXT));
            if let Some(until) = until {
                let left = time::remaining(*until - now, texts.language());
                let words = texts.with(
                    "why-until",
                    &[("when", time::when(*until, now, texts).into()), ("left", left.into())],
                );
                ui.label(egui::RichText::new(words).color(theme::DIM));
            }
        }
        Access::Closed(refusal) => {
            let (head, line) = tile::closed_words(refusal, model, view, now);
            ui.label(egui::RichText::new(head).color(theme::TEXT));
            ui.label(egui::RichText::new(line).color(theme::DIM));
            let said = texts.sentence(&refusal.sentence);
            if !said.is_empty() {
                ui.label(egui::RichText::new(said).color(theme::DIM));
            }
            widgets::fact(ui, &texts.get("why-code"), &code(refusal.code));
        }
    }
    let Some(why) = answer else {
        ui.add_space(8.0);
        ui.label(egui::RichText::new(texts.get("why-asked")).color(theme::FAINT));
        return;
    };
    if !why.lines.is_empty() {
        widgets::heading(ui, &texts.get("why-chain"));
        for line in &why.lines {
            ui.horizontal_top(|ui| {
                ui.label(egui::RichText::new("·").color(theme::FAINT));
                ui.add(egui::Label::new(egui::RichText::new(texts.sentence(line)).color(theme::TEXT)).wrap());
            });
        }
    }
    if !why.basis.is_empty() {
        widgets::heading(ui, &texts.get("why-facts"));
        let facts: Vec<String> =
            why.basis.iter().map(|f| format!("{} {} v{}", texts.fact(f.kind), f.id, f.version)).collect();
        ui.label(egui::RichText::new(facts.join(" · ")).font(theme::small_font()).color(theme::DIM));
    }
    ui.add_space(8.0);
    let words = texts.with("why-decided-at", &[("time", time::clock(why.at).into())]);
    ui.label(egui::RichText::new(words).font(theme::small_font()).color(theme::FAINT));
}

/// A reason code as the law's vocabulary writes it.
pub fn code(code: mandate::ReasonCode) -> String {
    serde_json::to_value(code).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
