//! The replay room: the pictures of up to nine cameras at one instant, and below them one time axis. The instant is dragged
//! on the axis; gaps say why they are there, the curve rises where something moved, incidents stand where they were marked,
//! and what may not be seen is a wall that the position does not cross.

mod axis;

use crate::{
    command::Command,
    model::{Model, Replay, ReplayPhase, ReplayTile},
    theme, tile, time,
    video::{PlayerId, VideoSystem},
    widgets,
};
use egui::{Align2, CornerRadius, Rect, Role, Sense, Ui, Vec2, WidgetInfo, pos2, vec2};
use fluent_bundle::FluentValue;

/// Height of the row of buttons.
const BUTTONS: f32 = 52.0;

/// Draws the room.
pub fn room(ui: &mut Ui, model: &Model, video: &mut VideoSystem, commands: &mut Vec<Command>) {
    let Some(replay) = &model.replay else { return };
    let area = ui.available_rect_before_wrap();
    let foot = axis::height(replay.tiles.len()) + BUTTONS;
    let pictures = Rect::from_min_max(area.min, pos2(area.right(), area.bottom() - foot));
    for (index, place) in places(pictures.shrink(theme::TILE_GAP), replay).into_iter().enumerate() {
        if let Some(tile) = replay.tiles.get(index) {
            picture(ui, place, index, tile, replay, model, video, commands);
        }
    }
    let foot = Rect::from_min_max(pos2(area.left(), pictures.bottom()), area.max);
    ui.painter().rect_filled(foot, 0.0, theme::SURFACE);
    ui.painter().hline(foot.x_range(), foot.top(), theme::line());
    let buttons = Rect::from_min_max(pos2(foot.left(), foot.bottom() - BUTTONS), foot.max);
    axis::draw(ui, Rect::from_min_max(foot.min, pos2(foot.right(), buttons.top())), replay, model, commands);
    controls(ui, buttons, replay, model, commands);
}

/// Where each camera's picture lies: up to three with the selected one large, more in a grid.
fn places(area: Rect, replay: &Replay) -> Vec<Rect> {
    let (count, gap) = (replay.tiles.len(), theme::TILE_GAP);
    if count <= 1 {
        return vec![area];
    }
    if count <= 3 {
        let width = ((area.width() - gap) * if count == 2 { 0.5 } else { 0.62 }).round();
        let large = Rect::from_min_size(area.min, vec2(width, area.height()));
        let column = Rect::from_min_max(pos2(large.right() + gap, area.top()), area.max);
        let each = (column.height() - gap * (count - 2) as f32) / (count - 1) as f32;
        let mut others = (0..count - 1).map(|n| {
            let top = column.top() + n as f32 * (each + gap);
            Rect::from_min_size(pos2(column.left(), top).round(), vec2(column.width(), each).round())
        });
        let all = (0..count).map(|n| if n == replay.selected { Some(large) } else { others.next() });
        return all.map(|place| place.unwrap_or(large)).collect();
    }
    let columns = if count == 4 { 2 } else { 3 };
    let rows = count.div_ceil(columns);
    let cell = (area.size() + Vec2::splat(gap)) / vec2(columns as f32, rows as f32);
    let corner = |column: usize, row: usize| area.min + vec2(cell.x * column as f32, cell.y * row as f32);
    (0..count)
        .map(|n| {
            let (column, row) = (n % columns, n / columns);
            let end = corner(column + 1, row + 1) - Vec2::splat(gap);
            Rect::from_min_max(corner(column, row).round(), end.round())
        })
        .collect()
}

