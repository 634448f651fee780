//! Weekly windows in wall-clock time of Europe/Amsterdam, compiled to instants (conventions V1, V3, V4).
//!
//! A window belongs to the local day on which it starts and both bounds are converted separately, so that a window over
//! a daylight-saving night is as long as that night makes it. Where the clock is ambiguous or skips, the reading that
//! watches least is taken: an ambiguous start is its second pass, an ambiguous end its first, a time that does not
//! exist is the instant of the transition. `decide` never resolves a time zone; this module does, when a register is built.

use crate::{
    facts::{Day, WeeklyWindow},
    spans::Span,
};
use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc,
    Weekday,
};
use chrono_tz::Europe::Amsterdam;

/// How far a window list reaches beyond its start. A decree that lasts longer opens nothing after this (it would have to
/// be decided anew long before), which bounds the memory of a register that somebody filled with the year 9999.
const HORIZON_YEARS: u32 = 10;

/// The spans of the windows inside `from..until`, unsorted.
pub(crate) fn compile<T: Clone>(
    windows: &[(WeeklyWindow, T)],
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Span<T>> {
    let horizon = from.checked_add_months(chrono::Months::new(12 * HORIZON_YEARS)).unwrap_or(from);
    let until = until.min(horizon);
    let mut spans = Vec::new();
    if from >= until {
        return spans;
    }
    // A window of the local day before `from` can still be open at `from`.
    let first = local_day(from).checked_sub_days(Days::new(2));
    let last = local_day(until);
    let days = first.into_iter().flat_map(|day| day.iter_days()).take_while(|day| *day <= last);
    for day in days {
        for (window, rests_on) in windows {
            if window.days.iter().any(|listed| weekday(*listed) == day.weekday())
                && let Some((start, end)) = bounds(window, day)
            {
                let (from, until) = (start.max(from), end.min(until));
                if from < until {
                    spans.push(Span { from, until, rests_on: rests_on.clone() });
                }
            }
        }
    }
    spans
}

/// The instants of a window that starts on a local day. An end at or before the start lies on the next day (V3).
fn bounds(window: &WeeklyWindow, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let last_day = if window.end <= window.start { day.succ_opt()? } else { day };
    Some((
        instant(day.and_time(window.start), Bound::Start)?,
        instant(last_day.and_time(window.end), Bound::End)?,
    ))
}

#[derive(Clone, Copy)]
enum Bound {
    Start,
    End,
}

/// The instant of a wall-clock time (V4).
fn instant(local: NaiveDateTime, bound: Bound) -> Option<DateTime<Utc>> {
    match (Amsterdam.from_local_datetime(&local), bound) {
        (LocalResult::Single(at), _) => Some(at.to_utc()),
        (LocalResult::Ambiguous(_, second), Bound::Start) => Some(second.to_utc()),
        (LocalResult::Ambiguous(first, _), Bound::End) => Some(first.to_utc()),
        (LocalResult::None, _) => transition_before(local),
    }
}

/// The instant at which the clock skipped over `local`: one minute after the last minute that exists. Amsterdam has
/// changed on whole minutes since 1940, and never by more than two hours.
fn transition_before(local: NaiveDateTime) -> Option<DateTime<Utc>> {
    let minute = local.with_second(0)?.with_nanosecond(0)?;
    (1..=120).find_map(|back| {
        let earlier = minute.checked_sub_signed(TimeDelta::minutes(back))?;
        let at = Amsterdam.from_local_datetime(&earlier).latest()?;
        at.to_utc().checked_add_signed(TimeDelta::minutes(1))
    })
}

/// The local day of an instant.
pub(crate) fn local_day(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&Amsterdam).date_naive()
}

/// The same wall-clock time a number of calendar months later (a day that does not exist becomes the month's last).
pub(crate) fn months_later(at: DateTime<Utc>, months: u32) -> Option<DateTime<Utc>> {
    let local = at.with_timezone(&Amsterdam).naive_local();
    instant(local.checked_add_months(chrono::Months::new(months))?, Bound::End)
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Mon,
        Day::Tue => Weekday::Tue,
        Day::Wed => Weekday::Wed,
        Day::Thu => Weekday::Thu,
        Day::Fri => Weekday::Fri,
        Day::Sat => Weekday::Sat,
        Day::Sun => Weekday::Sun,
    }
}
