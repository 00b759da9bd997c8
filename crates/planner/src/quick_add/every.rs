//! `every …`: the rule that it means, its first date, and its words.

use chrono::{NaiveDate, Weekday};
use docket_domain::due::Due;
use docket_domain::recurrence::From;

use super::days::{Target, Weekdays};
use super::grammar::Unit;
use super::words;
use crate::recurrence::{self, MAX_NUMBER, Rule, Series};

/// How a task comes back.
#[derive(Clone, Debug, PartialEq)]
pub struct Every {
    /// What the next date is counted from.
    pub from: From,
    /// So many …
    pub interval: u32,
    /// … days, weeks, months or years.
    pub unit: Unit,
    /// On which days of them.
    pub on: On,
}

/// On which days of a week, a month or a year.
#[derive(Clone, Debug, PartialEq)]
pub enum On {
    /// Wherever the first date is.
    First,
    /// On days of the week.
    Weekdays(Weekdays),
    /// On days of the month, from its end if they are negative; of every month, or of some (a bit each from January on).
    Days(Vec<i32>, u16),
    /// On the nth such days of the week, in the same way.
    Nth(Vec<i32>, Weekdays, u16),
    /// On the nth days from Monday to Friday, in the same way.
    Workdays(Vec<i32>, u16),
}

/// What an `every …` was made of.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// `every!`
    pub from: From,
    /// "3", "other".
    pub interval: Option<u32>,
    /// "days".
    pub unit: Option<(Unit, u32)>,
    /// "1st", "last".
    pub ordinals: Vec<i32>,
    /// What they count, or days of the week.
    pub target: Option<Target>,
    /// "january", a bit each from January on.
    pub months: u16,
    /// "of the month".
    pub of_month: bool,
}

/// Why an `every …` is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotTaken {
    /// It makes no sense, so it is text.
    Text,
    /// It makes sense, but no rule can say it.
    Beyond(&'static str),
}

impl Every {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Result<Self, NotTaken> {
        use NotTaken::{Beyond, Text};
        let Parts {
            from,
            interval,
            unit,
            ordinals,
            target,
            months,
            of_month,
        } = parts;
        let (mut interval, mut unit) = (interval.unwrap_or(1), unit);
        let on = match (ordinals.as_slice(), target) {
            ([], None) if months == 0 => On::First,
            ([], None) => On::Days(vec![1], months),
            ([], Some(Target::Weekdays(days))) => On::Weekdays(days),
            ([], Some(Target::Workday)) => On::Weekdays(Weekdays::WORKDAYS),
            ([], Some(Target::Unit(..))) => return Err(Text),
            (_, Some(Target::Weekdays(days))) => {
                if ordinals.iter().any(|n| n.abs() > 5) {
                    return Err(Text);
                }
                On::Nth(ordinals, days, months)
            }
            (_, Some(Target::Workday)) => On::Workdays(ordinals, months),
            // "Every 3rd day" is every three days; "every last day" and "every 3rd day of the month" are days of it.
            ([n], Some(Target::Unit(each, count)))
                if *n > 0
                    && months == 0
                    && !of_month
                    && unit.is_none()
                    && (each != Unit::Day || *n > 1) =>
            {
                interval = n.unsigned_abs();
                unit = Some((each, count));
                On::First
            }
            // The 31st is the last day, also of a month that is shorter.
            (_, Some(Target::Unit(Unit::Day, 1)) | None) => On::Days(
                ordinals
                    .iter()
                    .map(|n| if *n == 31 && months == 0 { -1 } else { *n })
                    .collect(),
                months,
            ),
            (_, Some(Target::Unit(..))) => return Err(Text),
        };
        // "Every 31 april" never comes; a leap year has every day that there is.
        if let On::Days(days, months) = &on
            && !each_month(*months).all(|month| days.iter().any(|day| exists(month, *day)))
        {
            return Err(Text);
        }
        let own = match &on {
            On::First => Unit::Day,
            On::Weekdays(_) => Unit::Week,
            On::Days(_, 0) | On::Nth(_, _, 0) | On::Workdays(_, 0) => Unit::Month,
            On::Days(..) | On::Nth(..) | On::Workdays(..) => Unit::Year,
        };
        let (unit, count) = unit.unwrap_or((own, 1));
        if unit < Unit::Day {
            return Err(Beyond(words::MORE_THAN_DAILY));
        }
        // "Every year on the 1st" does not say of which month.
        if on != On::First && unit != own {
            return Err(Text);
        }
        interval = interval.saturating_mul(count);
        if interval == 0 || interval > MAX_NUMBER {
            return Err(Text);
        }
        Ok(Self {
            from,
            interval,
            unit,
            on,
        })
    }

