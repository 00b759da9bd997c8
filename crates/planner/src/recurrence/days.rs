//! Which days an RRULE gives: period by period, each expanded into its days.

use chrono::{Datelike as _, NaiveDate};

use super::rrule::{Frequency, Rrule};
use super::set::Set;

/// The Gregorian calendar repeats itself, weekdays included, after so many days, 400 years.
pub(super) const CYCLE_DAYS: u32 = 146_097;
/// The last year of a date.
pub(super) const LAST_YEAR: i32 = 9999;
/// A day to try rules from.
pub(super) const SAMPLE: NaiveDate = match NaiveDate::from_ymd_opt(2000, 1, 1) {
    Some(day) => day,
    None => NaiveDate::MIN,
};

/// The days of a rule, ascending, from the beginning of the period (day, week, month or year) that holds a date.
#[derive(Debug)]
pub(super) struct Days<'a> {
    rule: &'a Rrule,
    /// What the first date adds to the rule.
    implied: Implied,
    /// Every so many periods.
    interval: i64,
    /// The number of the next period to expand.
    period: i64,
    /// The days of the last one, and how many of them have been given.
    found: Vec<NaiveDate>,
    given: usize,
}

/// The parts that the rule leaves to its first date.
#[derive(Debug)]
struct Implied {
    months: Set,
    weekdays: Set,
    /// The day of the month, which a shorter month clamps.
    month_day: Option<u32>,
}

impl<'a> Days<'a> {
    /// The days of a rule that began with `start`, in the periods from that of `from` on.
    pub(super) fn new(rule: &'a Rrule, start: NaiveDate, from: NaiveDate) -> Self {
        Self::every(i64::from(rule.interval), rule, start, from)
    }

    /// Whether the rule gives any date, whenever it begins.
    pub(super) fn ever(rule: &'a Rrule) -> bool {
        Self::every(1, rule, SAMPLE, SAMPLE).next().is_some()
    }

    fn every(interval: i64, rule: &'a Rrule, start: NaiveDate, from: NaiveDate) -> Self {
        let first = number(rule, start);
        let steps = (number(rule, from) - first).div_euclid(interval).max(0);
        Self {
            rule,
            implied: Implied::new(rule, start),
            interval,
            period: first + steps * interval,
            found: Vec::new(),
            given: 0,
        }
    }

    /// Expands the next period; `None` beyond the last year.
    fn expand(&mut self) -> Option<()> {
        let first = first_day(self.rule, self.period)?;
        let end = first_day(self.rule, self.period + 1)?;
        if first.year() > LAST_YEAR {
            return None;
        }
        self.period += self.interval;
        self.given = 0;
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let mut day = first;
        while day < end {
            let month = Month::of(day);
            let end = end.min(month.end);
            if self.implied.months.has(day.month()) {
                found.extend(
                    day.iter_days()
                        .take_while(|day| *day < end)
                        .filter(|day| self.takes(*day, &month)),
                );
            }
            day = end;
        }
        self.found = if self.rule.positions.is_empty() {
            found
        } else {
            pick(&found, &self.rule.positions)
        };
        Some(())
    }

    /// Whether a day has what BYMONTHDAY and BYDAY ask for. Its month has been looked at.
    fn takes(&self, day: NaiveDate, month: &Month) -> bool {
        let rule = self.rule;
        if let Some(implied) = self.implied.month_day {
            return day.day() == implied.min(month.days);
        }
        let by_month_day = !rule.month_days.is_empty() || !rule.month_days_back.is_empty();
        if by_month_day
            && !rule.month_days.has(day.day())
            && !rule.month_days_back.has(month.days - day.day0())
        {
            return false;
        }
        let weekday = day.weekday();
        if self.implied.weekdays.has(weekday.num_days_from_monday()) {
            return true;
        }
        if rule.numbered.is_empty() {
            return self.implied.weekdays.is_empty();
        }
        numbered(rule, day).is_some()
    }
}

impl Iterator for Days<'_> {
    type Item = NaiveDate;

    fn next(&mut self) -> Option<NaiveDate> {
        // The periods of a cycle come again and again, in steps of INTERVAL some or all of them. What they do not give
        // in so many steps will never come.
        for _ in 0..=cycle(self.rule.frequency) {
            if let Some(day) = self.found.get(self.given) {
                self.given += 1;
                return Some(*day).filter(|day| day.year() <= LAST_YEAR);
            }
            self.expand()?;
        }
        None
    }
}

