//! One tile of the wall: the picture, or the reason why there is none. Nothing on it ever looks live that is not:
//! an old picture is darkened and says since when, a replay and a still carry their time in a strip.

use crate::{
    command::Command,
    feeds::{Feed, Phase, Shows},
    i18n::Texts,
    model::{Model, Status},
    theme, time,
    video::{PlayerId, PlayerStats, VideoSystem},
    widgets,
};
use chrono::{DateTime, Utc};
use egui::{Align2, Pos2, Rect, Response, Role, Sense, Ui, Vec2, WidgetInfo, pos2, vec2};
use mandate::{CameraId, ReasonCode};
use protocol::{
    api::{CameraView, Refusal},
    socket::EndCause,
};

/// What the drawing of a tile found out.
pub struct Drawn {
    /// Width of the picture in pixels of the screen.
    pub pixels_wide: f32,
    /// What the tile shows.
    pub status: Status,
    /// Where the tile lies, in points.
    pub rect: Rect,
    /// Where its picture lies, in points; none when none was drawn.
    pub picture: Option<Rect>,
    /// The player whose picture it is.
    pub player: Option<PlayerId>,
}

/// Draws tile `index` of the wall into `rect`.
pub fn draw(
    ui: &mut Ui,
    rect: Rect,
    index: usize,
    model: &Model,
    video: &mut VideoSystem,
    commands: &mut Vec<Command>,
) -> Drawn {
    let texts = &model.texts;
    let now = model.clock.now();
    let id = ui.make_persistent_id(("tile", index));
    let response = ui.interact(rect, id, Sense::click_and_drag());
    let Some(tile) = model.tiles.get(index) else {
        return Drawn { pixels_wide: 0.0, status: Status::Empty, rect, picture: None, player: None };
    };
    let feed = model.shown(index, |s| video.has_picture(PlayerId(u64::from(s)))).cloned();
    let player = tile.still.map(|s| s.player).or(feed.as_ref().map(|f| PlayerId(u64::from(f.subscription))));
    let stats = player.map(|p| {
        let stats = video.player(p).stats();
        PlayerStats { last_captured: video.captured(p), ..stats }
    });
    let mut status = model.status(index, stats.as_ref());
    let recorded = tile.still.is_some() || feed.as_ref().is_some_and(|f| f.shows != Shows::Live);
    if recorded && matches!(status, Status::Late(_)) {
        // What is held or played back does not grow late.
        status = Status::Live;
    }
    let view = tile.camera.as_ref().and_then(|id| model.camera(id));
    let name = accessible_name(index, view, &status, model);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, index == model.selected, &name));

    let painter = ui.painter_at(rect);
    let size = stats.as_ref().and_then(|s| s.size).unwrap_or((16, 9));
    let picture = picture_rect(rect, size);
    let shown = matches!(
        status,
        Status::Waiting | Status::Live | Status::Late(_) | Status::Offline { .. } | Status::Disconnected
    ) && player.is_some_and(|p| video.paint(ui, picture, p, tile.zoom.part()));
    if shown && status == Status::Waiting {
        status = Status::Live;
    }
    if shown {
        frame_of_picture(ui, picture, model, now);
    } else {
        // Behind a picture the window's own ground shows: a second fill costs a software rasteriser milliseconds.
        painter.rect_filled(rect, 0.0, theme::PICTURE_GAP);
    }
    match (&status, view) {
        (Status::Empty, _) if index == model.selected => {
            widgets::text(
                &painter,
                rect.center(),
                Align2::CENTER_CENTER,
                texts.get("tile-empty"),
                theme::small_font(),
                theme::FAINT,
            );
        }
        (Status::Waiting, _) => {
            widgets::text(
                &painter,
                rect.center(),
                Align2::CENTER_CENTER,
                texts.get("tile-waiting"),
                theme::small_font(),
                theme::DIM,
            );
        }
        (Status::Closed(refusal), Some(view)) => {
            widgets::hatch(&painter, rect);
            let (head, line) = closed_words(refusal, model, view, now);
            sentence(&painter, rect, &head, &line, theme::TEXT);
        }
        (Status::LogFailing(why), _) => {
            widgets::hatch(&painter, rect);
            sentence(&painter, rect, &texts.get("tile-log-failing"), texts.sentence(why), theme::AMBER);
        }
        (Status::LogUnconfirmed(why), _) => {
            widgets::hatch(&painter, rect);
            sentence(&painter, rect, &texts.get("tile-log-unconfirmed"), texts.sentence(why), theme::AMBER);
        }
        (Status::Offline { since, detail, retry_at }, _) => {
            veil(&painter, picture, shown);
            let head = texts.with("tile-no-picture-since", &[("time", time::clock(*since).into())]);
            sentence(
                &painter,
                rect,
                &head,
                &offline_words(texts, texts.sentence(detail), *retry_at, now),
                theme::AMBER,
            );
        }
        (Status::Late(last), _) => {
            veil(&painter, picture, shown);
            let head = match last {
                Some(last) => texts.with("tile-late", &[("time", time::clock(*last).into())]),
                None => texts.get("tile-waiting"),
            };
            sentence(&painter, rect, &head, &texts.get("tile-late-why"), theme::AMBER);
        }
        (Status::Disconnected, _) => {
            veil(&painter, picture, shown);
            sentence(
                &painter,
                rect,
                &texts.get("tile-disconnected"),
                &texts.get("tile-disconnected-why"),
                theme::AMBER,
            );
        }
        (Status::Live | Status::Empty, _) | (Status::Closed(_), None) => {}
    }
    if let Some(view) = view {
        label(&painter, rect, view, &status, stats.as_ref(), recorded, model, now);
        marks(&painter, rect, index, view, feed.as_ref(), stats.as_ref(), model);
    }
    if index == model.selected && model.layout.tiles() > 1 && !model.enlarged {
        widgets::border(&painter, rect, 2.0, theme::SELECTION);
    }
    if response.dnd_hover_payload::<CameraId>().is_some() {
        widgets::border(&painter, rect, 2.0, theme::ACCENT);
    }
    interact(ui, &response, picture, index, model, commands);
    let pixels_wide = picture.width() * ui.pixels_per_point();
    Drawn { pixels_wide, status, rect, picture: shown.then_some(picture), player }
}