    /// The first date from `start` on that the rule allows; the interval counts from there. `None` if there is none.
    pub fn first(&self, start: NaiveDate) -> Option<NaiveDate> {
        if self.on == On::First {
            return Some(start);
        }
        // As the series that began the day before, in which each week, month or year counts.
        let rule = Rule::parse(&self.text(1, true)).ok()?;
        let before = Due {
            date: start.pred_opt()?,
            time: None,
            time_zone: None,
        };
        let series = Series {
            rule: &rule,
            start: &before,
        };
        let first = recurrence::preview(series, &before, 1, 1)
            .into_iter()
            .next()?;
        Some(first.due.date)
    }

    /// The rule as RFC 5545 writes it, for a series that begins at [`Self::first`].
    pub fn rule(&self) -> String {
        self.text(self.interval, false)
    }

    /// The rule with this interval. A 29th or 30th on its own is only written if it is to be `explicit`: otherwise the
    /// series remembers it by its first date, and shorter months clamp it, where RFC 5545 would skip them.
    fn text(&self, interval: u32, explicit: bool) -> String {
        let mut rule = format!(
            "FREQ={}",
            match self.unit {
                Unit::Minute | Unit::Hour | Unit::Day => "DAILY",
                Unit::Week => "WEEKLY",
                Unit::Month => "MONTHLY",
                Unit::Year => "YEARLY",
            }
        );
        if interval > 1 {
            rule.push_str(&format!(";INTERVAL={interval}"));
        }
        match &self.on {
            On::Days(days, months) if !explicit => match (days.as_slice(), *months) {
                ([29 | 30], 0) | ([29], FEBRUARY) => return rule,
                _ => {}
            },
            _ => {}
        }
        if let On::Days(_, months @ 1..)
        | On::Nth(_, _, months @ 1..)
        | On::Workdays(_, months @ 1..) = self.on
        {
            rule.push_str(&format!(";BYMONTH={}", joined(each_month(months))));
        }
        rule.push_str(&match &self.on {
            On::First => String::new(),
            On::Weekdays(days) => format!(";BYDAY={}", joined(days.each().map(code))),
            On::Days(days, _) => format!(";BYMONTHDAY={}", joined(days.iter())),
            On::Nth(ordinals, days, _) => {
                let each = ordinals
                    .iter()
                    .flat_map(|n| days.each().map(move |day| format!("{n}{}", code(day))));
                format!(";BYDAY={}", joined(each))
            }
            On::Workdays(ordinals, _) => {
                format!(";BYDAY=MO,TU,WE,TH,FR;BYSETPOS={}", joined(ordinals.iter()))
            }
        });
        rule
    }
}

/// The set of months that is February.
const FEBRUARY: u16 = 1 << 1;

/// Whether a month has a day, in some year; counted from its end, it has.
fn exists(month: u32, day: i32) -> bool {
    u32::try_from(day).map_or(true, |day| {
        NaiveDate::from_ymd_opt(2024, month, day).is_some()
    })
}

/// The months of a set, counted from 1.
pub fn each_month(months: u16) -> impl Iterator<Item = u32> {
    (1..=12).filter(move |month| months & (1 << (month - 1)) != 0)
}

/// A day of the week as RFC 5545 writes it.
fn code(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "MO",
        Weekday::Tue => "TU",
        Weekday::Wed => "WE",
        Weekday::Thu => "TH",
        Weekday::Fri => "FR",
        Weekday::Sat => "SA",
        Weekday::Sun => "SU",
    }
}

fn joined(items: impl Iterator<Item = impl ToString>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(",")
}
