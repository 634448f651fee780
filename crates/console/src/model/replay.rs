//! The replay room: up to nine cameras on one clock, forward and backward, with their time axes. Each camera is a look of
//! its own on the media socket; one steering moves them all, so they stay in step.
//!
//! The clock lives here, because everything on the screen follows it; the pictures are the players'. A change of position or
//! pace is one [`Steer`](crate::net::Ask::Steer); standing still, going on, and a step to a picture that is already decoded
//! ask the daemon nothing that it does not need.

use super::Model;
use crate::{
    command::Room,
    net::Ask,
    time,
    video::{PlayerId, ReplayClock, VideoSystem},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{CameraId, IncidentId};
use protocol::{
    api::{Access, IncidentCategory, IncidentSource, NewIncident, Sentence, StreamRole, Timeline},
    client::TimelineOf,
    socket::{ClientMessage, EndCause, Motion, ServerMessage},
};
use std::time::{Duration, Instant};

/// Cameras in step.
pub const MOST: usize = 9;
/// How much of the past the axis shows.
const AXIS: TimeDelta = TimeDelta::minutes(20);
/// Where it begins to play: so long before now.
const BEGIN: TimeDelta = TimeDelta::seconds(60);
/// The speeds, slowest first; below 0 backward by key frames.
const SPEEDS: [f32; 13] = [-32.0, -16.0, -8.0, -4.0, -2.0, -1.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 32.0];
/// How long before the new position is due: a round trip, and the first picture's decoding.
const DUE_IN: TimeDelta = TimeDelta::milliseconds(250);
/// Dragging the position asks the daemon at most so often.
const SCRUB_EVERY: Duration = Duration::from_millis(120);
/// A picture of 25 a second, where nothing tells better (µs).
const PICTURE: i64 = 40_000;

/// How far a camera's look back has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Its incident is being marked.
    Marking,
    /// To be opened with the next frame.
    Ready,
    /// Asked for, or running.
    Open,
    /// Over; why not, in words, if it was not asked for.
    Over(Option<Sentence>),
}

/// One camera of the replay room.
#[derive(Clone, Debug)]
pub struct ReplayTile {
    /// The camera.
    pub camera: CameraId,
    /// Its number on the socket, and of its player.
    pub subscription: u32,
    /// The incident it is seen in.
    pub incident: Option<IncidentId>,
    /// How far it has come.
    pub phase: Phase,
    /// What there is of it.
    pub timeline: Option<Timeline>,
}

/// The replay room, while somebody is in it.
pub struct Replay {
    /// The cameras, in the order in which they were added.
    pub tiles: Vec<ReplayTile>,
    /// The selected one.
    pub selected: usize,
    /// Where all of them are.
    pub clock: ReplayClock,
    /// Start of the axis.
    pub from: DateTime<Utc>,
    /// Its end.
    pub until: DateTime<Utc>,
    /// Steerings so far.
    serial: u32,
    /// A position that waits to be asked for, as the last was asked a moment ago.
    wanted: Option<i64>,
    asked_at: Option<Instant>,
    /// Set by a steering: what the players still have belongs to where they were; the clock waits here.
    waits_at: Option<i64>,
    /// Players whose looks are gone.
    closed: Vec<u32>,
}

impl Replay {
    fn new(now: DateTime<Utc>) -> Self {
        let clock = ReplayClock::new(time::micros(now - BEGIN), 1.0);
        Self {
            tiles: Vec::new(),
            selected: 0,
            clock,
            from: now - AXIS,
            until: now,
            serial: 0,
            wanted: None,
            asked_at: None,
            waits_at: None,
            closed: Vec::new(),
        }
    }

    /// The players of all its cameras.
    pub(super) fn players(self) -> Vec<u32> {
        self.tiles.iter().map(|tile| tile.subscription).chain(self.closed).collect()
    }

    /// The position, on the axis.
    pub fn position(&self) -> DateTime<Utc> {
        time::from_micros(self.clock.position()).clamp(self.from, self.until)
    }

    /// How all of them move from now on.
    fn motion(&self, now: DateTime<Utc>) -> Motion {
        let paused = self.clock.is_paused();
        let speed = self.clock.speed();
        Motion {
            position: Some(self.position()),
            speed: if paused { 0.0 } else { speed },
            at: (!paused).then_some(now + DUE_IN),
            key_frames_only: speed < 0.0 && !paused,
        }
    }

