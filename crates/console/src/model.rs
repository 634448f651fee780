//! Everything the console knows, and how commands and news change it. Rooms read it while a frame is drawn; changes
//! happen between frames, in [`Model::apply`] and [`Model::learn`], which leave what must be asked of the daemon in
//! [`Model::outbox`].

use crate::{
    command::{Command, Keypad, Room},
    feeds::{Feed, Feeds, Phase, Shows, Want, stream_for},
    i18n::{Language, Texts},
    layout::Layout,
    net::{Ask, News, Trouble},
    time::DaemonClock,
    video::{PlayerId, PlayerStats},
};
use chrono::{DateTime, TimeDelta, Utc};
use egui::{Pos2, Rect, Vec2, pos2, vec2};
use fluent_bundle::FluentValue;
use mandate::{Action, CameraId, IncidentId, MunicipalityId, roles::may_ever};
use protocol::{
    api::{
        About, Access, CameraState, CameraView, Health, Incident, IncidentCategory, IncidentSource,
        LedgerHealth, Me, MunicipalityView, NewIncident, Refusal, Sentence, StreamRole, Why,
    },
    socket::{EndCause, ServerMessage},
};
use std::{collections::HashMap, time::Instant};

/// How far `R` looks back.
pub const LOOK_BACK: TimeDelta = TimeDelta::seconds(30);
/// Width of a camera's sub stream before the first picture tells it.
const SUB_WIDTH: f32 = 640.0;
/// With key frames only, a picture this old is late.
const KEY_FRAME_PATIENCE: TimeDelta = TimeDelta::milliseconds(3_500);
/// Largest digital zoom.
const ZOOM_MAX: f32 = 8.0;

/// Whether somebody is logged in.
#[derive(Clone, Debug, PartialEq)]
pub enum LogIn {
    /// Nobody is; why, after a session ended or was refused.
    Out(Option<Trouble>),
    /// The daemon is being asked.
    Asked,
    /// This person is.
    In(Me),
}

/// What lies over the wall, if anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Overlay {
    /// Nothing.
    #[default]
    None,
    /// The form that marks an incident at this moment on these cameras.
    Mark {
        /// The moment `M` was pressed.
        at: DateTime<Utc>,
        /// The camera of the selected tile.
        camera: CameraId,
    },
    /// Why may this camera be seen, or not? The answer, once it is there.
    Why {
        /// The camera.
        camera: CameraId,
        /// The daemon's answer.
        answer: Option<Box<Why>>,
    },
    /// All keys.
    Help,
    /// All commands.
    Palette,
}

/// A replay in a tile.
#[derive(Clone, Debug, PartialEq)]
pub struct LookBack {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End, exclusive.
    pub until: DateTime<Utc>,
    /// The incident; none while it is being opened.
    pub incident: Option<IncidentId>,
}

/// Part of the picture that a tile shows: digital zoom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zoom {
    /// 1 shows all.
    pub factor: f32,
    /// Middle of what is shown, 0..1 in both directions.
    pub centre: Pos2,
}

impl Default for Zoom {
    fn default() -> Self {
        Self { factor: 1.0, centre: pos2(0.5, 0.5) }
    }
}

impl Zoom {
    /// The part of the picture that is shown.
    pub fn part(self) -> Rect {
        Rect::from_center_size(self.centre, Vec2::splat(1.0 / self.factor))
    }

    /// Zooms by `by`, keeping the point of the tile at `at` (0..1) where it is.
    #[must_use]
    pub fn zoomed(self, by: f32, at: Pos2) -> Self {
        let factor = (self.factor * by).clamp(1.0, ZOOM_MAX);
        let part = self.part();
        let anchor = part.min + vec2(at.x * part.width(), at.y * part.height());
        let side = 1.0 / factor;
        let centre = anchor + vec2(0.5 - at.x, 0.5 - at.y) * side;
        Self { factor, centre }.clamped()
    }

