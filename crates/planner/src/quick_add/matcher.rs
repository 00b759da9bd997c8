//! Matches patterns on tokens, and notes what it finds.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;
use docket_domain::recurrence::From;
use docket_domain::task::Priority;

use super::days::{Day, Period, Span, Target, Weekdays};
use super::grammar::{DayForm, Key, Language, Part, Slot, Unit, Word};
use super::tokens::{Kind, Token, closes, opens};
use super::zones;

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

/// What a pattern found, each in its place.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub from: From,
    pub interval: Option<u32>,
    pub number: Option<u32>,
    pub unit: Option<(Unit, u32)>,
    pub spans: Vec<Span>,
    pub ordinals: Vec<i32>,
    /// Whether the ordinals were bare numbers.
    pub bare: bool,
    pub target: Option<Target>,
    pub weekday: Option<chrono::Weekday>,
    /// A bit each from January on.
    pub months: u16,
    pub year: Option<i32>,
    pub relative: i32,
    pub part: Option<Part>,
    pub clock: Option<Clock>,
    pub days: Vec<Day>,
    /// Whether the last day may well be something else: "24th", "3/4".
    pub doubtful: bool,
    pub priority: Option<Priority>,
    pub next: bool,
    pub of_month: bool,
}

/// The tokens of a text, to be matched.
pub struct Matcher<'a> {
    /// The text.
    pub text: &'a str,
    /// Its tokens.
    pub tokens: &'a [Token],
    /// Its language.
    pub language: &'static Language,
    /// Whether 3/4 is in March.
    pub month_first: bool,
}

/// How deep days lie in days ("a week after 3 days before …").
const MAX_DEPTH: u32 = 2;

