//! Percentiles over the last minute or two, in constant memory.

use std::time::Duration;

/// 1 ms steps up to here …
const FINE: usize = 512;
/// … then steps of 32 ms up to about 16 s; what is slower counts as that.
const COARSE: usize = 496;
const COARSE_MS: usize = 32;
/// A half is retired after this long, so figures cover one to two of these.
const HALF: Duration = Duration::from_secs(30);

/// Milliseconds, newest one to two half minutes.
#[derive(Debug)]
pub(super) struct Histogram {
    halves: [Vec<u32>; 2],
    since: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { halves: [vec![0; FINE + COARSE], vec![0; FINE + COARSE]], since: Duration::ZERO }
    }
}

impl Histogram {
    /// Adds `value_ms` at `now` (time since any fixed instant). Negative values (clocks that disagree) count as 0.
    pub(super) fn add(&mut self, now: Duration, value_ms: f64) {
        if now.saturating_sub(self.since) >= HALF {
            self.halves.swap(0, 1);
            self.halves[0].fill(0);
            self.since = now;
        }
        let ms = value_ms.max(0.0).round() as usize;
        let slot = if ms < FINE { ms } else { FINE + ((ms - FINE) / COARSE_MS).min(COARSE - 1) };
        if let Some(count) = self.halves[0].get_mut(slot) {
            *count = count.saturating_add(1);
        }
    }

    /// The values below which these shares of all values lie, or nothing when there are none.
    pub(super) fn percentiles<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        let counts =
            || self.halves[0].iter().zip(&self.halves[1]).map(|(new, old)| u64::from(*new) + u64::from(*old));
        let total: u64 = counts().sum();
        if total == 0 {
            return None;
        }
        Some(shares.map(|share| {
            let rank = ((total as f64 * share).ceil() as u64).clamp(1, total);
            let mut seen = 0;
            let slot = counts().position(|count| {
                seen += count;
                seen >= rank
            });
            match slot.unwrap_or(FINE + COARSE - 1) {
                fine if fine < FINE => fine as f64,
                coarse => (FINE + (coarse - FINE) * COARSE_MS + COARSE_MS / 2) as f64,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_tail() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentiles([0.5]), None);
        for ms in 1..=100 {
            histogram.add(Duration::ZERO, f64::from(ms));
        }
        assert_eq!(histogram.percentiles([0.5, 0.99]), Some([50.0, 99.0]));
        histogram.add(Duration::ZERO, -20.0);
        assert_eq!(histogram.percentiles([0.001]), Some([0.0]));
        histogram.add(Duration::ZERO, 1e9);
        assert!(histogram.percentiles([1.0]).is_some_and(|[worst]| worst > 16_000.0));
    }

    #[test]
    fn the_past_is_forgotten() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_secs(1), 400.0);
        histogram.add(Duration::from_secs(31), 10.0);
        assert_eq!(histogram.percentiles([1.0]), Some([400.0]), "one half back still counts");
        histogram.add(Duration::from_secs(62), 10.0);
        assert_eq!(histogram.percentiles([1.0]), Some([10.0]));
    }
}
