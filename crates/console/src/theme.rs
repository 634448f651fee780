//! Every token of the look, in one place: colours, type, measures. Nothing else in the console makes a colour
//! (`clippy.toml` sees to that), so a change of look is a change of this file.
//!
//! Colour means something or is absent: the accent is where you are, amber is "look at this", red is "act now".
//! Nothing is green for being normal, and no colour stands alone: a word or an icon says it too.
#![expect(clippy::disallowed_methods, reason = "this is the one file that may make colours")]

use egui::{
    Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Stroke, TextStyle, Vec2,
    epaint::Shadow, style::WidgetVisuals, vec2,
};
use std::sync::Arc;

/// Behind everything.
pub const BACKGROUND: Color32 = Color32::from_rgb(0x12, 0x15, 0x17);
/// Bars and panels.
pub const SURFACE: Color32 = Color32::from_rgb(0x18, 0x1c, 0x1f);
/// Fields, chips and the row under the pointer.
pub const RAISED: Color32 = Color32::from_rgb(0x1f, 0x24, 0x28);
/// Hairlines.
pub const LINE: Color32 = Color32::from_rgb(0x2b, 0x31, 0x36);
/// Between pictures, and behind one that has not come yet.
pub const PICTURE_GAP: Color32 = Color32::from_rgb(0x0c, 0x0e, 0x10);
/// The stripes of a tile that may not show a picture.
pub const HATCH: Color32 = Color32::from_rgb(0x13, 0x17, 0x1a);
/// Text one reads.
pub const TEXT: Color32 = Color32::from_rgb(0xd9, 0xde, 0xe2);
/// The one thing on a line that counts: numbers, the clock, the name of the place.
pub const TEXT_STRONG: Color32 = Color32::from_rgb(0xf0, 0xf3, 0xf5);
/// Text one may read.
pub const DIM: Color32 = Color32::from_rgb(0x8b, 0x95, 0x9c);
/// Text that is there when looked for.
pub const FAINT: Color32 = Color32::from_rgb(0x5c, 0x66, 0x6d);
/// Where you are.
pub const ACCENT: Color32 = Color32::from_rgb(0x8a, 0xb4, 0xd8);
/// Look at this.
pub const AMBER: Color32 = Color32::from_rgb(0xdb, 0xa6, 0x42);
/// Act now.
pub const RED: Color32 = Color32::from_rgb(0xe2, 0x57, 0x4c);
/// Text on red or amber.
pub const ON_ALARM: Color32 = Color32::from_rgb(0xff, 0xff, 0xff);
/// Text on amber.
pub const ON_AMBER: Color32 = BACKGROUND;
/// The border of the selected tile.
pub const SELECTION: Color32 = Color32::from_rgb(0xff, 0xff, 0xff);
/// Darkens the last picture of a camera that stopped.
pub const STALE_VEIL: Color32 = Color32::from_rgba_premultiplied(0x0a, 0x0b, 0x0d, 0xb4);
/// Behind overlays that cover the wall (never over live pictures without being asked for).
pub const VEIL: Color32 = Color32::from_rgba_premultiplied(0x06, 0x07, 0x08, 0x90);
/// The observer's name over the picture.
pub const WATERMARK: Color32 = Color32::from_rgba_premultiplied(0x58, 0x5b, 0x5d, 0x60);
/// Behind a chip that lies on a picture.
pub const CHIP: Color32 = Color32::from_rgba_premultiplied(0x0b, 0x0d, 0x0e, 0xd4);
/// Background of the amber notice.
pub const AMBER_GROUND: Color32 = Color32::from_rgb(0x33, 0x2a, 0x16);
/// Background of the red notice.
pub const RED_GROUND: Color32 = Color32::from_rgb(0x3a, 0x1a, 0x18);
/// Under the label at the foot of a picture, top and bottom of its gradient.
pub const LABEL_SHADE: (Color32, Color32) =
    (Color32::TRANSPARENT, Color32::from_rgba_premultiplied(0x08, 0x09, 0x0a, 0xd8));

