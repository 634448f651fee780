//! The wall: the tiles of the layout, or the selected one alone.

use crate::{
    command::Command,
    model::Model,
    theme,
    tile::{self, Drawn},
    video::VideoSystem,
};
use egui::{Rect, Ui};

/// Draws the wall; returns each tile that was drawn, and what its drawing found out.
pub fn ui(
    ui: &mut Ui,
    model: &Model,
    video: &mut VideoSystem,
    commands: &mut Vec<Command>,
) -> Vec<(usize, Drawn)> {
    let area = ui.available_rect_before_wrap();
    let area = area.shrink(theme::TILE_GAP);
    let places: Vec<(usize, Rect)> = if model.enlarged {
        vec![(model.selected, area)]
    } else {
        model.layout.rects(area, theme::TILE_GAP).into_iter().enumerate().collect()
    };
    places
        .into_iter()
        .map(|(index, rect)| (index, tile::draw(ui, rect, index, model, video, commands)))
        .collect()
}
