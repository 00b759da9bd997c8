//! Days as people name them, and which date that is.

use chrono::{Datelike as _, Days, Months, NaiveDate, Weekday};

use super::grammar::Unit;

/// A length of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// How many.
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

impl Span {
    /// The length in seconds, if it is the same whenever it begins.
    pub fn seconds(self) -> Option<u32> {
        let unit = match self.unit {
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => 86_400,
            Unit::Week => 7 * 86_400,
            Unit::Month | Unit::Year => return None,
        };
        self.count.checked_mul(unit)
    }

    /// The date so much after another, or before it.
    pub fn from(self, date: NaiveDate, back: bool) -> Option<NaiveDate> {
        let count = self.count;
        let days = |n: u32| {
            let days = Days::new(u64::from(n));
            if back {
                date.checked_sub_days(days)
            } else {
                date.checked_add_days(days)
            }
        };
        let months = |n: u32| {
            let months = Months::new(n);
            if back {
                date.checked_sub_months(months)
            } else {
                date.checked_add_months(months)
            }
        };
        match self.unit {
            Unit::Minute | Unit::Hour => None,
            Unit::Day => days(count),
            Unit::Week => days(count.checked_mul(7)?),
            Unit::Month => months(count),
            Unit::Year => months(count.checked_mul(12)?),
        }
    }
}

/// A stretch of the calendar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Period {
    /// So many units together (a quarter is three months), this one or the next.
    Unit {
        /// The unit.
        unit: Unit,
        /// How many of them.
        count: u32,
        /// The next one.
        next: bool,
    },
    /// A month, in this year or the next that comes.
    Month(u32, Option<i32>),
}

/// What "first" or "last" counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// These days of the week.
    Weekdays(Weekdays),
    /// Monday to Friday.
    Workday,
    /// So many units.
    Unit(Unit, u32),
}

/// A set of days of the week, a bit each from Monday on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weekdays(pub u8);

impl Weekdays {
    /// Monday to Friday.
    pub const WORKDAYS: Self = Self(0b001_1111);

    /// This day alone.
    pub fn one(day: Weekday) -> Self {
        Self(1 << day.num_days_from_monday())
    }

    /// With this day too.
    pub fn add(&mut self, day: Weekday) {
        self.0 |= Self::one(day).0;
    }

    /// Whether the day is among them.
    pub fn has(self, day: Weekday) -> bool {
        self.0 & Self::one(day).0 != 0
    }

    /// Each of them, from Monday on.
    pub fn each(self) -> impl Iterator<Item = Weekday> {
        std::iter::successors(Some(Weekday::Mon), |day| Some(day.succ()))
            .take(7)
            .filter(move |day| self.has(*day))
    }
}

/// A day as it was named; which date it is depends on when it is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Day {
    /// A date with its year.
    Date(NaiveDate),
    /// So many days from today.
    Relative(i32),
    /// After a length of time.
    In(Span),
    /// A length of time from another day.
    Shifted {
        /// How much.
        span: Span,
        /// Towards the past.
        back: bool,
        /// From where.
        from: Box<Day>,
    },
    /// The next such day of the week; with "next", which could also mean the one after.
    Weekday(Weekday, bool),
    /// The day of the week in the week so many weeks from this one.
    WeekdayOfWeek(Weekday, u32),
    /// A day of a month, in this year or the next that comes; in digits that could be read the other way round.
    Calendar {
        /// The month, counted from 1.
        month: u32,
        /// The day, counted from 1.
        day: u32,
        /// Whether day and month could be exchanged.
        ambiguous: bool,
    },
    /// A day of this month or the next that has it.
    OfMonth(u32),
    /// The first day of the weekend; with "next", which could also mean the one after.
    Weekend(bool),
    /// The day after tomorrow, but not after Sunday.
    LaterThisWeek,
    /// The first day of a period.
    Start(Period),
    /// The middle of a period.
    Middle(Period),
    /// The last day of a period.
    End(Period),
    /// The nth of a period.
    Nth(i32, Target, Period),
}

/// When a day is said.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The date where it is said.
    pub today: NaiveDate,
    /// Whether what is due at the time in question could still be done today; without a time it could not.
    pub today_is_ahead: bool,
}

/// The date of a day, and whether another reading was as good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// The date.
    pub date: NaiveDate,
    /// Whether this is only the nearest future reading.
    pub nearest: bool,
}