impl Matcher<'_> {
    /// Whether a piece may begin at this token: not within a word.
    pub fn may_begin(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at) else {
            return false;
        };
        !token.glued
            || at
                .checked_sub(1)
                .and_then(|before| self.tokens.get(before))
                .is_some_and(|before| {
                    matches!(before.kind, Kind::Sign(sign) if opens(sign))
                        || before.kind == Kind::Quoted
                })
    }

    /// Whether a piece may end before this token: not within a word.
    pub fn may_end(&self, mut at: usize) -> bool {
        loop {
            match self.tokens.get(at) {
                Some(Token {
                    kind: Kind::Sign('—'),
                    ..
                }) => return true,
                Some(Token {
                    kind: Kind::Sign(sign),
                    glued: true,
                    ..
                }) if closes(*sign) => at += 1,
                Some(token) => return !token.glued,
                None => return true,
            }
        }
    }

    /// Matches all of a pattern; gives the token after it.
    pub fn all(
        &self,
        slots: &[Slot],
        mut at: usize,
        depth: u32,
        found: &mut Found,
    ) -> Option<usize> {
        for slot in slots {
            at = self.slot(*slot, at, depth, found)?;
        }
        Some(at)
    }

    fn slot(&self, slot: Slot, at: usize, depth: u32, found: &mut Found) -> Option<usize> {
        let next = at + 1;
        match slot {
            Slot::W(key) => self.key(at, key, found),
            Slot::One(keys) => keys.iter().find_map(|key| self.key(at, *key, found)),
            Slot::All(slots) => self.all(slots, at, depth, found),
            Slot::Opt(slots) => {
                let mut tried = found.clone();
                Some(match self.all(slots, at, depth, &mut tried) {
                    Some(end) => {
                        *found = tried;
                        end
                    }
                    None => at,
                })
            }
            Slot::Sign(sign) => self.sign(at, sign).then_some(next),
            Slot::Bang => (self.sign(at, '!') && self.glued(next)).then_some(next),
            Slot::Separator => self.separator(at),
            Slot::Each => {
                let end = self.key(at, Key::Every, found)?;
                if self.sign(end, '!') && self.glued(end) {
                    found.from = From::Completion;
                    return Some(end + 1);
                }
                Some(end)
            }
            Slot::Adverb => self.word(at, |word| match word {
                Word::Adverb(interval, unit) => {
                    found.unit = Some((unit, interval));
                    true
                }
                _ => false,
            }),
            Slot::Relative => self.word(at, |word| match word {
                Word::Relative(days) => {
                    found.relative = days;
                    true
                }
                _ => false,
            }),
            Slot::Weekday => {
                found.weekday = Some(self.weekday(at, false)?);
                Some(next)
            }
            Slot::Weekdays => self.weekdays(at, found),
            Slot::Month => {
                found.months |= 1 << (self.month(at)? - 1);
                Some(next)
            }
            Slot::Months => self.list(at, 12, |at| {
                found.months |= 1 << (self.month(at)? - 1);
                Some(at + 1)
            }),
            Slot::Year => match self.kind(at)? {
                Kind::Number(year @ 1900..=9999, 4) if self.may_end(next) => {
                    found.year = i32::try_from(year).ok();
                    Some(next)
                }
                _ => None,
            },
            Slot::Number => {
                found.number = Some(self.number(at)?);
                Some(next)
            }
            Slot::Interval => {
                found.interval = match self.key(at, Key::Other, found) {
                    Some(_) => Some(2),
                    None => Some(self.number(at)?),
                };
                Some(next)
            }
            Slot::Unit => {
                found.unit = Some(self.unit(at)?);
                Some(next)
            }
            Slot::MonthUnit => {
                found.of_month = self.unit(at)? == (Unit::Month, 1);
                found.of_month.then_some(next)
            }
            Slot::EndOf => self.word(at, |word| match word {
                Word::EndOf(unit) => {
                    found.unit = Some((unit, 1));
                    true
                }
                _ => false,
            }),
            Slot::Span => self.span(at, found),
            Slot::Spans => self.list(at, 8, |at| self.span(at, found)),
            Slot::DayNumber => {
                let (day, end, _) = self.day_number(at)?;
                found.ordinals = vec![day];
                Some(end)
            }
            Slot::DayOrdinal => {
                let (day, end, ordinal) = self.day_number(at)?;
                found.ordinals = vec![day];
                ordinal.then_some(end)
            }
            Slot::DayNumbers => self.list(at, 31, |at| {
                let (day, end, ordinal) = self.day_number(at)?;
                if !found.ordinals.contains(&day) {
                    found.ordinals.push(day);
                }
                found.bare |= !ordinal;
                Some(end)
            }),
            Slot::Nth => self.nth(at, found),
            Slot::Digits => {
                let (day, end, doubtful) = self.digits(at)?;
                found.days.push(day);
                found.doubtful = doubtful;
                Some(end)
            }
            Slot::Holiday => self.holiday(at, found),
            Slot::Clock => {
                let (mut clock, mut end) = self.clock(at)?;
                if let Some((zone, after)) = self.zone(end) {
                    clock.zone = Some(zone);
                    end = after;
                }
                found.clock = Some(clock);
                Some(end)
            }
            Slot::Hour => {
                let (hour, minute) = match self.kind(at)? {
                    Kind::Number(hour, 1 | 2) => (hour, 0),
                    Kind::Number(both, 4) => (both / 100, both % 100),
                    _ => return None,
                };
                found.clock = Some(clock(hour, minute, 0, None)?);
                Some(next)
            }
            Slot::Part => self.word(at, |word| match word {
                Word::Part(part) => {
                    found.part = Some(part);
                    true
                }
                _ => false,
            }),
            Slot::Priority => self.word(at, |word| match word {
                Word::Priority(priority) => {
                    found.priority = Some(priority);
                    true
                }
                _ => false,
            }),
            Slot::Day => {
                let (day, end, doubtful) = self.day(at, depth + 1)?;
                found.days.push(day);
                found.doubtful = doubtful;
                Some(end)
            }
            Slot::Clause => {
                let (clause, end) = self
                    .language
                    .clauses
                    .iter()
                    .filter_map(|slots| {
                        let mut clause = found.clone();
                        let end = self.all(slots, at, depth, &mut clause)?;
                        self.may_end(end).then_some((clause, end))
                    })
                    .max_by_key(|(_, end)| *end)?;
                *found = clause;
                Some(end)
            }
        }
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        Some(self.tokens.get(at)?.kind)
    }

    fn glued(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.glued)
    }

    fn sign(&self, at: usize, sign: char) -> bool {
        self.kind(at) == Some(Kind::Sign(sign))
    }

    /// The token after this one, if one of its meanings is accepted.
    fn word(&self, at: usize, mut accept: impl FnMut(Word) -> bool) -> Option<usize> {
        let token = self.tokens.get(at)?;
        token
            .entries
            .iter()
            .any(|(_, word)| accept(*word))
            .then_some(at + 1)
    }

    fn key(&self, at: usize, key: Key, found: &mut Found) -> Option<usize> {
        let end = match key {
            Key::At if self.sign(at, '@') => at + 1,
            _ => self.word(at, |word| word == Word::Key(key))?,
        };
        match key {
            Key::Next => found.next = true,
            Key::Tonight => found.part = Some(Part::Night),
            Key::Weekend => {
                found.target = Some(Target::Weekdays(Weekdays::one(chrono::Weekday::Sat)))
            }
            Key::Workday => found.target = Some(Target::Workday),
            _ => {}
        }
        Some(end)
    }

    fn is_key(&self, at: usize, key: Key) -> bool {
        self.word(at, |word| word == Word::Key(key)).is_some()
    }

    fn number(&self, at: usize) -> Option<u32> {
        if let Kind::Number(number, _) = self.kind(at)? {
            return Some(number);
        }
        let mut number = None;
        self.word(at, |word| match word {
            Word::Number(n) => {
                number = Some(n);
                true
            }
            _ => false,
        })?;
        number
    }

    fn weekday(&self, at: usize, plural: bool) -> Option<chrono::Weekday> {
        self.tokens
            .get(at)?
            .entries
            .iter()
            .find_map(|(_, word)| match word {
                Word::Weekday(day) => Some(*day),
                Word::Weekdays(day) if plural => Some(*day),
                _ => None,
            })
    }

    fn month(&self, at: usize) -> Option<u32> {
        self.tokens
            .get(at)?
            .entries
            .iter()
            .find_map(|(_, word)| match word {
                Word::Month(month) => Some(*month),
                _ => None,
            })
    }

    /// A unit; its letter only right after a number.
    fn unit(&self, at: usize) -> Option<(Unit, u32)> {
        let token = self.tokens.get(at)?;
        let number_before =
            token.glued && matches!(self.kind(at.checked_sub(1)?), Some(Kind::Number(..)));
        token.entries.iter().find_map(|(_, word)| match word {
            Word::Unit(unit, count) => Some((*unit, *count)),
            Word::Letter(unit) if number_before => Some((*unit, 1)),
            _ => None,
        })
    }

    /// What separates the items of a list: a comma, a word, or both.
    fn separator(&self, at: usize) -> Option<usize> {
        let sign = matches!(self.kind(at)?, Kind::Sign(',' | '&' | '/' | '+' | '،'));
        let at = if sign { at + 1 } else { at };
        if self.is_key(at, Key::And) {
            Some(at + 1)
        } else {
            sign.then_some(at)
        }
    }

    /// At least one item, and as many more as there are, up to a bound.
    fn list(
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
    fn weekdays(&self, at: usize, found: &mut Found) -> Option<usize> {
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
    fn span(&self, at: usize, found: &mut Found) -> Option<usize> {
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
    fn day_number(&self, at: usize) -> Option<(i32, usize, bool)> {
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
    fn ordinal(&self, at: usize) -> Option<(i32, usize)> {
        let word = |at: usize| {
            self.tokens
                .get(at)?
                .entries
                .iter()
                .find_map(|(_, word)| match word {
                    Word::Ordinal(n) => Some(*n),
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
    fn target(&self, at: usize) -> Option<(Target, usize)> {
        if let Some(day) = self.weekday(at, true) {
            return Some((Target::Weekdays(Weekdays::one(day)), at + 1));
        }
        if self.is_key(at, Key::Workday) {
            return Some((Target::Workday, at + 1));
        }
        let (unit, count) = self.unit(at)?;
        Some((Target::Unit(unit, count), at + 1))
    }

    /// Places in an order and what they count; the items of a list count the same.
    fn nth(&self, at: usize, found: &mut Found) -> Option<usize> {
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

    /// A day in digits, the token after it, and whether it may well be something else.
    fn digits(&self, at: usize) -> Option<(Day, usize, bool)> {
        let (Kind::Number(first, digits), Kind::Sign(sign)) = (self.kind(at)?, self.kind(at + 1)?)
        else {
            return None;
        };
        let Kind::Number(second, 1 | 2) = self.kind(at + 2)? else {
            return None;
        };
        if !(matches!(sign, '-' | '/' | '.') && self.glued(at + 1) && self.glued(at + 2)) {
            return None;
        }
        let third = match self.kind(at + 4) {
            Some(Kind::Number(n, digits))
                if self.sign(at + 3, sign) && self.glued(at + 3) && self.glued(at + 4) =>
            {
                Some((n, digits))
            }
            _ => None,
        };
        let exact = |year: u32, month: u32, day: u32| {
            Some(Day::Date(NaiveDate::from_ymd_opt(
                i32::try_from(year).ok()?,
                month,
                day,
            )?))
        };
        match (digits, third) {
            (4, Some((third, 1 | 2))) => Some((exact(first, second, third)?, at + 5, false)),
            (1 | 2, third) => {
                let (mut day, mut month) = (first, second);
                // What cannot be a month is the day, whatever the custom.
                if (self.month_first && second <= 31 && first <= 12) || second > 12 {
                    (day, month) = (second, first);
                }
                match third {
                    Some((year, 4)) => Some((exact(year, month, day)?, at + 5, false)),
                    Some((year, 2)) => Some((exact(2_000 + year, month, day)?, at + 5, false)),
                    None if sign == '/' => {
                        // A leap year has every day that there is.
                        NaiveDate::from_ymd_opt(2024, month, day)?;
                        let ambiguous = day <= 12 && day != month;
                        Some((
                            Day::Calendar {
                                month,
                                day,
                                ambiguous,
                            },
                            at + 3,
                            true,
                        ))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn holiday(&self, at: usize, found: &mut Found) -> Option<usize> {
        let (count, month, day) = self
            .language
            .holidays
            .iter()
            .filter(|(words, ..)| {
                words.iter().enumerate().all(|(i, word)| {
                    self.tokens
                        .get(at + i)
                        .and_then(|t| self.text.get(t.start..t.end))
                        .is_some_and(|text| {
                            let mut text = text.chars().map(|c| {
                                if c == '’' {
                                    '\''
                                } else {
                                    c.to_ascii_lowercase()
                                }
                            });
                            word.chars().all(|c| text.next() == Some(c)) && text.next().is_none()
                        })
                })
            })
            .map(|(words, month, day)| (words.len(), *month, *day))
            .max()?;
        found.months |= 1 << (month - 1);
        found.ordinals = vec![i32::try_from(day).ok()?];
        Some(at + count)
    }

    /// A time that is plainly one, and the token after it.
    fn clock(&self, at: usize) -> Option<(Clock, usize)> {
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
    fn half_of_day(&self, at: usize) -> Option<(bool, usize)> {
        if self.is_key(at, Key::Am) || self.is_key(at, Key::Pm) {
            return Some((self.is_key(at, Key::Pm), at + 1));
        }
        let afternoon = self.is_key(at, Key::P);
        let letters = (afternoon || self.is_key(at, Key::A))
            && self.sign(at + 1, '.')
            && self.glued(at + 2)
            && self
                .word(at + 2, |word| word == Word::Letter(Unit::Minute))
                .is_some();
        let end = if self.sign(at + 3, '.') && self.glued(at + 3) {
            at + 4
        } else {
            at + 3
        };
        letters.then_some((afternoon, end))
    }

    /// A zone: an IANA name with a slash, or an abbreviation that means one only.
    fn zone(&self, at: usize) -> Option<(Tz, usize)> {
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

    /// The longest way to read a day here: it, the token after it, and whether it may well be something else.
    fn day(&self, at: usize, depth: u32) -> Option<(Day, usize, bool)> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.language
            .days
            .iter()
            .filter_map(|(slots, form)| {
                let mut found = Found::default();
                let end = self.all(slots, at, depth, &mut found)?;
                if !self.may_end(end) {
                    return None;
                }
                let doubtful = found.doubtful
                    || (*form == DayForm::DayOfMonth && found.weekday.is_none() && !found.of_month);
                Some((day(*form, found)?, end, doubtful))
            })
            .max_by_key(|(_, end, _)| *end)
    }
}

/// The day that a form makes of what was found.
fn day(form: DayForm, mut found: Found) -> Option<Day> {
    let span = found.spans.pop();
    let nested = found.days.pop();
    let month = (found.months != 0).then(|| found.months.trailing_zeros() + 1);
    let number = found.ordinals.first().copied();
    let unit_is = |unit: Unit| found.unit == Some((unit, 1));
    let next = found.next;
    let period = || match (month, found.unit) {
        (Some(month), _) => Some(Period::Month(month, found.year)),
        (None, Some((unit, count))) => Some(Period::Unit { unit, count, next }),
        (None, None) => None,
    };
    Some(match form {
        DayForm::Relative => Day::Relative(found.relative),
        DayForm::DayAfter => {
            if !unit_is(Unit::Day) {
                return None;
            }
            Day::Relative(found.relative + 1)
        }
        DayForm::Weekday => Day::Weekday(found.weekday?, false),
        DayForm::NextWeekday => Day::Weekday(found.weekday?, true),
        DayForm::WeekdayNextWeek => {
            if !unit_is(Unit::Week) {
                return None;
            }
            Day::WeekdayNextWeek(found.weekday?)
        }
        DayForm::Calendar | DayForm::Holiday => {
            let day = u32::try_from(number?).ok()?;
            match found.year {
                Some(year) => Day::Date(NaiveDate::from_ymd_opt(year, month?, day)?),
                None => {
                    NaiveDate::from_ymd_opt(2024, month?, day)?;
                    Day::Calendar {
                        month: month?,
                        day,
                        ambiguous: false,
                    }
                }
            }
        }
        DayForm::MonthOnly => Day::Start(Period::Month(month?, found.year)),
        DayForm::DayOfMonth => Day::OfMonth(u32::try_from(number?).ok()?),
        DayForm::DayOfNextMonth => {
            let period = Period::Unit {
                unit: Unit::Month,
                count: 1,
                next: true,
            };
            Day::Nth(number?, Target::Unit(Unit::Day, 1), period)
        }
        DayForm::Digits => nested?,
        DayForm::In => Day::In(span?),
        DayForm::After | DayForm::Before => {
            let span = span.filter(|span| span.unit >= Unit::Day)?;
            Day::Shifted {
                span,
                back: form == DayForm::Before,
                from: Box::new(nested?),
            }
        }
        DayForm::Weekend => Day::Weekend(false),
        DayForm::NextWeekend => Day::Weekend(true),
        DayForm::NextUnit => match found.unit? {
            (Unit::Minute | Unit::Hour | Unit::Day, _) => return None,
            _ => Day::Start(period()?),
        },
        DayForm::LaterThisWeek => {
            if !unit_is(Unit::Week) {
                return None;
            }
            Day::LaterThisWeek
        }
        DayForm::StartOf => Day::Start(period()?),
        DayForm::MiddleOf => Day::Middle(period()?),
        DayForm::EndOf => Day::End(period()?),
        DayForm::NthOf => Day::Nth(number?, found.target?, period()?),
    })
}

/// A time of day; `afternoon` if it says which half of the day it means.
fn clock(hour: u32, minute: u32, second: u32, afternoon: Option<bool>) -> Option<Clock> {
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
