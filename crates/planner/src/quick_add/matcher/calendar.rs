//! Days: in digits, by name, by pattern.

use chrono::NaiveDate;

use super::super::days::{Day, Period, Target};
use super::super::grammar::{DayForm, Unit};
use super::super::tokens::Kind;
use super::{Found, Matcher};

/// How deep days lie in days ("a week after 3 days before …").
const MAX_DEPTH: u32 = 2;

impl Matcher<'_> {
    /// A day in digits, the token after it, and whether it may well be something else.
    pub(super) fn digits(&self, at: usize) -> Option<(Day, usize, bool)> {
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

    pub(super) fn holiday(&self, at: usize, found: &mut Found) -> Option<usize> {
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

    /// The longest way to read a day here: it, the token after it, and whether it may well be something else.
    pub(super) fn day(&self, at: usize, depth: u32) -> Option<(Day, usize, bool)> {
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
                    || *form == DayForm::WeekendAlone
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
            Day::WeekdayOfWeek(found.weekday?, 1)
        }
        DayForm::WeekdayInWeeks => {
            let weeks = span.filter(|span| span.unit == Unit::Week)?.count;
            Day::WeekdayOfWeek(found.weekday?, weeks)
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
        DayForm::Weekend | DayForm::WeekendAlone => Day::Weekend(false),
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
