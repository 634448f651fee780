//! What each command changes.

use super::{LOOK_BACK, LogIn, LookBack, Model, Overlay, Tile, Zoom};
use crate::{
    command::{Command, Room},
    layout::Direction,
    net::Ask,
};
use chrono::TimeDelta;
use fluent_bundle::FluentValue;
use mandate::CameraId;
use protocol::api::{Access, IncidentCategory, IncidentSource, NewIncident};

/// What an arrow key skips in the replay room.
const STEP: TimeDelta = TimeDelta::seconds(5);

impl Model {
    /// Carries out a command.
    pub fn apply(&mut self, command: Command) {
        if self.me().is_none() && !matches!(command, Command::LogIn { .. } | Command::SwitchLanguage) {
            return;
        }
        match command {
            Command::LogIn { username, password } => {
                if !matches!(self.log_in, LogIn::Asked) {
                    self.log_in = LogIn::Asked;
                    self.outbox.push(Ask::LogIn { username, password });
                }
            }
            Command::LogOut => self.outbox.push(Ask::LogOut),
            Command::Enter(Room::Replay) => {
                if self.rooms().contains(&Room::Replay) {
                    self.overlay = Overlay::None;
                    self.open_replay();
                }
            }
            Command::Enter(room) => {
                if self.rooms().contains(&room) {
                    // Nobody looks back at what is not on the screen.
                    self.leave_replay();
                    self.room = room;
                    self.overlay = Overlay::None;
                    if room == Room::Health {
                        self.outbox.push(Ask::Health);
                    }
                }
            }
            Command::Divide(layout) => {
                self.layout = layout;
                self.enlarged = false;
                self.selected = self.selected.min(layout.tiles() - 1);
                self.fill_tiles();
            }
            Command::Select(tile) if tile < self.layout.tiles() => self.selected = tile,
            Command::Move(direction) if self.room == Room::Replay => match direction {
                Direction::Left => self.replay_skip(-STEP),
                Direction::Right => self.replay_skip(STEP),
                Direction::Up => self.replay_faster(true),
                Direction::Down => self.replay_faster(false),
            },
            Command::ReplayPlay => self.replay_play(),
            Command::ReplaySeek(to) => self.replay_seek(to),
            Command::ReplaySpeed(speed) => self.replay_speed(speed),
            Command::ReplaySelect(tile) => {
                if let Some(replay) = self.replay.as_mut().filter(|replay| tile < replay.tiles.len()) {
                    replay.selected = tile;
                }
            }
            Command::ReplayRemove if self.room == Room::Replay => self.remove_from_replay(),
            Command::Select(_) | Command::ReplayRemove | Command::ReplayStep { .. } => {}
            Command::Move(direction) => self.selected = self.layout.neighbour(self.selected, direction),
            Command::ShowNumber { number, tile } => {
                let camera = self.cameras.iter().find(|c| c.number == number).map(|c| c.id.clone());
                if let Some(camera) = camera {
                    self.show(camera, tile);
                } else {
                    let text = self.texts.with("no-such-camera", &[("number", number.into())]);
                    self.say(text, true);
                }
            }
            Command::Show { camera, tile } => self.show(camera, tile),
            Command::Zoom { tile, by, at } => {
                if let Some(tile) = self.tiles.get_mut(tile) {
                    tile.zoom = tile.zoom.zoomed(by, at);
                }
            }
            Command::Pan { tile, by } => {
                if let Some(tile) = self.tiles.get_mut(tile) {
                    tile.zoom = tile.zoom.moved(by);
                }
            }
            Command::Enlarge => self.enlarged = !self.enlarged,
            Command::OpenMark => {
                if let Some(camera) = self.selected_open_camera() {
                    self.overlay = Overlay::Mark { at: self.clock.now(), camera };
                }
            }
            Command::Mark { category, note, source, instruction } => {
                if let Overlay::Mark { at, camera } = std::mem::take(&mut self.overlay) {
                    let quick = false;
                    let cameras = vec![camera];
                    self.outbox.push(Ask::Mark(NewIncident {
                        at,
                        cameras,
                        category,
                        note,
                        source,
                        instruction,
                        quick,
                        outside_number: None,
                    }));
                }
            }
            Command::CloseIncident(id) => self.outbox.push(Ask::CloseIncident(id)),
            Command::LookBack => self.look_back(),
            Command::Still => {
                // The picture itself is taken by the window, which owns it.
                if self.tiles.get(self.selected).is_some_and(|t| t.still.is_some())
                    && let Some(tile) = self.tiles.get_mut(self.selected)
                {
                    tile.still = None;
                }
            }
            Command::Why => {
                if let Some(camera) = self.selected_camera().map(|c| c.id.clone()) {
                    self.outbox.push(Ask::Why(camera.clone()));
                    self.overlay = Overlay::Why { camera, answer: None };
                }
            }
            Command::Back => self.back(),
            Command::Help => self.overlay = Overlay::Help,
            Command::Palette => self.overlay = Overlay::Palette,
            Command::Search => {
                self.room = Room::Wall;
                self.search_wanted = true;
            }
            Command::SwitchLanguage => {
                let other = self.texts.language().other();
                self.texts.set_language(other);
            }
        }
    }