impl Day {
    /// Which date it is; `None` if there is none (30 February) or outside of the years 1 to 9999.
    pub fn resolve(&self, at: Moment) -> Option<Resolved> {
        let today = at.today;
        let (date, nearest) = match self {
            Self::Date(date) => (Some(*date), false),
            Self::Relative(days) => (plus(today, i64::from(*days)), false),
            Self::In(span) => (span.from(today, false), false),
            Self::Shifted { span, back, from } => {
                let base = from.resolve(at)?;
                (span.from(base.date, *back), base.nearest)
            }
            Self::Weekday(day, next) => {
                let days = days_until(today, *day);
                let is_today = days == 0;
                let days = if is_today && !at.today_is_ahead {
                    7
                } else {
                    days
                };
                (plus(today, days), is_today || *next)
            }
            Self::WeekdayOfWeek(day, weeks) => {
                let monday = plus(today, -i64::from(today.weekday().num_days_from_monday()))?;
                let days = i64::from(*weeks) * 7 + i64::from(day.num_days_from_monday());
                (plus(monday, days), false)
            }
            Self::Calendar {
                month,
                day,
                ambiguous,
            } => {
                // Eight years have a leap day, whatever the century.
                let date = (0..=8)
                    .filter_map(|years| NaiveDate::from_ymd_opt(today.year() + years, *month, *day))
                    .find(|date| *date >= today)?;
                (Some(date), *ambiguous || date.year() != today.year())
            }
            Self::OfMonth(day) => {
                let date = (0..=2)
                    .filter_map(|months| first_of(today, months)?.with_day(*day))
                    .find(|date| *date >= today)?;
                (Some(date), date.month() != today.month())
            }
            Self::Weekend(next) => {
                let days = match today.weekday() {
                    Weekday::Sun if !next => 0,
                    Weekday::Sat if *next => 7,
                    _ => days_until(today, Weekday::Sat),
                };
                (plus(today, days), *next)
            }
            Self::LaterThisWeek => (plus(today, days_until(today, Weekday::Sun).min(2)), false),
            Self::Start(period) => period.ahead(today, |(first, _)| Some(first))?,
            Self::Middle(period) => period.ahead(today, |(first, last)| {
                plus(
                    first,
                    match (last - first).num_days() {
                        ..7 => 2,
                        7..31 => 14,
                        days => days / 2,
                    },
                )
            })?,
            Self::End(period) => (Some(period.days(today)?.1), false),
            Self::Nth(n, target, period) => period.ahead(today, |days| nth(*n, *target, days))?,
        };
        let date = date.filter(|date| (1..=9999).contains(&date.year()))?;
        Some(Resolved { date, nearest })
    }
}

impl Period {
    /// Its first and its last day, as said on `today`. Weeks begin on Monday.
    fn days(self, today: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        let (first, after) = match self {
            Self::Month(month, year) => {
                let first = match year {
                    Some(year) => NaiveDate::from_ymd_opt(year, month, 1)?,
                    None => (0..=1)
                        .filter_map(|years| NaiveDate::from_ymd_opt(today.year() + years, month, 1))
                        .find(|first| {
                            (first.year(), first.month()) >= (today.year(), today.month())
                        })?,
                };
                (first, first.checked_add_months(Months::new(1))?)
            }
            Self::Unit { unit, count, next } => {
                let span = Span { count, unit };
                let first = match unit {
                    Unit::Minute | Unit::Hour => return None,
                    Unit::Day => today,
                    Unit::Week => plus(today, -i64::from(today.weekday().num_days_from_monday()))?,
                    Unit::Month => NaiveDate::from_ymd_opt(
                        today.year(),
                        today.month0() / count.clamp(1, 12) * count.clamp(1, 12) + 1,
                        1,
                    )?,
                    Unit::Year => NaiveDate::from_ymd_opt(today.year(), 1, 1)?,
                };
                let first = if next {
                    span.from(first, false)?
                } else {
                    first
                };
                (first, span.from(first, false)?)
            }
        };
        Some((first, after.pred_opt()?))
    }

    /// The day that `pick` takes of it, or of the same a year or a unit later if that day is over.
    fn ahead(
        self,
        today: NaiveDate,
        pick: impl Fn((NaiveDate, NaiveDate)) -> Option<NaiveDate>,
    ) -> Option<(Option<NaiveDate>, bool)> {
        let date = pick(self.days(today)?);
        let later = match self {
            Self::Month(month, None) => Self::Month(month, Some(self.days(today)?.0.year() + 1)),
            Self::Unit {
                unit,
                count,
                next: false,
            } => Self::Unit {
                unit,
                count,
                next: true,
            },
            _ => return Some((date, false)),
        };
        if date.is_some_and(|date| date >= today) {
            Some((date, false))
        } else {
            Some((pick(later.days(today)?), true))
        }
    }
}

/// The nth of what is counted from `first` to `last`.
fn nth(n: i32, target: Target, (first, last): (NaiveDate, NaiveDate)) -> Option<NaiveDate> {
    let counts = |date: &NaiveDate| match target {
        Target::Weekdays(days) => days.has(date.weekday()),
        Target::Workday => Weekdays::WORKDAYS.has(date.weekday()),
        Target::Unit(unit, count) => unit == Unit::Day && count == 1,
    };
    let days = first
        .iter_days()
        .take_while(|date| *date <= last)
        .take(366)
        .filter(counts);
    let skip = usize::try_from(n.unsigned_abs().checked_sub(1)?).ok()?;
    if n > 0 {
        days.into_iter().nth(skip)
    } else {
        days.collect::<Vec<_>>().into_iter().rev().nth(skip)
    }
}

/// So many days later, or earlier.
fn plus(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    date.checked_add_signed(chrono::TimeDelta::try_days(days)?)
}

fn days_until(today: NaiveDate, day: Weekday) -> i64 {
    i64::from((day.num_days_from_monday() + 7 - today.weekday().num_days_from_monday()) % 7)
}

/// The first day of the month so many months later.
fn first_of(today: NaiveDate, months: u32) -> Option<NaiveDate> {
    today.with_day(1)?.checked_add_months(Months::new(months))
}
