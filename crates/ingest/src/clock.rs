//! Capture time: the daemon's receive time carried along RTP time with bounded drift.
//!
//! Receive times alone are jittery (a frame waits in the network, in the kernel, for its thread's next round); RTP
//! time alone is smooth but runs on the camera's crystal. A frame is never captured after it was received, so the
//! least delayed frames tell where RTP time truly lies. The clock follows that lower edge:
//!
//! * down at once, when a frame comes earlier than predicted: the prediction is then proven wrong;
//! * up by at most [`STEER_PPM`] of the time passed, towards the least lateness seen in the last [`WINDOW`]: crystals
//!   drift by less, and a slow stretch of network must not bend time.
//!
//! What cannot be delay is a jump of one of the two clocks: the mapping is anchored anew and the frame marked. So
//! capture times never lie after the receive time, never run backwards (save when the daemon's own clock is set
//! back), and stay within [`BOUND`] of the receive time for all but stalls of a few seconds. The camera's own time
//! is evidence beside them, see [`CameraClock`].

use media::{Micros, Ticks};
use std::time::{SystemTime, UNIX_EPOCH};

/// How fast the mapping may follow lateness, in parts per million. Crystals of cameras stay within some 100.
pub const STEER_PPM: i64 = 500;
/// Over how long the least lateness is taken, in µs.
pub const WINDOW: i64 = 5_000_000;
/// What is beyond this, in µs, is a jump and not drift or delay.
pub const BOUND: i64 = 1_000_000;
/// A single wait longer than this, in µs, is no delay of the network (the session would have been given up): the
/// daemon's clock was set forward.
pub const LONGEST_STALL: i64 = 10_000_000;
/// For this long after anchoring, in µs of receive time, frames may come in faster than RTP time runs: some cameras
/// begin with the group of pictures so far.
const SETTLING: i64 = 3_000_000;

/// The daemon's clock: now, in µs UTC.
pub fn now() -> Micros {
    micros(SystemTime::now())
}

/// A system time in µs UTC.
pub fn micros(time: SystemTime) -> Micros {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Micros(since.as_micros() as i64),
        Err(before) => Micros(-(before.duration().as_micros() as i64)),
    }
}

fn ticks_to_micros(ticks: i64) -> i64 {
    // 90 kHz: 9 ticks are 100 µs.
    ticks.saturating_mul(100) / 9
}

fn micros_to_ticks(micros: i64) -> i64 {
    micros.saturating_mul(9) / 100
}

/// Where a frame lies in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Capture time.
    pub captured: Micros,
    /// Position on the run's own media clock, which never runs backwards.
    pub media_time: Ticks,
    /// Whether the mapping was anchored anew at this frame because a clock jumped.
    pub jumped: bool,
}

/// Carries receive time along RTP time; see the module.
#[derive(Debug, Default)]
pub struct CaptureClock {
    anchor: Option<Anchor>,
    /// The newest frame of all, over reconnects.
    last: Option<Stamp>,
}

#[derive(Debug)]
struct Anchor {
    /// RTP time and receive time of the anchoring frame.
    rtp: i64,
    received: i64,
    /// What steering has added since (µs).
    correction: i64,
    /// What it had added when the mapping had settled: delays of the first frames are no drift.
    settled: i64,
    /// Steering too small for a whole µs yet, in millionths of a µs.
    rest: i64,
    last_rtp: i64,
    last_received: i64,
    window_started: i64,
    window_least: i64,
    /// Lateness still to be steered away.
    target: i64,
    /// The media clock's reading at RTP time 0.
    media_zero: Option<i64>,
}

impl CaptureClock {
    /// A clock without an anchor.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new connection begins: its RTP time has nothing to do with the last one's.
    pub fn reconnected(&mut self) {
        self.anchor = None;
    }

    /// Places a frame with this unwrapped 90 kHz RTP time, received at `received`.
    pub fn stamp(&mut self, rtp: i64, received: Micros) -> Stamp {
        let was_anchored = self.anchor.is_some();
        let carried = self.anchor.as_mut().and_then(|anchor| anchor.predict(rtp, received.0));
        let jumped = was_anchored && carried.is_none();
        let predicted = carried.unwrap_or_else(|| {
            self.anchor = Some(Anchor::new(rtp, received.0));
            received.0
        });
        let captured = self.last.map_or(predicted, |last| {
            // Never backwards, save when the daemon's own clock was set back.
            let earliest = last.captured.0 + 1;
            let set_back = jumped && earliest - predicted > BOUND;
            if set_back { predicted } else { predicted.max(earliest) }
        });
        let media_time = self.media_time(rtp, captured);
        let stamp = Stamp { captured: Micros(captured), media_time, jumped };
        self.last = Some(stamp);
        stamp
    }

