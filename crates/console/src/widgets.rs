//! The few building blocks every room is made of: text at a place, key caps, chips, stripes, rows. They know the look
//! ([`crate::theme`]) and nothing of cameras.

use crate::theme;
use egui::{
    Align2, Color32, CornerRadius, FontId, Mesh, Painter, Pos2, Rect, Response, Role, Sense, Shape, Stroke,
    StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2,
};

/// Text at a place; returns where it stands.
pub fn text(
    painter: &Painter,
    at: Pos2,
    align: Align2,
    text: impl Into<String>,
    font: FontId,
    colour: Color32,
) -> Rect {
    painter.text(at, align, text.into(), font, colour)
}

/// Text at a place, cut with an ellipsis to a width; returns where it stands.
pub fn clipped(
    painter: &Painter,
    at: Pos2,
    align: Align2,
    text: impl Into<String>,
    font: FontId,
    colour: Color32,
    width: f32,
) -> Rect {
    let mut job = egui::text::LayoutJob::simple_singleline(text.into(), font, colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width.max(0.0));
    let galley = painter.layout_job(job);
    let rect = align.anchor_size(at, galley.size());
    painter.galley(rect.min, galley, colour);
    rect
}

/// Text over several lines, centred, at most `width` wide; returns where it stands.
pub fn paragraph(
    painter: &Painter,
    top: Pos2,
    text: impl Into<String>,
    font: FontId,
    colour: Color32,
    width: f32,
) -> Rect {
    let mut job = egui::text::LayoutJob::simple(text.into(), font, colour, width);
    job.halign = egui::Align::Center;
    let galley = painter.layout_job(job);
    let rect = galley.rect.translate(top.to_vec2());
    painter.galley(top, galley, colour);
    rect
}

/// An icon of the Phosphor set.
pub fn icon(painter: &Painter, centre: Pos2, glyph: &str, size: f32, colour: Color32) {
    painter.text(centre, Align2::CENTER_CENTER, glyph, theme::icon_font(size), colour);
}

/// A key cap, left-aligned and centred on `at`; returns where it stands.
pub fn key_cap(painter: &Painter, at: Pos2, cap: &str) -> Rect {
    let galley = painter.layout_no_wrap(cap.to_owned(), theme::tiny_font(), theme::TEXT);
    let size = vec2((galley.size().x + 10.0).max(18.0), 18.0);
    let rect = Rect::from_min_size(pos2(at.x, at.y - size.y / 2.0).round(), size);
    painter.rect(rect, CornerRadius::same(3), theme::RAISED, theme::line(), StrokeKind::Inside);
    painter.galley(rect.center() - galley.size() / 2.0, galley, theme::TEXT);
    rect
}

/// A small label on a ground of its own; returns where it stands. `right` aligns it to the right of `at`.
pub fn chip(painter: &Painter, at: Pos2, right: bool, label: &str, colour: Color32, ground: Color32) -> Rect {
    let galley = painter.layout_no_wrap(label.to_owned(), theme::small_font(), colour);
    let size = galley.size() + vec2(16.0, 8.0);
    let left = if right { at.x - size.x } else { at.x };
    let rect = Rect::from_min_size(pos2(left, at.y).round(), size);
    painter.rect_filled(rect, CornerRadius::same(3), ground);
    painter.galley(rect.min + vec2(8.0, 4.0), galley, colour);
    rect
}

/// Diagonal stripes: here is no picture, and that is right so.
pub fn hatch(painter: &Painter, rect: Rect) {
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let (pitch, height) = (28.0, rect.height());
    let mut x = rect.left() - height - (rect.left() - height).rem_euclid(pitch);
    // One mesh for all stripes: a tile is one shape to the painter.
    let mut mesh = Mesh::default();
    while x < rect.right() {
        let first = mesh.vertices.len() as u32;
        for point in [
            pos2(x, rect.bottom()),
            pos2(x + pitch / 2.0, rect.bottom()),
            pos2(x + pitch / 2.0 + height, rect.top()),
            pos2(x + height, rect.top()),
        ] {
            mesh.colored_vertex(point, theme::HATCH);
        }
        mesh.add_triangle(first, first + 1, first + 2);
        mesh.add_triangle(first, first + 2, first + 3);
        x += pitch;
    }
    painter.add(Shape::mesh(mesh));
}

