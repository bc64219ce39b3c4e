//! Maintenance windows: when due renewals may begin. A window is a text of seven words: a cron line of five fields (minute,
//! hour, day of the month, month, day of the week) that says when it opens, the time zone of that line by its IANA name,
//! and how long it stays open, such as `0 3 * * Tue Europe/Berlin 2h`. The word `always` is no window: renewals begin when
//! they are due. Time zones are those that the program was built with, so that every replica means the same.

use crate::domain::{Timestamp, duration};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, Zoned};
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// Renewals whenever they are due.
const ALWAYS: &str = "always";
/// Fields of a cron line.
const FIELDS: usize = 5;
/// A window is at least this long, so that what is due in it is looked at, and at most as long as a week.
const SHORTEST: Duration = Duration::from_secs(600);
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// A day from which a window has to open at some time: 1 January 2026.
const SOME_DAY: Timestamp = Timestamp(1_767_225_600_000);

/// When due renewals may begin.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct MaintenanceWindow {
    text: String,
    /// `None`: always.
    times: Option<Box<Times>>,
}

#[derive(Clone, Debug)]
struct Times {
    opens: Cron,
    zone: TimeZone,
    length: Duration,
}

/// One time that a window is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opening {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl MaintenanceWindow {
    /// Reads a window; words may be separated by any white space.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        if text == ALWAYS {
            return Ok(Self { text, times: None });
        }
        let [fields @ .., zone, length] = words.as_slice() else { return Err(wrong_form()) };
        if fields.len() != FIELDS {
            return Err(wrong_form());
        }
        let line = fields.join(" ");
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let opens = parser.parse(&line).map_err(|error| format!("`{line}` is not a cron line: {error}."))?;
        let zone = TimeZone::get(zone)
            .map_err(|_| format!("`{zone}` is not a time zone: use a name such as Europe/Berlin or UTC."))?;
        let length = duration::parse(length).map_err(|error| format!("{error}."))?;
        if !(SHORTEST..=LONGEST).contains(&length) {
            let (least, most) = (duration::to_text(SHORTEST), duration::to_text(LONGEST));
            return Err(format!("A window is open for {least} to {most}, not {}.", duration::to_text(length)));
        }
        let times = Times { opens, zone, length };
        if times.next(SOME_DAY).is_none() {
            return Err(format!("`{line}` never comes."));
        }
        Ok(Self { text, times: Some(Box::new(times)) })
    }

    /// The opening at this time, or else the next one; `None` where it is always open.
    pub fn opening(&self, at: Timestamp) -> Option<Opening> {
        let times = self.times.as_ref()?;
        let opening = |from: Timestamp| Opening { from, until: from.plus(times.length) };
        let last = times.last(at).map(opening).filter(|last| last.until > at);
        last.or_else(|| times.next(at).map(opening))
    }

    /// The first time from this one on at which it is open.
    pub fn opens(&self, at: Timestamp) -> Timestamp {
        self.opening(at).map_or(at, |opening| opening.from.max(at))
    }
}

impl Times {
    /// The last time up to this one at which it opened.
    fn last(&self, at: Timestamp) -> Option<Timestamp> {
        let found = self.opens.find_previous_occurrence(&self.local(at)?, true).ok()?;
        Some(Timestamp(found.timestamp().as_millisecond()))
    }

    /// The next time after this one at which it opens.
    fn next(&self, at: Timestamp) -> Option<Timestamp> {
        let found = self.opens.find_next_occurrence(&self.local(at)?, false).ok()?;
        Some(Timestamp(found.timestamp().as_millisecond()))
    }

    fn local(&self, at: Timestamp) -> Option<Zoned> {
        Instant::from_millisecond(at.0).ok().map(|at| at.to_zoned(self.zone.clone()))
    }
}

fn wrong_form() -> String {
    format!(
        "Write a cron line of {FIELDS} fields, a time zone and a length, such as `0 3 * * Tue Europe/Berlin 2h`, or `{ALWAYS}`."
    )
}

impl PartialEq for MaintenanceWindow {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for MaintenanceWindow {}

impl fmt::Display for MaintenanceWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for MaintenanceWindow {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds of a time in UTC.
    fn utc(text: &str) -> Timestamp {
        Timestamp(text.parse::<Instant>().unwrap().as_millisecond())
    }

