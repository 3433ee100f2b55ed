//! A daily window on the operator's own clock, and when it is open in the world's time.
//!
//! A wall clock is set forward and back. A time that is skipped means the moment of the change. Of a
//! time that comes twice a window opens at the later one and closes at the earlier one, so that no
//! window is ever open outside the wish; where that leaves nothing, the first pass counts.

use chrono::{Datelike, Days, Duration, NaiveDate, NaiveTime, TimeZone, Weekday};
use chrono_tz::Tz;

use super::wish::{ImpossibleWish, impossible};
use super::{Policy, WindowPolicy};
use crate::units::{Timestamp, at_epoch_seconds, epoch_seconds};

/// One daily window of the policy, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Days it opens on; empty: every day.
    days: Vec<Weekday>,
    opens: NaiveTime,
    closes: NaiveTime,
    zone: Tz,
}

impl Policy {
    /// The operator's time zone.
    ///
    /// # Errors
    /// [`ImpossibleWish`] when there is no zone of that name.
    pub fn zone(&self) -> Result<Tz, ImpossibleWish> {
        let Some(name) = &self.time_zone else {
            return Ok(Tz::UTC);
        };
        name.parse().map_err(|_| {
            impossible(
                "time_zone",
                &format!("{name:?}"),
                "a name of the IANA time zone database, such as \"Europe/Berlin\"",
            )
        })
    }

    /// A point in time on the operator's clock, when that is not UTC.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> Option<String> {
        let zone = self.zone().ok().filter(|zone| *zone != Tz::UTC)?;
        let local = at.with_timezone(&zone);
        Some(format!("{} {zone}", local.format("%a %Y-%m-%d %H:%M")))
    }
}

impl WindowPolicy {
    /// The window as days and times of day in `zone`.
    ///
    /// # Errors
    /// [`ImpossibleWish`] naming the part that is no day or time of day.
    pub fn hours(&self, zone: Tz) -> Result<Hours, ImpossibleWish> {
        let hours = Hours {
            days: self
                .days
                .iter()
                .map(|day| weekday(day))
                .collect::<Result<_, _>>()?,
            opens: time_of_day("windows.start", &self.start)?,
            closes: time_of_day("windows.end", &self.end)?,
            zone,
        };
        if hours.opens == hours.closes {
            let expected = "another time than the start; for any time leave the windows out";
            return Err(impossible("windows.end", &self.end, expected));
        }
        Ok(hours)
    }
}

impl Hours {
    /// When the window is open between `from` and `to`, seconds since 1970: spans that end after `from`
    /// and begin before `to`, cut at `from`.
    #[must_use]
    pub fn spans(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let day = |at: f64| at_epoch_seconds(at).with_timezone(&self.zone).date_naive();
        // A window that opened yesterday may still be open.
        let first = day(from).checked_sub_days(Days::new(2)).unwrap_or_default();
        let last = day(to);
        let days = first.iter_days().take_while(|day| *day <= last);
        let open = days.filter(|day| self.days.is_empty() || self.days.contains(&day.weekday()));
        open.filter_map(|day| self.span(day))
            .filter(|(start, end)| *end > from && *start < to)
            .map(|(start, end)| (start.max(from), end))
            .collect()
    }

    /// The window that opens on `day`; nothing when the clock skips it.
    fn span(&self, day: NaiveDate) -> Option<(f64, f64)> {
        let next = if self.closes > self.opens { 0 } else { 1 };
        let close_day = day.checked_add_days(Days::new(next))?;
        let (first, second) = self.moments(day, self.opens)?;
        let (end, _) = self.moments(close_day, self.closes)?;
        let start = if second < end { second } else { first };
        (start < end).then(|| (epoch_seconds(start), epoch_seconds(end)))
    }

    /// The moment or the two moments at which the clock shows a time.
    fn moments(&self, day: NaiveDate, time: NaiveTime) -> Option<(Timestamp, Timestamp)> {
        let wanted = day.and_time(time);
        // No clock was ever set forward by more than a day.
        (0..=24 * 60)
            .find_map(|minutes| {
                let shown = self
                    .zone
                    .from_local_datetime(&(wanted + Duration::minutes(minutes)));
                shown.earliest().zip(shown.latest())
            })
            .map(|(first, second)| (first.to_utc(), second.to_utc()))
    }
}

fn weekday(name: &str) -> Result<Weekday, ImpossibleWish> {
    let known = match name {
        "mon" => Weekday::Mon,
        "tue" => Weekday::Tue,
        "wed" => Weekday::Wed,
        "thu" => Weekday::Thu,
        "fri" => Weekday::Fri,
        "sat" => Weekday::Sat,
        "sun" => Weekday::Sun,
        other => {
            let expected = "mon, tue, wed, thu, fri, sat or sun";
            return Err(impossible("windows.days", other, expected));
        }
    };
    Ok(known)
}