    /// The instant before which none of it may be seen: the wall on the axis.
    pub fn limit(&self) -> Option<DateTime<Utc>> {
        let first = |tile: &ReplayTile| {
            let timeline = tile.timeline.as_ref()?;
            let refused = timeline.refused.first().filter(|refused| refused.from <= timeline.from)?;
            Some(refused.until)
        };
        self.tiles.iter().filter_map(first).max()
    }
}

impl Model {
    /// Opens the replay room on the selected camera, and on the others of its incident.
    pub(super) fn open_replay(&mut self) {
        if self.replay.is_some() {
            self.room = Room::Replay;
            return;
        }
        let Some(camera) = self.selected_open_camera() else { return };
        // To the microsecond, as footage is told apart.
        let now = time::from_micros(time::micros(self.clock.now()));
        self.replay = Some(Replay::new(now));
        self.room = Room::Replay;
        let of_incident = self.open_incident(&camera).map(|incident| incident.cameras.clone());
        self.add_to_replay(camera.clone());
        for other in of_incident.unwrap_or_default() {
            self.add_to_replay(other);
        }
    }

    /// Puts one more camera into step.
    pub(super) fn add_to_replay(&mut self, camera: CameraId) {
        let open = self.camera(&camera).is_some_and(|view| matches!(view.access, Access::Open { .. }));
        let incident = self.open_incident(&camera).map(|incident| incident.id.clone());
        let (now, subscription) = (self.clock.now(), self.feeds.next_subscription());
        let Some(replay) = &mut self.replay else { return };
        if let Some(known) = replay.tiles.iter().position(|tile| tile.camera == camera) {
            replay.selected = known;
            return;
        }
        if replay.tiles.len() >= MOST || !open {
            let key = if open { "replay-full" } else { "replay-closed" };
            let text = self.texts.get(key);
            self.say(text, true);
            return;
        }
        let phase = if incident.is_some() { Phase::Ready } else { Phase::Marking };
        replay.selected = replay.tiles.len();
        replay.tiles.push(ReplayTile {
            camera: camera.clone(),
            subscription,
            incident: incident.clone(),
            phase,
            timeline: None,
        });
        match incident {
            Some(_) => self.ask_timelines(),
            // Looking back has its incident (`decisions.md` 22): a quick mark first.
            None => self.outbox.push(Ask::Mark(NewIncident {
                at: now,
                cameras: vec![camera],
                category: IncidentCategory::Other,
                note: String::new(),
                source: IncidentSource::Own,
                instruction: None,
                quick: true,
                outside_number: None,
            })),
        }
    }

    /// Takes the selected camera out of step.
    pub(super) fn remove_from_replay(&mut self) {
        let Some(replay) = self.replay.as_mut().filter(|_| self.room == Room::Replay) else { return };
        if replay.tiles.len() <= 1 {
            self.leave_replay();
            return;
        }
        let tile = replay.tiles.remove(replay.selected.min(replay.tiles.len() - 1));
        replay.selected = replay.selected.min(replay.tiles.len() - 1);
        replay.closed.push(tile.subscription);
        if tile.phase == Phase::Open {
            self.outbox.push(Ask::Close { subscription: tile.subscription });
        }
    }

    /// Ends all looks back.
    pub(super) fn leave_replay(&mut self) {
        let Some(mut replay) = self.replay.take() else { return };
        for tile in &replay.tiles {
            if tile.phase == Phase::Open {
                self.outbox.push(Ask::Close { subscription: tile.subscription });
            }
            replay.closed.push(tile.subscription);
        }
        self.replay_closed.append(&mut replay.closed);
        if self.room == Room::Replay {
            self.room = self.rooms().first().copied().unwrap_or_default();
        }
    }

    /// The socket is gone: the looks went with it and are opened anew when it is back.
    pub(super) fn lose_replay(&mut self) {
        let Some(replay) = &mut self.replay else { return };
        for tile in &mut replay.tiles {
            if tile.phase == Phase::Open {
                tile.phase = Phase::Ready;
            }
        }
    }

    /// An incident was marked: what waited for it may open.
    pub(super) fn replay_incident(&mut self, id: &IncidentId, cameras: &[CameraId]) {
        let Some(replay) = &mut self.replay else { return };
        for tile in replay.tiles.iter_mut().filter(|tile| tile.phase == Phase::Marking) {
            if cameras.contains(&tile.camera) {
                (tile.incident, tile.phase) = (Some(id.clone()), Phase::Ready);
            }
        }
        self.ask_timelines();
    }

