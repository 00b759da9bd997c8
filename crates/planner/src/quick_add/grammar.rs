//! What a language is made of: words with their meanings, and patterns of such words. A language is a table (see
//! `english.rs`); nothing else of quick add knows a word of it.

use chrono::Weekday;
use docket_domain::task::Priority;

/// A language.
pub struct Language {
    /// The words in lower case, sorted; a word with two meanings stands twice.
    pub words: &'static [Entry],
    /// Ways to name a day.
    pub days: &'static [(&'static [Slot], DayForm)],
    /// What may follow "every month" to say on which of its days.
    pub clauses: &'static [&'static [Slot]],
    /// Ways to say something of the task.
    pub pieces: &'static [(&'static [Slot], PieceForm)],
    /// What may follow an `every …` and makes it more than one rule can say.
    pub beyond: &'static [&'static [Slot]],
    /// Words that are names if they are written just so.
    pub names: &'static [&'static str],
    /// Days that have a name: its words, the month and the day.
    pub holidays: &'static [(&'static [&'static str], u32, u32)],
}

/// A word and one of its meanings.
pub type Entry = (&'static str, Word);

impl Language {
    /// All meanings of a word in lower case.
    pub fn entries(&self, word: &str) -> &'static [Entry] {
        let from = self.words.partition_point(|(known, _)| *known < word);
        let rest = self.words.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|(known, _)| *known == word).count();
        rest.get(..count).unwrap_or_default()
    }
}

/// A meaning of a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    /// A small word that patterns name.
    Key(Key),
    /// A day of the week.
    Weekday(Weekday),
    /// The same in the plural, which is no date.
    Weekdays(Weekday),
    /// A month, counted from 1.
    Month(u32),
    /// A unit of time, so many at once: a fortnight is two weeks.
    Unit(Unit, u32),
    /// A unit's letter, which stands right after a number: "30m".
    Letter(Unit),
    /// A number.
    Number(u32),
    /// A place in an order, from the end if it is negative.
    Ordinal(i32),
    /// Today, or so many days from it.
    Relative(i32),
    /// A part of the day.
    Part(Part),
    /// Every so many units: "daily".
    Adverb(u32, Unit),
    /// How much something matters.
    Priority(Priority),
    /// The end of a unit in one word: "eom".
    EndOf(Unit),
    /// The first word of a day that has a name.
    Holiday,
}

/// The small words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    A,
    After,
    Am,
    And,
    At,
    Before,
    By,
    Due,
    End,
    Every,
    Except,
    For,
    From,
    Half,
    In,
    Later,
    Me,
    Middle,
    Midnight,
    Next,
    Noon,
    Now,
    OClock,
    Of,
    On,
    Other,
    /// The letter of "p1".
    P,
    Pm,
    Remind,
    Start,
    Starting,
    /// What makes 24 the 24th.
    Suffix,
    The,
    This,
    Times,
    To,
    Tonight,
    Until,
    Weekend,
    Workday,
    /// "Business", before "day" a workday.
    Working,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// A part of the day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    Morning,
    Afternoon,
    Evening,
    Night,
}

