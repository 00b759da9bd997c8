//! When a task is due: a day, a wall-clock time, or an instant in a zone.

use chrono::{
    Datelike as _, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _,
};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Instant;

/// A due date. Without a time it means the whole day, with a time but no zone the wall clock wherever the person is,
/// with both an instant.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Due {
    /// The day, in the years 1 to 9999.
    #[serde(with = "date")]
    #[schemars(with = "String", extend("format" = "date"))]
    pub date: NaiveDate,
    /// The wall-clock time, to the second.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time")]
    #[schemars(with = "String", regex(pattern = TIME))]
    pub time: Option<NaiveTime>,
    /// The IANA zone of `time`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "zone")]
    #[schemars(with = "String")]
    pub time_zone: Option<Tz>,
}

/// What a time looks like: `HH:MM`, or `HH:MM:SS`.
pub(crate) const TIME: &str = "^([01][0-9]|2[0-3])(:[0-5][0-9]){1,2}$";

impl Due {
    /// The instant, if the zone makes it one. A time that the clocks skip moves forward by as much as they do; of a
    /// time that comes twice the first counts.
    pub fn at(&self) -> Option<Instant> {
        let (time, zone) = (self.time?, self.time_zone?);
        resolve(self.date.and_time(time), zone)
    }

    /// The instant for somebody in `zone`, by which tasks are put in order: a day counts from its start there, a
    /// wall-clock time without a zone is one there.
    pub fn at_in(&self, zone: Tz) -> Instant {
        let wall = self.date.and_time(self.time.unwrap_or_default());
        resolve_near(wall, self.time_zone.unwrap_or(zone))
    }

    /// The last instant at which somebody in `zone` is not yet late: that of the time, or the end of the day.
    pub fn last_in(&self, zone: Tz) -> Instant {
        match (self.time, self.date.succ_opt()) {
            (None, Some(next)) => start_of(next, zone).plus_millis(-1),
            _ => self.at_in(zone),
        }
    }
}

/// The instant at which a day begins in a zone.
pub fn start_of(date: NaiveDate, zone: Tz) -> Instant {
    resolve_near(date.and_time(NaiveTime::MIN), zone)
}

/// As [`resolve`], but what lies outside of the years 1 to 9999 is moved to their ends.
fn resolve_near(wall: NaiveDateTime, zone: Tz) -> Instant {
    resolve(wall, zone).unwrap_or(if wall.year() > 5_000 {
        Instant::MAX
    } else {
        Instant::MIN
    })
}

/// The instant of a wall-clock time in a zone: the first of two, and moved forward out of a gap.
pub fn resolve(wall: NaiveDateTime, zone: Tz) -> Option<Instant> {
    let utc = match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at,
        LocalResult::None => {
            // The offset of a moment before the gap (no zone skips more than a day) puts the wall clock past it.
            let before = zone
                .from_local_datetime(&wall.checked_sub_signed(TimeDelta::days(1))?)
                .earliest()?;
            let offset = before
                .naive_local()
                .signed_duration_since(before.naive_utc());
            zone.from_utc_datetime(&wall.checked_sub_signed(offset)?)
        }
    };
    Instant::from_datetime(&utc.to_utc())
}

/// Reads `YYYY-MM-DD` in the years 1 to 9999.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let well_formed = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| {
            if i == 4 || i == 7 {
                b == b'-'
            } else {
                b.is_ascii_digit()
            }
        });
    if !well_formed || text.starts_with("0000") {
        return None;
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

/// Reads `HH:MM` or `HH:MM:SS`.
pub fn parse_time(text: &str) -> Option<NaiveTime> {
    let well_formed = matches!(text.len(), 5 | 8)
        && text.bytes().enumerate().all(|(i, b)| {
            if i == 2 || i == 5 {
                b == b':'
            } else {
                b.is_ascii_digit()
            }
        });
    if !well_formed {
        return None;
    }
    let format = if text.len() == 5 { "%H:%M" } else { "%H:%M:%S" };
    // Chrono reads ":60" as a leap second; a due time has none.
    NaiveTime::parse_from_str(text, format)
        .ok()
        .filter(|_| !text.ends_with(":60"))
}

/// Writes a time as short as it can be: `HH:MM`, or `HH:MM:SS` when there are seconds.
pub fn format_time(time: NaiveTime) -> String {
    use chrono::Timelike as _;
    time.format(if time.second() == 0 {
        "%H:%M"
    } else {
        "%H:%M:%S"
    })
    .to_string()
}

/// Reads the name of an IANA zone.
pub fn parse_zone(text: &str) -> Option<Tz> {
    text.parse().ok()
}

mod date {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(value: &NaiveDate, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&value.format("%Y-%m-%d"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_date(&text).ok_or_else(|| D::Error::custom("not a date"))
    }
}

mod time {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(
        value: &Option<NaiveTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(format_time).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<NaiveTime>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        parse_time(&text)
            .map(Some)
            .ok_or_else(|| D::Error::custom("not a time"))
    }
}

mod zone {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(value: &Option<Tz>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|zone| zone.name()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tz>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        parse_zone(&text)
            .map(Some)
            .ok_or_else(|| D::Error::custom("not a zone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str, time: &str, zone: &str) -> String {
        let due = Due {
            date: parse_date(date).unwrap(),
            time: parse_time(time),
            time_zone: parse_zone(zone),
        };
        due.at().map_or_else(String::new, |at| at.to_string())
    }

    #[test]
    fn wall_clock_times_become_instants() {
        for (date, time, zone, expected) in [
            (
                "2026-11-30",
                "17:00",
                "America/New_York",
                "2026-11-30T22:00:00.000Z",
            ),
            (
                "2026-07-01",
                "09:30:15",
                "Asia/Karachi",
                "2026-07-01T04:30:15.000Z",
            ),
            // The gap of 29 March 2026: 02:30 moves forward by the hour.
            (
                "2026-03-29",
                "02:30",
                "Europe/Berlin",
                "2026-03-29T01:30:00.000Z",
            ),
            // A gap of half an hour.
            (
                "2026-10-04",
                "02:15",
                "Australia/Lord_Howe",
                "2026-10-03T15:45:00.000Z",
            ),
            // Samoa left out the whole of 30 December 2011.
            (
                "2011-12-30",
                "12:00",
                "Pacific/Apia",
                "2011-12-30T22:00:00.000Z",
            ),
            // The overlap of 25 October 2026: the first 02:30.
            (
                "2026-10-25",
                "02:30",
                "Europe/Berlin",
                "2026-10-25T00:30:00.000Z",
            ),
            ("9999-12-31", "23:59", "Pacific/Honolulu", ""),
            ("2026-11-30", "17:00", "", ""),
            ("2026-11-30", "", "Europe/Berlin", ""),
        ] {
            assert_eq!(at(date, time, zone), expected, "{date} {time} {zone}");
        }
    }

    #[test]
    fn dates_and_times_are_strict() {
        for text in [
            "2026-13-45",
            "2026-02-29",
            "10000-01-01",
            "0000-01-01",
            "26-01-01",
            "2026-1-1",
            "+2026-01-1",
            "２026-01-01",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        for text in [
            "24:00", "9:00", "12:60", "12:30:60", "12:30:", "ab:cd", "-1:00",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert!(parse_date("2028-02-29").is_some());
    }
}