    /// Nothing was marked, so nothing can be looked back at.
    pub(super) fn replay_unmarked(&mut self, why: &Sentence) {
        let Some(replay) = &mut self.replay else { return };
        for tile in replay.tiles.iter_mut().filter(|tile| tile.phase == Phase::Marking) {
            tile.phase = Phase::Over(Some(why.clone()));
        }
    }

    /// Asks what there is, for every camera that may be asked about.
    pub(super) fn ask_timelines(&mut self) {
        let Some(replay) = &self.replay else { return };
        for tile in replay.tiles.iter().filter(|tile| tile.incident.is_some()) {
            let of = TimelineOf {
                from: replay.from,
                until: replay.until,
                incident: tile.incident.clone(),
                of: None,
            };
            self.outbox.push(Ask::Timeline(tile.camera.clone(), of));
        }
    }

    pub(super) fn learn_timeline(&mut self, timeline: Timeline) {
        let Some(replay) = &mut self.replay else { return };
        let tile = replay.tiles.iter_mut().find(|tile| tile.camera == timeline.camera);
        if let Some(tile) = tile {
            tile.timeline = Some(timeline);
        }
        // Nobody waits in front of the wall.
        if let Some(limit) = replay.limit().filter(|limit| replay.position() < *limit) {
            self.replay_seek(limit);
        }
    }

    /// What the socket says about a look back of the room.
    pub(super) fn learn_replay(&mut self, message: &ServerMessage) {
        let Some(replay) = &mut self.replay else { return };
        let ServerMessage::Ended { subscription, cause } = message else { return };
        let Some(tile) = replay.tiles.iter_mut().find(|tile| tile.subscription == *subscription) else {
            return;
        };
        tile.phase = Phase::Over(match cause {
            EndCause::Refused(refusal) => Some(refusal.sentence.clone()),
            EndCause::LogUnavailable { sentence } | EndCause::Invalid { sentence } => Some(sentence.clone()),
            EndCause::Stopped | EndCause::Complete => None,
        });
        // Pictures that may no longer be seen leave the screen at once.
        replay.closed.push(*subscription);
    }

    /// Goes on, or stands still.
    pub(super) fn replay_play(&mut self) {
        let Some(replay) = &mut self.replay else { return };
        let paused = !replay.clock.is_paused();
        if !paused && replay.position() >= replay.until && replay.clock.speed() > 0.0 {
            // At the end of the axis there is nothing to go on with: what was recorded since then is added.
            let now = self.clock.now();
            (replay.from, replay.until) = (now - AXIS, now);
            self.reopen_replay();
            return;
        }
        let position = replay.clock.position();
        replay.clock.set_paused(paused);
        replay.clock.seek(position);
        self.steer();
    }

    /// Closes and opens every look, so that it reaches up to now.
    fn reopen_replay(&mut self) {
        let Some(replay) = &mut self.replay else { return };
        let position = replay.clock.position();
        for tile in &mut replay.tiles {
            if tile.phase == Phase::Open {
                self.outbox.push(Ask::Close { subscription: tile.subscription });
                replay.closed.push(tile.subscription);
                tile.subscription = self.feeds.next_subscription();
                tile.phase = Phase::Ready;
            }
        }
        replay.clock.seek(position);
        replay.clock.set_paused(false);
        self.ask_timelines();
    }

    /// One speed faster or slower; turning round is one of them.
    pub(super) fn replay_faster(&mut self, faster: bool) {
        let Some(replay) = &mut self.replay else { return };
        let speed = replay.clock.speed();
        let at = SPEEDS.iter().position(|known| *known >= speed).unwrap_or(SPEEDS.len() - 1);
        let next = if faster { (at + 1).min(SPEEDS.len() - 1) } else { at.saturating_sub(1) };
        let next = SPEEDS.get(next).copied().unwrap_or(1.0);
        self.replay_speed(next);
    }

    /// At this speed from here, and on.
    pub(super) fn replay_speed(&mut self, speed: f32) {
        let Some(replay) = &mut self.replay else { return };
        let position = replay.clock.position();
        replay.clock.set_speed(speed);
        replay.clock.seek(position);
        replay.clock.set_paused(false);
        self.steer();
    }

    /// To another instant.
    pub(super) fn replay_seek(&mut self, to: DateTime<Utc>) {
        let Some(replay) = &mut self.replay else { return };
        let first = replay.limit().unwrap_or(replay.from).max(replay.from);
        let position = time::micros(to.clamp(first.min(replay.until), replay.until));
        replay.clock.seek(position);
        if replay.asked_at.is_some_and(|at| at.elapsed() < SCRUB_EVERY) {
            replay.wanted = Some(position);
        } else {
            self.steer();
        }
    }