    /// Within one mapping the media clock is RTP time to the tick; from one mapping to the next it goes on by the
    /// capture time passed.
    fn media_time(&mut self, rtp: i64, captured: i64) -> Ticks {
        let (Some(last), Some(anchor)) = (self.last, &mut self.anchor) else { return Ticks(0) };
        let next = match anchor.media_zero {
            Some(zero) => zero + rtp,
            None => last.media_time.0 + micros_to_ticks(captured - last.captured.0),
        };
        let next = next.max(last.media_time.0 + 1);
        anchor.media_zero.get_or_insert(next - rtp);
        Ticks(next)
    }

    /// Drift of the camera's clock since the mapping settled, in parts per million, positive when the camera is
    /// slow; 0 before a minute has passed.
    pub fn drift_ppm(&self) -> i64 {
        self.anchor.as_ref().map_or(0, |anchor| {
            let passed = anchor.last_received - anchor.received - SETTLING;
            if passed < 60_000_000 { 0 } else { (anchor.correction - anchor.settled) * 1_000_000 / passed }
        })
    }
}

impl Anchor {
    fn new(rtp: i64, received: i64) -> Self {
        Self {
            rtp,
            received,
            correction: 0,
            settled: 0,
            rest: 0,
            last_rtp: rtp,
            last_received: received,
            window_started: received,
            window_least: i64::MAX,
            target: 0,
            media_zero: None,
        }
    }

    /// The capture time of the next frame, at most `received`; `None` when a clock jumped.
    fn predict(&mut self, rtp: i64, received: i64) -> Option<i64> {
        let step = ticks_to_micros(rtp - self.last_rtp);
        let passed = received - self.last_received;
        if step < -BOUND || step - passed > BOUND || passed < -BOUND {
            return None;
        }
        self.steer(step.max(0));
        let predicted = self.received + ticks_to_micros(rtp - self.rtp) + self.correction;
        let late = received - predicted;
        if late > LONGEST_STALL || (late < -BOUND && received - self.received > SETTLING) {
            return None;
        }
        self.last_rtp = rtp;
        self.last_received = received;
        if received - self.received <= SETTLING {
            self.settled = self.correction + late.min(0);
        }
        if late < 0 {
            // Not after it was received: the prediction was late by this much.
            self.correction += late;
            self.target = 0;
            self.window_started = received;
            self.window_least = 0;
            return Some(received);
        }
        self.window_least = self.window_least.min(late);
        if received - self.window_started >= WINDOW {
            if self.window_least > BOUND {
                return None;
            }
            self.target = self.window_least;
            self.window_started = received;
            self.window_least = i64::MAX;
        }
        Some(predicted)
    }

    /// Moves the mapping towards its target by at most [`STEER_PPM`] of `step`.
    fn steer(&mut self, step: i64) {
        if self.target <= 0 {
            self.rest = 0;
            return;
        }
        self.rest += step * STEER_PPM;
        let move_by = (self.rest / 1_000_000).min(self.target);
        self.rest -= move_by * 1_000_000;
        self.rest = self.rest.min(1_000_000);
        self.target -= move_by;
        self.correction += move_by;
        // What the window saw so far was against the older mapping.
        if self.window_least != i64::MAX {
            self.window_least = (self.window_least - move_by).max(0);
        }
    }
}

/// The camera's own wall clock, as its RTCP sender reports tell it (RFC 3550 section 6.4.1). Evidence only.
#[derive(Debug, Default)]
pub struct CameraClock {
    report: Option<(i64, i64)>,
}

impl CameraClock {
    /// Takes a sender report: its RTP time, unwrapped, and its 64-bit NTP time (seconds since 1900 and fraction).
    /// Zero means that the camera
    /// has no wall clock; such reports are ignored.
    pub fn report(&mut self, rtp: i64, ntp: u64) {
        /// From 1900 to 1970 in seconds.
        const EPOCHS: i64 = 2_208_988_800;
        // The seconds wrap in 2036; a camera that reports less than 1970 then reports the next era.
        let seconds = (ntp >> 32) as i64;
        if seconds == 0 {
            return;
        }
        let seconds = if seconds < EPOCHS { seconds + (1 << 32) } else { seconds } - EPOCHS;
        let fraction = ((ntp & 0xffff_ffff) * 1_000_000) >> 32;
        self.report = Some((rtp, seconds * 1_000_000 + fraction as i64));
    }

    /// The camera's time of the frame with this RTP time, once a report has come.
    pub fn at(&self, rtp: i64) -> Option<Micros> {
        self.report.map(|(report_rtp, wall)| Micros(wall + ticks_to_micros(rtp - report_rtp)))
    }

    /// The camera's RTP clock jumped or the connection is new: old reports say nothing of new frames.
    pub fn forget(&mut self) {
        self.report = None;
    }
}

#[cfg(test)]
mod tests;