    /// Moves by a part of the tile.
    #[must_use]
    pub fn moved(self, by: Vec2) -> Self {
        Self { centre: self.centre - by / self.factor, ..self }.clamped()
    }

    fn clamped(self) -> Self {
        let half = 0.5 / self.factor;
        let centre = pos2(self.centre.x.clamp(half, 1.0 - half), self.centre.y.clamp(half, 1.0 - half));
        Self { centre, ..self }
    }
}

/// One tile of the wall.
#[derive(Clone, Debug, Default)]
pub struct Tile {
    /// Its camera.
    pub camera: Option<CameraId>,
    /// Digital zoom.
    pub zoom: Zoom,
    /// A replay that plays in it.
    pub look_back: Option<LookBack>,
    /// A picture held still in it.
    pub still: Option<Still>,
    /// Width of its picture on screen, in pixels, as drawn last.
    pub pixels_wide: f32,
    stream: Option<StreamRole>,
}

/// A picture held still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Still {
    /// Its player.
    pub player: PlayerId,
    /// When it was captured.
    pub captured: DateTime<Utc>,
}

/// What a tile shows, in the words of the report.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// No camera.
    Empty,
    /// Asked for; no picture yet.
    Waiting,
    /// Live.
    Live,
    /// The law says no.
    Closed(Refusal),
    /// The camera gives no pictures.
    Offline {
        /// Since when.
        since: DateTime<Utc>,
        /// Why, for people.
        detail: Sentence,
        /// The next attempt.
        retry_at: Option<DateTime<Utc>>,
    },
    /// Pictures stopped arriving; the last was captured then.
    Late(Option<DateTime<Utc>>),
    /// The daemon cannot be reached.
    Disconnected,
    /// The log cannot be written, so nothing may be shown.
    LogFailing(Sentence),
}

impl Status {
    /// `live`, `closed`, `offline` or `late`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Closed(_) | Self::LogFailing(_) => "closed",
            Self::Offline { .. } | Self::Disconnected => "offline",
            Self::Waiting | Self::Late(_) => "late",
            Self::Empty => "empty",
        }
    }
}

/// A word at the foot of the window about something that was just done or refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// Whether it is a refusal or failure.
    pub grave: bool,
    /// When it goes away.
    pub until: Instant,
}

/// How many tiles the largest layout has.
const TILES: usize = 16;

/// Everything the console knows.
pub struct Model {
    /// What the screen says, and in which language.
    pub texts: Texts,
    /// Who is logged in.
    pub log_in: LogIn,
    /// What the server is.
    pub about: Option<About>,
    /// The daemon's clock.
    pub clock: DaemonClock,
    /// Whether the media socket is up, and why not.
    pub socket: Result<(), String>,
    /// The cameras in scope, by number.
    pub cameras: Vec<CameraView>,
    /// Names of the municipalities.
    pub municipalities: Vec<MunicipalityView>,
    /// The shift's incidents, newest first.
    pub incidents: Vec<Incident>,
    /// State of cameras and services, once asked.
    pub health: Option<Health>,
    /// State of the log.
    pub ledger: LedgerHealth,
    /// Where the operator is.
    pub room: Room,
    /// How the wall is divided.
    pub layout: Layout,
    /// The tiles, also those the layout does not show.
    pub tiles: Vec<Tile>,
    /// The selected tile, from 0.
    pub selected: usize,
    /// Whether it takes the whole wall.
    pub enlarged: bool,
    /// What lies over the wall.
    pub overlay: Overlay,
    /// What is being typed.
    pub keypad: Keypad,
    /// A word about what was just done.
    pub notice: Option<Notice>,
    /// Whether the camera search wants the cursor.
    pub search_wanted: bool,
    /// The looks on the socket.
    pub feeds: Feeds,
    /// Whether cameras were put on the tiles of this session.
    filled: bool,
    /// A tile that looks back as soon as its quick incident is marked.
    look_back_waits: Option<(usize, LookBack)>,
    /// What is to be asked of the daemon.
    pub outbox: Vec<Ask>,
    /// Unselected tiles show key frames only, for want of strength.
    pub key_frames_only: bool,
    /// When the session began here, for the bar of the basis.
    pub since: DateTime<Utc>,
}