/// The largest rectangle of the picture's shape inside the tile. Nothing of a picture is ever cut off: what is at its
/// edge may matter. Spare height goes below it, where the label stands.
pub(crate) fn picture_rect(tile: Rect, (width, height): (u32, u32)) -> Rect {
    let shape = vec2(width.max(1) as f32, height.max(1) as f32);
    let scale = (tile.width() / shape.x).min(tile.height() / shape.y);
    let size = (shape * scale).round().min(tile.size());
    let spare = tile.size() - size;
    let top = (spare.y - theme::LABEL).max(0.0) / 2.0;
    let top = if spare.y < theme::LABEL { 0.0 } else { top };
    Rect::from_min_size((tile.min + vec2(spare.x / 2.0, top)).round(), size)
}

/// What belongs to every picture of the law's making: who is looking, and when.
pub(crate) fn frame_of_picture(ui: &Ui, picture: Rect, model: &Model, now: DateTime<Utc>) {
    let Some(me) = model.me() else { return };
    let mark = format!("{} · {}", me.name, time::stamp(now));
    let painter = ui.painter_at(picture);
    let at = picture.right_top() + vec2(-10.0, 10.0);
    widgets::text(&painter, at, Align2::RIGHT_TOP, mark, theme::tiny_font(), theme::WATERMARK);
}

fn veil(painter: &egui::Painter, picture: Rect, shown: bool) {
    if shown {
        painter.rect_filled(picture, 0.0, theme::STALE_VEIL);
    }
}

fn sentence(painter: &egui::Painter, rect: Rect, head: &str, line: &str, colour: egui::Color32) {
    let width = (rect.width() - 32.0).max(40.0);
    let small = rect.width() < 220.0;
    let font = if small { theme::body_font() } else { theme::title_font() };
    let top = rect.center() - vec2(0.0, if small { 20.0 } else { 26.0 });
    let head = widgets::paragraph(painter, top, head, font, colour, width);
    if rect.height() > 110.0 {
        let top = pos2(rect.center().x, head.bottom() + 6.0);
        widgets::paragraph(painter, top, line, theme::small_font(), theme::DIM, width);
    }
}

/// The two lines on a closed tile: what and until when, then why.
pub fn closed_words(
    refusal: &Refusal,
    model: &Model,
    view: &CameraView,
    now: DateTime<Utc>,
) -> (String, String) {
    let texts = &model.texts;
    let opens = refusal.opens_at.map(|at| time::when(at, now, texts));
    match (refusal.code, opens) {
        (ReasonCode::OutsideUsePeriod, opens) => (
            texts.closed(refusal.code),
            match opens {
                Some(when) => texts.with("closed-next-period", &[("when", when.into())]),
                None => texts.get("closed-no-next-period"),
            },
        ),
        (code, opens) => (
            match opens {
                Some(when) => texts.with("closed-until", &[("when", when.into())]),
                None => texts.closed(code),
            },
            if let (Some(decree), ReasonCode::OutsideLiveWindow) = (&refusal.decree, code) {
                texts.with("closed-outside-window", &[("decree", decree.as_str().into())])
            } else {
                let said = texts.sentence(&refusal.sentence);
                if said.is_empty() { model.municipality(&view.municipality) } else { said }.to_owned()
            },
        ),
    }
}

