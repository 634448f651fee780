//! The nights on which the clock changes, 2026 to 2030, minute by minute against an independent reading of V3 and V4.

use crate::common::{EVERY_DAY, at, period, watch, window, without_period};
use chrono::{
    DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc, Weekday,
};
use chrono_tz::Europe::Amsterdam;
use mandate::{Register, decide};
use serde_json::json;

/// The Sundays on which the clock changes, found from the time-zone data.
fn nights() -> Vec<NaiveDate> {
    let offset = |day: NaiveDate| Amsterdam.from_utc_datetime(&day.and_time(NaiveTime::MIN)).offset().fix();
    let first = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
    first
        .iter_days()
        .take_while(|day| day.year() <= 2030)
        .filter(|day| offset(*day) != offset(day.succ_opt().unwrap()))
        .collect()
}

/// Whether an instant lies in the window of a day, read off the wall clock: the clock shows a time from the start up to
/// the end, and where it shows the same time twice, the start means the second pass and the end the first.
fn shown(t: DateTime<Utc>, start: NaiveDateTime, end: NaiveDateTime) -> bool {
    let wall = t.with_timezone(&Amsterdam).naive_local();
    let passes = |local: NaiveDateTime| match Amsterdam.from_local_datetime(&local) {
        chrono::LocalResult::Ambiguous(first, second) => Some((first.to_utc(), second.to_utc())),
        _ => None,
    };
    let started = passes(start).map_or(wall >= start, |(_, second)| t >= second);
    let ended = passes(end).map_or(wall >= end, |(first, _)| t >= first);
    started && !ended
}

#[test]
fn every_minute_of_every_night_is_what_the_clock_shows() {
    let nights = nights();
    assert_eq!(nights.len(), 10);
    assert!(nights.iter().all(|night| night.weekday() == Weekday::Sun));
    let times = ["01:00", "02:00", "02:30", "02:45", "03:00", "03:30", "06:00", "21:00"];
    let mut open_minutes = 0;
    for start in times {
        for end in times {
            let mut facts = without_period();
            facts.push(period("PE1", json!([window("L1", EVERY_DAY, start, end)]), "never"));
            let register = Register::build(&facts, at("2026-01-01T00:00:00Z")).unwrap();
            let (from, until): (NaiveTime, NaiveTime) =
                (format!("{start}:00").parse().unwrap(), format!("{end}:00").parse().unwrap());
            for night in &nights {
                let first = night.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::hours(4);
                for minute in 0..14 * 60 {
                    let t = first + TimeDelta::minutes(minute);
                    let days =
                        [night.pred_opt().unwrap().pred_opt().unwrap(), night.pred_opt().unwrap(), *night];
                    let expected = days.into_iter().any(|day| {
                        let last = if until <= from { day.succ_opt().unwrap() } else { day };
                        shown(t, day.and_time(from), last.and_time(until))
                    });
                    let got = decide(&register, &watch("observer"), t).is_permit();
                    assert_eq!(got, expected, "{start}-{end} at {t}");
                    open_minutes += i32::from(got);
                }
            }
        }
    }
    assert!(open_minutes > 30_000, "{open_minutes}");
}

#[test]
fn the_length_of_a_night_is_the_night_s() {
    let mut facts = without_period();
    facts.push(period("PE1", json!([window("L1", &["sat"], "21:00", "06:00")]), "never"));
    let register = Register::build(&facts, at("2026-01-01T00:00:00Z")).unwrap();
    for night in nights() {
        let noon = night.pred_opt().unwrap().and_hms_opt(12, 0, 0).unwrap().and_utc();
        let open = mandate::open_intervals(&register, &watch("observer"), noon, noon + TimeDelta::days(1));
        let hours = if night.month() == 3 { 8 } else { 10 };
        assert_eq!(
            open.iter().map(|(from, until)| *until - *from).collect::<Vec<_>>(),
            [TimeDelta::hours(hours)]
        );
    }
}
