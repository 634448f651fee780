//! Weekly windows in wall-clock time of Europe/Amsterdam, compiled to instants (conventions V1, V3, V4).
//!
//! A window belongs to the local day on which it starts and both bounds are converted separately, so that a window over
//! a daylight-saving night is as long as that night makes it. Where the clock is ambiguous or skips, the reading that
//! watches least is taken: an ambiguous start is its second pass, an ambiguous end its first, a time that does not
//! exist is the instant of the transition. `decide` resolves no time zone; this module does, year by year, when a register
//! is built (and, for a year far from the register's own, when it is first asked about).

use crate::{
    facts::{Day, WeeklyWindow},
    spans::{Found, Span, Spans},
};
use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone,
    Timelike, Utc, Weekday,
};
use chrono_tz::Europe::Amsterdam;
use std::sync::OnceLock;

/// A window list between two instants, compiled year by year: the years around the register's own instant when it is
/// built, any other when a question first needs it. So a decree may be extended for as long as the law lets it, and a
/// register that somebody filled with the year 9999 costs no more than the years that are asked about.
#[derive(Debug)]
pub(crate) struct WindowTable<T> {
    windows: Vec<(WeeklyWindow, T)>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    first_year: i32,
    /// The spans that touch each calendar year (UTC), whole.
    years: Vec<OnceLock<Spans<T>>>,
}

impl<T: Clone> WindowTable<T> {
    /// The windows as they run inside `from..until`.
    pub(crate) fn new(windows: Vec<(WeeklyWindow, T)>, from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let years = if windows.is_empty() || from >= until {
            Vec::new()
        } else {
            (from.year()..=until.year().min(LAST_YEAR)).map(|_| OnceLock::new()).collect()
        };
        Self { windows, from, until, first_year: from.year(), years }
    }

    /// Compiles the years from the one in which footage asked about today was recorded up to the next.
    pub(crate) fn prepare(&self, around: DateTime<Utc>) {
        for year in around.year() - 1..=around.year() + 1 {
            self.year(year);
        }
    }

    /// Whether it was made for this stretch.
    pub(crate) fn runs(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> bool {
        (self.from, self.until) == (from, until)
    }

    /// What holds at an instant.
    pub(crate) fn at(&self, at: DateTime<Utc>) -> Found<'_, T> {
        let year = at.year().max(self.first_year);
        let Some(spans) = self.year(year) else { return Found::Out(None) };
        match spans.at(at) {
            Found::Out(None) => match self.year(year.saturating_add(1)) {
                // A list that is not empty opens within a year; if it does not, ask again when the next is over.
                Some(next) => Found::Out(next.at(at).start().or_else(|| {
                    let beyond = year.saturating_add(2);
                    self.year(beyond).and_then(|_| start_of(beyond))
                })),
                None => Found::Out(None),
            },
            found => found,
        }
    }

    fn year(&self, year: i32) -> Option<&Spans<T>> {
        let index = usize::try_from(year.checked_sub(self.first_year)?).ok()?;
        Some(self.years.get(index)?.get_or_init(|| self.compiled(year)))
    }

    /// Which of several overlapping windows an instant belongs to depends only on those that started in the day before,
    /// so a year can be compiled with some days of margin, alone.
    fn compiled(&self, year: i32) -> Spans<T> {
        let (Some(first), Some(last)) = (start_of(year), start_of(year.saturating_add(1))) else {
            return Spans::new(Vec::new());
        };
        let margin = TimeDelta::days(4);
        let from = first.checked_sub_signed(margin).unwrap_or(first).max(self.from);
        let until = last.checked_add_signed(margin).unwrap_or(last).min(self.until);
        let mut spans = Spans::new(compile(&self.windows, from, until));
        // A span that the margin cut belongs to no instant of the year.
        spans.retain(|span| first < span.until && span.from < last);
        spans
    }
}

/// The last year that RFC 3339 can write.
const LAST_YEAR: i32 = 9999;

fn start_of(year: i32) -> Option<DateTime<Utc>> {
    Some(NaiveDate::from_ymd_opt(year, 1, 1)?.and_time(NaiveTime::MIN).and_utc())
}

/// The spans of the windows inside `from..until`, unsorted.
pub(crate) fn compile<T: Clone>(
    windows: &[(WeeklyWindow, T)],
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Span<T>> {
    let mut spans = Vec::new();
    if from >= until {
        return spans;
    }
    let (Some(first), Some(last)) = (local_day(from), local_day(until)) else { return spans };
    // A window of the local day before `from` can still be open at `from`.
    let first = first.checked_sub_days(Days::new(2));
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

/// The wall clock at an instant; none beyond the years that people write.
fn wall_clock(at: DateTime<Utc>) -> Option<NaiveDateTime> {
    (0..=LAST_YEAR).contains(&at.year()).then(|| at.with_timezone(&Amsterdam).naive_local())
}

/// The local day of an instant; none beyond the years that people write.
pub(crate) fn local_day(at: DateTime<Utc>) -> Option<NaiveDate> {
    wall_clock(at).map(|local| local.date())
}

/// The same wall-clock time a number of calendar months later (a day that does not exist becomes the month's last).
pub(crate) fn months_later(at: DateTime<Utc>, months: u32) -> Option<DateTime<Utc>> {
    instant(wall_clock(at)?.checked_add_months(chrono::Months::new(months))?, Bound::End)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list() -> impl Strategy<Value = Vec<(WeeklyWindow, usize)>> {
        let days = proptest::sample::subsequence(
            vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun],
            1..=7,
        );
        let window = (days, 0_u32..48, 0_u32..48).prop_map(|(days, start, end)| {
            let time = |half| NaiveTime::from_hms_opt(half / 2, half % 2 * 30, 0).unwrap();
            WeeklyWindow { id: "w".into(), days, start: time(start), end: time(end) }
        });
        prop::collection::vec(window, 1..5)
            .prop_map(|windows| windows.into_iter().enumerate().map(|(n, window)| (window, n)).collect())
    }

    fn day(days: i64) -> DateTime<Utc> {
        start_of(2025).unwrap() + TimeDelta::hours(days * 24 + 5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn year_by_year_is_the_same_as_at_once(
            windows in list(), from in 0_i64..800, length in 0_i64..900, probes in prop::collection::vec(-50_i64..45_000, 50)
        ) {
            let (from, until) = (day(from), day(from + length));
            let whole = Spans::new(compile(&windows, from, until));
            let table = WindowTable::new(windows, from, until);
            // The turns of the years too, and what lies around them.
            let turns = (2025..2031).filter_map(start_of).flat_map(|turn| [-1_i64, 0, 1].map(|s| turn + TimeDelta::seconds(s)));
            for at in probes.into_iter().map(|hours| day(0) + TimeDelta::hours(hours)).chain(turns) {
                match (table.at(at), whole.at(at)) {
                    (Found::In(one), Found::In(other)) => {
                        prop_assert_eq!((one.from, one.until, one.rests_on), (other.from, other.until, other.rests_on));
                    }
                    (Found::Out(one), Found::Out(other)) => prop_assert_eq!(one, other, "at {}", at),
                    _ => prop_assert!(false, "at {at}"),
                }
            }
        }
    }
}
