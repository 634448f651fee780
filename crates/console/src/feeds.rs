//! Which looks are open on the media socket, and which ought to be. The wall says what its tiles want; this compares
//! that with what is open and says what to open and close. No I/O, no clock of its own.
//!
//! A tile keeps its old stream until the new one has a picture, so that a change of resolution is never a black frame.
//! A tile that is covered (another is enlarged) keeps its look for a moment, undecoded, as it often comes back.

use chrono::{DateTime, Utc};
use mandate::{CameraId, FactRef, IncidentId};
use protocol::{
    api::{Sentence, StreamRole},
    socket::{ClientMessage, EndCause, Motion, ServerMessage},
};
use std::time::{Duration, Instant};

/// A covered tile keeps its look this long.
const LINGER: Duration = Duration::from_secs(10);
/// A look that was refused or failed is not asked for again before this.
const RETRY: Duration = Duration::from_secs(2);
/// The same when the log cannot be written: the daemon needs time to recover.
const RETRY_LOG: Duration = Duration::from_secs(5);

/// What a look shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Shows {
    /// The camera now.
    Live,
    /// The camera then.
    Replay {
        /// First instant.
        from: DateTime<Utc>,
        /// End, exclusive.
        until: DateTime<Utc>,
        /// The incident it belongs to.
        incident: Option<IncidentId>,
    },
}

/// What a tile wants to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    /// The tile, from 0.
    pub tile: usize,
    /// The camera.
    pub camera: CameraId,
    /// The stream.
    pub stream: StreamRole,
    /// Now or then.
    pub shows: Shows,
    /// Whether it can be seen; a covered tile only keeps what it has, for a moment.
    pub visible: bool,
}

/// How far a look has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Asked for.
    Asked,
    /// Permitted and logged.
    Running {
        /// The facts it rests on.
        basis: Vec<FactRef>,
        /// The first instant at which the answer could change.
        until: Option<DateTime<Utc>>,
    },
    /// Over.
    Ended(EndCause),
}

/// One look.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Its number on the socket, and of its player.
    pub subscription: u32,
    /// The tile, from 0.
    pub tile: usize,
    /// The camera.
    pub camera: CameraId,
    /// The stream.
    pub stream: StreamRole,
    /// Now or then.
    pub shows: Shows,
    /// How far it has come.
    pub phase: Phase,
    /// A stretch of a replay without pictures, while it lasts.
    pub gap: Option<Sentence>,
    /// Pictures the daemon skipped because this console was too slow.
    pub skipped: u64,
    hidden_since: Option<Instant>,
    not_before: Option<Instant>,
}

impl Feed {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }
    /// Whether its tile is covered.
    pub fn is_hidden(&self) -> bool {
        self.hidden_since.is_some()
    }
}

/// What is to be done on the socket.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Open a look.
    Open {
        /// Its number.
        subscription: u32,
        /// First instant, for a replay.
        replay_from: Option<DateTime<Utc>>,
        /// What to say.
        message: ClientMessage,
    },
    /// End a look and forget its player.
    Close {
        /// Its number.
        subscription: u32,
        /// Whether the daemon must be told; not when it ended the look itself.
        tell: bool,
    },
    /// Its tile was covered, or uncovered.
    Hide {
        /// Its number.
        subscription: u32,
        /// Covered.
        hidden: bool,
    },
}

/// All looks of this console.
#[derive(Default)]
pub struct Feeds {
    last: u32,
    feeds: Vec<Feed>,
}