fn time_of_day(key: &'static str, text: &str) -> Result<NaiveTime, ImpossibleWish> {
    let time = NaiveTime::parse_from_str(text, "%H:%M");
    time.ok()
        .filter(|_| text.len() == 5)
        .ok_or_else(|| impossible(key, text, "a time of day as HH:MM, such as 02:30"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn hours(days: &[&str], start: &str, end: &str, zone: &str) -> Result<Hours, ImpossibleWish> {
        let window = WindowPolicy {
            days: days.iter().map(|day| (*day).to_owned()).collect(),
            start: start.to_owned(),
            end: end.to_owned(),
        };
        window.hours(zone.parse().unwrap())
    }

    fn at(text: &str) -> f64 {
        epoch_seconds(text.parse().unwrap())
    }

    /// The window of one day in Berlin, as times in UTC.
    fn berlin(day: &str, start: &str, end: &str) -> Vec<String> {
        let from = at(&format!("{day}T00:00:00Z"));
        let spans = hours(&[], start, end, "Europe/Berlin")
            .unwrap()
            .spans(from, from + 72_000.0);
        let time = |at: f64| at_epoch_seconds(at).format("%H:%M").to_string();
        spans
            .into_iter()
            .map(|(a, b)| format!("{}-{}", time(a), time(b)))
            .collect()
    }

    #[test]
    fn a_window_over_midnight_is_still_open_in_the_morning() {
        let window = hours(&["sat"], "22:00", "04:00", "UTC").unwrap();
        let sunday_two = at("2026-11-22T02:00:00Z");
        let spans = window.spans(sunday_two, sunday_two + 3600.0);
        assert_eq!(spans, vec![(sunday_two, sunday_two + 7200.0)]);
        let day_after = sunday_two + 86_400.0;
        assert!(window.spans(day_after, day_after + 86_400.0).is_empty());
    }

    #[test]
    fn every_day_means_seven_in_a_week() {
        let week = hours(&[], "01:00", "02:00", "UTC")
            .unwrap()
            .spans(0.0, 7.0 * 86_400.0);
        assert_eq!(week.len(), 7);
    }

    #[test]
    fn the_operators_clock_moves_with_the_season() {
        assert_eq!(berlin("2026-07-01", "02:00", "04:00"), ["00:00-02:00"]);
        assert_eq!(berlin("2026-12-01", "02:00", "04:00"), ["01:00-03:00"]);
    }

    #[test]
    fn a_skipped_time_is_the_moment_of_the_change() {
        // 2026-03-29, 02:00 becomes 03:00 in Berlin: 01:00 UTC.
        assert_eq!(berlin("2026-03-29", "02:30", "04:00"), ["01:00-02:00"]);
        assert_eq!(berlin("2026-03-29", "01:00", "02:30"), ["00:00-01:00"]);
        // Nothing is left of a window that is skipped as a whole.
        assert!(berlin("2026-03-29", "02:15", "02:45").is_empty());
    }

    #[test]
    fn a_time_that_comes_twice_never_opens_outside_the_wish() {
        // 2026-10-25, 03:00 becomes 02:00 in Berlin at 01:00 UTC.
        assert_eq!(berlin("2026-10-25", "02:30", "04:00"), ["01:30-03:00"]);
        assert_eq!(
            berlin("2026-10-25", "01:00", "02:30"),
            ["23:00-00:30"].map(|_| "00:00-00:30")
        );
        assert_eq!(berlin("2026-10-25", "02:15", "02:45"), ["00:15-00:45"]);
    }

    #[test]
    fn days_are_those_of_the_operators_calendar() {
        let window = hours(&["sun"], "00:30", "01:30", "Asia/Tokyo").unwrap();
        let saturday = at("2026-11-21T12:00:00Z");
        let spans = window.spans(saturday, saturday + 86_400.0);
        assert_eq!(
            spans,
            vec![(at("2026-11-21T15:30:00Z"), at("2026-11-21T16:30:00Z"))]
        );
    }

    #[test]
    fn unknown_text_is_named() {
        for (days, start, end, part) in [
            (vec!["someday"], "01:00", "02:00", "someday"),
            (vec![], "25:00", "02:00", "25:00"),
            (vec![], "1:00", "02:00", "1:00"),
            (vec![], "01:00", "night", "night"),
            (vec![], "01:00", "01:00", "01:00"),
        ] {
            let error = hours(&days, start, end, "UTC").unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
