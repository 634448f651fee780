//! Everything the console knows, and how commands and news change it. Rooms read it while a frame is drawn; changes
//! happen between frames, in [`Model::apply`] and [`Model::learn`], which leave what must be asked of the daemon in
//! [`Model::outbox`].

mod learn;
mod obey;
mod replay;
#[cfg(test)]
mod tests;
mod witness;
mod zoom;

pub use replay::{MOST as MOST_IN_STEP, Phase as ReplayPhase, Replay, ReplayTile};
pub use witness::{Confirmation, Listening};
pub use zoom::Zoom;

use crate::{
    command::{Keypad, Room},
    feeds::{Feed, Feeds, Phase, Shows, Want, stream_for},
    i18n::{Language, Texts},
    layout::Layout,
    net::{Ask, Trouble},
    receipts::Witnessed,
    time::DaemonClock,
    video::{PlayerId, PlayerStats},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{Action, CameraId, IncidentId, MunicipalityId, roles::may_ever};
use protocol::{
    api::{
        About, Access, CameraState, CameraView, Health, Incident, LedgerHealth, Me, MunicipalityView,
        Refusal, Sentence, StreamRole, Why,
    },
    socket::EndCause,
};
use std::{collections::HashMap, time::Instant};

/// How far `R` looks back.
pub const LOOK_BACK: TimeDelta = TimeDelta::seconds(30);
/// Width of a camera's sub stream before the first picture tells it.
const SUB_WIDTH: f32 = 640.0;
/// With key frames only, a picture this old is late.
const KEY_FRAME_PATIENCE: TimeDelta = TimeDelta::milliseconds(3_500);

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
    /// The police's witness was not heard for so long that only the police may look.
    LogUnconfirmed(Sentence),
}

impl Status {
    /// `live`, `closed`, `offline` or `late`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Closed(_) | Self::LogFailing(_) | Self::LogUnconfirmed(_) => "closed",
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
    /// What the police's witness saw of it.
    pub witnessed: Witnessed,
    /// Since when it could have been heard of; none before the first session.
    pub listening: Option<Listening>,
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
    /// The replay room, while somebody looks back in it.
    pub replay: Option<Replay>,
    /// Players of the replay room that show nothing any more.
    replay_closed: Vec<u32>,
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
            witnessed: Witnessed::default(),
            listening: None,
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
            replay: None,
            replay_closed: Vec::new(),
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
            (Room::Replay, Action::Replay),
            (Room::Incidents, Action::ListIncidents),
            (Room::Health, Action::ReadHealth),
        ];
        let rooms = doors.into_iter().filter(|(_, action)| may_ever(me.role, *action)).map(|(room, _)| room);
        // One looks back at what stands on the wall.
        let wall = may_ever(me.role, Action::LiveView);
        rooms.filter(|room| *room != Room::Replay || wall).collect()
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
        if self.confirmation() == Confirmation::PoliceOnly {
            return Status::LogUnconfirmed(witness::police_only());
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
        if self.me().is_none() || self.socket.is_err() || self.obey_witness() {
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
