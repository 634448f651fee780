//! One stream of one camera while it is served: from the frame that is due to RTP packets in its pipeline.

use crate::{
    code,
    faults::Faults,
    loops::{Codec, Loop},
    rtp,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSrc;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A stream that can be asked for: the loops it plays and, while a client plays it, the pipeline it feeds.
#[derive(Debug)]
pub struct Stream {
    /// What it normally shows.
    normal: Arc<Loop>,
    /// What it shows while resized.
    resized: Arc<Loop>,
    feed: Mutex<Feed>,
}

#[derive(Debug)]
struct Feed {
    /// The entrance of the running pipeline; none while nobody looks.
    entrance: Option<AppSrc>,
    source: u32,
    sequence: u16,
    timestamp_base: u32,
    /// Whether the resized loop is being sent; follows the fault at a key frame.
    sends_resized: bool,
    /// Nothing may be sent before a key frame: something was left out.
    wants_key: bool,
    /// Whether the running pipeline has had its first frame. The server answers no DESCRIBE before that, so even a stalled
    /// camera sends one: it stalls pictures, not the conversation.
    opened: bool,
    /// State of the small generator that chooses which packets get lost.
    dice: u32,
    frames: u64,
}

/// Frames that may wait in the pipeline before the stream skips to a key frame.
const WAITING_FRAMES: u64 = 3;

impl Stream {
    /// A stream nobody looks at yet. `seed` makes its RTP source, sequence and timestamps differ from other streams'.
    pub fn new(normal: Arc<Loop>, resized: Arc<Loop>, seed: u64) -> Stream {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Stream {
            normal,
            resized,
            feed: Mutex::new(Feed {
                entrance: None,
                source: (mixed >> 32) as u32,
                sequence: (mixed >> 8) as u16,
                timestamp_base: (mixed ^ seed) as u32,
                sends_resized: false,
                wants_key: false,
                opened: false,
                dice: mixed as u32 | 1,
                frames: 0,
            }),
        }
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The codec, the same for main and sub.
    pub fn codec(&self) -> Codec {
        self.normal.codec()
    }

    /// Frames sent since the start.
    pub fn frames(&self) -> u64 {
        self.feed().frames
    }

    /// Whether a pipeline is attached, that is: a client has asked for the stream.
    pub fn is_served(&self) -> bool {
        self.feed().entrance.is_some()
    }

    /// Attaches the entrance of a new pipeline.
    pub fn attach(&self, entrance: AppSrc) {
        let mut feed = self.feed();
        entrance.set_caps(Some(&self.caps(&feed)));
        feed.entrance = Some(entrance);
        feed.wants_key = false;
        feed.opened = false;
    }

    /// Forgets a pipeline that has ended, unless a newer one took its place.
    pub fn detach(&self, entrance: &AppSrc) {
        let mut feed = self.feed();
        if feed.entrance.as_ref() == Some(entrance) {
            feed.entrance = None;
        }
    }

    /// What the session description says about the stream.
    fn caps(&self, feed: &Feed) -> gst::Caps {
        let loop_now = if feed.sends_resized { &self.resized } else { &self.normal };
        let sets = loop_now.parameter_sets();
        let text = |n: usize| sets.get(n).map(|set| STANDARD.encode(set)).unwrap_or_default();
        let caps = gst::Caps::builder("application/x-rtp")
            .field("media", "video")
            .field("clock-rate", rtp::CLOCK_RATE as i32)
            .field("payload", i32::from(rtp::PAYLOAD_TYPE))
            .field("ssrc", feed.source)
            .field("a-framerate", "25");
        match self.codec() {
            Codec::H264 => {
                let profile: String = sets
                    .first()
                    .and_then(|sps| sps.get(1..4)?.try_into().ok())
                    .map(|[profile, constraints, level]: [u8; 3]| {
                        format!("{profile:02x}{constraints:02x}{level:02x}")
                    })
                    .unwrap_or_default();
                caps.field("encoding-name", "H264")
                    .field("packetization-mode", "1")
                    .field("profile-level-id", profile)
                    .field("sprop-parameter-sets", format!("{},{}", text(0), text(1)))
                    .build()
            }
            Codec::H265 => caps
                .field("encoding-name", "H265")
                .field("sprop-vps", text(0))
                .field("sprop-sps", text(1))
                .field("sprop-pps", text(2))
                .build(),
        }
    }

    /// Sends a frame, if anyone looks. `tick` counts frames since the Unix epoch, so `tick * 40 ms` is the instant the
    /// picture stands for; `continuous` is false when the clock was set and frames in between were left out.
    pub fn send(&self, tick: u64, continuous: bool, faults: &Faults) {
        let mut feed = self.feed();
        let feed = &mut *feed;
        let Some(entrance) = feed.entrance.clone() else { return };
        let frame = (tick % u64::from(code::FRAMES)) as u16;
        let key = self.normal.is_key(frame);
        if key {
            feed.sends_resized = faults.resized;
        }
        if faults.stalled || !continuous {
            feed.wants_key = true;
        }
        let opening = !feed.opened;
        if (faults.stalled && !opening) || entrance.current_state() != gst::State::Playing {
            return;
        }
        // A pipeline that waits for its first PLAY, or a client that does not read, must not get old pictures later.
        if queued(&entrance) >= WAITING_FRAMES {
            feed.wants_key = true;
        }
        if feed.wants_key && !key && !opening {
            return;
        }
        feed.wants_key = faults.stalled;
        let Some(pts) = running_time_of(&entrance, tick) else { return };
        let showing = if feed.sends_resized { &self.resized } else { &self.normal };
        let jumped = faults.jump_seconds.wrapping_mul(i64::from(rtp::CLOCK_RATE)) as u32;
        let timestamp = feed
            .timestamp_base
            .wrapping_add((tick as u32).wrapping_mul(rtp::FRAME_TICKS))
            .wrapping_add(jumped);
        let mut list = gst::BufferList::new();
        if let Some(list) = list.get_mut() {
            rtp::packetise(showing.codec(), showing.unit(frame), |prefix, chunk, marker| {
                let sequence = feed.sequence;
                feed.sequence = feed.sequence.wrapping_add(1);
                feed.dice = feed.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if faults.loss_percent > 0.0 && (feed.dice >> 8) as f32 / 167_772.16 < faults.loss_percent {
                    return;
                }
                let packet = rtp::packet(prefix, chunk, marker, sequence, timestamp, feed.source);
                let mut buffer = gst::Buffer::from_slice(packet);
                if let Some(buffer) = buffer.get_mut() {
                    buffer.set_pts(pts);
                    buffer.set_duration(gst::ClockTime::from_mseconds(40));
                }
                list.add(buffer);
            });
        }
        // Refused only while the pipeline is being taken down: the frame has no reader then.
        if !list.is_empty() && entrance.push_buffer_list(list).is_ok() {
            feed.frames += 1;
            feed.opened = true;
        }
    }
}

/// Frames waiting in the pipeline's entrance.
fn queued(entrance: &AppSrc) -> u64 {
    entrance.current_level_time().mseconds() / 40
}

/// The pipeline's running time at the instant a frame stands for, so that its sender reports tie the RTP clock
/// to the true time of day.
fn running_time_of(entrance: &AppSrc, tick: u64) -> Option<gst::ClockTime> {
    let running = entrance.current_running_time()?;
    let due = UNIX_EPOCH + Duration::from_millis(tick * 40);
    let late = SystemTime::now().duration_since(due).unwrap_or_default();
    Some(running.saturating_sub(gst::ClockTime::from_nseconds(late.as_nanos() as u64)))
}