fn offline_words(texts: &Texts, detail: &str, retry_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    let detail = detail.trim_end_matches('.');
    match retry_at.map(|at| (at - now).num_seconds()) {
        Some(seconds) if seconds > 0 => {
            format!("{detail} · {}", texts.with("tile-retry", &[("seconds", seconds.into())]))
        }
        _ => format!("{detail} · {}", texts.get("tile-retrying")),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one line of a tile, drawn from what the tile already found out"
)]
fn label(
    painter: &egui::Painter,
    rect: Rect,
    view: &CameraView,
    status: &Status,
    stats: Option<&PlayerStats>,
    recorded: bool,
    model: &Model,
    now: DateTime<Utc>,
) {
    let foot = Rect::from_min_max(pos2(rect.left(), rect.bottom() - theme::LABEL), rect.max);
    let closed = matches!(status, Status::Closed(_) | Status::LogFailing(_) | Status::LogUnconfirmed(_));
    if !closed {
        widgets::shade(painter, foot.expand2(vec2(0.0, 6.0)));
    }
    let base = foot.center().y + 1.0;
    let (number, name) = if closed { (theme::DIM, theme::FAINT) } else { (theme::TEXT_STRONG, theme::TEXT) };
    let mut right = foot.right() - 10.0;
    let clock = match status {
        // The clock of a tile is that of its picture.
        Status::Live if recorded => {
            stats.and_then(|s| s.last_captured).map(|us| (time::clock(time::from_micros(us)), theme::ACCENT))
        }
        Status::Live => Some((
            time::clock(stats.and_then(|s| s.last_captured).map_or(now, time::from_micros)),
            theme::TEXT,
        )),
        Status::Late(_) => Some((model.texts.get("word-late"), theme::AMBER)),
        Status::Offline { .. } | Status::Disconnected => {
            Some((model.texts.get("word-offline"), theme::AMBER))
        }
        Status::Closed(_)
        | Status::LogFailing(_)
        | Status::LogUnconfirmed(_)
        | Status::Waiting
        | Status::Empty => None,
    };
    if let Some((clock, colour)) = clock {
        let drawn = widgets::text(
            painter,
            pos2(right, base),
            Align2::RIGHT_CENTER,
            clock,
            theme::small_font(),
            colour,
        );
        right = drawn.left() - 8.0;
    }
    let at = pos2(foot.left() + 10.0, base);
    let drawn = widgets::text(
        painter,
        at,
        Align2::LEFT_CENTER,
        view.number.to_string(),
        theme::strong_font(),
        number,
    );
    let at = pos2(drawn.right() + 10.0, base);
    let place = if closed {
        let municipality = model.municipality(&view.municipality);
        if view.name.starts_with(municipality) {
            view.name.clone()
        } else {
            format!("{municipality} · {}", view.name)
        }
    } else {
        view.name.clone()
    };
    widgets::clipped(painter, at, Align2::LEFT_CENTER, place, theme::small_font(), name, right - at.x);
}

