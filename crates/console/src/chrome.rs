//! The frame around the rooms: the rail, the bar with the daemon's clock and the basis one works under, and the bar at
//! the foot with what the operator must be able to trust.

use crate::{
    command::{Command, Room},
    model::{Confirmation, Model},
    overlays::RAIL,
    theme, time,
    video::LoadLevel,
    widgets,
};
use chrono::TimeDelta;
use egui::{Align2, CornerRadius, Margin, Panel, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};
use fluent_bundle::FluentValue;
use protocol::api::Access;

/// Figures of the wall as a whole, for the bar at the foot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Capture to screen, median over the tiles, ms.
    pub latency_ms: Option<f64>,
    /// Tiles that are live.
    pub live: usize,
    /// Repaints per second.
    pub hz: f32,
    /// What is given up.
    pub level: LoadLevel,
}

/// The rail: only the rooms this role may enter.
pub fn rail(ui: &mut Ui, model: &Model, commands: &mut Vec<Command>) {
    Panel::left("rail")
        .exact_size(theme::RAIL)
        .resizable(false)
        .show_separator_line(true)
        .frame(theme::surface(Margin::ZERO))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(0.0, 4.0);
            ui.add_space(6.0);
            let rooms = model.rooms();
            for (room, glyph, name) in RAIL.into_iter().filter(|(room, _, _)| rooms.contains(room)) {
                if cell(ui, glyph, &model.texts.get(name), model.room == room) {
                    commands.push(Command::Enter(room));
                }
            }
        });
}

fn cell(ui: &mut Ui, glyph: &str, name: &str, here: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(theme::RAIL, theme::RAIL_CELL.y), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, here, name));
    let inner = Rect::from_center_size(rect.center(), theme::RAIL_CELL);
    let painter = ui.painter();
    if here || response.hovered() {
        painter.rect_filled(inner, CornerRadius::same(theme::RADIUS_CARD), theme::RAISED);
    }
    if here {
        let edge = Rect::from_min_size(inner.min + vec2(0.0, 4.0), vec2(2.0, inner.height() - 8.0));
        painter.rect_filled(edge, CornerRadius::same(1), theme::ACCENT);
    }
    if response.has_focus() {
        widgets::border(painter, inner, 1.0, theme::ACCENT);
    }
    let colour = if here { theme::TEXT_STRONG } else { theme::DIM };
    widgets::icon(painter, inner.center() - vec2(0.0, 9.0), glyph, theme::RAIL_ICON, colour);
    widgets::text(
        painter,
        inner.center() + vec2(0.0, 13.0),
        Align2::CENTER_CENTER,
        name,
        theme::tiny_font(),
        colour,
    );
    response.clicked()
}

/// The bar at the top.
pub fn top_bar(ui: &mut Ui, model: &Model) {
    Panel::top("top")
        .exact_size(theme::TOP_BAR)
        .show_separator_line(true)
        .frame(theme::surface(Margin::ZERO))
        .show(ui, |ui| {
            let rect = ui.max_rect();
            let painter = ui.painter().clone();
            let (texts, now, y) = (&model.texts, model.clock.now(), rect.center().y);
            let clock = widgets::text(
                &painter,
                pos2(rect.left() + 20.0, y),
                Align2::LEFT_CENTER,
                time::clock(now),
                theme::clock_font(),
                theme::TEXT_STRONG,
            );
            let date = time::long_date(now, texts);
            let date = widgets::text(
                &painter,
                pos2(clock.right() + 28.0, y),
                Align2::LEFT_CENTER,
                date,
                theme::body_font(),
                theme::DIM,
            );
            let ahead = -model.clock.offset_us() as f64 / 1e6;
            if ahead.abs() >= 2.0 {
                let words = texts.with("clock-differs", &[("seconds", format!("{ahead:+.0}").into())]);
                widgets::chip(
                    &painter,
                    pos2(date.right() + 16.0, y - 12.0),
                    false,
                    &words,
                    theme::ON_AMBER,
                    theme::AMBER,
                );
            }
            let mut right = rect.right() - 20.0;
            if let Some(me) = model.me() {
                let shift = match &me.shift {
                    Some(shift) => texts.with(
                        "shift",
                        &[("from", time::hour(shift.from).into()), ("until", time::hour(shift.until).into())],
                    ),
                    None => texts.get("no-shift"),
                };
                let drawn = widgets::text(
                    &painter,
                    pos2(right, y),
                    Align2::RIGHT_CENTER,
                    shift,
                    theme::body_font(),
                    theme::DIM,
                );
                let drawn = widgets::text(
                    &painter,
                    pos2(drawn.left() - 28.0, y),
                    Align2::RIGHT_CENTER,
                    &me.name,
                    theme::body_font(),
                    theme::TEXT_STRONG,
                );
                right = drawn.left() - 28.0;
            }
            if model.about.as_ref().is_some_and(|a| a.demo) {
                widgets::chip(
                    &painter,
                    pos2(right, y - 12.0),
                    true,
                    &texts.get("demo"),
                    theme::ON_AMBER,
                    theme::AMBER,
                );
            }
            basis(&painter, rect, model, now);
            let spoken = format!("{} {}", time::clock(now), time::long_date(now, texts));
            let response = ui.interact(rect, ui.scope_id().with("clock"), Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &spoken));
        });
}

