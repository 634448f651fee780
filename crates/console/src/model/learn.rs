//! What the daemon's news changes.

use super::{Listening, LogIn, LookBack, Model, Overlay, Tile};
use crate::{
    feeds::{Phase, Shows},
    net::{News, Trouble},
};
use chrono::Utc;
use mandate::CameraId;
use protocol::{
    api::{Access, Incident, Refusal},
    socket::{EndCause, ServerMessage},
};
use std::time::Instant;

impl Model {
    /// Puts cameras on the empty tiles of the layout, by number; when there are more cameras than tiles, open ones first.
    pub(super) fn fill_tiles(&mut self) {
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
                self.listening = Some(Listening::again(self.listening, Instant::now()));
                self.log_in = LogIn::In(me);
                self.room = self.rooms().first().copied().unwrap_or_default();
            }
            News::Me(me) => self.log_in = LogIn::In(me),
            News::LoggedOut(trouble) => {
                // The next person starts from an empty wall. What this workstation checked itself stays: it is nobody's session.
                let language = self.texts.language();
                let (about, clock) = (self.about.take(), self.clock);
                let (witnessed, listening) = (std::mem::take(&mut self.witnessed), self.listening);
                let mut players = self.feeds.lose_all();
                players.extend(self.replay.take().into_iter().flat_map(super::replay::Replay::players));
                *self = Self {
                    about,
                    clock,
                    witnessed,
                    listening,
                    log_in: LogIn::Out(trouble),
                    ..Self::new(language, self.layout)
                };
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
                    self.lose_replay();
                    return self.feeds.lose_all();
                }
            }
            News::Witnessed(witnessed) => self.witnessed = witnessed,
            News::Clock(clock) => self.clock = clock,
            News::Timeline(timeline) => self.learn_timeline(*timeline),
            News::Failed(trouble) => {
                if let Trouble::Said(sentence) = &trouble {
                    self.replay_unmarked(sentence);
                }
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
        if incident.closed_at.is_none() {
            self.replay_incident(&incident.id, &incident.cameras);
        }
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
        self.learn_replay(message);
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
}