impl Model {
    /// A console nobody has logged in to.
    pub fn new(language: Language, layout: Layout) -> Self {
        Self {
            texts: Texts::new(language),
            log_in: LogIn::Out(None),
            about: None,
            clock: DaemonClock::default(),
            socket: Err(String::new()),
            cameras: Vec::new(),
            municipalities: Vec::new(),
            incidents: Vec::new(),
            health: None,
            ledger: LedgerHealth { writable: true, ..LedgerHealth::default() },
            room: Room::Wall,
            layout,
            tiles: vec![Tile::default(); TILES],
            selected: 0,
            enlarged: false,
            overlay: Overlay::None,
            keypad: Keypad::default(),
            notice: None,
            search_wanted: false,
            feeds: Feeds::default(),
            filled: false,
            look_back_waits: None,
            outbox: Vec::new(),
            key_frames_only: false,
            since: DateTime::UNIX_EPOCH,
        }
    }

    /// Who is logged in.
    pub fn me(&self) -> Option<&Me> {
        match &self.log_in {
            LogIn::In(me) => Some(me),
            _ => None,
        }
    }

    /// The camera with this id.
    pub fn camera(&self, id: &CameraId) -> Option<&CameraView> {
        self.cameras.iter().find(|c| &c.id == id)
    }

    /// The name of a municipality.
    pub fn municipality<'a>(&'a self, id: &'a MunicipalityId) -> &'a str {
        self.municipalities.iter().find(|m| &m.id == id).map_or(id.as_str(), |m| m.name.as_str())
    }

    /// The camera of the selected tile.
    pub fn selected_camera(&self) -> Option<&CameraView> {
        self.camera(self.tiles.get(self.selected)?.camera.as_ref()?)
    }

    /// The tile that shows a camera, from 0.
    pub fn tile_of(&self, camera: &CameraId) -> Option<usize> {
        self.tiles.iter().take(self.layout.tiles()).position(|t| t.camera.as_ref() == Some(camera))
    }

    /// An open incident that concerns a camera, newest first.
    pub fn open_incident(&self, camera: &CameraId) -> Option<&Incident> {
        self.incidents.iter().find(|i| i.closed_at.is_none() && i.cameras.contains(camera))
    }

    /// The rooms this role may ever enter; the daemon decides again at every door.
    pub fn rooms(&self) -> Vec<Room> {
        let Some(me) = self.me() else { return Vec::new() };
        let doors = [
            (Room::Wall, Action::LiveView),
            (Room::Incidents, Action::ListIncidents),
            (Room::Health, Action::ReadHealth),
        ];
        doors.into_iter().filter(|(_, action)| may_ever(me.role, *action)).map(|(room, _)| room).collect()
    }

    /// What a tile shows, given the figures of the player it shows.
    pub fn status(&self, tile: usize, stats: Option<&PlayerStats>) -> Status {
        let Some(camera) = self.tiles.get(tile).and_then(|t| t.camera.as_ref()) else { return Status::Empty };
        let Some(view) = self.camera(camera) else { return Status::Empty };
        if let Access::Closed(refusal) = &view.access {
            return Status::Closed(refusal.clone());
        }
        if self.socket.is_err() {
            return Status::Disconnected;
        }
        match self.feeds.newest(tile).map(|f| (&f.shows, &f.phase)) {
            // The list says open; it is asked again when a look ends, and until then the daemon's last word counts.
            Some((Shows::Live, Phase::Ended(EndCause::Refused(refusal)))) => {
                return Status::Closed(refusal.clone());
            }
            Some((_, Phase::Ended(EndCause::LogUnavailable { sentence }))) => {
                return Status::LogFailing(sentence.clone());
            }
            _ => {}
        }
        // A key frame comes every second or two: with nothing else decoded, two seconds without one are no delay yet.
        let patient = self.key_frames_only && tile != self.selected;
        let late =
            |s: &PlayerStats| s.late && !(patient && self.age(s).is_some_and(|age| age < KEY_FRAME_PATIENCE));
        let moving = stats.is_some_and(|s| s.last_captured.is_some() && !late(s));
        match &view.state {
            // Pictures say more than the list, which is a few seconds old.
            _ if moving => Status::Live,
            CameraState::Down { since, detail, retry_at, .. } => {
                Status::Offline { since: *since, detail: detail.clone(), retry_at: *retry_at }
            }
            _ => match stats.and_then(|s| s.last_captured) {
                Some(captured) => Status::Late(Some(crate::time::from_micros(captured))),
                None => Status::Waiting,
            },
        }
    }

