//! Logging in. Nothing of the room is shown before the daemon knows who looks.

use crate::{
    command::Command,
    model::{LogIn, Model},
    theme, time, widgets,
};
use egui::{Align2, Area, Id, Key, Ui};

/// What is typed.
#[derive(Default)]
pub struct Draft {
    /// Log-in name.
    pub username: String,
    /// Password; emptied as soon as it was used.
    pub password: String,
    asked: bool,
}

/// Draws the form.
pub fn ui(ui: &mut Ui, model: &Model, draft: &mut Draft, commands: &mut Vec<Command>) {
    let texts = &model.texts;
    let rect = ui.max_rect();
    ui.painter().rect_filled(rect, 0.0, theme::BACKGROUND);
    let waiting = model.log_in == LogIn::Asked;
    Area::new(Id::unique("log-in")).pivot(Align2::CENTER_CENTER).fixed_pos(rect.center()).show(
        ui.ctx(),
        |ui| {
            theme::card().inner_margin(28.0).show(ui, |ui| {
                ui.set_width(340.0);
                ui.horizontal(|ui| {
                    ui.label(
                        egui::RichText::new(time::clock(model.clock.now()))
                            .font(theme::clock_font())
                            .color(theme::TEXT_STRONG),
                    );
                    if model.about.as_ref().is_some_and(|a| a.demo) {
                        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                            ui.label(
                                egui::RichText::new(texts.get("demo"))
                                    .font(theme::small_font())
                                    .color(theme::AMBER),
                            );
                        });
                    }
                });
                ui.label(
                    egui::RichText::new(texts.get("login-title"))
                        .font(theme::title_font())
                        .color(theme::TEXT),
                );
                let server =
                    model.about.as_ref().map_or_else(|| texts.get("login-no-server"), |a| a.origin.clone());
                ui.label(egui::RichText::new(server).font(theme::small_font()).color(theme::DIM));
                ui.add_space(16.0);
                let name = texts.get("login-name");
                let name = widgets::field(ui, &mut draft.username, &name, &name, false, 320.0);
                ui.add_space(4.0);
                let password = texts.get("login-password");
                let password = widgets::field(ui, &mut draft.password, &password, &password, true, 320.0);
                if !draft.asked {
                    draft.asked = true;
                    name.request_focus();
                }
                let enter =
                    |r: &egui::Response, ui: &Ui| r.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
                if enter(&name, ui) {
                    password.request_focus();
                }
                ui.add_space(12.0);
                let label = if waiting { texts.get("login-asked") } else { texts.get("login-enter") };
                let go = ui.add_enabled_ui(!waiting, |ui| widgets::button(ui, &label, true)).inner;
                if (go.clicked() || enter(&password, ui)) && !draft.username.is_empty() && !waiting {
                    let (username, password) = (draft.username.clone(), std::mem::take(&mut draft.password));
                    commands.push(Command::LogIn { username, password });
                }
                if let LogIn::Out(Some(trouble)) = &model.log_in {
                    ui.add_space(10.0);
                    ui.label(egui::RichText::new(model.trouble(trouble)).color(theme::AMBER));
                }
            });
        },
    );
}
