//! Daily windows in UTC, and when they open next.

use crate::policy::WindowPolicy;

use super::PlanError;

const DAY: f64 = 86_400.0;

/// One daily window of the policy, parsed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Daily {
    /// Days of the week it opens on, Monday is 0; all seven when the policy names none.
    days: Vec<u32>,
    opens: f64,
    lasts: f64,
}

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Daily {
    pub(crate) fn of(policy: &WindowPolicy) -> Result<Self, PlanError> {
        let (opens, closes) = (clock_time(&policy.start)?, clock_time(&policy.end)?);
        if opens == closes {
            return Err(PlanError::Contradiction {
                one: format!("a window opens at {}", policy.start),
                other: format!("it closes at {} too", policy.end),
                remedy: "for any time leave the windows out",
            });
        }
        let day = |name: &String| {
            let known = NAMES.iter().position(|known| known == name);
            known
                .and_then(|k| u32::try_from(k).ok())
                .ok_or_else(|| PlanError::Setting {
                    key: "windows.days",
                    value: format!("{name:?}"),
                    expected: "days are mon, tue, wed, thu, fri, sat, sun",
                })
        };
        let days: Vec<u32> = policy.days.iter().map(day).collect::<Result<_, _>>()?;
        let days = if days.is_empty() {
            (0..7).collect()
        } else {
            days
        };
        Ok(Self {
            days,
            opens,
            lasts: (closes - opens).rem_euclid(DAY),
        })
    }

    /// Spans of the window that end after `from` and begin before `to`, cut at both.
    pub(crate) fn spans(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let mut spans = Vec::new();
        // A window that opened yesterday may still be open.
        let mut midnight = (from / DAY).floor() * DAY - DAY;
        while midnight < to {
            let (start, end) = (midnight + self.opens, midnight + self.opens + self.lasts);
            if self.days.contains(&weekday(midnight)) && end > from && start < to {
                spans.push((start.max(from), end));
            }
            midnight += DAY;
        }
        spans
    }
}

/// Monday is 0; 1970-01-01 was a Thursday.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a remainder below seven"
)]
fn weekday(midnight: f64) -> u32 {
    ((midnight / DAY).round() + 3.0).rem_euclid(7.0) as u32
}

/// `HH:MM` as seconds after midnight.
fn clock_time(text: &str) -> Result<f64, PlanError> {
    let wrong = || PlanError::Setting {
        key: "windows",
        value: format!("{text:?}"),
        expected: "times are HH:MM in UTC, such as 02:30",
    };
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |part: &str, below: u32| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u32>().ok().filter(|n| digits && *n < below)
    };
    let hours = number(hours, 24).ok_or_else(wrong)?;
    let minutes = number(minutes, 60).ok_or_else(wrong)?;
    Ok(f64::from(hours * 60 + minutes) * 60.0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::units::epoch_seconds;

    fn daily(days: &[&str], start: &str, end: &str) -> Result<Daily, PlanError> {
        Daily::of(&WindowPolicy {
            days: days.iter().map(|day| (*day).to_owned()).collect(),
            start: start.to_owned(),
            end: end.to_owned(),
        })
    }

    #[test]
    fn a_window_over_midnight_is_still_open_in_the_morning() {
        let window = daily(&["sat"], "22:00", "04:00").unwrap();
        let sunday_two = epoch_seconds("2026-11-22T02:00:00Z".parse().unwrap());
        let spans = window.spans(sunday_two, sunday_two + 3600.0);
        assert_eq!(spans, vec![(sunday_two, sunday_two + 7200.0)]);
        assert!(
            window
                .spans(sunday_two + DAY, sunday_two + 2.0 * DAY)
                .is_empty()
        );
    }

    #[test]
    fn every_day_means_seven_in_a_week() {
        assert_eq!(
            daily(&[], "01:00", "02:00")
                .unwrap()
                .spans(0.0, 7.0 * DAY)
                .len(),
            7
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
            let error = daily(&days, start, end).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