/// The basis of the selected tile and how long it still runs.
fn basis(painter: &egui::Painter, bar: Rect, model: &Model, now: chrono::DateTime<chrono::Utc>) {
    let texts = &model.texts;
    let Some(view) = model.selected_camera() else { return };
    let place = model.municipality(&view.municipality);
    let y = bar.center().y;
    let centre = bar.center().x - 20.0;
    match &view.access {
        Access::Open { until } => {
            let gauge = Rect::from_center_size(pos2(centre, y), vec2(160.0, 4.0));
            let at = pos2(gauge.left() - 10.0, y);
            let name =
                widgets::text(painter, at, Align2::RIGHT_CENTER, place, theme::strong_font(), theme::TEXT);
            let at = pos2(name.left() - 5.0, y);
            widgets::text(
                painter,
                at,
                Align2::RIGHT_CENTER,
                texts.get("live-period"),
                theme::body_font(),
                theme::TEXT,
            );
            let Some(until) = until else {
                widgets::progress(painter, gauge, 0.0, theme::DIM);
                return;
            };
            let begin = model.me().and_then(|me| me.shift).map_or(model.since, |s| s.from).min(now);
            let whole = (*until - begin).num_seconds().max(1) as f32;
            let left = *until - now;
            let soon = left.num_seconds() < 300;
            let colour = if soon { theme::AMBER } else { theme::DIM };
            widgets::progress(
                painter,
                gauge,
                (now - begin).num_seconds() as f32 / whole,
                if soon { theme::AMBER } else { theme::TEXT },
            );
            let words = texts.with(
                "basis-until",
                &[
                    ("when", time::when(*until, now, texts).into()),
                    ("left", time::remaining(left, texts.language()).into()),
                ],
            );
            widgets::text(
                painter,
                pos2(gauge.right() + 10.0, y),
                Align2::LEFT_CENTER,
                words,
                theme::body_font(),
                colour,
            );
        }
        Access::Closed(refusal) => {
            let (head, _) = crate::tile::closed_words(refusal, model, view, now);
            let words = format!("{place} · {}", head.to_lowercase());
            widgets::text(
                painter,
                pos2(centre, y),
                Align2::CENTER_CENTER,
                words,
                theme::body_font(),
                theme::DIM,
            );
        }
    }
}

/// A cosignature this old is late: the witness's own alarm has gone off by then (`decisions.md` 15).
const WITNESS_LATE: TimeDelta = TimeDelta::minutes(5);

/// How the log stands, in the status bar. Only what this workstation checked itself is called confirmed.
fn log_words(model: &Model) -> (String, egui::Color32) {
    let (texts, ledger, witnessed) = (&model.texts, &model.ledger, &model.witnessed);
    let at = if witnessed.checked { witnessed.at } else { ledger.witnessed_at };
    let time = |at| [("time", FluentValue::from(time::clock(at)))];
    match at {
        _ if !ledger.writable => (texts.get("log-failing"), theme::RED),
        _ if witnessed.mismatch.is_some() => (texts.get("log-mismatch"), theme::RED),
        Some(at) if late(model, at) => (texts.with("log-witness-late", &time(at)), theme::AMBER),
        None if matches!(model.confirmation(), Confirmation::Late(_) | Confirmation::PoliceOnly) => {
            (texts.get("log-never-witnessed"), theme::AMBER)
        }
        Some(at) if witnessed.checked => (texts.with("log-witnessed", &time(at)), theme::DIM),
        Some(at) => (texts.with("log-witnessed-told", &time(at)), theme::DIM),
        None => {
            let entries = FluentValue::from(ledger.entries as i64);
            (texts.with("log-entries", &[("entries", entries)]), theme::DIM)
        }
    }
}

/// Whether the newest cosignature is late: by this workstation's own clock where it checks, by the daemon's word elsewhere.
fn late(model: &Model, at: chrono::DateTime<chrono::Utc>) -> bool {
    match model.confirmation() {
        Confirmation::NotChecked => model.clock.now() - at > WITNESS_LATE,
        Confirmation::Fresh => false,
        Confirmation::Late(_) | Confirmation::PoliceOnly => true,
    }
}