impl Feeds {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.iter()
    }

    /// The look whose pictures a tile shows: the wanted one once it has a picture, until then the one before it.
    pub fn shown(&self, tile: usize, mut has_picture: impl FnMut(u32) -> bool) -> Option<&Feed> {
        let mut of_tile = self.feeds.iter().filter(|f| f.tile == tile);
        let newest = of_tile.clone().next_back()?;
        if has_picture(newest.subscription) || newest.is_over() {
            return Some(newest);
        }
        // An old stream of the same camera bridges the change; an old look at something else never does.
        of_tile
            .rfind(|f| f.camera == newest.camera && f.shows == newest.shows && has_picture(f.subscription))
            .or(Some(newest))
    }

    /// The newest look of a tile.
    pub fn newest(&self, tile: usize) -> Option<&Feed> {
        self.feeds.iter().rfind(|f| f.tile == tile)
    }

    /// Forgets all: the socket is gone. Returns the players to remove.
    pub fn lose_all(&mut self) -> Vec<u32> {
        self.feeds.drain(..).map(|f| f.subscription).collect()
    }

    /// Compares what is wanted with what is open.
    pub fn reconcile(
        &mut self,
        wants: &[Want],
        mut has_picture: impl FnMut(u32) -> bool,
        key_frames_only: impl Fn(usize) -> bool,
        now: Instant,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for want in wants {
            let open = self.feeds.iter().any(|f| {
                f.tile == want.tile && f.camera == want.camera && f.stream == want.stream && f.shows == want.shows
                    // What ended is asked for again after a while; a replay that is complete stays.
                    && (f.not_before.is_none_or(|at| now < at))
            });
            if !open && want.visible {
                steps.push(self.open(want, key_frames_only(want.tile)));
            }
        }
        let mut keep = Vec::with_capacity(self.feeds.len());
        let all = std::mem::take(&mut self.feeds);
        for (index, feed) in all.iter().enumerate() {
            let later = all.iter().skip(index + 1).filter(|f| f.tile == feed.tile);
            let want = wants.iter().find(|w| w.tile == feed.tile && w.camera == feed.camera);
            let mut feed = feed.clone();
            let live_under_replay = want.is_some_and(|w| w.shows != Shows::Live) && feed.shows == Shows::Live;
            let wanted = match want {
                None => false,
                // While one looks back, the live picture waits underneath.
                Some(_) if live_under_replay => true,
                Some(w) if w.shows != feed.shows => false,
                Some(w) if w.stream == feed.stream => {
                    later.clone().all(|f| f.stream != feed.stream || f.shows != feed.shows)
                }
                // The other stream of the same camera bridges until its successor has a picture.
                Some(_) => !later.clone().any(|f| has_picture(f.subscription)) && !feed.is_over(),
            };
            let covered = want.is_some_and(|w| !w.visible) || live_under_replay;
            if covered != feed.is_hidden() {
                feed.hidden_since = covered.then_some(now);
                steps.push(Step::Hide { subscription: feed.subscription, hidden: covered });
            }
            let lingers = live_under_replay || feed.hidden_since.is_none_or(|since| now < since + LINGER);
            if wanted && lingers {
                keep.push(feed);
            } else {
                steps.push(Step::Close { subscription: feed.subscription, tell: !feed.is_over() });
            }
        }
        self.feeds = keep;
        steps
    }

    fn open(&mut self, want: &Want, key_frames_only: bool) -> Step {
        self.last = self.last.wrapping_add(1);
        let subscription = self.last;
        let (message, replay_from) = match &want.shows {
            Shows::Live => (
                ClientMessage::Watch {
                    subscription,
                    camera: want.camera.clone(),
                    stream: want.stream,
                    incident: None,
                    display: Some(format!("tile {}", want.tile + 1)),
                    key_frames_only,
                },
                None,
            ),
            Shows::Replay { from, until, incident } => (
                ClientMessage::Replay {
                    subscription,
                    camera: want.camera.clone(),
                    stream: want.stream,
                    from: *from,
                    until: *until,
                    incident: incident.clone(),
                    of: None,
                    motion: Motion::default(),
                    stay: false,
                },
                Some(*from),
            ),
        };
        self.feeds.push(Feed {
            subscription,
            tile: want.tile,
            camera: want.camera.clone(),
            stream: want.stream,
            shows: want.shows.clone(),
            phase: Phase::Asked,
            gap: None,
            skipped: 0,
            hidden_since: None,
            not_before: None,
        });
        Step::Open { subscription, replay_from, message }
    }

    /// A number for a look that is no tile's: those of the replay room.
    pub fn next_subscription(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    /// Learns from a message of the daemon. Returns the look it was about.
    pub fn learn(&mut self, message: &ServerMessage, now: Instant) -> Option<&Feed> {
        let number = match message {
            ServerMessage::Started { subscription, .. }
            | ServerMessage::Continued { subscription, .. }
            | ServerMessage::Skipped { subscription, .. }
            | ServerMessage::Gap { subscription, .. }
            | ServerMessage::Ended { subscription, .. } => *subscription,
            _ => return None,
        };
        let feed = self.feeds.iter_mut().find(|f| f.subscription == number)?;
        match message {
            ServerMessage::Started { basis, until, .. } | ServerMessage::Continued { basis, until, .. } => {
                feed.phase = Phase::Running { basis: basis.clone(), until: *until };
            }
            ServerMessage::Skipped { pictures, .. } => feed.skipped += pictures,
            ServerMessage::Gap { sentence, .. } => feed.gap = Some(sentence.clone()),
            ServerMessage::Ended { cause, .. } => {
                let live = feed.shows == Shows::Live;
                feed.not_before = match cause {
                    EndCause::LogUnavailable { .. } if live => Some(now + RETRY_LOG),
                    _ if live => Some(now + RETRY),
                    // Looking back is asked for by a person, never by the console.
                    _ => None,
                };
                feed.phase = Phase::Ended(cause.clone());
            }
            _ => {}
        }
        Some(feed)
    }
}