impl Implied {
    fn new(rule: &Rrule, start: NaiveDate) -> Self {
        let mut months = rule.months;
        if months.is_empty() {
            months = if rule.frequency == Frequency::Yearly && !rule.names_days() {
                Set::from_iter([start.month()])
            } else {
                Set::range(1, 12)
            };
        }
        let mut weekdays = rule.weekdays;
        if rule.frequency == Frequency::Weekly && weekdays.is_empty() {
            weekdays.insert(start.weekday().num_days_from_monday());
        }
        Self {
            months,
            weekdays,
            month_day: rule.implied_month_day(start),
        }
    }
}

/// A month of some year.
struct Month {
    /// The first day after it.
    end: NaiveDate,
    /// How many days it has.
    days: u32,
}

impl Month {
    fn of(day: NaiveDate) -> Self {
        let days = u32::from(day.num_days_in_month());
        let left = days - day.day0();
        Self {
            end: day
                .checked_add_days(chrono::Days::new(u64::from(left)))
                .unwrap_or(NaiveDate::MAX),
            days,
        }
    }
}

/// The number with which BYDAY asks for a day.
pub(super) fn numbered(rule: &Rrule, day: NaiveDate) -> Option<i32> {
    let (before, after) = if rule.counts_in_year() {
        let days = if day.leap_year() { 366 } else { 365 };
        (day.ordinal0(), days - day.ordinal())
    } else {
        let days = u32::from(day.num_days_in_month());
        (day.day0(), days - day.day())
    };
    let (from_front, from_back) = (before / 7 + 1, after / 7 + 1);
    let weekday = day.weekday();
    rule.numbered
        .iter()
        .find(|(number, each)| {
            let place = if *number > 0 { from_front } else { from_back };
            *each == weekday && number.unsigned_abs() == place
        })
        .map(|(number, _)| *number)
}

/// After how many periods the calendar repeats itself.
fn cycle(frequency: Frequency) -> u32 {
    match frequency {
        Frequency::Daily => CYCLE_DAYS,
        Frequency::Weekly => CYCLE_DAYS / 7,
        Frequency::Monthly => 400 * 12,
        Frequency::Yearly => 400,
    }
}

/// The number of the period that holds a day; successive periods have successive numbers.
fn number(rule: &Rrule, day: NaiveDate) -> i64 {
    let days = i64::from(day.num_days_from_ce());
    match rule.frequency {
        Frequency::Daily => days,
        // Day 1 was a Monday.
        Frequency::Weekly => (days - 1 - week_offset(rule)).div_euclid(7),
        Frequency::Monthly => i64::from(day.year()) * 12 + i64::from(day.month0()),
        Frequency::Yearly => i64::from(day.year()),
    }
}

/// The first day of the period with a number.
fn first_day(rule: &Rrule, number: i64) -> Option<NaiveDate> {
    let from_ce = |days: i64| NaiveDate::from_num_days_from_ce_opt(i32::try_from(days).ok()?);
    let first_of = |year: i64, month: i64| {
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, 1)
    };
    match rule.frequency {
        Frequency::Daily => from_ce(number),
        Frequency::Weekly => from_ce(number * 7 + 1 + week_offset(rule)),
        Frequency::Monthly => first_of(number.div_euclid(12), number.rem_euclid(12) + 1),
        Frequency::Yearly => first_of(number, 1),
    }
}

/// How many days after Monday a week begins.
fn week_offset(rule: &Rrule) -> i64 {
    i64::from(rule.week_start.num_days_from_monday())
}

/// The days at some positions, ascending (BYSETPOS).
fn pick(days: &[NaiveDate], positions: &[i32]) -> Vec<NaiveDate> {
    let mut picked: Vec<NaiveDate> = positions
        .iter()
        .filter_map(|position| {
            let steps = usize::try_from(position.unsigned_abs()).ok()?;
            let index = if *position > 0 {
                steps.checked_sub(1)?
            } else {
                days.len().checked_sub(steps)?
            };
            days.get(index).copied()
        })
        .collect();
    picked.sort_unstable();
    picked.dedup();
    picked
}