    fn show(&mut self, camera: CameraId, tile: Option<usize>) {
        if self.room == Room::Replay {
            self.add_to_replay(camera);
            return;
        }
        let tile = tile.unwrap_or(self.selected);
        if tile >= self.layout.tiles() {
            let text = self.texts.with("no-such-tile", &[("number", FluentValue::from(tile + 1))]);
            self.say(text, true);
            return;
        }
        // A camera stands on one tile; what stood there changes places with it.
        let other = self.tile_of(&camera).filter(|&other| other != tile);
        if let Some(place) = self.tiles.get_mut(tile) {
            let before = std::mem::replace(place, Tile { camera: Some(camera), ..Tile::default() });
            if let Some(other) = other.and_then(|other| self.tiles.get_mut(other)) {
                *other = Tile { camera: before.camera, ..Tile::default() };
            }
        }
        self.selected = tile;
        self.room = Room::Wall;
    }

    /// The selected tile's camera if it may be seen; else says why not.
    pub(super) fn selected_open_camera(&mut self) -> Option<CameraId> {
        let view = self.selected_camera()?.clone();
        match &view.access {
            Access::Open { .. } => Some(view.id.clone()),
            Access::Closed(refusal) => {
                let text = self.texts.sentence(&refusal.sentence).to_owned();
                self.say(text, true);
                None
            }
        }
    }

    fn look_back(&mut self) {
        let tile = self.selected;
        if self.tiles.get(tile).is_some_and(|t| t.look_back.is_some()) {
            self.back();
            return;
        }
        let Some(camera) = self.selected_open_camera() else { return };
        let now = self.clock.now();
        let mut look = LookBack { from: now - LOOK_BACK, until: now, incident: None };
        if let Some(incident) = self.open_incident(&camera) {
            look.incident = Some(incident.id.clone());
        } else {
            // Looking back has its incident (`decisions.md` 22): a quick mark first, then the replay.
            self.look_back_waits = Some((tile, look.clone()));
            self.outbox.push(Ask::Mark(NewIncident {
                at: now,
                cameras: vec![camera],
                category: IncidentCategory::Other,
                note: String::new(),
                source: IncidentSource::Own,
                instruction: None,
                quick: true,
                outside_number: None,
            }));
        }
        if let Some(tile) = self.tiles.get_mut(tile) {
            tile.look_back = Some(look);
            tile.still = None;
        }
    }

    fn back(&mut self) {
        if self.keypad.clear() {
            return;
        }
        if self.overlay != Overlay::None {
            self.overlay = Overlay::None;
            return;
        }
        if self.room == Room::Replay {
            self.leave_replay();
            return;
        }
        if self.room != Room::Wall && self.rooms().contains(&Room::Wall) {
            self.room = Room::Wall;
            return;
        }
        self.notice = None;
        let Some(tile) = self.tiles.get_mut(self.selected) else { return };
        if tile.still.take().is_some() {
            return;
        }
        if tile.look_back.take().is_some() {
            self.look_back_waits = None;
            return;
        }
        if tile.zoom.factor > 1.0 {
            tile.zoom = Zoom::default();
            return;
        }
        self.enlarged = false;
    }
}
