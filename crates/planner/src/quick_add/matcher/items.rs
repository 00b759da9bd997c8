//! Numbers, units, places in an order, and lists of them.

use chrono::Weekday;

use super::super::days::{Span, Target, Weekdays};
use super::super::grammar::{Key, Unit, Word};
use super::super::tokens::Kind;
use super::{Found, Matcher};

impl Matcher<'_> {
    /// A number in digits or as a word.
    pub(super) fn number(&self, at: usize) -> Option<u32> {
        match self.kind(at)? {
            Kind::Number(number, _) => Some(number),
            _ => self.meaning(at, |word| match word {
                Word::Number(number) => Some(number),
                _ => None,
            }),
        }
    }

    /// A day of the week, perhaps in the plural.
    pub(super) fn weekday(&self, at: usize, plural: bool) -> Option<Weekday> {
        self.meaning(at, |word| match word {
            Word::Weekday(day) => Some(day),
            Word::Weekdays(day) if plural => Some(day),
            _ => None,
        })
    }

    /// A month, counted from 1.
    pub(super) fn month(&self, at: usize) -> Option<u32> {
        self.meaning(at, |word| match word {
            Word::Month(month) => Some(month),
            _ => None,
        })
    }

    /// A unit; its letter only right after a number.
    pub(super) fn unit(&self, at: usize) -> Option<(Unit, u32)> {
        let before = at.checked_sub(1).and_then(|before| self.kind(before));
        let after_number = self.glued(at) && matches!(before, Some(Kind::Number(..)));
        self.meaning(at, |word| match word {
            Word::Unit(unit, count) => Some((unit, count)),
            Word::Letter(unit) if after_number => Some((unit, 1)),
            _ => None,
        })
    }

    /// What separates the items of a list: a comma, a word, or both.
    pub(super) fn separator(&self, at: usize) -> Option<usize> {
        let sign = matches!(self.kind(at)?, Kind::Sign(',' | '&' | '/' | '+' | '،'));
        let at = if sign { at + 1 } else { at };
        if self.is_key(at, Key::And) {
            Some(at + 1)
        } else {
            sign.then_some(at)
        }
    }

    /// At least one item, and as many more as there are, up to a bound.
    pub(super) fn list(
        &self,
        at: usize,
        max: u32,
        mut item: impl FnMut(usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut end = item(at)?;
        for _ in 1..max {
            let Some(mut next) = self.separator(end) else {
                break;
            };
            if self.is_key(next, Key::Every) {
                next += 1;
            }
            match item(next) {
                Some(after) => end = after,
                None => break,
            }
        }
        Some(end)
    }

    /// Days of the week, in a list or a range, with or without commas.
    pub(super) fn weekdays(&self, at: usize, found: &mut Found) -> Option<usize> {
        let mut days = Weekdays::default();
        let (mut last, mut end) = (self.weekday(at, true)?, at + 1);
        days.add(last);
        for _ in 0..14 {
            let range = (self.sign(end, '-') || self.sign(end, '–') || self.is_key(end, Key::To))
                .then_some(end + 1)
                .and_then(|at| Some((at, self.weekday(at, true)?)));
            if let Some((at, to)) = range {
                while last != to {
                    last = last.succ();
                    days.add(last);
                }
                end = at + 1;
                continue;
            }
            let mut next = self.separator(end).unwrap_or(end);
            if self.is_key(next, Key::Every) {
                next += 1;
            }
            let Some(day) = self.weekday(next, true) else {
                break;
            };
            days.add(day);
            (last, end) = (day, next + 1);
        }
        found.target = Some(Target::Weekdays(days));
        Some(end)
    }

    /// A length of time; hours and minutes may stand together.
    pub(super) fn span(&self, at: usize, found: &mut Found) -> Option<usize> {
        if self.is_key(at, Key::Half) {
            let at = if self.is_key(at + 1, Key::A) {
                at + 2
            } else {
                at + 1
            };
            if self.unit(at)? != (Unit::Hour, 1) {
                return None;
            }
            found.spans.push(Span {
                count: 30,
                unit: Unit::Minute,
            });
            return Some(at + 1);
        }
        let count = if self.is_key(at, Key::A) {
            1
        } else {
            self.number(at)?
        };
        let (unit, each) = self.unit(at + 1)?;
        let mut span = Span {
            count: count.saturating_mul(each),
            unit,
        };
        let mut end = at + 2;
        if unit == Unit::Hour
            && let Some(minutes) = self.number(end)
            && let Some((Unit::Minute, _)) = self.unit(end + 1)
        {
            span = Span {
                count: span.count.saturating_mul(60).saturating_add(minutes),
                unit: Unit::Minute,
            };
            end += 2;
        }
        found.spans.push(span);
        Some(end)
    }

    /// A day of the month, the token after it, and whether it is plainly one.
    pub(super) fn day_number(&self, at: usize) -> Option<(i32, usize, bool)> {
        if let Kind::Number(day, 1 | 2) = self.kind(at)? {
            let day = i32::try_from(day)
                .ok()
                .filter(|day| (1..=31).contains(day))?;
            let suffix = self.glued(at + 1) && self.is_key(at + 1, Key::Suffix);
            return Some(if suffix {
                (day, at + 2, true)
            } else {
                (day, at + 1, false)
            });
        }
        let (n, end) = self.ordinal(at)?;
        (n > 0).then_some((n, end, false))
    }

    /// A place in an order: "2nd", "second", "last", "2nd last".
    pub(super) fn ordinal(&self, at: usize) -> Option<(i32, usize)> {
        let word = |at: usize| {
            self.meaning(at, |word| match word {
                Word::Ordinal(n) => Some(n),
                _ => None,
            })
        };
        let (n, end) = match self.kind(at)? {
            Kind::Number(n @ 1..=31, _)
                if self.glued(at + 1) && self.is_key(at + 1, Key::Suffix) =>
            {
                (i32::try_from(n).ok()?, at + 2)
            }
            _ => (word(at)?, at + 1),
        };
        if n > 0 && word(end) == Some(-1) {
            return Some((-n, end + 1));
        }
        Some((n, end))
    }

    /// What a place in an order counts, and the token after it.
    pub(super) fn target(&self, at: usize) -> Option<(Target, usize)> {
        if let Some(day) = self.weekday(at, true) {
            return Some((Target::Weekdays(Weekdays::one(day)), at + 1));
        }
        if let Some(end) = self.key(at, Key::Workday, &mut Found::default()) {
            return Some((Target::Workday, end));
        }
        let (unit, count) = self.unit(at)?;
        Some((Target::Unit(unit, count), at + 1))
    }

    /// Places in an order and what they count; the items of a list count the same.
    pub(super) fn nth(&self, at: usize, found: &mut Found) -> Option<usize> {
        let mut last = None;
        let end = self.list(at, 8, |at| {
            let (n, end) = self.ordinal(at)?;
            let target = self.target(end);
            match (last, target) {
                (Some(one), Some((other, _))) if one != other => return None,
                _ => {}
            }
            found.ordinals.push(n);
            let (target, end) = target.map_or((last, end), |(target, end)| (Some(target), end));
            last = target;
            Some(end)
        })?;
        found.target = Some(last?);
        Some(end)
    }
}
