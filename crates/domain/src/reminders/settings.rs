//! What an account says about the times that its tasks leave open, and the instants that follow.

use chrono::{NaiveTime, TimeDelta};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Instant;
use crate::due::{self, Due};
use crate::task::When;

const DAY: u32 = 86_400;

/// What an account says about the times that a task leaves open.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// At which time of a day on which something is due without a time.
    #[serde(with = "morning")]
    #[schemars(with = "String", regex(pattern = due::TIME))]
    pub morning: NaiveTime,
    /// Where that is, and where a due date without a zone is.
    #[serde(with = "zone")]
    #[schemars(with = "String")]
    pub time_zone: Tz,
}

impl Default for Settings {
    /// Nine o'clock, UTC.
    fn default() -> Self {
        Self {
            morning: NaiveTime::from_hms_opt(9, 0, 0).unwrap_or_default(),
            time_zone: Tz::UTC,
        }
    }
}

impl Settings {
    /// The instant of a reminder; none for one before a due date that there is not, or beyond the years 1 to 9999.
    ///
    /// Whole days before are days of the calendar: a day before nine o'clock is nine o'clock, whether the clocks change in
    /// between or not. What is left of the span is counted in hours that pass.
    pub fn instant(&self, when: When, due: Option<&Due>) -> Option<Instant> {
        let before = match when {
            When::At(at) => return Some(at),
            When::Before(before) => before.seconds(),
        };
        let due = due?;
        let wall = due.date.and_time(due.time.unwrap_or(self.morning));
        let wall = wall.checked_sub_signed(TimeDelta::days(i64::from(before / DAY)))?;
        let at = due::resolve(wall, due.time_zone.unwrap_or(self.time_zone))?;
        Instant::from_millis(at.as_millis() - i64::from(before % DAY) * 1_000)
    }
}

/// Whether the instant of a reminder depends on the settings.
pub(super) fn is_open(when: When, due: Option<&Due>) -> bool {
    matches!(when, When::Before(_))
        && due.is_some_and(|due| due.time.is_none() || due.time_zone.is_none())
}

