//! The time axis: hours above, a row for each camera with its curve, gaps and limit, and the position across all of them.

use crate::{
    command::Command,
    model::{Model, Replay, ReplayTile},
    theme, time, widgets,
};
use chrono::{DateTime, TimeDelta, Utc};
use egui::{Align2, CornerRadius, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};
use protocol::api::Sentence;

/// Height of the line of hours.
const HOURS: f32 = 30.0;
/// Height of a camera's row, its space included.
const ROW: f32 = 30.0;
/// Width of the names.
const NAMES: f32 = 200.0;
/// Points between two bars of the curve.
const BAR: f32 = 6.0;

/// The height of the axis for so many cameras.
pub(super) fn height(cameras: usize) -> f32 {
    HOURS + ROW * cameras.max(1) as f32 + 6.0
}

/// Why there is no picture of a camera at an instant, as far as its axis knows.
pub(super) fn gap_at(tile: &ReplayTile, at: DateTime<Utc>) -> Option<Sentence> {
    let timeline = tile.timeline.as_ref()?;
    let refused = timeline.refused.iter().find(|span| span.from <= at && at < span.until);
    let gap = timeline.spans.iter().find(|span| span.from <= at && at < span.until);
    refused
        .map(|span| span.sentence.clone())
        .or_else(|| gap.and_then(|span| span.gap.as_ref()).map(|gap| gap.sentence.clone()))
}

/// The instant before which nothing of it may be seen, and why.
pub(super) fn limit(replay: &Replay) -> Option<(DateTime<Utc>, Sentence)> {
    let at = replay.limit()?;
    let refused = replay.tiles.iter().filter_map(|tile| tile.timeline.as_ref()?.refused.first());
    refused.filter(|span| span.until == at).map(|span| (at, span.sentence.clone())).next()
}

/// Draws it; a press or drag moves the position.
pub(super) fn draw(ui: &Ui, rect: Rect, replay: &Replay, model: &Model, commands: &mut Vec<Command>) {
    let strip = Rect::from_min_max(
        pos2(rect.left() + NAMES, rect.top() + HOURS),
        pos2(rect.right() - 20.0, rect.bottom() - 6.0),
    );
    let whole = (replay.until - replay.from).num_microseconds().unwrap_or(1).max(1) as f32;
    let x_of = |at: DateTime<Utc>| {
        let part = (at - replay.from).num_microseconds().unwrap_or(0) as f32 / whole;
        strip.left() + strip.width() * part.clamp(0.0, 1.0)
    };
    hours(ui, strip, replay, x_of);
    for (row, tile) in replay.tiles.iter().enumerate() {
        let top = strip.top() + ROW * row as f32;
        let place = Rect::from_min_size(pos2(strip.left(), top), vec2(strip.width(), ROW - 6.0));
        camera(ui, rect.left() + 20.0, place, row, tile, replay, model, x_of);
    }
    // The position, with the instant it stands for.
    let painter = ui.painter();
    let position = replay.position();
    let x = x_of(position).round();
    painter.vline(x, strip.y_range().expand(4.0), egui::Stroke::new(2.0, theme::SELECTION));
    let words = format!("{}.{:03}", time::clock(position), position.timestamp_subsec_millis());
    let galley = painter.layout_no_wrap(words.clone(), theme::small_font(), theme::BACKGROUND);
    let size = galley.size() + vec2(12.0, 6.0);
    let left = (x - size.x / 2.0).clamp(strip.left(), (strip.right() - size.x).max(strip.left()));
    let chip = Rect::from_min_size(pos2(left, rect.top() + 5.0).round(), size);
    painter.rect_filled(chip, CornerRadius::same(3), theme::SELECTION);
    painter.galley(chip.min + vec2(6.0, 3.0), galley, theme::BACKGROUND);

    let ground = Rect::from_min_max(pos2(strip.left(), rect.top()), strip.max);
    let response = ui.interact(ground, ui.make_persistent_id("replay axis"), Sense::click_and_drag());
    let spoken = model.texts.with("replay-position", &[("time", words.into())]);
    response.widget_info(|| WidgetInfo::labeled(Role::Slider, true, &spoken));
    if let Some(pointer) =
        response.interact_pointer_pos().filter(|_| response.clicked() || response.dragged())
    {
        let part = ((pointer.x - strip.left()) / strip.width().max(1.0)).clamp(0.0, 1.0);
        let to = replay.from + TimeDelta::microseconds((part * whole) as i64);
        commands.push(Command::ReplaySeek(to));
    }
}

/// Marks on whole minutes, as many as fit.
fn hours(ui: &Ui, strip: Rect, replay: &Replay, x_of: impl Fn(DateTime<Utc>) -> f32) {
    let minutes = (replay.until - replay.from).num_minutes().max(1);
    let fits = (strip.width() / 90.0).max(1.0) as i64;
    let step = [1, 2, 5, 10, 15, 30, 60].into_iter().find(|step| minutes / step <= fits).unwrap_or(120);
    let first = replay.from.timestamp().div_euclid(step * 60) + 1;
    for n in 0..=minutes / step {
        let Some(at) = DateTime::from_timestamp((first + n) * step * 60, 0) else { break };
        if at >= replay.until {
            break;
        }
        let x = x_of(at);
        let at_top = pos2(x, strip.top() - 15.0);
        let font = theme::tiny_font();
        widgets::text(ui.painter(), at_top, Align2::CENTER_CENTER, time::hour(at), font, theme::FAINT);
    }
}