/// Width of the rail on the left.
pub const RAIL: f32 = 72.0;
/// Height of the bar at the top.
pub const TOP_BAR: f32 = 56.0;
/// Height of the bar at the foot.
pub const STATUS_BAR: f32 = 28.0;
/// Width of the panel on the right.
pub const SIDE_PANEL: f32 = 336.0;
/// Space between tiles.
pub const TILE_GAP: f32 = 4.0;
/// Height of a row in a list.
pub const ROW: f32 = 32.0;
/// Height of the label at the foot of a picture.
pub const LABEL: f32 = 28.0;
/// Corner of chips, fields and buttons.
pub const RADIUS: u8 = 4;
/// Corner of cards.
pub const RADIUS_CARD: u8 = 6;
/// Inner margin of panels.
pub const MARGIN: f32 = 20.0;

/// The clock, and the keypad entry.
pub fn clock_font() -> FontId {
    FontId::new(24.0, medium())
}
/// Titles and the sentence on a closed tile.
pub fn title_font() -> FontId {
    FontId::new(16.0, FontFamily::Proportional)
}
/// Everything else.
pub fn body_font() -> FontId {
    FontId::new(13.0, FontFamily::Proportional)
}
/// What stands out in a line.
pub fn strong_font() -> FontId {
    FontId::new(13.0, semibold())
}
/// Second lines and hints.
pub fn small_font() -> FontId {
    FontId::new(12.0, FontFamily::Proportional)
}
/// Key caps, rail labels and watermarks.
pub fn tiny_font() -> FontId {
    FontId::new(11.0, FontFamily::Proportional)
}
/// Icons at a size in points.
pub fn icon_font(size: f32) -> FontId {
    FontId::new(size, icons_family())
}
/// The number being typed on the keypad: the one thing larger than the clock.
pub fn entry_font() -> FontId {
    FontId::new(56.0, medium())
}

fn icons_family() -> FontFamily {
    FontFamily::Name("phosphor".into())
}
fn medium() -> FontFamily {
    FontFamily::Name("medium".into())
}
fn semibold() -> FontFamily {
    FontFamily::Name("semibold".into())
}

/// A hairline.
pub fn line() -> Stroke {
    Stroke::new(1.0, LINE)
}

/// A frame for bars and panels.
pub fn surface(margin: Margin) -> egui::Frame {
    egui::Frame::new().fill(SURFACE).inner_margin(margin)
}

/// A card that lies over the window.
pub fn card() -> egui::Frame {
    egui::Frame::new()
        .fill(SURFACE)
        .stroke(line())
        .corner_radius(CornerRadius::same(RADIUS_CARD))
        .inner_margin(Margin::same(20))
}

/// `colour`, with `alpha` between 0 and 1.
pub fn faded(colour: Color32, alpha: f32) -> Color32 {
    colour.gamma_multiply(alpha)
}

/// Puts fonts and style into a context. Call once, before the first frame.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    ctx.set_theme(egui::Theme::Dark);
    ctx.all_styles_mut(style);
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    // The default fonts stay behind Inter as a fallback for letters it lacks.
    let faces: [(&str, &'static [u8]); 3] = [
        ("inter", include_bytes!("../../../assets/fonts/Inter-Regular.otf")),
        ("inter-medium", include_bytes!("../../../assets/fonts/Inter-Medium.otf")),
        ("inter-semibold", include_bytes!("../../../assets/fonts/Inter-SemiBold.otf")),
    ];
    for (name, bytes) in faces {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_owned(with_tabular_figures(bytes))));
    }
    let fallback = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    for (family, face) in
        [(FontFamily::Proportional, "inter"), (medium(), "inter-medium"), (semibold(), "inter-semibold")]
    {
        let mut names = vec![face.to_owned()];
        names.extend(fallback.iter().cloned());
        fonts.families.insert(family, names);
    }
    let icons = include_bytes!("../../../assets/fonts/Phosphor.ttf");
    fonts.font_data.insert("phosphor".to_owned(), Arc::new(FontData::from_static(icons)));
    fonts.families.insert(icons_family(), vec!["phosphor".to_owned(), "inter".to_owned()]);
    fonts
}

