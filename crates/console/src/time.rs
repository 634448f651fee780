//! Time on the screen: the daemon's clock, read on this machine, in the wall time of Twente.
//!
//! The console never trusts the workstation's own clock: it keeps the difference with the daemon's, measured by ping,
//! and warns when it is large.

use crate::i18n::{Language, Texts};
use chrono::{DateTime, Datelike as _, TimeDelta, Timelike as _, Utc};
use chrono_tz::{Europe::Amsterdam, Tz};

/// The difference between the daemon's clock and this machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct DaemonClock {
    offset_us: i64,
    round_trip_us: Option<i64>,
}

impl DaemonClock {
    /// A clock that differs by `offset_us` µs (positive: the daemon is ahead).
    pub fn with_offset(offset_us: i64) -> Self {
        Self { offset_us, round_trip_us: None }
    }

    /// Learns from one ping: when it left and came back on this machine's clock, and what the daemon read in between.
    /// The shortest round trip so far bounds the error best, so a worse one is only taken slowly.
    pub fn learn(&mut self, sent_us: i64, returned_us: i64, daemon_us: i64) {
        let round_trip = (returned_us - sent_us).max(0);
        let offset = daemon_us - (sent_us + round_trip / 2);
        let better = self.round_trip_us.is_none_or(|best| round_trip <= best + best / 2 + 1_000);
        if better || (offset - self.offset_us).abs() > round_trip {
            self.offset_us = offset;
        }
        self.round_trip_us = Some(match self.round_trip_us {
            Some(best) if round_trip > best => best + (round_trip - best) / 8,
            _ => round_trip,
        });
    }

    /// Learns from a message that carries the daemon's clock, before the first ping came back.
    pub fn learn_roughly(&mut self, daemon: DateTime<Utc>, here: DateTime<Utc>) {
        if self.round_trip_us.is_none() {
            self.offset_us = (daemon - here).num_microseconds().unwrap_or(0);
        }
    }

    /// The daemon's clock when this machine reads `here`.
    pub fn at(&self, here: DateTime<Utc>) -> DateTime<Utc> {
        here + TimeDelta::microseconds(self.offset_us)
    }

    /// Now, on the daemon's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.at(Utc::now())
    }

    /// µs to add to this machine's clock.
    pub fn offset_us(&self) -> i64 {
        self.offset_us
    }
}

/// Microseconds since 1970 of an instant.
pub fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// The instant of microseconds since 1970; the epoch when out of range.
pub fn from_micros(us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(us).unwrap_or_default()
}

fn local(at: DateTime<Utc>) -> DateTime<Tz> {
    at.with_timezone(&Amsterdam)
}

/// `22:41:07`.
pub fn clock(at: DateTime<Utc>) -> String {
    local(at).format("%H:%M:%S").to_string()
}

/// `22:41`.
pub fn hour(at: DateTime<Utc>) -> String {
    local(at).format("%H:%M").to_string()
}

/// `13-06-2026 22:41`, for the watermark.
pub fn stamp(at: DateTime<Utc>) -> String {
    local(at).format("%d-%m-%Y %H:%M").to_string()
}

/// `zaterdag 13 juni 2026`.
pub fn long_date(at: DateTime<Utc>, texts: &Texts) -> String {
    let day = local(at);
    let weekday = texts.get(&format!("weekday-{}", day.weekday().num_days_from_monday() + 1));
    let month = texts.get(&format!("month-{}", day.month()));
    format!("{weekday} {} {month} {}", day.day(), day.year())
}

/// When something changes, as short as it can be said: `06:00` within the coming 18 hours (no observer takes that for
/// another day), `vr 21:00` within a week, else `vr 19 juni, 21:00`.
pub fn when(at: DateTime<Utc>, now: DateTime<Utc>, texts: &Texts) -> String {
    let (then, today) = (local(at), local(now));
    // A boundary within the next minute is worth its seconds.
    let time = if then.second() == 0 { hour(at) } else { clock(at) };
    let soon = at >= now && at - now < TimeDelta::hours(18);
    if soon || then.date_naive() == today.date_naive() {
        return time;
    }
    let weekday = texts.get(&format!("weekday-short-{}", then.weekday().num_days_from_monday() + 1));
    if then.date_naive() - today.date_naive() < TimeDelta::days(7) && then > today {
        return format!("{weekday} {time}");
    }
    let month = texts.get(&format!("month-{}", then.month()));
    format!("{weekday} {} {month}, {time}", then.day())
}

/// How long still: `7 u 18`, `12 min`, `45 s`.
pub fn remaining(left: TimeDelta, language: Language) -> String {
    let seconds = left.num_seconds().max(0);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let h = match language {
        Language::Nl => "u",
        Language::En => "h",
    };
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, m) => format!("{m} min"),
        (hours @ 1..48, m) => format!("{hours} {h} {m:02}"),
        (hours, _) => format!("{} d {} {h}", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn twente_time_with_and_without_summer() {
        assert_eq!(clock(at("2026-06-13T20:41:07Z")), "22:41:07");
        assert_eq!(clock(at("2026-12-13T20:41:07Z")), "21:41:07");
    }

    #[test]
    fn when_is_as_short_as_can_be() {
        let texts = Texts::new(Language::Nl);
        let now = at("2026-06-13T20:41:07Z");
        assert_eq!(when(at("2026-06-13T21:00:00Z"), now, &texts), "23:00");
        assert_eq!(when(at("2026-06-14T04:00:00Z"), now, &texts), "06:00");
        assert_eq!(when(at("2026-06-19T19:00:00Z"), now, &texts), "vr 21:00");
        assert_eq!(when(at("2026-06-20T18:00:00Z"), now, &texts), "za 20 juni, 20:00");
    }

    #[test]
    fn what_remains() {
        assert_eq!(remaining(TimeDelta::minutes(438), Language::Nl), "7 u 18");
        assert_eq!(remaining(TimeDelta::minutes(438), Language::En), "7 h 18");
        assert_eq!(remaining(TimeDelta::seconds(61), Language::Nl), "1 min");
        assert_eq!(remaining(TimeDelta::seconds(-5), Language::Nl), "0 s");
    }

    #[test]
    fn a_ping_corrects_the_clock() {
        let mut clock = DaemonClock::default();
        clock.learn(1_000_000, 1_010_000, 6_005_000);
        assert_eq!(clock.offset_us(), 5_000_000);
        // A slow round trip says little.
        clock.learn(2_000_000, 3_000_000, 7_900_000);
        assert_eq!(clock.offset_us(), 5_000_000);
        // A stepped clock is followed.
        clock.learn(4_000_000, 4_010_000, 4_005_000);
        assert_eq!(clock.offset_us(), 0);
    }
}
