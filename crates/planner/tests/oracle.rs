//! The engine beside python-dateutil, over tens of thousands of rules: wherever both define the answer the same, they
//! have to give the same dates and, in a time zone, the same instants. Where we differ on purpose, the table in the
//! documentation of [`docket_planner::recurrence`] says how, and each of its rows has a case here with both answers.
//!
//! It needs a Python with what `oracle/requirements.txt` says; `cargo docket test oracle` makes one, and names it in
//! the environment.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use chrono::{Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime};
use docket_domain::due::{self, Due};
use docket_planner::recurrence::{Occurrence, Rule, Series, preview};
use serde_json::{Value, json};

/// The variable that names a Python with dateutil.
const PYTHON: &str = "DOCKET_ORACLE_PYTHON";
/// How many rules are generated.
const RULES: usize = 40_000;
/// How many dates of each are compared.
const DATES: u32 = 12;
/// dateutil's time zones end with 2037.
const LAST_ZONED_YEAR: i32 = 2036;

/// A date on the wall clock, and its instant in a zone.
type Date = (NaiveDateTime, Option<String>);

/// What dateutil is asked.
struct Question {
    /// Rules whose dates are wanted together; most often one.
    rules: Vec<String>,
    start: Due,
    /// How many dates, the first one included.
    count: u32,
    last_year: i32,
}

impl Question {
    fn json(&self) -> Value {
        json!({
            "rules": self.rules,
            "start": wall(&self.start).format("%Y-%m-%dT%H:%M:%S").to_string(),
            "zone": self.start.time_zone.map(|zone| zone.name()),
            "count": self.count,
            "last_year": self.last_year,
        })
    }
}

/// Asks one dateutil all questions.
fn dateutil(questions: &[Question]) -> Vec<Result<Vec<Date>, String>> {
    let python = std::env::var_os(PYTHON).unwrap_or_else(|| {
        panic!("{PYTHON} names no Python with dateutil: run `cargo docket test oracle`")
    });
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/oracle.py");
    let mut oracle = Command::new(python)
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = oracle.stdin.take().unwrap();
    let lines: String = questions
        .iter()
        .map(|question| format!("{}\n", question.json()))
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let answers: Vec<_> = BufReader::new(oracle.stdout.take().unwrap())
        .lines()
        .map(|line| answer(&serde_json::from_str(&line.unwrap()).unwrap()))
        .collect();
    writer.join().unwrap();
    assert!(oracle.wait().unwrap().success());
    assert_eq!(answers.len(), questions.len());
    answers
}

fn answer(line: &Value) -> Result<Vec<Date>, String> {
    let Some(dates) = line.as_array() else {
        return Err(line.to_string());
    };
    let date = |pair: &Value| {
        let wall = pair.get(0).and_then(Value::as_str).unwrap();
        let at = pair.get(1).and_then(Value::as_str).map(str::to_owned);
        (wall.parse().unwrap(), at)
    };
    Ok(dates.iter().map(date).collect())
}

fn wall(due: &Due) -> NaiveDateTime {
    due.date.and_time(due.time.unwrap_or(NaiveTime::MIN))
}

fn date(occurrence: &Occurrence) -> Date {
    let at = occurrence.at.map(|at| at.to_string());
    (wall(&occurrence.due), at)
}

/// The dates after the first one, up to a year.
fn ours(rule: &Rule, start: &Due, last_year: i32) -> Vec<Occurrence> {
    let mut dates = preview(Series { rule, start }, start, 1, DATES);
    dates.retain(|date| date.due.date.year() <= last_year);
    dates
}

/// Numbers by chance, the same ones in each run (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let upper = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap();
        upper % end
    }

    fn one_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.below(u32::try_from(values.len()).unwrap())).unwrap()]
    }

    /// From 1 to `max`, or the same from the back.
    fn place(&mut self, max: u32) -> i64 {
        let place = i64::from(1 + self.below(max));
        if self.one_in(3) { -place } else { place }
    }

    /// A list of some values that `one` gives, joined by commas.
    fn list<T: ToString>(&mut self, longest: u32, mut one: impl FnMut(&mut Self) -> T) -> String {
        let count = 1 + self.below(longest);
        let values: Vec<_> = (0..count).map(|_| one(self).to_string()).collect();
        values.join(",")
    }
}

