//! Times of day, and their zones.

use chrono::NaiveTime;
use chrono_tz::Tz;

use super::super::grammar::{Key, Unit, Word};
use super::super::tokens::{Kind, closes};
use super::super::zones;
use super::Matcher;

/// A time of day as it was named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// The time, before noon if it does not say.
    pub time: NaiveTime,
    /// Whether it says which half of the day it means.
    pub half: Half,
    /// The zone that it names.
    pub zone: Option<Tz>,
}

/// How a time tells the morning from the afternoon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Half {
    /// It says so: "5pm", "17:00", "noon".
    Said,
    /// As a clock of 24 hours does, unless something else says so: "5:30".
    Written,
    /// It does not: "at 5".
    Open,
}

impl Matcher<'_> {
    /// A time that is plainly one, and the token after it.
    pub(super) fn clock(&self, at: usize) -> Option<(Clock, usize)> {
        for (key, hour) in [(Key::Noon, 12), (Key::Midnight, 0)] {
            if self.is_key(at, key) {
                return Some((clock(hour, 0, 0, Some(hour == 12))?, at + 1));
            }
        }
        let Kind::Number(hour, 1 | 2) = self.kind(at)? else {
            return None;
        };
        let two = |sign: char, at: usize| match (self.kind(at + 1), self.sign(at, sign)) {
            (Some(Kind::Number(n, 2)), true) if self.glued(at) && self.glued(at + 1) => Some(n),
            _ => None,
        };
        let (mut minute, mut second, mut end) = (0, 0, at + 1);
        let colon = two(':', end);
        if let Some(n) = colon.or_else(|| two('.', end)) {
            (minute, end) = (n, end + 2);
        }
        if colon.is_some()
            && let Some(n) = two(':', end)
        {
            (second, end) = (n, end + 2);
        }
        if let Some((afternoon, end)) = self.half_of_day(end) {
            return Some((clock(hour, minute, second, Some(afternoon))?, end));
        }
        if self.is_key(end, Key::OClock) {
            return Some((clock(hour, minute, second, None)?, end + 1));
        }
        colon?;
        let mut time = clock(hour, minute, second, None)?;
        if time.half == Half::Open {
            time.half = Half::Written;
        }
        Some((time, end))
    }

    /// "am" or "p.m.": whether it is after noon, and the token after it.
    pub(super) fn half_of_day(&self, at: usize) -> Option<(bool, usize)> {
        if self.is_key(at, Key::Am) || self.is_key(at, Key::Pm) {
            return Some((self.is_key(at, Key::Pm), at + 1));
        }
        let afternoon = self.is_key(at, Key::P);
        let letters = (afternoon || self.is_key(at, Key::A))
            && self.sign(at + 1, '.')
            && self.glued(at + 2)
            && self.is(at + 2, Word::Letter(Unit::Minute));
        let end = if self.sign(at + 3, '.') && self.glued(at + 3) {
            at + 4
        } else {
            at + 3
        };
        letters.then_some((afternoon, end))
    }

    /// A zone: an IANA name with a slash, or an abbreviation that means one only.
    pub(super) fn zone(&self, at: usize) -> Option<(Tz, usize)> {
        let token = self
            .tokens
            .get(at)
            .filter(|t| t.kind == Kind::Word && !t.glued)?;
        let rest = self.text.get(token.start..)?;
        let chunk = rest
            .split(char::is_whitespace)
            .next()?
            .trim_end_matches(closes);
        let zone = zones::find(chunk)?;
        let end = token.start + chunk.len();
        let after = at
            + self
                .tokens
                .get(at..)?
                .iter()
                .take_while(|t| t.end <= end)
                .count();
        Some((zone, after))
    }
}

/// A time of day; `afternoon` if it says which half of the day it means.
pub(super) fn clock(hour: u32, minute: u32, second: u32, afternoon: Option<bool>) -> Option<Clock> {
    let hour_of_day = match afternoon {
        None => hour,
        Some(_) if hour > 12 || (hour == 0 && afternoon == Some(true)) => return None,
        Some(true) => hour % 12 + 12,
        Some(false) => hour % 12,
    };
    Some(Clock {
        time: NaiveTime::from_hms_opt(hour_of_day, minute, second)?,
        half: if afternoon.is_none() && (1..=11).contains(&hour) {
            Half::Open
        } else {
            Half::Said
        },
        zone: None,
    })
}