/// The notice under the top bar when something is wrong that every operator must know.
pub fn alarm(ui: &mut Ui, model: &Model) {
    let texts = &model.texts;
    let (words, ground, colour, glyph) = if !model.ledger.writable {
        let since = model.ledger.failing_since.map_or_else(String::new, time::clock);
        (
            texts.with("ledger-failing", &[("time", since.into())]),
            theme::RED_GROUND,
            theme::RED,
            theme::icon::WARNING,
        )
    } else if model.witnessed.mismatch.is_some() {
        (texts.get("log-mismatch-alarm"), theme::RED_GROUND, theme::RED, theme::icon::WARNING)
    } else if let (Err(_), true) = (&model.socket, model.me().is_some()) {
        (texts.get("disconnected"), theme::AMBER_GROUND, theme::AMBER, theme::icon::UNPLUGGED)
    } else if let Some((words, taken)) = model.confirmation_words() {
        let (ground, colour) =
            if taken { (theme::RED_GROUND, theme::RED) } else { (theme::AMBER_GROUND, theme::AMBER) };
        (words, ground, colour, theme::icon::WARNING)
    } else {
        return;
    };
    Panel::top("alarm")
        .exact_size(36.0)
        .show_separator_line(false)
        .frame(egui::Frame::new().fill(ground))
        .show(ui, |ui| {
            let rect = ui.max_rect();
            let y = rect.center().y;
            widgets::icon(ui.painter(), pos2(rect.left() + 28.0, y), glyph, 16.0, colour);
            let at = pos2(rect.left() + 48.0, y);
            widgets::clipped(
                ui.painter(),
                at,
                Align2::LEFT_CENTER,
                &words,
                theme::strong_font(),
                theme::TEXT_STRONG,
                rect.width() - 64.0,
            );
            let response = ui.interact(rect, ui.scope_id().with("alarm"), Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(Role::Alert, true, &words));
        });
}

/// The bar at the foot.
pub fn status_bar(ui: &mut Ui, model: &Model, figures: &Figures) {
    Panel::bottom("status")
        .exact_size(theme::STATUS_BAR)
        .show_separator_line(true)
        .frame(theme::surface(Margin::ZERO))
        .show(ui, |ui| {
            let rect = ui.max_rect();
            let painter = ui.painter().clone();
            let (texts, y) = (&model.texts, rect.center().y);
            let mut x = rect.left() + 20.0;
            let keys: &[(&str, &str)] = match model.room {
                Room::Wall => &[
                    ("7 ⏎", "keys-number"),
                    ("M", "keys-mark"),
                    ("R", "keys-back"),
                    ("F", "keys-enlarge"),
                    ("?", "keys-why"),
                    ("F1", "keys-all"),
                ],
                _ => &[("Esc", "keys-wall"), ("Ctrl K", "keys-palette"), ("F1", "keys-all")],
            };
            for (cap, words) in keys {
                let drawn = widgets::key_cap(&painter, pos2(x, y), cap);
                let drawn = widgets::text(
                    &painter,
                    pos2(drawn.right() + 6.0, y),
                    Align2::LEFT_CENTER,
                    texts.get(words),
                    theme::small_font(),
                    theme::DIM,
                );
                x = drawn.right() + 22.0;
            }
            let (words, colour) = log_words(model);
            let at = pos2(rect.right() - 20.0, y);
            let spoken_log = words.clone();
            let drawn = widgets::text(&painter, at, Align2::RIGHT_CENTER, words, theme::small_font(), colour);
            let mut words = Vec::new();
            if let Some(latency) = figures.latency_ms {
                words.push(texts.with("latency", &[("ms", FluentValue::from(latency.round() as i64))]));
            }
            words.push(texts.with("pictures", &[("count", FluentValue::from(figures.live))]));
            words.push(format!("{:.0} Hz", figures.hz));
            let shed = match figures.level {
                LoadLevel::Full => None,
                LoadLevel::SlowRepaint => Some("shed-slower"),
                LoadLevel::SubStreams => Some("shed-smaller"),
                LoadLevel::KeyFrames => Some("shed-key-frames"),
            };
            let words = words.join(" · ");
            let at = pos2(drawn.left() - 24.0, y);
            let drawn =
                widgets::text(&painter, at, Align2::RIGHT_CENTER, &words, theme::small_font(), theme::DIM);
            if let Some(shed) = shed {
                let at = pos2(drawn.left() - 24.0, y);
                widgets::text(
                    &painter,
                    at,
                    Align2::RIGHT_CENTER,
                    texts.get(shed),
                    theme::small_font(),
                    theme::AMBER,
                );
            }
            let response = ui.interact(rect, ui.scope_id().with("status"), Sense::hover());
            response
                .widget_info(|| WidgetInfo::labeled(Role::Status, true, format!("{words} · {spoken_log}")));
        });
}
