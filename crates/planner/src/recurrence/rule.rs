//! A rule as people write it, and what it was read into.

use docket_domain::recurrence::MAX_RULE;
use std::fmt;
use std::str::FromStr;

use super::cron::Cron;
use super::days::Days;
use super::rrule::{End, Frequency, Rrule, Until};

/// The largest INTERVAL and COUNT of a rule.
pub const MAX_NUMBER: u32 = 10_000;

/// When something comes back: `daily`, `weekly`, `monthly`, `yearly`, an RFC 5545 RRULE, or `cron:` with an expression
/// of five fields. Its `Display` is the canonical spelling, which reads as the same rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule(Kind);

/// The forms of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// One of the four words: an RRULE of nothing but FREQ.
    Word(Rrule),
    /// RFC 5545.
    Rrule(Rrule),
    /// A cron expression.
    Cron(Cron),
}

impl Rule {
    /// Reads a rule; the error says what is wrong with it, in words for the person who wrote it. A rule that can never
    /// give a date is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > MAX_RULE {
            return Err(format!("a rule has at most {MAX_RULE} bytes"));
        }
        let lower = text.to_ascii_lowercase();
        if let Some(frequency) = Frequency::from_word(&lower) {
            return Ok(Self(Kind::Word(Rrule::new(frequency))));
        }
        if let Some(expression) = lower.strip_prefix("cron:") {
            let cron = Cron::parse(expression)?;
            return if cron.days(super::days::SAMPLE).next().is_some() {
                Ok(Self(Kind::Cron(cron)))
            } else {
                Err(NEVER.to_owned())
            };
        }
        let upper = text.to_ascii_uppercase();
        let parts = upper.strip_prefix("RRULE:").unwrap_or(&upper);
        if !(parts.starts_with("FREQ=") || parts.contains(";FREQ=")) {
            return Err(
                "a rule is daily, weekly, monthly, yearly, FREQ=… (RFC 5545) or cron:…".to_owned(),
            );
        }
        let rrule = Rrule::parse(parts)?;
        if Days::ever(&rrule) {
            Ok(Self(Kind::Rrule(rrule)))
        } else {
            Err(NEVER.to_owned())
        }
    }

    /// The rule as RFC 5545 writes it, without `RRULE:`; `None` for a cron expression.
    pub fn to_rrule(&self) -> Option<String> {
        self.rrule().map(Rrule::to_string)
    }

    /// What it was read into.
    pub(super) fn kind(&self) -> &Kind {
        &self.0
    }

    /// How many occurrences follow on number `index`.
    pub(super) fn left_after(&self, index: u32) -> u32 {
        match self.rrule().map(|rrule| rrule.end) {
            Some(End::Count(count)) => count.saturating_sub(index),
            _ => u32::MAX,
        }
    }

    /// The end of the series, if it has a date.
    pub(super) fn until(&self) -> Option<Until> {
        match self.rrule()?.end {
            End::Until(until) => Some(until),
            _ => None,
        }
    }

    pub(super) fn rrule(&self) -> Option<&Rrule> {
        match &self.0 {
            Kind::Word(rrule) | Kind::Rrule(rrule) => Some(rrule),
            Kind::Cron(_) => None,
        }
    }
}

const NEVER: &str = "this rule never gives a date: no year has such a day";

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Word(rrule) => f.write_str(rrule.frequency.word()),
            Kind::Rrule(rrule) => rrule.fmt(f),
            Kind::Cron(cron) => write!(f, "cron:{cron}"),
        }
    }
}
