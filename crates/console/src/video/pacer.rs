//! Repaints merged to one per frame period, however many pictures the decoders finish.
//!
//! Sixteen streams of 25 pictures a second would ask for 400 repaints a second; the window can show 25. The first
//! picture after a repaint asks for the next one, one period after the last; the others find it asked for already.
//! [`Pace`] is the rule, with time passed in; [`Pacer`] binds it to egui and its clock.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A window that is covered or minimised may swallow a request; after this long it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// When to ask for the next repaint. Pure: `now` is time since any fixed instant.
#[derive(Debug)]
pub(super) struct Pace {
    period: Duration,
    /// Start of the newest repaint.
    painted: Option<Duration>,
    /// When a repaint was asked for that has not come yet.
    asked: Option<Duration>,
    /// Starts of the repaints of the last second.
    recent: VecDeque<Duration>,
}

impl Pace {
    pub(super) fn new(hz: u32) -> Self {
        Self { period: period(hz), painted: None, asked: None, recent: VecDeque::new() }
    }

    pub(super) fn set_rate_hz(&mut self, hz: u32) {
        self.period = period(hz);
    }

    /// A picture is there: how long to wait before the repaint that shows it, or nothing if one is under way.
    pub(super) fn picture_ready(&mut self, now: Duration) -> Option<Duration> {
        if self.asked.is_some_and(|asked| now.saturating_sub(asked) < ASK_AGAIN) {
            return None;
        }
        self.asked = Some(now);
        Some(self.painted.map_or(Duration::ZERO, |painted| (painted + self.period).saturating_sub(now)))
    }

    /// A repaint begins. Must be told before the pictures are taken: one that arrives in between asks anew.
    pub(super) fn repaint_begins(&mut self, now: Duration) {
        self.painted = Some(now);
        self.asked = None;
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|first| now.saturating_sub(*first) > Duration::from_secs(1)) {
            self.recent.pop_front();
        }
    }

    /// Repaints in the second before `now`.
    pub(super) fn achieved_hz(&self, now: Duration) -> f32 {
        self.recent.iter().filter(|at| now.saturating_sub(**at) < Duration::from_secs(1)).count() as f32
    }
}

fn period(hz: u32) -> Duration {
    Duration::from_secs(1) / hz.max(1)
}

/// Asks egui for repaints at the rate of the wall.
pub struct Pacer {
    started: Instant,
    context: egui::Context,
    pace: Mutex<Pace>,
}

impl Pacer {
    pub(super) fn new(context: egui::Context) -> Self {
        Self { started: Instant::now(), context, pace: Mutex::new(Pace::new(25)) }
    }

    /// The wall's rate: 25, or 15 when the machine is weak.
    pub fn set_rate_hz(&self, hz: u32) {
        self.lock().set_rate_hz(hz);
    }

    /// The rate asked for.
    pub fn target_hz(&self) -> u32 {
        (1.0 / self.lock().period.as_secs_f32()).round() as u32
    }

    /// Repaints in the last second.
    pub fn rate_hz(&self) -> f32 {
        self.lock().achieved_hz(self.started.elapsed())
    }

    /// A decoder thread has a picture.
    pub(super) fn picture_ready(&self) {
        // The lock is let go first: egui may call back into its event loop.
        let wait = self.lock().picture_ready(self.started.elapsed());
        if let Some(wait) = wait {
            self.context.request_repaint_after(wait);
        }
    }

    pub(super) fn repaint_begins(&self) {
        self.lock().repaint_begins(self.started.elapsed());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn many_pictures_make_one_repaint() {
        let mut pace = Pace::new(25);
        pace.repaint_begins(ms(1000));
        assert_eq!(pace.picture_ready(ms(1003)), Some(ms(37)), "one period after the last repaint");
        for at in 1004..1040 {
            assert_eq!(pace.picture_ready(ms(at)), None);
        }
        pace.repaint_begins(ms(1040));
        assert_eq!(pace.picture_ready(ms(1041)), Some(ms(39)));
    }

    #[test]
    fn a_picture_after_a_pause_is_painted_at_once() {
        let mut pace = Pace::new(25);
        pace.repaint_begins(ms(1000));
        assert_eq!(pace.picture_ready(ms(3000)), Some(ms(0)));
        let mut fresh = Pace::new(25);
        assert_eq!(fresh.picture_ready(ms(0)), Some(ms(0)), "nothing was painted yet");
    }

    #[test]
    fn a_picture_that_arrives_while_painting_asks_anew() {
        let mut pace = Pace::new(25);
        assert!(pace.picture_ready(ms(990)).is_some());
        pace.repaint_begins(ms(1000));
        assert_eq!(pace.picture_ready(ms(1000)), Some(ms(40)));
    }

    #[test]
    fn a_swallowed_request_is_made_again() {
        let mut pace = Pace::new(25);
        pace.repaint_begins(ms(0));
        assert!(pace.picture_ready(ms(10)).is_some());
        assert_eq!(pace.picture_ready(ms(900)), None);
        assert_eq!(pace.picture_ready(ms(1010)), Some(ms(0)));
    }

    #[test]
    fn four_hundred_pictures_a_second_make_twenty_five_or_fifteen_repaints() {
        for hz in [25_u32, 15] {
            let mut pace = Pace::new(hz);
            let (mut due, mut repaints) = (None, 0);
            for tenth in 0..100_000_u64 {
                let now = Duration::from_micros(tenth * 100);
                if due.is_some_and(|due| now >= due) {
                    pace.repaint_begins(now);
                    repaints += 1;
                    due = None;
                }
                if tenth % 25 == 0
                    && let Some(wait) = pace.picture_ready(now)
                {
                    assert!(due.is_none(), "never two requests at once");
                    due = Some(now + wait);
                }
            }
            let expected = 10 * hz;
            assert!((expected - 6..=expected + 1).contains(&repaints), "{repaints} repaints at {hz} Hz");
            assert!((pace.achieved_hz(ms(10_000)) - hz as f32).abs() <= 1.0);
        }
    }

    #[test]
    fn rate_is_counted_over_one_second() {
        let mut pace = Pace::new(25);
        for at in (0..2000).step_by(100) {
            pace.repaint_begins(ms(at));
        }
        assert!((pace.achieved_hz(ms(1950)) - 10.0).abs() < 0.5);
        assert!(pace.achieved_hz(ms(5000)) < 0.5);
    }
}