/// Inter with tabular figures always on, so that a running clock does not dance. egui shapes text with the features
/// that are on by default and offers no others, so the copy in memory gets its `tnum` feature renamed to `rclt`,
/// which is always on (OpenType 1.9, feature registry). The file in `assets/` stays as its authors made it.
fn with_tabular_figures(font: &[u8]) -> Vec<u8> {
    let mut bytes = font.to_vec();
    let gsub = (0..usize::from(u16_at(&bytes, 4)))
        .map(|table| 12 + 16 * table)
        .find(|&record| bytes.get(record..record + 4) == Some(b"GSUB"))
        .map(|record| u32_at(&bytes, record + 8) as usize);
    let Some(gsub) = gsub else { return bytes };
    let list = gsub + usize::from(u16_at(&bytes, gsub + 6));
    for feature in 0..usize::from(u16_at(&bytes, list)) {
        let record = list + 2 + 6 * feature;
        if let Some(tag) = bytes.get_mut(record..record + 4)
            && tag == b"tnum"
        {
            tag.copy_from_slice(b"rclt");
        }
    }
    bytes
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_be_bytes)
}
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn style(style: &mut egui::Style) {
    style.text_styles = [
        (TextStyle::Small, small_font()),
        (TextStyle::Body, body_font()),
        (TextStyle::Button, body_font()),
        (TextStyle::Heading, title_font()),
        (TextStyle::Monospace, body_font()),
    ]
    .into();
    style.spacing.item_spacing = vec2(8.0, 4.0);
    style.spacing.button_padding = vec2(12.0, 7.0);
    style.spacing.interact_size = vec2(40.0, ROW);
    style.spacing.text_edit_width = 260.0;
    style.interaction.selectable_labels = false;
    // Nothing moves unless something happened.
    style.animation_time = 0.0;
    style.scroll_animation = egui::style::ScrollAnimation::none();

    let visuals = &mut style.visuals;
    visuals.dark_mode = true;
    visuals.override_text_color = None;
    visuals.panel_fill = BACKGROUND;
    visuals.window_fill = SURFACE;
    visuals.extreme_bg_color = BACKGROUND;
    visuals.faint_bg_color = RAISED;
    visuals.window_stroke = line();
    visuals.window_shadow = Shadow::NONE;
    visuals.popup_shadow = Shadow::NONE;
    visuals.selection.bg_fill = faded(ACCENT, 0.35);
    visuals.selection.stroke = Stroke::new(1.0, ACCENT);
    visuals.hyperlink_color = ACCENT;
    visuals.warn_fg_color = AMBER;
    visuals.error_fg_color = RED;
    let widget = |fill: Color32, border: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, border),
        corner_radius: CornerRadius::same(RADIUS),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    visuals.widgets.noninteractive = widget(SURFACE, LINE, TEXT);
    visuals.widgets.inactive = widget(RAISED, LINE, TEXT);
    visuals.widgets.hovered = widget(LINE, FAINT, TEXT_STRONG);
    visuals.widgets.active = widget(LINE, ACCENT, TEXT_STRONG);
    visuals.widgets.open = widget(RAISED, LINE, TEXT);
}

/// The icons in use, by their code points in Phosphor. The font is loaded by hand, as the crate that wraps it speaks
/// another generation of egui.
pub mod icon {
    /// The wall.
    pub const WALL: &str = "\u{E464}";
    /// Looking back.
    pub const LOOK_BACK: &str = "\u{E1A0}";
    /// Incidents.
    pub const INCIDENT: &str = "\u{E244}";
    /// Health.
    pub const HEALTH: &str = "\u{E000}";
    /// Unfolded.
    pub const UNFOLDED: &str = "\u{E136}";
    /// Folded.
    pub const FOLDED: &str = "\u{E13A}";
    /// Act now.
    pub const WARNING: &str = "\u{E4E0}";
    /// Not connected.
    pub const UNPLUGGED: &str = "\u{EB56}";
}

/// Size of an icon in the rail.
pub const RAIL_ICON: f32 = 18.0;
/// A cell of the rail.
pub const RAIL_CELL: Vec2 = vec2(60.0, 56.0);

#[cfg(test)]
mod tests {
    use super::*;

    fn width_of(text: &str) -> f32 {
        let ctx = egui::Context::default();
        install(&ctx);
        let mut width = 0.0;
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            width = ui.painter().layout_no_wrap(text.to_owned(), body_font(), TEXT).size().x;
        });
        output.drop_without_applying_deltas();
        width
    }

    #[test]
    fn figures_are_tabular() {
        assert!((width_of("11:11:11") - width_of("20:48:06")).abs() < 0.01);
        assert!(width_of("iiii") < width_of("mmmm"), "letters stay proportional");
    }
}