#[expect(clippy::too_many_arguments, reason = "one picture, drawn from what the room knows")]
fn picture(
    ui: &Ui,
    rect: Rect,
    index: usize,
    tile: &ReplayTile,
    replay: &Replay,
    model: &Model,
    video: &mut VideoSystem,
    commands: &mut Vec<Command>,
) {
    let (texts, now) = (&model.texts, model.clock.now());
    let view = model.camera(&tile.camera);
    let player = PlayerId(u64::from(tile.subscription));
    let position = replay.position();
    let gap = axis::gap_at(tile, position);
    let size = video.player(player).stats().size.unwrap_or((16, 9));
    let within = tile::picture_rect(rect, size);
    // A picture from before a gap must not stand for what nobody recorded.
    let shown = tile.phase == ReplayPhase::Open
        && gap.is_none()
        && video.paint(ui, within, player, Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)));
    let painter = ui.painter_at(rect);
    let captured = video.captured(player).map(time::from_micros).filter(|_| shown);
    let words = if shown {
        tile::frame_of_picture(ui, within, model, now);
        None
    } else {
        painter.rect_filled(rect, 0.0, theme::PICTURE_GAP);
        Some(match (&tile.phase, gap) {
            (ReplayPhase::Over(Some(why)), _) => texts.sentence(why).to_owned(),
            (ReplayPhase::Over(None), _) => texts.get("replay-over"),
            (ReplayPhase::Marking, _) => texts.get("replay-marking"),
            (_, Some(sentence)) => texts.sentence(&sentence).to_owned(),
            (ReplayPhase::Ready, _) => texts.get("replay-opening"),
            (ReplayPhase::Open, None) if tile.timeline.is_none() => texts.get("replay-opening"),
            (ReplayPhase::Open, None) => texts.get("replay-nothing"),
        })
    };
    if let Some(words) = &words {
        widgets::hatch(&painter, rect);
        let width = (rect.width() - 32.0).max(40.0);
        let top = rect.center() - vec2(0.0, 10.0);
        widgets::paragraph(&painter, top, words, theme::title_font(), theme::TEXT, width);
    }
    let foot = Rect::from_min_max(pos2(rect.left(), rect.bottom() - theme::LABEL), rect.max);
    widgets::shade(&painter, foot.expand2(vec2(0.0, 6.0)));
    let base = foot.center().y + 1.0;
    let clock = time::clock(captured.unwrap_or(position));
    let colour = if captured.is_some() { theme::ACCENT } else { theme::DIM };
    let at = pos2(foot.right() - 10.0, base);
    let right = widgets::text(&painter, at, Align2::RIGHT_CENTER, &clock, theme::small_font(), colour);
    let mut name = tile.camera.to_string();
    if let Some(view) = view {
        let at = pos2(foot.left() + 10.0, base);
        let number = view.number.to_string();
        let font = theme::strong_font();
        let drawn = widgets::text(&painter, at, Align2::LEFT_CENTER, number, font, theme::TEXT_STRONG);
        let at = pos2(drawn.right() + 10.0, base);
        let room = right.left() - 8.0 - at.x;
        let font = theme::small_font();
        widgets::clipped(&painter, at, Align2::LEFT_CENTER, &view.name, font, theme::TEXT, room);
        name = format!("{} {}, {}", texts.get("word-camera"), view.number, view.name);
    }
    if index == replay.selected && replay.tiles.len() > 1 {
        widgets::border(&painter, rect, 2.0, theme::SELECTION);
    }
    let id = ui.make_persistent_id(("replay tile", index));
    let response = ui.interact(rect, id, Sense::click());
    let spoken = format!("{name}, {}", words.unwrap_or(clock));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, index == replay.selected, &spoken));
    if response.clicked() {
        commands.push(Command::ReplaySelect(index));
    }
}