    /// So much further, or back.
    pub(super) fn replay_skip(&mut self, by: TimeDelta) {
        if let Some(replay) = &self.replay {
            self.replay_seek(replay.position() + by);
        }
    }

    fn steer(&mut self) {
        let now = self.clock.now();
        let Some(replay) = &mut self.replay else { return };
        let open = replay.tiles.iter().filter(|tile| tile.phase == Phase::Open);
        let subscriptions: Vec<u32> = open.map(|tile| tile.subscription).collect();
        (replay.wanted, replay.asked_at) = (None, Some(Instant::now()));
        replay.waits_at = Some(replay.clock.position());
        replay.serial = replay.serial.wrapping_add(1);
        if !subscriptions.is_empty() {
            let (serial, motion) = (replay.serial, replay.motion(now));
            self.outbox.push(Ask::Steer { subscriptions, serial, motion });
        }
    }

    /// One picture on, or back, of the selected camera; the others follow to the same instant.
    pub fn replay_step(&mut self, forward: bool, video: &mut VideoSystem) {
        let Some(replay) = &mut self.replay else { return };
        let Some(tile) = replay.tiles.get(replay.selected) else { return };
        let player = PlayerId(u64::from(tile.subscription));
        let shown = video.captured(player).unwrap_or_else(|| replay.clock.position());
        let next = video.player(player).next_captured().filter(|next| *next > shown);
        let backward = replay.clock.speed() < 0.0;
        let was_paused = replay.clock.is_paused();
        replay.clock.set_paused(true);
        if backward {
            replay.clock.set_speed(1.0);
        }
        match (forward, next) {
            (true, Some(next)) if was_paused && !backward => replay.clock.step_to(next),
            (true, _) => self.replay_seek_exactly(shown + PICTURE),
            (false, _) => self.replay_seek_exactly(shown - 1),
        }
    }

    fn replay_seek_exactly(&mut self, position: i64) {
        if let Some(replay) = &mut self.replay {
            replay.clock.seek(position);
            self.steer();
        }
    }

