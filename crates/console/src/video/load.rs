//! Load shedding: what a machine that cannot keep up gives away, in which order.
//!
//! First the repaint rate (15 Hz), then the streams (sub instead of main), then all but key frames. Never on the
//! selected tile or one with an alarm. Pure: the caller measures once a second and acts on the answer.

use std::time::Duration;

/// How much is given away. Each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoadLevel {
    /// Nothing.
    #[default]
    Full,
    /// 15 repaints a second.
    SlowRepaint,
    /// Sub streams only.
    SubStreams,
    /// Key frames only.
    KeyFrames,
}

impl LoadLevel {
    fn up(self) -> Self {
        match self {
            Self::Full => Self::SlowRepaint,
            Self::SlowRepaint => Self::SubStreams,
            Self::SubStreams | Self::KeyFrames => Self::KeyFrames,
        }
    }

    fn down(self) -> Self {
        match self {
            Self::Full | Self::SlowRepaint => Self::Full,
            Self::SubStreams => Self::SlowRepaint,
            Self::KeyFrames => Self::SubStreams,
        }
    }

    /// The wall's repaint rate at this level, when the workstation allows `most`.
    pub fn repaint_hz(self, most: u32) -> u32 {
        if self >= Self::SlowRepaint { most.min(15) } else { most }
    }
}

/// What was measured over about a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadSample {
    /// Units dropped because a decoder was more than half a second behind.
    pub backlog_drops: u64,
    /// Decoded pictures, all tiles.
    pub decoded: u64,
    /// Decoded pictures replaced by a newer one before they were painted.
    pub overwritten: u64,
    /// Repaints.
    pub repaint_hz: f32,
    /// Repaints asked for.
    pub target_hz: u32,
    /// Whether any tile had more new pictures than the rate asked for needs: else few repaints are no sign of strain.
    pub busy: bool,
}

/// Overload must last this long before anything is given away.
const STRAIN: Duration = Duration::from_secs(3);
/// Calm must last this long before anything is given back; doubled each time giving back failed.
const CALM: Duration = Duration::from_secs(20);
const CALM_MOST: Duration = Duration::from_secs(320);
/// Strain within this time after giving back means that giving back failed.
const FAILED: Duration = Duration::from_secs(30);

/// The policy and its memory.
#[derive(Debug)]
pub struct LoadPolicy {
    level: LoadLevel,
    strained_since: Option<Duration>,
    calm_since: Option<Duration>,
    calm_needed: Duration,
    gave_back: Option<Duration>,
}

impl Default for LoadPolicy {
    fn default() -> Self {
        Self {
            level: LoadLevel::Full,
            strained_since: None,
            calm_since: None,
            calm_needed: CALM,
            gave_back: None,
        }
    }
}

impl LoadPolicy {
    /// The level now.
    pub fn level(&self) -> LoadLevel {
        self.level
    }

    /// The level after this sample, taken at `now` (time since any fixed instant).
    pub fn observe(&mut self, now: Duration, sample: &LoadSample) -> LoadLevel {
        let strained =
            sample.backlog_drops > 0 || (sample.busy && sample.repaint_hz < 0.75 * sample.target_hz as f32);
        // Calm needs room to spare, or the level would swing: the whole rate reached and nothing dropped.
        let calm = sample.backlog_drops == 0
            && (!sample.busy || sample.repaint_hz >= 0.92 * sample.target_hz as f32);
        if strained {
            self.calm_since = None;
            let since = *self.strained_since.get_or_insert(now);
            if now.saturating_sub(since) >= STRAIN && self.level != LoadLevel::KeyFrames {
                self.level = self.level.up();
                self.strained_since = Some(now);
                if self.gave_back.is_some_and(|at| now.saturating_sub(at) < FAILED) {
                    self.calm_needed = (self.calm_needed * 2).min(CALM_MOST);
                }
            }
        } else {
            self.strained_since = None;
            if !calm {
                self.calm_since = None;
            } else if self.level != LoadLevel::Full {
                let since = *self.calm_since.get_or_insert(now);
                if now.saturating_sub(since) >= self.calm_needed {
                    self.level = self.level.down();
                    self.calm_since = Some(now);
                    self.gave_back = Some(now);
                }
            } else if self.gave_back.is_some_and(|at| now.saturating_sub(at) > CALM_MOST) {
                self.calm_needed = CALM;
            }
        }
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: LoadSample = LoadSample {
        backlog_drops: 0,
        decoded: 400,
        overwritten: 0,
        repaint_hz: 25.0,
        target_hz: 25,
        busy: true,
    };
    const SLOW: LoadSample = LoadSample { repaint_hz: 12.0, ..GOOD };

    fn run(policy: &mut LoadPolicy, from: u64, until: u64, sample: &LoadSample) -> LoadLevel {
        (from..until)
            .map(|second| policy.observe(Duration::from_secs(second), sample))
            .last()
            .unwrap_or_default()
    }

    #[test]
    fn sheds_in_order_and_never_further() {
        let mut policy = LoadPolicy::default();
        assert_eq!(run(&mut policy, 0, 3, &SLOW), LoadLevel::Full, "three seconds of grace");
        assert_eq!(run(&mut policy, 3, 4, &SLOW), LoadLevel::SlowRepaint);
        assert_eq!(run(&mut policy, 4, 7, &SLOW), LoadLevel::SubStreams);
        assert_eq!(run(&mut policy, 7, 10, &SLOW), LoadLevel::KeyFrames);
        assert_eq!(run(&mut policy, 10, 100, &SLOW), LoadLevel::KeyFrames);
    }

    #[test]
    fn a_hiccup_is_no_overload() {
        let mut policy = LoadPolicy::default();
        for start in (0..60).step_by(4) {
            run(&mut policy, start, start + 2, &SLOW);
            run(&mut policy, start + 2, start + 4, &GOOD);
        }
        assert_eq!(policy.level(), LoadLevel::Full);
    }

    #[test]
    fn a_quiet_wall_is_no_overload() {
        let mut policy = LoadPolicy::default();
        let quiet = LoadSample { decoded: 1, repaint_hz: 1.0, busy: false, ..GOOD };
        assert_eq!(run(&mut policy, 0, 60, &quiet), LoadLevel::Full);
    }

    #[test]
    fn a_backlog_is_overload_whatever_the_rate() {
        let mut policy = LoadPolicy::default();
        let behind = LoadSample { backlog_drops: 5, ..GOOD };
        assert_eq!(run(&mut policy, 0, 4, &behind), LoadLevel::SlowRepaint);
    }

    #[test]
    fn gives_back_slowly_and_slower_after_a_failure() {
        let mut policy = LoadPolicy::default();
        run(&mut policy, 0, 4, &SLOW);
        let calm = LoadSample { repaint_hz: 15.0, target_hz: 15, ..GOOD };
        assert_eq!(run(&mut policy, 4, 24, &calm), LoadLevel::SlowRepaint);
        assert_eq!(run(&mut policy, 24, 25, &calm), LoadLevel::Full);
        assert_eq!(run(&mut policy, 25, 30, &SLOW), LoadLevel::SlowRepaint, "it was too early");
        assert_eq!(run(&mut policy, 30, 69, &calm), LoadLevel::SlowRepaint, "so it now waits twice as long");
        assert_eq!(run(&mut policy, 69, 72, &calm), LoadLevel::Full);
    }
}