#[expect(clippy::too_many_arguments, reason = "one row, drawn from what the axis knows")]
fn camera(
    ui: &Ui,
    left: f32,
    place: Rect,
    row: usize,
    tile: &ReplayTile,
    replay: &Replay,
    model: &Model,
    x_of: impl Fn(DateTime<Utc>) -> f32,
) {
    let painter = ui.painter_at(place.expand2(vec2(1.0, 1.0)));
    painter.rect_filled(place, 0.0, theme::BACKGROUND);
    if let Some(view) = model.camera(&tile.camera) {
        let at = pos2(left, place.center().y);
        let number = view.number.to_string();
        let colour = if row == replay.selected { theme::TEXT_STRONG } else { theme::TEXT };
        let font = theme::strong_font();
        let drawn = widgets::text(ui.painter(), at, Align2::LEFT_CENTER, number, font, colour);
        let at = pos2(drawn.right() + 8.0, place.center().y);
        let font = theme::small_font();
        let room = place.left() - 12.0 - at.x;
        widgets::clipped(ui.painter(), at, Align2::LEFT_CENTER, &view.name, font, theme::DIM, room);
    }
    let Some(timeline) = &tile.timeline else { return };
    curve(&painter, place, timeline, replay);
    let part = |from: DateTime<Utc>, until: DateTime<Utc>| {
        Rect::from_x_y_ranges(x_of(from)..=x_of(until), place.y_range())
    };
    for span in timeline.spans.iter().filter(|span| span.gap.is_some()) {
        let hole = part(span.from, span.until);
        painter.rect_filled(hole, 0.0, theme::RAISED);
        stripes(&painter, hole);
    }
    for span in &timeline.refused {
        let wall = part(span.from, span.until);
        painter.rect_filled(wall, 0.0, theme::PICTURE_GAP);
        stripes(&painter, wall);
        painter.vline(wall.right(), place.y_range(), egui::Stroke::new(1.0, theme::DIM));
    }
    for incident in model.incidents.iter().filter(|incident| incident.cameras.contains(&tile.camera)) {
        if incident.at >= replay.from && incident.at < replay.until {
            let x = x_of(incident.at);
            painter.vline(x, place.y_range(), egui::Stroke::new(2.0, theme::RED));
        }
    }
    // What lies under the pointer, in words.
    let id = ui.make_persistent_id(("replay row", row));
    let response = ui.interact(place, id, Sense::hover());
    let number = model.camera(&tile.camera).map_or(0, |view| view.number);
    let name = model.texts.with("replay-axis", &[("number", number.into())]);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    if let Some(pointer) = ui.input(|i| i.pointer.hover_pos()).filter(|at| place.contains(*at)) {
        let whole = (replay.until - replay.from).num_microseconds().unwrap_or(1).max(1) as f32;
        let share = (pointer.x - place.left()) / place.width().max(1.0);
        let at = replay.from + TimeDelta::microseconds((share * whole) as i64);
        if let Some(why) = gap_at(tile, at) {
            let words = model.texts.sentence(&why).to_owned();
            let font = theme::tiny_font();
            widgets::text(&painter, place.center(), Align2::CENTER_CENTER, words, font, theme::TEXT);
        }
    }
}

/// Bars as high as something moved, against the row's own highest.
fn curve(painter: &egui::Painter, place: Rect, timeline: &protocol::api::Timeline, replay: &Replay) {
    let whole = (replay.until - replay.from).num_milliseconds().max(1) as f32;
    let shift = (timeline.from - replay.from).num_milliseconds() as f32;
    let per_step = f64::from(timeline.step) as f32 * 1000.0;
    let count = (place.width() / BAR).max(1.0) as usize;
    let mut bars = vec![0_u32; count];
    for (n, value) in timeline.activity.iter().enumerate() {
        let at = (shift + n as f32 * per_step) / whole * count as f32;
        if let Some(bar) = bars.get_mut(at.max(0.0) as usize) {
            *bar = (*bar).max(*value);
        }
    }
    let highest = bars.iter().copied().max().unwrap_or(0).max(1) as f32;
    for (n, value) in bars.iter().enumerate().filter(|(_, value)| **value > 0) {
        let high = (*value as f32 / highest * (place.height() - 2.0)).max(1.0);
        let x = place.left() + n as f32 * BAR;
        let bar = Rect::from_min_max(pos2(x, place.bottom() - high), pos2(x + BAR - 2.0, place.bottom()));
        painter.rect_filled(bar, 0.0, theme::FAINT);
    }
}

/// Narrow stripes: nothing to see here, for a reason.
fn stripes(painter: &egui::Painter, rect: Rect) {
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let mut x = rect.left() - rect.height();
    while x < rect.right() {
        let stroke = egui::Stroke::new(2.0, theme::LINE);
        painter.line_segment([pos2(x, rect.bottom()), pos2(x + rect.height(), rect.top())], stroke);
        x += 9.0;
    }
}