/// A shade from nothing at the top to dark at the foot.
pub fn shade(painter: &Painter, rect: Rect) {
    let mut mesh = Mesh::default();
    mesh.colored_vertex(rect.left_top(), theme::LABEL_SHADE.0);
    mesh.colored_vertex(rect.right_top(), theme::LABEL_SHADE.0);
    mesh.colored_vertex(rect.right_bottom(), theme::LABEL_SHADE.1);
    mesh.colored_vertex(rect.left_bottom(), theme::LABEL_SHADE.1);
    mesh.add_triangle(0, 1, 2);
    mesh.add_triangle(0, 2, 3);
    painter.add(Shape::mesh(mesh));
}

/// A border inside a rectangle.
pub fn border(painter: &Painter, rect: Rect, width: f32, colour: Color32) {
    painter.rect_stroke(rect, CornerRadius::same(2), Stroke::new(width, colour), StrokeKind::Inside);
}

/// How far something has come, 0..1.
pub fn progress(painter: &Painter, rect: Rect, part: f32, colour: Color32) {
    painter.rect_filled(rect, CornerRadius::same(2), theme::LINE);
    let filled = Rect::from_min_size(rect.min, vec2(rect.width() * part.clamp(0.0, 1.0), rect.height()));
    painter.rect_filled(filled, CornerRadius::same(2), colour);
}

/// A place in a list that can be clicked, as wide as the list, with a ground when pointed at or chosen.
pub fn row(ui: &mut Ui, height: f32, chosen: bool, name: &str) -> (Rect, Response) {
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, name));
    if chosen {
        ui.painter().rect_filled(rect, CornerRadius::same(2), theme::RAISED);
        border(ui.painter(), rect, 1.5, theme::SELECTION);
    } else if response.hovered() {
        ui.painter().rect_filled(rect, CornerRadius::same(2), theme::RAISED);
    }
    if response.has_focus() {
        border(ui.painter(), rect, 1.0, theme::ACCENT);
    }
    (rect, response)
}

/// A heading of a list.
pub fn heading(ui: &mut Ui, label: &str) {
    ui.add_space(10.0);
    ui.label(egui::RichText::new(label).font(theme::strong_font()).color(theme::DIM));
    ui.add_space(6.0);
}

/// A button; the one that matters most in its place is drawn in the accent.
pub fn button(ui: &mut Ui, label: &str, first: bool) -> Response {
    let mut button = egui::Button::new(label)
        .corner_radius(CornerRadius::same(theme::RADIUS))
        .min_size(vec2(0.0, theme::ROW));
    if first {
        button = button.stroke(Stroke::new(1.0, theme::ACCENT));
    }
    ui.add(button)
}

/// A line of text to type in. `name` is what a screen reader says; a password is never shown.
pub fn field(
    ui: &mut Ui,
    value: &mut String,
    hint: &str,
    name: &str,
    password: bool,
    width: f32,
) -> Response {
    let edit = egui::TextEdit::singleline(value)
        .hint_text(egui::RichText::new(hint.to_owned()).color(theme::FAINT))
        .password(password)
        .desired_width(width)
        .margin(egui::Margin::symmetric(10, 8));
    let response = ui.add(edit);
    let (shown, name) = (if password { String::new() } else { value.clone() }, name.to_owned());
    response.widget_info(|| WidgetInfo {
        label: Some(name.clone()),
        ..WidgetInfo::text_edit(true, &shown, &shown, "")
    });
    response
}

/// A line of facts: what it is, dim, then what it says.
pub fn fact(ui: &mut Ui, label: &str, value: &str) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = Vec2::new(6.0, 2.0);
        ui.label(egui::RichText::new(label).color(theme::DIM).font(theme::small_font()));
        ui.label(egui::RichText::new(value).color(theme::TEXT));
    });
}
