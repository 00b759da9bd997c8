//! How English puts its words together. Of all patterns that fit at a place in the text the longest counts.

use super::super::grammar::Key::*;
use super::super::grammar::Slot::*;
use super::super::grammar::{DayForm as D, PieceForm as P, Slot};

/// Days.
pub const DAYS: &[(&[Slot], D)] = &[
    (&[Relative], D::Relative),
    (&[Opt(&[W(The)]), Unit, W(After), Relative], D::DayAfter),
    (&[Weekday], D::Weekday),
    (&[W(This), Weekday], D::Weekday),
    (&[W(Next), Weekday], D::NextWeekday),
    (&[Weekday, W(Next), Unit], D::WeekdayNextWeek),
    (&[W(Next), Unit, Opt(&[W(On)]), Weekday], D::WeekdayNextWeek),
    (&[W(In), Span, Opt(&[W(On)]), Weekday], D::WeekdayInWeeks),
    (&[Weekday, W(In), Span], D::WeekdayInWeeks),
    (
        &[
            WEEKDAY_BEFORE,
            Opt(&[W(The)]),
            DayNumber,
            Opt(&[W(Of)]),
            Month,
            YEAR_AFTER,
        ],
        D::Calendar,
    ),
    (
        &[WEEKDAY_BEFORE, Month, Opt(&[W(The)]), DayNumber, YEAR_AFTER],
        D::Calendar,
    ),
    (&[WEEKDAY_BEFORE, Digits], D::Digits),
    (&[Month, Year], D::MonthOnly),
    (&[W(In), Month, Opt(&[Year])], D::MonthOnly),
    (&[W(Next), Month], D::MonthOnly),
    (&[WEEKDAY_BEFORE, Opt(&[W(The)]), DayOrdinal], D::DayOfMonth),
    (
        &[
            Opt(&[W(The)]),
            DayNumber,
            W(Of),
            Opt(&[One(&[The, This])]),
            MonthUnit,
        ],
        D::DayOfMonth,
    ),
    (
        &[Opt(&[W(The)]), DayNumber, W(Of), W(Next), MonthUnit],
        D::DayOfNextMonth,
    ),
    (&[Holiday], D::Holiday),
    (&[W(In), Span], D::In),
    (&[Sign('+'), Span], D::In),
    (&[Span, W(From), W(Now)], D::In),
    (&[Span, One(&[From, After]), Day], D::After),
    (&[Span, W(Before), Day], D::Before),
    (&[W(Weekend)], D::WeekendAlone),
    (&[One(&[The, This]), W(Weekend)], D::Weekend),
    (&[W(Next), W(Weekend)], D::NextWeekend),
    (&[W(Next), Unit], D::NextUnit),
    (&[W(Later), W(This), Unit], D::LaterThisWeek),
    (&[EndOf], D::EndOf),
    (&[Opt(&[W(The)]), W(End), W(Of), PERIOD, Unit], D::EndOf),
    (
        &[Opt(&[W(The)]), W(End), W(Of), Month, Opt(&[Year])],
        D::EndOf,
    ),
    (&[Opt(&[W(The)]), W(Start), W(Of), PERIOD, Unit], D::StartOf),
    (
        &[Opt(&[W(The)]), W(Start), W(Of), Month, Opt(&[Year])],
        D::StartOf,
    ),
    (
        &[Opt(&[W(The)]), W(Middle), OF_OR_DASH, PERIOD, Unit],
        D::MiddleOf,
    ),
    (
        &[Opt(&[W(The)]), W(Middle), OF_OR_DASH, Month, Opt(&[Year])],
        D::MiddleOf,
    ),
    (
        &[Opt(&[W(The)]), Nth, One(&[Of, In]), PERIOD, Unit],
        D::NthOf,
    ),
    (&[Opt(&[W(The)]), Nth, W(Next), Unit], D::NthOf),
    (
        &[Opt(&[W(The)]), Nth, One(&[Of, In]), Month, Opt(&[Year])],
        D::NthOf,
    ),
];

/// The weekday before a date, which says nothing new.
const WEEKDAY_BEFORE: Slot = Opt(&[Weekday, Opt(&[Sign(',')])]);
const YEAR_AFTER: Slot = Opt(&[Opt(&[Sign(',')]), Year]);
const OF_OR_DASH: Slot = Opt(&[Opt(&[W(Of)]), Opt(&[Sign('-')])]);
const OF_THE_MONTH: Slot = Opt(&[W(Of), Opt(&[One(&[The, Every])]), MonthUnit]);
const ON_THE: Slot = Opt(&[Opt(&[W(On)]), Opt(&[W(The)])]);
const AT_CLOCK: Slot = Opt(&[Opt(&[W(At)]), Clock]);
const ME: Slot = Opt(&[W(Me)]);
/// "Remind me at 9 to call the bank" has no need of its "to" in the title.
const TO: Slot = Opt(&[W(To)]);
const CLOCK_DAY: Slot = All(&[Opt(&[One(&[At, On])]), Clock, Opt(&[Opt(&[W(On)]), Day])]);
const DAY_CLOCK: Slot = All(&[Opt(&[W(On)]), Day, Opt(&[Opt(&[W(At)]), Clock])]);
/// Which one of a unit.
const PERIOD: Slot = Opt(&[One(&[The, This, Next])]);