mod morning {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(value: &NaiveTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&due::format_time(*value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        due::parse_time(&text).ok_or_else(|| D::Error::custom("not a time"))
    }
}

mod zone {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(value: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        let text = String::deserialize(deserializer)?;
        due::parse_zone(&text).ok_or_else(|| D::Error::custom("not a zone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn instant(settings: &Value, when: &Value, due: &Value) -> Option<String> {
        let settings: Settings = serde_json::from_value(settings.clone()).unwrap();
        let when: When = serde_json::from_value(when.clone()).unwrap();
        let due: Option<Due> = serde_json::from_value(due.clone()).unwrap();
        let at = settings.instant(when, due.as_ref());
        at.map(|at| at.to_string())
    }

    #[test]
    fn each_kind_of_reminder_has_its_instant() {
        let berlin = json!({ "morning": "08:30", "time_zone": "Europe/Berlin" });
        let utc = json!({ "morning": "09:00", "time_zone": "UTC" });
        let day = |date: &str| json!({ "date": date });
        let floating = |date: &str, time: &str| json!({ "date": date, "time": time });
        let zoned = |date: &str, time: &str, zone: &str| json!({ "date": date, "time": time, "time_zone": zone });
        let before = |span: &str| json!({ "before": span });
        for (settings, when, due, expected) in [
            // At an instant, whatever the due date is.
            (
                &utc,
                json!({ "at": "2026-12-01T08:00:00+01:00" }),
                Value::Null,
                Some("2026-12-01T07:00:00.000Z"),
            ),
            (
                &berlin,
                json!({ "at": "2026-12-01T08:00:00Z" }),
                day("2026-12-24"),
                Some("2026-12-01T08:00:00.000Z"),
            ),
            // Before an instant in a zone, whatever the account's is.
            (
                &utc,
                before("PT30M"),
                zoned("2026-12-01", "10:00", "Europe/Berlin"),
                Some("2026-12-01T08:30:00.000Z"),
            ),
            (
                &berlin,
                before("PT0S"),
                zoned("2026-12-01", "10:00", "America/New_York"),
                Some("2026-12-01T15:00:00.000Z"),
            ),
            // Before nothing.
            (&utc, before("PT30M"), Value::Null, None),
            // A whole day: the account's morning, where the account is.
            (
                &utc,
                before("PT0S"),
                day("2026-12-01"),
                Some("2026-12-01T09:00:00.000Z"),
            ),
            (
                &berlin,
                before("PT0S"),
                day("2026-12-01"),
                Some("2026-12-01T07:30:00.000Z"),
            ),
            (
                &berlin,
                before("PT45M"),
                day("2026-07-01"),
                Some("2026-07-01T05:45:00.000Z"),
            ),
            (
                &berlin,
                before("P1D"),
                day("2026-12-01"),
                Some("2026-11-30T07:30:00.000Z"),
            ),
            // The wall clock, where the account is.
            (
                &utc,
                before("PT1H"),
                floating("2026-12-01", "10:00"),
                Some("2026-12-01T09:00:00.000Z"),
            ),
            (
                &berlin,
                before("PT1H"),
                floating("2026-12-01", "10:00"),
                Some("2026-12-01T08:00:00.000Z"),
            ),
            // The gap of 29 March 2026: 02:30 moves forward to 03:30.
            (
                &berlin,
                before("PT0S"),
                floating("2026-03-29", "02:30"),
                Some("2026-03-29T01:30:00.000Z"),
            ),
            // Across it: a day before keeps the wall clock, 24 hours of other units pass; a day is written so either way.
            (
                &berlin,
                before("P1D"),
                floating("2026-03-29", "09:00"),
                Some("2026-03-28T08:00:00.000Z"),
            ),
            (
                &berlin,
                before("PT24H"),
                floating("2026-03-29", "09:00"),
                Some("2026-03-28T08:00:00.000Z"),
            ),
            (
                &berlin,
                before("PT8H"),
                floating("2026-03-29", "09:00"),
                Some("2026-03-28T23:00:00.000Z"),
            ),
            (
                &berlin,
                before("P1DT1H"),
                floating("2026-03-30", "03:00"),
                Some("2026-03-29T00:00:00.000Z"),
            ),
            (
                &berlin,
                before("P1D"),
                floating("2026-03-30", "02:30"),
                Some("2026-03-29T01:30:00.000Z"),
            ),
            // The overlap of 25 October 2026: the first 02:30; across it.
            (
                &berlin,
                before("PT0S"),
                floating("2026-10-25", "02:30"),
                Some("2026-10-25T00:30:00.000Z"),
            ),
            (
                &berlin,
                before("P1D"),
                floating("2026-10-25", "09:00"),
                Some("2026-10-24T07:00:00.000Z"),
            ),
            (
                &berlin,
                before("PT8H"),
                floating("2026-10-25", "09:00"),
                Some("2026-10-25T00:00:00.000Z"),
            ),
            // The longest, across a leap day; and the ends of time.
            (
                &utc,
                before("P366D"),
                day("2028-03-01"),
                Some("2027-03-01T09:00:00.000Z"),
            ),
            (
                &utc,
                before("PT0S"),
                floating("9999-12-31", "23:59"),
                Some("9999-12-31T23:59:00.000Z"),
            ),
            (&utc, before("P1D"), day("0001-01-01"), None),
        ] {
            assert_eq!(
                instant(settings, &when, &due).as_deref(),
                expected,
                "{when} {due} {settings}"
            );
        }
    }

    #[test]
    fn settings_that_are_none_are_refused() {
        for wrong in [
            json!({ "morning": "24:00", "time_zone": "UTC" }),
            json!({ "morning": "9", "time_zone": "UTC" }),
            json!({ "morning": "09:00", "time_zone": "Mars/Olympus" }),
            json!({ "morning": "09:00" }),
        ] {
            assert!(serde_json::from_value::<Settings>(wrong).is_err());
        }
    }
}