/// The stream a tile needs, by the width its picture takes in pixels of the screen. Between the two thresholds it
/// keeps what it has, so that a small change of size never makes the stream flip.
pub fn stream_for(pixels_wide: f32, now: StreamRole, sub_wide: f32) -> StreamRole {
    match now {
        StreamRole::Sub if pixels_wide > 1.3 * sub_wide => StreamRole::Main,
        StreamRole::Main if pixels_wide < 1.05 * sub_wide => StreamRole::Sub,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate::ReasonCode;
    use protocol::api::Refusal;

    fn want(tile: usize, camera: &str, stream: StreamRole) -> Want {
        Want { tile, camera: camera.into(), stream, shows: Shows::Live, visible: true }
    }

    fn numbers(steps: &[Step]) -> Vec<String> {
        steps
            .iter()
            .map(|s| match s {
                Step::Open { subscription, .. } => format!("open {subscription}"),
                Step::Close { subscription, .. } => format!("close {subscription}"),
                Step::Hide { subscription, hidden } => format!("hide {subscription} {hidden}"),
            })
            .collect()
    }

    fn reconcile(feeds: &mut Feeds, wants: &[Want], pictures: &[u32], now: Instant) -> Vec<String> {
        numbers(&feeds.reconcile(wants, |s| pictures.contains(&s), |_| false, now))
    }

    #[test]
    fn a_stream_changes_without_a_black_frame() {
        let (mut feeds, now) = (Feeds::default(), Instant::now());
        assert_eq!(reconcile(&mut feeds, &[want(0, "A", StreamRole::Sub)], &[], now), ["open 1"]);
        assert!(reconcile(&mut feeds, &[want(0, "A", StreamRole::Sub)], &[1], now).is_empty());
        let main = [want(0, "A", StreamRole::Main)];
        assert_eq!(reconcile(&mut feeds, &main, &[1], now), ["open 2"]);
        assert_eq!(feeds.shown(0, |s| s == 1).unwrap().subscription, 1, "the old one bridges");
        assert!(reconcile(&mut feeds, &main, &[1], now).is_empty());
        assert_eq!(reconcile(&mut feeds, &main, &[1, 2], now), ["close 1"]);
        assert_eq!(feeds.shown(0, |_| true).unwrap().subscription, 2);
    }

    #[test]
    fn another_camera_replaces_at_once() {
        let (mut feeds, now) = (Feeds::default(), Instant::now());
        reconcile(&mut feeds, &[want(0, "A", StreamRole::Sub)], &[], now);
        assert_eq!(reconcile(&mut feeds, &[want(0, "B", StreamRole::Sub)], &[1], now), ["open 2", "close 1"]);
        assert_eq!(feeds.shown(0, |s| s == 1).unwrap().subscription, 2, "never a picture of another camera");
    }

    #[test]
    fn a_covered_tile_lingers_and_then_ends() {
        let (mut feeds, now) = (Feeds::default(), Instant::now());
        reconcile(&mut feeds, &[want(0, "A", StreamRole::Sub)], &[], now);
        let covered = [Want { visible: false, ..want(0, "A", StreamRole::Sub) }];
        assert_eq!(reconcile(&mut feeds, &covered, &[1], now), ["hide 1 true"]);
        assert!(reconcile(&mut feeds, &covered, &[1], now + Duration::from_secs(9)).is_empty());
        assert_eq!(reconcile(&mut feeds, &covered, &[1], now + Duration::from_secs(10)), ["close 1"]);
        assert!(reconcile(&mut feeds, &covered, &[1], now + Duration::from_secs(11)).is_empty());
        assert_eq!(
            reconcile(&mut feeds, &[want(0, "A", StreamRole::Sub)], &[], now + Duration::from_secs(12)),
            ["open 2"]
        );
    }

    #[test]
    fn a_refused_look_is_asked_for_again_later() {
        let (mut feeds, now) = (Feeds::default(), Instant::now());
        let wants = [want(0, "A", StreamRole::Sub)];
        reconcile(&mut feeds, &wants, &[], now);
        let refusal = Refusal {
            code: ReasonCode::OutsideLiveWindow,
            sentence: Sentence::default(),
            decree: None,
            until: None,
            opens_at: None,
        };
        feeds.learn(&ServerMessage::Ended { subscription: 1, cause: EndCause::Refused(refusal) }, now);
        assert!(reconcile(&mut feeds, &wants, &[], now + Duration::from_secs(1)).is_empty());
        assert_eq!(reconcile(&mut feeds, &wants, &[], now + Duration::from_secs(2)), ["open 2", "close 1"]);
    }

    #[test]
    fn looking_back_keeps_live_underneath() {
        let (mut feeds, now) = (Feeds::default(), Instant::now());
        let live = [want(0, "A", StreamRole::Sub)];
        reconcile(&mut feeds, &live, &[], now);
        let (from, until) = (DateTime::<Utc>::UNIX_EPOCH, DateTime::<Utc>::UNIX_EPOCH);
        let back = [Want { shows: Shows::Replay { from, until, incident: None }, ..live[0].clone() }];
        assert_eq!(reconcile(&mut feeds, &back, &[1], now), ["open 2", "hide 1 true"]);
        assert_eq!(
            feeds.shown(0, |s| s == 1).unwrap().subscription,
            2,
            "a live picture never poses as a replay"
        );
        assert!(reconcile(&mut feeds, &back, &[1, 2], now + Duration::from_mins(1)).is_empty());
        // A complete replay stays on its last picture and is not asked for again.
        feeds.learn(&ServerMessage::Ended { subscription: 2, cause: EndCause::Complete }, now);
        assert!(reconcile(&mut feeds, &back, &[1, 2], now + Duration::from_secs(90)).is_empty());
        let steps = reconcile(&mut feeds, &live, &[1, 2], now + Duration::from_secs(91));
        assert_eq!(steps, ["hide 1 false", "close 2"]);
    }

    #[test]
    fn the_stream_follows_the_size_with_hysteresis() {
        assert_eq!(stream_for(500.0, StreamRole::Sub, 640.0), StreamRole::Sub);
        assert_eq!(stream_for(760.0, StreamRole::Sub, 640.0), StreamRole::Sub);
        assert_eq!(stream_for(760.0, StreamRole::Main, 640.0), StreamRole::Main);
        assert_eq!(stream_for(900.0, StreamRole::Sub, 640.0), StreamRole::Main);
        assert_eq!(stream_for(600.0, StreamRole::Main, 640.0), StreamRole::Sub);
    }
}