/// A place in a pattern, and what may stand there.
#[derive(Clone, Copy, Debug)]
pub enum Slot {
    /// This small word.
    W(Key),
    /// One of these small words.
    One(&'static [Key]),
    /// All of this.
    All(&'static [Slot]),
    /// Either all of this, or nothing.
    Opt(&'static [Slot]),
    /// This sign.
    Sign(char),
    /// `!` right before what it belongs to.
    Bang,
    /// A comma, "and" or the like.
    Separator,
    /// "every", or "every!" that counts from completion.
    Each,
    /// "daily" and the like.
    Adverb,
    /// Today, tomorrow.
    Relative,
    /// A day of the week.
    Weekday,
    /// Days of the week: a list, a range.
    Weekdays,
    /// A month's name.
    Month,
    /// Months: a list.
    Months,
    /// A year of four digits.
    Year,
    /// A number in digits or as a word.
    Number,
    /// A number, or "other" for 2.
    Interval,
    /// A unit of time.
    Unit,
    /// A unit that is a month.
    MonthUnit,
    /// The end of a unit in one word.
    EndOf,
    /// A length of time: "3 days", "an hour", "1h30m".
    Span,
    /// Lengths of time: a list.
    Spans,
    /// A day of the month: "24", "24th".
    DayNumber,
    /// A day of the month that says so: "24th".
    DayOrdinal,
    /// Days of the month: a list.
    DayNumbers,
    /// Places in an order with what is counted: "1st and 3rd friday", "last workday".
    Nth,
    /// A day in digits: "2026-12-24", "24/12".
    Digits,
    /// A day that has a name.
    Holiday,
    /// A time that is plainly one: "5pm", "17:00", "noon"; a zone may follow.
    Clock,
    /// A number that is an hour only because of the words around it: "9", "1730".
    Hour,
    /// A part of the day.
    Part,
    /// A priority.
    Priority,
    /// Any of the language's days.
    Day,
    /// Any of the language's clauses.
    Clause,
}

/// Which day a pattern names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DayForm {
    /// Today, tomorrow: the relative word.
    Relative,
    /// The day after that.
    DayAfter,
    /// The next such day of the week.
    Weekday,
    /// The same, said with "next", which some take for the week after.
    NextWeekday,
    /// The day of the week in the next week.
    WeekdayNextWeek,
    /// The day of the week in so many weeks.
    WeekdayInWeeks,
    /// A day of a month, in a year or the next that comes.
    Calendar,
    /// The first day of a month.
    MonthOnly,
    /// A day of this month or the next.
    DayOfMonth,
    /// A day of the next month.
    DayOfNextMonth,
    /// A day in digits.
    Digits,
    /// A day with a name.
    Holiday,
    /// After a length of time from now.
    In,
    /// A length of time after another day.
    After,
    /// A length of time before another day.
    Before,
    /// Saturday.
    Weekend,
    /// The same, but only if nothing that it could belong to follows: "weekend trip".
    WeekendAlone,
    /// The same, said with "next".
    NextWeekend,
    /// The first day of the next unit.
    NextUnit,
    /// The day after tomorrow, as long as the week goes.
    LaterThisWeek,
    /// The first day of a period.
    StartOf,
    /// The middle of a period.
    MiddleOf,
    /// The last day of a period.
    EndOf,
    /// The nth day, workday or day of the week of a period.
    NthOf,
}

/// What a pattern says of the task.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PieceForm {
    /// The day on which it is due.
    Due,
    /// The same, without a word that says so: "24th" is a day then, but not in "24th street".
    DueAlone,
    /// The time at which it is due.
    At,
    /// The same, if nothing that it could belong to follows: "at 9", but not "at 9 places".
    AtAlone,
    /// The part of the day in which it is due.
    Part,
    /// The same, right after a day.
    PartOfDay,
    /// The part of this day.
    PartToday,
    /// How it comes back.
    Every,
    /// How it comes back, counted from completion.
    AfterDone,
    /// More than one time in a day, which cannot be.
    TwoTimes,
    /// Every so many workdays, which cannot be.
    CountedWorkdays,
    /// When the series begins; without one, when the task is due.
    Starting,
    /// When the series begins; without one, nothing.
    From,
    /// When the series begins and ends.
    FromTo,
    /// When the series ends.
    Until,
    /// How long the series goes.
    For,
    /// How many there are in the series.
    Times,
    /// How much it matters.
    Priority,
    /// How much it matters, as `p1` to `p4`.
    PriorityNumber,
    /// Reminders so long before it is due.
    RemindBefore,
    /// A reminder after a length of time.
    RemindIn,
    /// A reminder at a time, on a day, or both.
    RemindAt,
}