/// A generated rule, part by part.
#[derive(Clone)]
struct Draft {
    frequency: &'static str,
    parts: Vec<(&'static str, String)>,
}

impl Draft {
    fn generate(chance: &mut Chance, start: &Due) -> Self {
        let frequency = chance.pick(&["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]);
        let mut draft = Self {
            frequency,
            parts: Vec::new(),
        };
        let of_month = matches!(frequency, "MONTHLY" | "YEARLY");
        if chance.one_in(2) {
            let interval = match chance.below(20) {
                0 => 1 + chance.below(10_000),
                1..=4 => 1 + chance.below(60),
                _ => 1 + chance.below(4),
            };
            draft.add("INTERVAL", interval.to_string());
        }
        if chance.one_in(3) {
            draft.add("BYMONTH", chance.list(4, |chance| 1 + chance.below(12)));
        }
        if frequency != "WEEKLY" && chance.one_in(3) {
            draft.add("BYMONTHDAY", chance.list(4, |chance| chance.place(31)));
        }
        if chance.one_in(2) {
            let numbered = of_month && chance.one_in(2);
            // In a month dateutil looks for a sixth weekday beyond the end of its tables.
            let in_year = frequency == "YEARLY" && !draft.has("BYMONTH");
            let most = if in_year { 53 } else { 5 };
            let days = chance.list(5, |chance| {
                let day = chance.pick(&["MO", "TU", "WE", "TH", "FR", "SA", "SU"]);
                let mixed = chance.one_in(12);
                if numbered != (of_month && mixed) {
                    format!("{}{day}", chance.place(most))
                } else {
                    day.to_owned()
                }
            });
            draft.add("BYDAY", days);
        }
        let by = ["BYMONTH", "BYMONTHDAY", "BYDAY"];
        if by.iter().any(|part| draft.has(part)) && chance.one_in(4) {
            // A day has one day.
            let most = match frequency {
                "DAILY" => 1 + u32::from(chance.one_in(9)),
                _ => chance.pick(&[2, 5, 31]),
            };
            draft.add("BYSETPOS", chance.list(3, |chance| chance.place(most)));
        }
        if frequency == "WEEKLY" && chance.one_in(2) {
            draft.add("WKST", chance.pick(&["MO", "SU", "SA", "WE"]).to_owned());
        }
        match chance.below(4) {
            0 => draft.add("COUNT", (1 + chance.below(15)).to_string()),
            1 => draft.add("UNTIL", until(chance, start)),
            _ => {}
        }
        draft
    }

    fn add(&mut self, part: &'static str, value: String) {
        self.parts.push((part, value));
    }

    fn get(&self, part: &str) -> Option<&str> {
        let (_, value) = self.parts.iter().find(|(key, _)| *key == part)?;
        Some(value)
    }

    fn has(&self, part: &str) -> bool {
        self.get(part).is_some()
    }

    /// How far dateutil has to search, which takes it long where there is nothing to find.
    fn last_year(&self, start: &Due) -> i32 {
        let (years, end) = match (self.frequency, start.time_zone) {
            ("DAILY", None) => (12, 9999),
            ("DAILY", Some(_)) => (12, LAST_ZONED_YEAR),
            (_, None) => (60, 9999),
            (_, Some(_)) => (60, LAST_ZONED_YEAR),
        };
        end.min(start.date.year() + years)
    }

    /// One rule with the plain weekdays and one with the numbered, if there are both; otherwise the rule itself.
    fn halves(&self) -> Vec<Self> {
        let days = self.get("BYDAY").unwrap_or("");
        let (plain, numbered): (Vec<_>, Vec<_>) = days.split(',').partition(|day| day.len() == 2);
        if plain.is_empty() || numbered.is_empty() {
            return vec![self.clone()];
        }
        let half = |days: Vec<&str>| {
            let mut half = self.clone();
            half.parts.retain(|(key, _)| *key != "BYDAY");
            // UNTIL stays last.
            half.parts.insert(0, ("BYDAY", days.join(",")));
            half
        };
        vec![half(plain), half(numbered)]
    }

    fn text(&self) -> String {
        let parts: String = self
            .parts
            .iter()
            .map(|(key, value)| format!(";{key}={value}"))
            .collect();
        format!("FREQ={}{parts}", self.frequency)
    }
}

/// An UNTIL that may go with a start: within some years, and now and then the very moment of a likely date.
fn until(chance: &mut Chance, start: &Due) -> String {
    let days = chance.pick(&[30, 400, 4_000]);
    let last = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap();
    let day = start
        .date
        .checked_add_days(Days::new(u64::from(chance.below(days))))
        .unwrap()
        .min(last);
    let at = day.and_time(start.time.unwrap_or(NaiveTime::MIN));
    let form = match (start.time, start.time_zone) {
        (None, _) => chance.pick(&["%Y%m%d", "%Y%m%dT120000"]),
        (Some(_), None) => chance.pick(&["%Y%m%d", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ"]),
        (Some(_), Some(_)) => "%Y%m%dT%H%M%SZ",
    };
    at.format(form).to_string()
}

/// A first date: often at the end of a month, now and then at the end of time.
fn start(chance: &mut Chance) -> Due {
    let year = if chance.one_in(25) {
        9_985 + chance.below(15)
    } else {
        1_996 + chance.below(38)
    };
    let year = i32::try_from(year).unwrap();
    let month = 1 + chance.below(12);
    let day = if chance.one_in(3) {
        28 + chance.below(4)
    } else {
        1 + chance.below(28)
    };
    let date = (28..=day)
        .rev()
        .chain([day])
        .find_map(|day| NaiveDate::from_ymd_opt(year, month, day))
        .unwrap();
    let time = chance.pick(&[
        "00:00", "00:30", "02:00", "02:30", "02:59:59", "09:00", "23:30",
    ]);
    let zone = chance.pick(&[
        "Africa/Cairo",
        "America/New_York",
        "America/Santiago",
        "America/St_Johns",
        "Asia/Jerusalem",
        "Asia/Karachi",
        "Atlantic/Azores",
        "Australia/Lord_Howe",
        "Australia/Sydney",
        "Europe/Berlin",
        // Not Dublin, whose winter time dateutil takes for the saving one.
        "Europe/Lisbon",
        "Pacific/Chatham",
    ]);
    let timed = !chance.one_in(4);
    let zoned = timed && year < LAST_ZONED_YEAR && chance.one_in(2);
    Due {
        date,
        time: due::parse_time(time).filter(|_| timed),
        time_zone: due::parse_zone(zone).filter(|_| zoned),
    }
}

/// What is compared of the two answers.
#[derive(Clone, Copy)]
enum Part {
    /// All.
    All,
    /// What was not clamped.
    Unclamped,
    /// From a day on.
    From(NaiveDate),
    /// As many as COUNT leaves after the first date.
    Counted(usize),
}

/// The documented difference that touches a rule, and what can be compared nevertheless.
fn difference(draft: &Draft, start: &Due) -> (Option<&'static str>, Option<Part>) {
    let count = draft
        .get("COUNT")
        .map(|count| count.parse::<usize>().unwrap());
    let of_month = matches!(draft.frequency, "MONTHLY" | "YEARLY");
    if draft.halves().len() > 1 {
        let part = (count.is_none() && !draft.has("BYSETPOS")).then_some(Part::All);
        return (Some("mixed-weekdays"), part);
    }
    if of_month && start.date.day() > 28 && !draft.has("BYDAY") && !draft.has("BYMONTHDAY") {
        let comparable = count.is_none() && !draft.has("BYSETPOS");
        return (Some("implied-day"), comparable.then_some(Part::Unclamped));
    }
    if draft.frequency == "WEEKLY" && draft.has("BYSETPOS") {
        // From the second week on, whichever day begins it.
        let second = start.date.checked_add_days(Days::new(7)).unwrap();
        let part = count.is_none().then_some(Part::From(second));
        return (Some("first-week"), part);
    }
    if let Some(count) = count {
        return (None, Some(Part::Counted(count - 1)));
    }
    (None, Some(Part::All))
}

/// The rules for dateutil, which wants UNTIL to be of the kind of the start, and either plain or numbered weekdays.
fn for_dateutil(draft: &Draft, start: &Due) -> Vec<String> {
    let with_until = |text: String| match draft.get("UNTIL") {
        Some(until) if start.time_zone.is_some() && until.ends_with('Z') => text,
        Some(until) if until.len() == 8 && start.time.is_some() => text + "T235959",
        Some(_) => text.trim_end_matches('Z').to_owned(),
        None => text,
    };
    draft
        .halves()
        .iter()
        .map(Draft::text)
        .map(with_until)
        .collect()
}

/// A difference on purpose: its name in the table, a rule and a start, our first dates and dateutil's.
type Difference = (
    &'static str,
    &'static str,
    &'static str,
    [&'static str; 3],
    [&'static str; 3],
);

const DIFFERENCES: [Difference; 6] = [
    (
        "implied-day",
        "FREQ=MONTHLY",
        "2026-01-31",
        ["2026-02-28", "2026-03-31", "2026-04-30"],
        ["2026-03-31", "2026-05-31", "2026-07-31"],
    ),
    (
        "implied-day",
        "FREQ=YEARLY",
        "2028-02-29",
        ["2029-02-28", "2030-02-28", "2031-02-28"],
        ["2032-02-29", "2036-02-29", "2040-02-29"],
    ),
    (
        "until-day",
        "FREQ=DAILY;UNTIL=20270101",
        "2026-12-30 09:00",
        ["2026-12-31", "2027-01-01", ""],
        ["2026-12-31", "", ""],
    ),
    // 1 January 2027 is a Friday.
    (
        "mixed-weekdays",
        "FREQ=MONTHLY;BYDAY=MO,1FR",
        "2026-12-31",
        ["2027-01-01", "2027-01-04", "2027-01-11"],
        ["", "", ""],
    ),
    // The week of Thursday, 5 November 2026 has its second day before the first date.
    (
        "first-week",
        "FREQ=WEEKLY;BYDAY=MO,WE,TH,FR;BYSETPOS=2",
        "2026-11-05",
        ["2026-11-11", "2026-11-18", "2026-11-25"],
        ["2026-11-06", "2026-11-11", "2026-11-18"],
    ),
    // dateutil counts from 9 November, the first Monday: three dates, where the first date takes one of ours.
    (
        "first-date",
        "FREQ=WEEKLY;BYDAY=MO;COUNT=3",
        "2026-11-05",
        ["2026-11-09", "2026-11-16", ""],
        ["2026-11-09", "2026-11-16", "2026-11-23"],
    ),
];

#[test]
fn the_differences_are_those_that_are_documented() {
    let questions: Vec<_> = DIFFERENCES
        .iter()
        .map(|(_, rule, start, ..)| Question {
            rules: vec![(*rule).to_owned()],
            start: floating(start),
            count: 4,
            last_year: 2100,
        })
        .collect();
    for ((name, rule, start, expected, expected_theirs), theirs) in
        DIFFERENCES.iter().zip(dateutil(&questions))
    {
        let start = floating(start);
        let ours = ours(&Rule::parse(rule).unwrap(), &start, 2100);
        let ours = ours.iter().map(|date| date.due.date);
        let theirs = theirs.unwrap();
        let theirs = theirs.iter().map(|(at, _)| at.date());
        assert_eq!(three(ours), *expected, "{name}: {rule}");
        assert_eq!(
            three(theirs.filter(|day| *day > start.date)),
            *expected_theirs,
            "{name}: {rule} by dateutil"
        );
    }
}

#[test]
fn each_documented_difference_has_a_case() {
    let documented: BTreeSet<_> = include_str!("../src/recurrence.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let cases = DIFFERENCES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(documented, cases);
}

/// Reads `2026-01-31` or `2026-01-31 09:00`.
fn floating(text: &str) -> Due {
    let (date, time) = text.split_once(' ').unwrap_or((text, ""));
    Due {
        date: due::parse_date(date).unwrap(),
        time: due::parse_time(time),
        time_zone: None,
    }
}

/// Three days as text; those that are missing are empty.
fn three(days: impl Iterator<Item = NaiveDate>) -> Vec<String> {
    let days = days.map(|day| day.to_string());
    days.chain(std::iter::repeat(String::new()))
        .take(3)
        .collect()
}

#[test]
fn dateutil_gives_the_same_dates() {
    let mut chance = Chance(5545);
    let mut left_out: BTreeMap<&str, usize> = BTreeMap::new();
    let mut partly: BTreeMap<&str, usize> = BTreeMap::new();
    let mut cases = Vec::new();
    let mut questions = Vec::new();
    for _ in 0..RULES {
        let start = start(&mut chance);
        let draft = Draft::generate(&mut chance, &start);
        let (name, part) = difference(&draft, &start);
        let Some(part) = part else {
            *left_out.entry(name.unwrap()).or_default() += 1;
            continue;
        };
        if let Some(name) = name {
            *partly.entry(name).or_default() += 1;
        }
        let last_year = draft.last_year(&start);
        questions.push(Question {
            rules: for_dateutil(&draft, &start),
            start: start.clone(),
            count: DATES + 8,
            last_year,
        });
        cases.push((draft, start, part, last_year));
    }

    let mut wrong = Vec::new();
    let (mut dates, mut never) = (0, 0);
    for ((draft, start, part, last_year), answer) in cases.iter().zip(dateutil(&questions)) {
        let text = draft.text();
        let mut theirs = answer.unwrap_or_else(|error| panic!("{text} from {start:?}: {error}"));
        let first_is_a_date = theirs.first().is_some_and(|(at, _)| *at == wall(start));
        theirs.retain(|(at, _)| *at > wall(start));
        let mut ours = match Rule::parse(&text) {
            Ok(rule) => ours(&rule, start, *last_year),
            Err(refusal) => {
                assert!(refusal.contains("never"), "{text}: {refusal}");
                never += 1;
                Vec::new()
            }
        };
        let full = ours.len() == DATES as usize;
        match *part {
            Part::All => {}
            Part::Unclamped => {
                ours.retain(|date| !date.why.iter().any(|why| why.contains("clamped")))
            }
            Part::From(day) => {
                ours.retain(|date| date.due.date >= day);
                theirs.retain(|(at, _)| at.date() >= day);
            }
            Part::Counted(left) => {
                theirs.truncate(left);
                if !first_is_a_date {
                    *partly.entry("first-date").or_default() += 1;
                }
            }
        }
        let ours: Vec<Date> = ours.iter().map(date).collect();
        // A list that is full says nothing of what comes later; any other one is all there is.
        if full {
            theirs.truncate(ours.len());
        }
        dates += theirs.len();
        if ours != theirs {
            wrong.push(format!(
                "{text} from {start:?}\n  ours   {ours:?}\n  theirs {theirs:?}"
            ));
        }
    }
    println!("{} rules compared, {dates} dates", cases.len());
    println!("{never} of them can never give a date, and dateutil found none");
    println!("compared in part: {partly:?}");
    println!("left out: {left_out:?}");
    assert!(cases.len() >= 30_000 && dates >= 200_000);
    assert!(
        wrong.is_empty(),
        "{} rules differ, such as\n{}",
        wrong.len(),
        wrong
            .iter()
            .take(10)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
}