    /// How old the picture on screen is.
    fn age(&self, stats: &PlayerStats) -> Option<TimeDelta> {
        Some(self.clock.now() - crate::time::from_micros(stats.last_captured?))
    }

    /// What the wall wants to show, given the pixels each tile took when it was drawn last.
    pub fn wants(&mut self, spare: bool) -> Vec<Want> {
        let mut wants = Vec::new();
        if self.me().is_none() || self.socket.is_err() {
            return wants;
        }
        let open: HashMap<CameraId, bool> =
            self.cameras.iter().map(|c| (c.id.clone(), matches!(c.access, Access::Open { .. }))).collect();
        let (selected, enlarged, on_wall) = (self.selected, self.enlarged, self.room == Room::Wall);
        for (index, tile) in self.tiles.iter_mut().enumerate().take(self.layout.tiles()) {
            let Some(camera) = tile.camera.clone() else { continue };
            if !open.get(&camera).copied().unwrap_or(false) {
                // A basis that ended takes a replay with it.
                tile.look_back = None;
                tile.still = None;
                continue;
            }
            let wanted = stream_for(
                tile.pixels_wide * tile.zoom.factor,
                tile.stream.unwrap_or(StreamRole::Sub),
                SUB_WIDTH,
            );
            // Short of strength, only the selected tile gets the large stream.
            let stream = if spare && index != selected { StreamRole::Sub } else { wanted };
            tile.stream = Some(stream);
            let shows = match &tile.look_back {
                Some(LookBack { from, until, incident: Some(incident) }) => {
                    Shows::Replay { from: *from, until: *until, incident: Some(incident.clone()) }
                }
                _ => Shows::Live,
            };
            // What is recorded is the main stream.
            let stream = if shows == Shows::Live { stream } else { StreamRole::Main };
            let visible = on_wall && (!enlarged || index == selected);
            wants.push(Want { tile: index, camera, stream, shows, visible });
        }
        wants
    }