/// What a tile wears in its top left corner, and the border that goes with it.
fn marks(
    painter: &egui::Painter,
    rect: Rect,
    index: usize,
    view: &CameraView,
    feed: Option<&Feed>,
    stats: Option<&PlayerStats>,
    model: &Model,
) {
    let texts = &model.texts;
    let Some(tile) = model.tiles.get(index) else { return };
    let at = rect.left_top() + vec2(10.0, 10.0);
    if let Some(still) = tile.still {
        let words = texts.with("tile-still", &[("time", time::clock(still.captured).into())]);
        widgets::border(painter, rect, 2.0, theme::ACCENT);
        widgets::chip(painter, at, false, &words, theme::BACKGROUND, theme::ACCENT);
        return;
    }
    if let Some(look) = &tile.look_back {
        let over = feed.is_some_and(|f| f.phase == Phase::Ended(EndCause::Complete));
        let gap = feed.and_then(|f| f.gap.as_ref()).map(|s| texts.sentence(s).to_owned());
        let words = match (feed.map(|f| &f.shows), gap) {
            (Some(Shows::Replay { .. }), Some(gap)) if !gap.is_empty() => gap,
            (Some(Shows::Replay { .. }), _) if over => texts.get("tile-replay-over"),
            (Some(Shows::Replay { .. }), _) => texts.get("tile-replay"),
            _ => texts.get("tile-replay-opening"),
        };
        widgets::border(painter, rect, 2.0, theme::ACCENT);
        widgets::chip(painter, at, false, &words, theme::BACKGROUND, theme::ACCENT);
        if let Some(captured) = stats.and_then(|s| s.last_captured) {
            let whole = (look.until - look.from).num_microseconds().unwrap_or(1).max(1);
            let part = (captured - time::micros(look.from)) as f32 / whole as f32;
            let bar = Rect::from_min_size(
                pos2(rect.left() + 2.0, rect.bottom() - 5.0),
                vec2(rect.width() - 4.0, 3.0),
            );
            widgets::progress(painter, bar, if over { 1.0 } else { part }, theme::ACCENT);
        }
        return;
    }
    let mut at = at;
    if let Some(incident) = model.open_incident(&view.id) {
        let words = texts.with(
            "tile-incident",
            &[
                ("time", time::hour(incident.at).into()),
                ("category", texts.category(incident.category).to_lowercase().into()),
            ],
        );
        widgets::border(painter, rect, 2.0, theme::RED);
        let chip = widgets::chip(painter, at, false, &words, theme::ON_ALARM, theme::RED);
        at.y = chip.bottom() + 6.0;
    }
    if tile.zoom.factor > 1.01 {
        let words = texts.with("tile-zoom", &[("factor", format!("{:.1}", tile.zoom.factor).into())]);
        widgets::chip(painter, at, false, &words, theme::TEXT, theme::CHIP);
    }
}

fn interact(
    ui: &Ui,
    response: &Response,
    picture: Rect,
    index: usize,
    model: &Model,
    commands: &mut Vec<Command>,
) {
    if let Some(camera) = response.dnd_release_payload::<CameraId>() {
        commands.push(Command::Show { camera: (*camera).clone(), tile: Some(index) });
        return;
    }
    if response.clicked() || response.drag_started() {
        commands.push(Command::Select(index));
    }
    if response.double_clicked() {
        commands.push(Command::Enlarge);
    }
    let zoomed = model.tiles.get(index).is_some_and(|t| t.zoom.factor > 1.0);
    if response.dragged() && zoomed {
        let by = response.drag_delta();
        commands
            .push(Command::Pan { tile: index, by: vec2(by.x / picture.width(), by.y / picture.height()) });
    }
    if response.hovered() {
        let (wheel, pointer) = ui.input(|i| (i.smooth_scroll_delta().y, i.pointer.hover_pos()));
        if let Some(pointer) = pointer.filter(|_| wheel.abs() > 0.1) {
            let at = within(picture, pointer);
            commands.push(Command::Zoom { tile: index, by: (wheel / 240.0).exp(), at });
        }
    }
}

fn within(picture: Rect, pointer: Pos2) -> Pos2 {
    let at = (pointer - picture.min) / picture.size().max(Vec2::splat(1.0));
    pos2(at.x.clamp(0.0, 1.0), at.y.clamp(0.0, 1.0))
}

/// What a screen reader says, and tests look for: `Camera 12, Oude Markt, live`.
pub fn accessible_name(index: usize, view: Option<&CameraView>, status: &Status, model: &Model) -> String {
    let texts = &model.texts;
    let Some(view) = view else {
        return texts.with("name-empty-tile", &[("tile", fluent_bundle::FluentValue::from(index + 1))]);
    };
    let state = match status {
        Status::Empty | Status::Waiting => texts.get("word-waiting"),
        Status::Live => texts.get("word-live"),
        Status::Closed(refusal) => closed_words(refusal, model, view, model.clock.now()).0,
        Status::LogFailing(_) | Status::LogUnconfirmed(_) => texts.get("word-closed"),
        Status::Offline { .. } | Status::Disconnected => texts.get("word-offline"),
        Status::Late(_) => texts.get("word-late"),
    };
    format!("{} {}, {}, {state}", texts.get("word-camera"), view.number, view.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_picture_is_cut_off() {
        let tile = Rect::from_min_size(pos2(76.0, 60.0), vec2(501.0, 329.0));
        for size in [(640, 360), (1920, 1080), (704, 576), (360, 640)] {
            let picture = picture_rect(tile, size);
            assert!(tile.expand(0.5).contains_rect(picture), "{size:?}");
            let shape = picture.width() / picture.height();
            assert!((shape - size.0 as f32 / size.1 as f32).abs() < 0.02, "{size:?} is bent");
        }
    }
}
