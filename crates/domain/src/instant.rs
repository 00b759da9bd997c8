//! Points in time, to the millisecond, in UTC.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999. On the wire an RFC 3339 instant in UTC with
/// three digits of seconds' fraction.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(i64);

impl Instant {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant `millis` milliseconds after 1970; `None` outside of the years 1 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&millis)
            .then_some(Self(millis))
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 instant with any offset; what is finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_datetime(&DateTime::parse_from_rfc3339(text).ok()?.to_utc())
    }

    /// The instant of a chrono date and time; `None` outside of the years 1 to 9999.
    pub fn from_datetime(at: &DateTime<Utc>) -> Option<Self> {
        Self::from_millis(at.timestamp_millis())
    }

    /// The same instant for chrono.
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    /// `millis` later, at most [`Self::MAX`].
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(
            self.0
                .saturating_add(millis)
                .clamp(Self::MIN.0, Self::MAX.0),
        )
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self
                .to_datetime()
                .to_rfc3339_opts(SecondsFormat::Millis, true),
        )
    }
}

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 instant"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_any_offset_and_written_in_utc() {
        for (text, written) in [
            ("2026-11-23T08:00:00Z", Some("2026-11-23T08:00:00.000Z")),
            (
                "2026-11-23T08:00:00.123987+05:00",
                Some("2026-11-23T03:00:00.123Z"),
            ),
            ("9999-12-31T23:59:59.999Z", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:59-01:00", None),
            ("10000-01-01T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-23", None),
            ("", None),
        ] {
            assert_eq!(
                Instant::parse(text).map(|i| i.to_string()).as_deref(),
                written,
                "{text}"
            );
        }
    }
}