    /// Tells the operator something, for some seconds.
    pub fn say(&mut self, text: String, grave: bool) {
        let until = Instant::now() + std::time::Duration::from_secs(if grave { 8 } else { 4 });
        self.notice = Some(Notice { text, grave, until });
    }

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
            Command::Enter(room) => {
                if self.rooms().contains(&room) {
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
            Command::Select(_) => {}
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
    fn selected_open_camera(&mut self) -> Option<CameraId> {
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

    /// Puts cameras on the empty tiles of the layout, by number; when there are more cameras than tiles, open ones first.
    fn fill_tiles(&mut self) {
        if self.cameras.is_empty() {
            return;
        }
        self.filled = true;
        let mut rest: Vec<(bool, u32, CameraId)> = self
            .cameras
            .iter()
            .filter(|c| !self.tiles.iter().any(|t| t.camera.as_ref() == Some(&c.id)))
            .map(|c| (matches!(c.access, Access::Closed(_)), c.number, c.id.clone()))
            .collect();
        rest.sort();
        let empty: Vec<&mut Tile> =
            self.tiles.iter_mut().take(self.layout.tiles()).filter(|t| t.camera.is_none()).collect();
        rest.truncate(empty.len());
        rest.sort_by_key(|(_, number, _)| *number);
        for (tile, (_, _, camera)) in empty.into_iter().zip(rest) {
            tile.camera = Some(camera);
        }
    }

    /// Learns something from the daemon. Returns players that show nothing any more.
    pub fn learn(&mut self, news: News) -> Vec<u32> {
        match news {
            News::About(about) => {
                self.clock.learn_roughly(about.now, Utc::now());
                self.about = Some(about);
            }
            News::LoggedIn(me) => {
                self.since = self.clock.now();
                self.log_in = LogIn::In(me);
                self.room = self.rooms().first().copied().unwrap_or_default();
            }
            News::Me(me) => self.log_in = LogIn::In(me),
            News::LoggedOut(trouble) => {
                // The next person starts from an empty wall.
                let language = self.texts.language();
                let (about, clock) = (self.about.take(), self.clock);
                let players = self.feeds.lose_all();
                *self =
                    Self { about, clock, log_in: LogIn::Out(trouble), ..Self::new(language, self.layout) };
                return players;
            }
            News::Municipalities(list) => self.municipalities = list,
            News::Cameras(mut list) => {
                list.sort_by_key(|c| c.number);
                self.cameras = list;
                if !self.filled {
                    self.fill_tiles();
                }
            }
            News::Incidents(mut list) => {
                list.sort_by_key(|i| std::cmp::Reverse(i.at));
                self.incidents = list;
            }
            News::Health(health) => {
                self.ledger = health.ledger.clone();
                self.health = Some(*health);
            }
            News::Why(why) => {
                if let Overlay::Why { camera, answer } = &mut self.overlay
                    && *camera == why.camera
                {
                    *answer = Some(why);
                }
            }
            News::Incident(incident) => self.learn_incident(incident),
            News::Socket(state) => {
                let lost = state.is_err();
                self.socket = state;
                if lost {
                    return self.feeds.lose_all();
                }
            }
            News::Clock(clock) => self.clock = clock,
            News::Failed(trouble) => {
                if let Some((tile, _)) = self.look_back_waits.take()
                    && let Some(tile) = self.tiles.get_mut(tile)
                {
                    tile.look_back = None;
                }
                let text = self.trouble(&trouble);
                self.say(text, true);
            }
            News::Media(message) => self.learn_media(&message),
        }
        Vec::new()
    }

    fn learn_incident(&mut self, incident: Incident) {
        if let Some((tile, look)) = self.look_back_waits.take_if(|_| incident.closed_at.is_none())
            && let Some(tile) = self.tiles.get_mut(tile)
            && tile.look_back.as_ref() == Some(&look)
        {
            tile.look_back = Some(LookBack { incident: Some(incident.id.clone()), ..look });
        }
        self.incidents.retain(|i| i.id != incident.id);
        let place = self.incidents.partition_point(|i| i.at > incident.at);
        self.incidents.insert(place, incident);
    }

    fn learn_media(&mut self, message: &ServerMessage) {
        let refused = self.feeds.learn(message, Instant::now()).and_then(|feed| match &feed.phase {
            Phase::Ended(cause) if feed.shows != Shows::Live => Some((feed.tile, cause.clone())),
            _ => None,
        });
        // A refused replay goes back to live and says why.
        if let Some((
            tile,
            EndCause::Refused(Refusal { sentence, .. })
            | EndCause::LogUnavailable { sentence }
            | EndCause::Invalid { sentence },
        )) = refused
        {
            if let Some(tile) = self.tiles.get_mut(tile) {
                tile.look_back = None;
            }
            let text = self.texts.sentence(&sentence).to_owned();
            self.say(text, true);
        }
        match message {
            ServerMessage::Hello { ledger, .. } | ServerMessage::Ledger { ledger } => {
                self.ledger = ledger.clone();
            }
            ServerMessage::Camera { camera, state } => {
                if let Some(view) = self.cameras.iter_mut().find(|c| &c.id == camera) {
                    view.state = state.clone();
                }
            }
            ServerMessage::Error { sentence } => {
                let text = self.texts.sentence(sentence).to_owned();
                self.say(text, true);
            }
            _ => {}
        }
    }

    /// What went wrong, in the language chosen now.
    pub fn trouble(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Said(sentence) => self.texts.sentence(sentence).to_owned(),
            Trouble::Unreachable(reason) => {
                self.texts.with("unreachable", &[("reason", reason.as_str().into())])
            }
        }
    }

    /// The look whose pictures a tile shows.
    pub fn shown(&self, tile: usize, has_picture: impl FnMut(u32) -> bool) -> Option<&Feed> {
        self.feeds.shown(tile, has_picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::made_up_model;

    #[test]
    fn zoom_keeps_the_point_under_the_pointer() {
        let zoom = Zoom::default().zoomed(2.0, pos2(0.25, 0.75));
        let part = zoom.part();
        let under = part.min + vec2(0.25 * part.width(), 0.75 * part.height());
        assert!((under - pos2(0.25, 0.75)).length() < 1e-5);
        assert_eq!(Zoom::default().zoomed(0.5, pos2(0.5, 0.5)), Zoom::default());
        let far = zoom.moved(vec2(10.0, 10.0)).part();
        assert!(Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0)).expand(1e-5).contains_rect(far));
    }

    #[test]
    fn looking_back_opens_an_incident_first() {
        let mut model = made_up_model(Language::Nl);
        model.incidents.clear();
        model.selected = 0;
        model.apply(Command::LookBack);
        assert!(matches!(&model.outbox[..], [Ask::Mark(NewIncident { quick: true, .. })]));
        assert!(model.wants(false).iter().all(|w| w.shows == Shows::Live), "no replay before its incident");
        let camera = model.tiles[0].camera.clone().unwrap();
        let incident = Incident {
            id: "INC-9".into(),
            at: model.clock.now(),
            cameras: vec![camera],
            category: IncidentCategory::Other,
            note: String::new(),
            source: IncidentSource::Own,
            instruction: None,
            marked_by: "observant".into(),
            closed_at: None,
        };
        model.learn(News::Incident(incident));
        assert!(
            matches!(&model.wants(false)[0].shows, Shows::Replay { incident: Some(id), .. } if id.as_str() == "INC-9")
        );
        model.apply(Command::Back);
        assert!(model.wants(false).iter().all(|w| w.shows == Shows::Live));
    }

    #[test]
    fn a_refused_mark_ends_the_look_back_that_waits_for_it() {
        let mut model = made_up_model(Language::Nl);
        model.incidents.clear();
        model.apply(Command::LookBack);
        model.learn(News::Failed(Trouble::Said(Sentence { nl: "Nee.".into(), en: "No.".into() })));
        assert!(model.tiles[0].look_back.is_none());
        assert_eq!(model.notice.as_ref().map(|n| n.text.as_str()), Some("Nee."));
    }

    #[test]
    fn a_camera_stands_on_one_tile() {
        let mut model = made_up_model(Language::Nl);
        let (first, second) = (model.tiles[0].camera.clone(), model.tiles[1].camera.clone());
        let number = model.camera(second.as_ref().unwrap()).unwrap().number;
        model.apply(Command::ShowNumber { number, tile: Some(0) });
        assert_eq!((&model.tiles[0].camera, &model.tiles[1].camera), (&second, &first));
    }

    #[test]
    fn closed_cameras_are_never_asked_for() {
        let mut model = made_up_model(Language::Nl);
        for want in model.wants(false) {
            assert!(matches!(model.camera(&want.camera).unwrap().access, Access::Open { .. }));
        }
    }

    #[test]
    fn logging_out_leaves_nothing_behind() {
        let mut model = made_up_model(Language::En);
        model.learn(News::LoggedOut(None));
        assert!(model.cameras.is_empty() && model.incidents.is_empty());
        assert!(model.tiles.iter().all(|t| t.camera.is_none()));
        assert_eq!(model.texts.language(), Language::En);
    }
}
