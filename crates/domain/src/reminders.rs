//! When a task's reminders fire.

use chrono::NaiveTime;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::due;

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
