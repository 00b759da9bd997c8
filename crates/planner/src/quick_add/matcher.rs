//! Matches patterns on tokens, and notes what it finds.

mod calendar;
mod clock;
mod items;

use docket_domain::recurrence::From;
use docket_domain::task::Priority;

use super::days::{Day, Span, Target, Weekdays};
use super::grammar::{Key, Language, Part, Slot, Unit, Word};
use super::tokens::{Kind, Token, closes, opens};

pub use clock::{Clock, Half};

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
            Slot::Adverb => {
                found.unit = Some(self.meaning(at, |word| match word {
                    Word::Adverb(interval, unit) => Some((unit, interval)),
                    _ => None,
                })?);
                Some(next)
            }
            Slot::Relative => {
                found.relative = self.meaning(at, |word| match word {
                    Word::Relative(days) => Some(days),
                    _ => None,
                })?;
                Some(next)
            }
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
            Slot::EndOf => {
                found.unit = Some(self.meaning(at, |word| match word {
                    Word::EndOf(unit) => Some((unit, 1)),
                    _ => None,
                })?);
                Some(next)
            }
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
                // "Every second" is not every 2nd.
                let Kind::Number(..) = self.kind(at)? else {
                    return None;
                };
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
                found.clock = Some(clock::clock(hour, minute, 0, None)?);
                Some(next)
            }
            Slot::Part => {
                found.part = Some(self.meaning(at, |word| match word {
                    Word::Part(part) => Some(part),
                    _ => None,
                })?);
                Some(next)
            }
            Slot::Priority => {
                found.priority = Some(self.meaning(at, |word| match word {
                    Word::Priority(priority) => Some(priority),
                    _ => None,
                })?);
                Some(next)
            }
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

    /// The first meaning of a word that `pick` takes.
    fn meaning<T>(&self, at: usize, pick: impl Fn(Word) -> Option<T>) -> Option<T> {
        let token = self.tokens.get(at)?;
        token.entries.iter().find_map(|(_, word)| pick(*word))
    }

    /// The token after a small word, which may note what it stands for.
    fn key(&self, at: usize, key: Key, found: &mut Found) -> Option<usize> {
        let end = match key {
            Key::At if self.sign(at, '@') => at + 1,
            Key::Workday if self.is_key(at, Key::Working) => {
                (self.unit(at + 1)? == (Unit::Day, 1)).then_some(at + 2)?
            }
            _ => self.is_key(at, key).then_some(at + 1)?,
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
        self.is(at, Word::Key(key))
    }

    /// Whether a word has this meaning.
    fn is(&self, at: usize, word: Word) -> bool {
        let entries = self.tokens.get(at).map(|token| token.entries);
        entries.is_some_and(|entries| entries.iter().any(|(_, known)| *known == word))
    }
}