    /// Between frames: opens what is ready, asks for a position that waited, and stands still at the end. Gives the players
    /// to remove.
    pub fn tend_replay(&mut self, video: &mut VideoSystem) -> Vec<u32> {
        let now = self.clock.now();
        let mut gone = std::mem::take(&mut self.replay_closed);
        let connected = self.socket.is_ok();
        let Some(replay) = &mut self.replay else { return gone };
        gone.append(&mut replay.closed);
        if let Some(position) = replay.waits_at.take() {
            for tile in replay.tiles.iter().filter(|tile| tile.phase == Phase::Open) {
                video.player(PlayerId(u64::from(tile.subscription))).flush();
            }
            // A picture of before may have set it going in between.
            replay.clock.seek(position);
        }
        let motion = replay.motion(now);
        for tile in replay.tiles.iter_mut().filter(|tile| tile.phase == Phase::Ready && connected) {
            tile.phase = Phase::Open;
            let subscription = tile.subscription;
            let player = video.player(PlayerId(u64::from(subscription)));
            player.set_replay(Some(replay.clock.clone()));
            let message = ClientMessage::Replay {
                subscription,
                camera: tile.camera.clone(),
                stream: StreamRole::Main,
                from: replay.from,
                until: replay.until,
                incident: tile.incident.clone(),
                of: None,
                motion: motion.clone(),
                stay: true,
            };
            self.outbox.push(Ask::Open { subscription, player, message });
        }
        let waited = replay.asked_at.is_none_or(|at| at.elapsed() >= SCRUB_EVERY);
        let position = replay.clock.position();
        let (first, last) = (time::micros(replay.from), time::micros(replay.until));
        if !replay.clock.is_paused() && !(first..=last).contains(&position) {
            replay.clock.set_paused(true);
        }
        if replay.wanted.is_some() && waited {
            self.steer();
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command::Command, gallery, i18n::Language, net::News};

    fn steered(model: &mut Model) -> Vec<(Vec<u32>, Motion)> {
        let asked = model.outbox.drain(..);
        let steered = asked.filter_map(|ask| match ask {
            Ask::Steer { subscriptions, motion, .. } => Some((subscriptions, motion)),
            _ => None,
        });
        steered.collect()
    }

    fn room() -> Model {
        let mut model = gallery::made_up_model(Language::Nl);
        let camera =
            model.cameras.iter().find(|c| matches!(c.access, Access::Open { .. })).unwrap().id.clone();
        model.selected = model.tile_of(&camera).unwrap();
        model.incidents.clear();
        model.apply(Command::Enter(Room::Replay));
        model
    }

    #[test]
    fn no_look_back_without_its_incident() {
        let mut model = room();
        assert_eq!(model.room, Room::Replay);
        let replay = model.replay.as_ref().unwrap();
        assert_eq!((replay.tiles.len(), &replay.tiles[0].phase), (1, &Phase::Marking));
        let Some(Ask::Mark(mark)) = model.outbox.iter().find(|ask| matches!(ask, Ask::Mark(_))) else {
            panic!("nothing is marked")
        };
        assert!(mark.quick && mark.cameras.len() == 1);
        let incident = protocol::api::Incident {
            id: "INC-7".into(),
            at: mark.at,
            cameras: mark.cameras.clone(),
            category: mark.category,
            note: String::new(),
            source: mark.source,
            instruction: None,
            marked_by: "observant".into(),
            closed_at: None,
            outside_number: None,
        };
        model.learn(News::Incident(incident));
        let tile = &model.replay.as_ref().unwrap().tiles[0];
        assert_eq!(
            (&tile.phase, tile.incident.as_ref().map(mandate::IncidentId::as_str)),
            (&Phase::Ready, Some("INC-7"))
        );
        assert!(model.outbox.iter().any(|ask| matches!(ask, Ask::Timeline(..))));
    }

    #[test]
    fn one_steering_moves_all_and_they_stay_in_step() {
        let mut model = room();
        let others: Vec<_> = model.cameras.iter().map(|c| c.id.clone()).collect();
        for camera in others {
            model.apply(Command::Show { camera, tile: None });
        }
        let replay = model.replay.as_mut().unwrap();
        assert!(replay.tiles.len() > 1 && replay.tiles.len() <= MOST, "{}", replay.tiles.len());
        replay.tiles.iter_mut().for_each(|tile| tile.phase = Phase::Open);
        let count = replay.tiles.len();
        let to = replay.from + TimeDelta::minutes(5);
        model.outbox.clear();
        model.apply(Command::ReplaySeek(to));
        let asked = steered(&mut model);
        assert_eq!(asked.len(), 1, "one message");
        assert_eq!((asked[0].0.len(), asked[0].1.position), (count, Some(to)));
        assert!(asked[0].1.at.is_some() && (asked[0].1.speed - 1.0).abs() < 0.01);
        // Backward is by key frames; standing still asks for what the picture needs.
        model.apply(Command::ReplaySpeed(-2.0));
        let asked = steered(&mut model);
        assert!(asked[0].1.speed < 0.0 && asked[0].1.key_frames_only);
        model.apply(Command::ReplayPlay);
        let asked = steered(&mut model);
        assert!(asked[0].1.speed == 0.0 && asked[0].1.at.is_none());
        assert!(model.replay.as_ref().unwrap().clock.is_paused());
        // Out of step: its look ends, the others go on.
        model.apply(Command::ReplayRemove);
        assert!(model.outbox.iter().any(|ask| matches!(ask, Ask::Close { .. })));
        model.apply(Command::Back);
        assert!(model.replay.is_none() && model.room == Room::Wall);
        assert_eq!(model.outbox.iter().filter(|ask| matches!(ask, Ask::Close { .. })).count(), count);
    }

    #[test]
    fn the_position_does_not_cross_the_limit_of_what_may_be_seen() {
        let mut model = room();
        let replay = model.replay.as_mut().unwrap();
        let limit = replay.from + TimeDelta::minutes(5);
        let tile = &mut replay.tiles[0];
        tile.phase = Phase::Open;
        let camera = tile.camera.clone();
        let refused = protocol::api::RefusedSpan {
            from: replay.from,
            until: limit,
            code: mandate::ReasonCode::ReplayLimit,
            sentence: Sentence::default(),
        };
        let timeline = Timeline {
            camera,
            from: replay.from,
            until: replay.until,
            spans: vec![],
            refused: vec![refused],
            step: 1,
            activity: vec![],
        };
        let before = replay.from;
        model.learn(News::Timeline(Box::new(timeline)));
        model.apply(Command::ReplaySeek(before));
        assert_eq!(model.replay.as_ref().unwrap().position(), limit);
    }
}
