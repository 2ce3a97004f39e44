//! Times of signed metadata: whole seconds, UTC, one spelling.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Seconds since 1970-01-01T00:00:00Z without leap seconds, between the years 0000 and 9999.
///
/// Written and read in the one form that TUF knows, `2026-11-23T16:00:00Z`: no fractions, no offsets, no lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A string that is not a time in TUF's form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, expected a UTC time such as 2026-11-23T16:00:00Z")]
pub struct TimestampError {
    found: String,
}

const SECONDS_PER_DAY: i64 = 86_400;
/// Days of the 400 years after which the Gregorian calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;

impl Timestamp {
    /// 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200);
    /// 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// The time `seconds` after 1970-01-01T00:00:00Z; what lies outside the years 0000 to 9999 becomes the nearest end.
    pub const fn from_unix(seconds: i64) -> Self {
        if seconds < Self::MIN.0 {
            Self::MIN
        } else if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This time moved forward; stops at the end of the year 9999.
    pub const fn plus_hours(self, hours: u32) -> Self {
        Self::from_unix(self.0.saturating_add((hours as i64).saturating_mul(3600)))
    }

    /// This time moved forward; stops at the end of the year 9999.
    pub const fn plus_days(self, days: u32) -> Self {
        Self::from_unix(self.0.saturating_add((days as i64).saturating_mul(SECONDS_PER_DAY)))
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date. Method: Howard Hinnant, "chrono-compatible low-level date
/// algorithms": years start in March, so that the leap day is the last one and month lengths follow one formula.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "years have four digits, months and days two: nothing can overflow"
)]
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`]: year, month, day.
#[allow(clippy::arithmetic_side_effects, reason = "the range of `Timestamp` bounds every term")]
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl fmt::Display for Timestamp {
    #[allow(clippy::arithmetic_side_effects, reason = "remainders of a day")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(SECONDS_PER_DAY));
        let second = self.0.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| TimestampError { found: text.chars().take(64).collect() })
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = digits(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = digits(time, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    // A day that the month does not have (or a month that the year does not have) comes back as another date.
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let of_day = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    days.checked_mul(SECONDS_PER_DAY)?.checked_add(of_day).map(Timestamp)
}

/// Three numbers of exactly these widths, ASCII digits only (`str::parse` alone would let "+1" through).
fn digits(text: &str, separator: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0_i64; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2026-11-23T16:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "1969-12-31T23:59:59Z",
            "2100-03-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        assert_eq!("2026-11-23T16:00:00Z".parse::<Timestamp>().unwrap().unix(), 1_795_449_600);
        assert_eq!("0000-01-01T00:00:00Z".parse::<Timestamp>().unwrap(), Timestamp::MIN);
        assert_eq!("9999-12-31T23:59:59Z".parse::<Timestamp>().unwrap(), Timestamp::MAX);
    }

    #[test]
    fn every_day_of_a_calendar_cycle_comes_back() {
        // The Gregorian calendar repeats after 400 years.
        let mut day: Timestamp = "1800-01-01T00:00:00Z".parse().unwrap();
        let end: Timestamp = "2200-03-02T00:00:00Z".parse().unwrap();
        let mut previous = String::new();
        while day < end {
            let text = day.to_string();
            assert!(text > previous, "{text} after {previous}");
            assert_eq!(text.parse::<Timestamp>().unwrap(), day);
            previous = text;
            day = day.plus_days(1);
        }
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23T16:00:00",
            "2026-11-23T16:00:00z",
            "2026-11-23t16:00:00Z",
            "2026-11-23 16:00:00Z",
            "2026-11-23T16:00:00.0Z",
            "2026-11-23T16:00:00+00:00",
            "2026-11-23T24:00:00Z",
            "2026-11-23T16:60:00Z",
            "2026-11-23T16:00:60Z",
            "2026-02-29T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "+026-11-23T16:00:00Z",
            "2026-+1-23T16:00:00Z",
            "26-11-23T16:00:00Z",
            "2026-11-23-01T16:00:00Z",
            "\u{662}026-11-23T16:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn stops_at_the_ends_instead_of_wrapping() {
        assert_eq!(Timestamp::from_unix(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_unix(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.plus_hours(u32::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_unix(0).plus_hours(72).to_string(), "1970-01-04T00:00:00Z");
    }
}