    fn opening(window: &str, at: &str) -> (String, String) {
        let found = MaintenanceWindow::parse(window).unwrap().opening(utc(at)).unwrap();
        let text = |at: Timestamp| Instant::from_millisecond(at.0).unwrap().to_string();
        (text(found.from), text(found.until))
    }

    fn pair(from: &str, until: &str) -> (String, String) {
        (from.to_owned(), until.to_owned())
    }

    #[test]
    fn a_window_opens_by_the_clock_of_its_zone_also_where_that_is_changed() {
        let tuesdays = "0 3 * * Tue Europe/Berlin 2h";
        // In winter an hour, in summer two hours before UTC.
        let winter = pair("2026-12-01T02:00:00Z", "2026-12-01T04:00:00Z");
        assert_eq!(opening(tuesdays, "2026-11-30T12:00:00Z"), winter);
        assert_eq!(opening(tuesdays, "2026-12-01T02:00:00Z"), winter);
        assert_eq!(opening(tuesdays, "2026-12-01T03:59:59Z"), winter);
        assert_eq!(opening(tuesdays, "2026-12-01T04:00:00Z"), pair("2026-12-08T02:00:00Z", "2026-12-08T04:00:00Z"));
        assert_eq!(opening(tuesdays, "2026-07-01T00:00:00Z"), pair("2026-07-07T01:00:00Z", "2026-07-07T03:00:00Z"));
        // 02:30 is skipped on this day in Berlin, and comes twice on the other.
        let (from, _) = opening("30 2 * * * Europe/Berlin 1h", "2026-03-28T23:00:00Z");
        assert!(("2026-03-29T00:30:00Z".."2026-03-29T02:00:00Z").contains(&from.as_str()), "{from}");
        let (from, _) = opening("30 2 * * * Europe/Berlin 1h", "2026-10-24T23:00:00Z");
        assert!(from == "2026-10-25T00:30:00Z" || from == "2026-10-25T01:30:00Z", "{from}");
    }

    #[test]
    fn a_window_over_midnight_and_the_last_day_of_a_month_are_found() {
        assert_eq!(
            opening("0 22 * * Fri UTC 8h", "2026-12-05T05:00:00Z"),
            pair("2026-12-04T22:00:00Z", "2026-12-05T06:00:00Z")
        );
        assert_eq!(opening("0 0 L * * UTC 1d", "2026-02-01T00:00:00Z").0, "2026-02-28T00:00:00Z");
        assert_eq!(opening("0 0 29 2 * UTC 1d", "2026-12-01T00:00:00Z").0, "2028-02-29T00:00:00Z");
    }

    #[test]
    fn always_is_no_window() {
        let always = MaintenanceWindow::parse(" always ").unwrap();
        assert_eq!((always.to_string().as_str(), always.opening(Timestamp(5))), ("always", None));
        assert_eq!(always.opens(Timestamp(5)), Timestamp(5));
    }

    #[test]
    fn the_text_is_kept_and_read_back() {
        let window = MaintenanceWindow::parse("  0 3  * *\tTue Europe/Berlin 2h ").unwrap();
        assert_eq!(window.to_string(), "0 3 * * Tue Europe/Berlin 2h");
        assert_eq!(MaintenanceWindow::parse(&window.to_string()), Ok(window));
    }

    #[test]
    fn what_is_no_window_is_refused_with_the_reason() {
        for (bad, why) in [
            ("", "cron line of 5 fields"),
            ("sometimes", "cron line of 5 fields"),
            ("0 3 * * Tue 2h", "cron line of 5 fields"),
            ("0 0 3 * * Tue Europe/Berlin 2h", "cron line of 5 fields"),
            ("0 25 * * Tue Europe/Berlin 2h", "not a cron line"),
            ("0 3 * * Tue Mars/Olympus 2h", "`Mars/Olympus` is not a time zone"),
            ("0 3 * * Tue Europe/Berlin 2", "not a duration"),
            ("0 3 * * Tue Europe/Berlin 5m", "10m to 7d"),
            ("0 3 * * Tue Europe/Berlin 8d", "10m to 7d"),
            ("0 3 31 2 * UTC 2h", "never comes"),
        ] {
            let said = MaintenanceWindow::parse(bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn times_that_no_calendar_has_wait_for_nothing() {
        let window = MaintenanceWindow::parse("0 3 * * Tue UTC 2h").unwrap();
        for at in [Timestamp(i64::MAX), Timestamp(i64::MIN)] {
            assert_eq!(window.opens(at), at);
        }
    }
}