/// What follows "every month".
pub const CLAUSES: &[&[Slot]] = &[
    &[Opt(&[W(On)]), Weekdays],
    &[W(On), Opt(&[W(The)]), DayNumbers],
    &[W(On), Opt(&[W(The)]), DayNumber],
    &[W(On), Opt(&[W(The)]), Nth],
    &[W(On), Opt(&[W(The)]), Nth, Opt(&[W(Of)]), Months],
    &[W(On), Opt(&[W(The)]), DayNumbers, Opt(&[W(Of)]), Months],
    &[
        One(&[On, In]),
        Months,
        Opt(&[Opt(&[W(On)]), Opt(&[W(The)]), DayNumbers]),
    ],
];

/// What follows `every …` and is too much.
pub const BEYOND: &[&[Slot]] = &[
    &[AT_CLOCK, W(Except), Opt(&[W(On)]), Weekdays],
    &[AT_CLOCK, W(Except), Opt(&[W(On)]), One(&[Weekend, Workday])],
    &[AT_CLOCK, W(Except), Opt(&[W(In)]), Months],
    &[AT_CLOCK, W(Except)],
    &[Separator, Nth, Opt(&[Opt(&[W(Of)]), Months])],
    &[Separator, DayNumbers, Opt(&[W(Of)]), Months],
    &[Separator, Month, DayNumber],
    &[
        Opt(&[W(At)]),
        Clock,
        Separator,
        Weekday,
        Opt(&[Opt(&[W(At)]), Clock]),
    ],
];

/// Everything.
pub const PIECES: &[(&[Slot], P)] = &[
    // When it is due.
    (&[Day], P::DueAlone),
    (&[W(Due), Opt(&[Sign(':')]), Day], P::Due),
    (&[Opt(&[W(Due)]), One(&[At, By, For, On]), Day], P::Due),
    (&[Opt(&[W(Due)]), Opt(&[One(&[At, By])]), Clock], P::At),
    (&[W(At), Hour], P::AtAlone),
    (&[W(In), W(The), Part], P::Part),
    (&[W(At), Part], P::Part),
    (&[Part], P::PartOfDay),
    (&[W(This), Part], P::PartToday),
    (&[W(Tonight)], P::PartToday),
    (
        &[Opt(&[W(At)]), Clock, Separator, Opt(&[W(At)]), Clock],
        P::TwoTimes,
    ),
    // How it comes back.
    (&[Each, Opt(&[Interval]), Unit], P::Every),
    (&[Each, Opt(&[Interval]), Unit, Clause], P::Every),
    (&[Adverb], P::Every),
    (&[Adverb, Clause], P::Every),
    (&[Each, Opt(&[Interval]), Weekdays], P::Every),
    (&[Each, W(Workday)], P::Every),
    (&[Each, W(Weekend)], P::Every),
    (&[Each, Interval, W(Workday)], P::CountedWorkdays),
    (&[Each, Nth, OF_THE_MONTH], P::Every),
    (&[Each, Nth, Opt(&[One(&[Of, In])]), Months], P::Every),
    (&[Each, DayNumbers, OF_THE_MONTH], P::Every),
    (&[Each, DayNumbers, Opt(&[W(Of)]), Months], P::Every),
    (&[Each, Months], P::Every),
    (
        &[Each, Months, Opt(&[W(On)]), Opt(&[W(The)]), DayNumbers],
        P::Every,
    ),
    (&[ON_THE, Nth, W(Of), Each, MonthUnit], P::Every),
    (&[ON_THE, DayNumbers, W(Of), Each, MonthUnit], P::Every),
    (&[ON_THE, DayNumber, W(Of), Each, MonthUnit], P::Every),
    (&[Each, Holiday], P::Every),
    (&[Each, Part], P::Every),
    (&[Each, Clock], P::Every),
    (&[W(After), Number, Unit], P::AfterDone),
    // From when to when it comes back.
    (&[W(Starting), Opt(&[One(&[On, From])]), Day], P::Starting),
    (&[W(Starting), Opt(&[W(At)]), Clock], P::At),
    (&[W(From), Day], P::From),
    (&[W(From), Day, One(&[To, Until]), Day], P::FromTo),
    (&[W(Until), Opt(&[W(On)]), Day], P::Until),
    (&[W(For), Span], P::For),
    (&[Opt(&[W(For)]), Number, W(Times)], P::Times),
    // How much it matters.
    (&[Bang, Priority], P::Priority),
    (&[W(P), Number], P::PriorityNumber),
    // When to remind of it.
    (&[W(Remind), ME, Spans, Opt(&[W(Before)])], P::RemindBefore),
    (&[W(Remind), ME, W(In), Span, TO], P::RemindIn),
    (&[W(Remind), ME, CLOCK_DAY, TO], P::RemindAt),
    (&[W(Remind), ME, DAY_CLOCK, TO], P::RemindAt),
    (&[W(Remind), ME, W(At), Hour, TO], P::RemindAt),
    (&[Bang, Spans, Opt(&[W(Before)])], P::RemindBefore),
    (&[Bang, CLOCK_DAY], P::RemindAt),
    (&[Bang, DAY_CLOCK], P::RemindAt),
];