/// The row of buttons, the speed, the keys, and how far back one may look.
fn controls(ui: &Ui, rect: Rect, replay: &Replay, model: &Model, commands: &mut Vec<Command>) {
    let texts = &model.texts;
    let (paused, speed) = (replay.clock.is_paused(), replay.clock.speed());
    let y = rect.center().y - 4.0;
    let mut x = rect.left() + 20.0;
    let start = replay.limit().unwrap_or(replay.from);
    let play = if paused { "replay-play" } else { "replay-pause" };
    let buttons = [
        (Glyph::Start, "replay-start", false, Command::ReplaySeek(start)),
        (Glyph::Back, "replay-back", !paused && speed < 0.0, Command::ReplaySpeed(-1.0)),
        (Glyph::PictureBack, "replay-picture-back", false, Command::ReplayStep { forward: false }),
        (if paused { Glyph::Play } else { Glyph::Pause }, play, !paused, Command::ReplayPlay),
        (Glyph::PictureOn, "replay-picture-on", false, Command::ReplayStep { forward: true }),
        (Glyph::End, "replay-end", false, Command::ReplaySeek(replay.until)),
    ];
    for (glyph, name, on, command) in buttons {
        let place = Rect::from_center_size(pos2(x + 16.0, y), vec2(32.0, 28.0));
        let response = ui.interact(place, ui.make_persistent_id(name), Sense::click());
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, texts.get(name)));
        let strong = glyph == Glyph::Pause || glyph == Glyph::Play;
        let ground = match (strong, response.hovered()) {
            (true, _) => theme::TEXT,
            (false, true) => theme::LINE,
            (false, false) => theme::RAISED,
        };
        let painter = ui.painter();
        painter.rect_filled(place, CornerRadius::same(theme::RADIUS), ground);
        glyph.draw(painter, place.center(), if strong { theme::BACKGROUND } else { theme::TEXT });
        if response.has_focus() || on && !strong {
            widgets::border(painter, place, 1.0, theme::ACCENT);
        }
        if response.clicked() {
            commands.push(command);
        }
        x += 42.0;
    }
    let painter = ui.painter();
    let shown = if speed.fract() == 0.0 { format!("{speed:.0}") } else { format!("{speed}") };
    let words = texts.with("replay-speed", &[("speed", shown.into())]);
    let font = theme::strong_font();
    let drawn =
        widgets::text(painter, pos2(x + 8.0, y), Align2::LEFT_CENTER, words, font, theme::TEXT_STRONG);
    x = drawn.right() + 20.0;
    for (caps, name) in [
        (&[",", "."][..], "replay-by-picture"),
        (&["←", "→"], "replay-by-seconds"),
        (&["↑", "↓"], "replay-by-speed"),
    ] {
        let font = theme::small_font();
        let words =
            widgets::text(painter, pos2(x, y), Align2::LEFT_CENTER, texts.get(name), font, theme::DIM);
        x = words.right() + 8.0;
        for cap in caps {
            x = widgets::key_cap(painter, pos2(x, y), cap).right() + 4.0;
        }
        x += 14.0;
    }
    let in_step = FluentValue::from(replay.tiles.len());
    let mut right = texts.with("replay-in-step", &[("cameras", in_step)]);
    if let Some((limit, why)) = axis::limit(replay) {
        let time = FluentValue::from(time::clock(limit));
        let why = texts.sentence(&why).trim_end_matches('.').to_lowercase();
        right = format!(
            "{} · {right}",
            texts.with("replay-limit", &[("time", time), ("why", FluentValue::from(why))])
        );
    }
    let at = pos2(rect.right() - 20.0, y);
    let room = (at.x - x).max(0.0);
    widgets::clipped(painter, at, Align2::RIGHT_CENTER, right, theme::small_font(), theme::DIM, room);
}

/// What a button shows, drawn from bars and triangles: the same on every font.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Glyph {
    Start,
    Back,
    PictureBack,
    Play,
    Pause,
    PictureOn,
    End,
}

impl Glyph {
    fn draw(self, painter: &egui::Painter, at: egui::Pos2, colour: egui::Color32) {
        let bar = |x: f32| {
            let rect = Rect::from_center_size(at + vec2(x, 0.0), vec2(2.5, 11.0));
            painter.rect_filled(rect, 0.0, colour);
        };
        // `side` 1: points to the right.
        let triangle = |x: f32, side: f32| {
            let tip = at + vec2(x + 4.5 * side, 0.0);
            let (high, low) = (at + vec2(x - 4.5 * side, -5.5), at + vec2(x - 4.5 * side, 5.5));
            painter.add(egui::Shape::convex_polygon(vec![tip, high, low], colour, egui::Stroke::NONE));
        };
        match self {
            Self::Start => {
                bar(-5.0);
                triangle(1.5, -1.0);
            }
            Self::Back => {
                triangle(-4.0, -1.0);
                triangle(4.0, -1.0);
            }
            Self::PictureBack => triangle(0.0, -1.0),
            Self::Play | Self::PictureOn => triangle(0.0, 1.0),
            Self::Pause => {
                bar(-3.0);
                bar(3.0);
            }
            Self::End => {
                triangle(-1.5, 1.0);
                bar(5.0);
            }
        }
    }
}
