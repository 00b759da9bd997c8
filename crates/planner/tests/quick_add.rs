//! Quick add against its golden cases, and against texts that nobody thought of.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use docket_domain::Instant;
use docket_domain::due::{Due, format_time};
use docket_domain::recurrence::From;
use docket_domain::task::{Priority, When};
use docket_planner::quick_add::{Error, MAX_TEXT, Parsed, parse};
use docket_planner::recurrence::{Rule, Series, preview};
use proptest::prelude::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/quick_add.txt");

/// When, where and in which language the cases that follow are read.
struct Here {
    now: Instant,
    zone: chrono_tz::Tz,
    locale: String,
}

impl Here {
    fn read(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        Self {
            now: Instant::parse(words[1]).unwrap(),
            zone: words[2].parse().unwrap(),
            locale: words[3].to_owned(),
        }
    }

    fn parse(&self, text: &str) -> Parsed {
        parse(text, self.now, self.zone, &self.locale).unwrap()
    }

    fn due(&self, due: &Due) -> String {
        let mut words = vec![format!("due {}", due.date)];
        words.extend(due.time.map(format_time));
        words.extend(
            due.time_zone
                .filter(|zone| *zone != self.zone)
                .map(|zone| zone.to_string()),
        );
        words.join(" ")
    }

    fn line(&self, parsed: &Parsed) -> String {
        let task = &parsed.task;
        let mut parts = vec![task.title.clone()];
        parts.extend(task.due.as_ref().map(|due| self.due(due)));
        parts.extend(task.recurrence.as_ref().map(|recurrence| {
            let from = if recurrence.from == From::Completion {
                " from completion"
            } else {
                ""
            };
            format!("rule {}{from}", recurrence.rule)
        }));
        parts.extend(task.priority.map(|priority| {
            match priority {
                Priority::Low => "low",
                Priority::Medium => "medium",
                Priority::High => "high",
            }
            .to_owned()
        }));
        if !task.tags.is_empty() {
            parts.push(format!("tags {}", task.tags.join(",")));
        }
        if !task.reminders.is_empty() {
            let reminders = task.reminders.iter().map(|when| match when {
                When::At(at) => format!("at {at}"),
                When::Before(before) => format!("{before} before"),
            });
            parts.push(format!(
                "remind {}",
                reminders.collect::<Vec<_>>().join(", ")
            ));
        }
        parts.join(" | ").trim().to_owned()
    }
}

/// The part of a text between two places in UTF-16 code units.
fn part(text: &str, start: usize, end: usize) -> String {
    let units: Vec<u16> = text.encode_utf16().collect();
    String::from_utf16(&units[start..end]).unwrap()
}

#[test]
fn golden_cases() {
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    let mut lines = golden.lines().peekable();
    let mut here = None;
    let (mut actual, mut cases) = (String::new(), 0);
    while let Some(line) = lines.next() {
        if line.starts_with("now ") {
            here = Some(Here::read(line));
        }
        let Some((text, _)) = line.split_once(" =>") else {
            actual += &format!("{line}\n");
            continue;
        };
        let here = here.as_ref().unwrap();
        let parsed = here.parse(text);
        cases += 1;
        actual += format!("{text} => {}", here.line(&parsed)).trim_end();
        actual += "\n";
        if lines.peek().is_some_and(|line| line.starts_with("  [")) {
            while lines.next_if(|line| line.starts_with("  [")).is_some() {}
            for span in &parsed.spans {
                actual += &format!("  [{}] {}\n", part(text, span.start, span.end), span.means);
            }
        }
    }
    assert!(cases >= 300, "{cases} cases");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(GOLDEN, actual).unwrap();
    }
    let wrong: Vec<_> = golden
        .lines()
        .zip(actual.lines())
        .filter(|(expected, actual)| expected.trim_end() != *actual)
        .map(|(expected, actual)| format!("- {expected}\n+ {actual}"))
        .collect();
    assert!(
        wrong.is_empty() && golden.lines().count() == actual.lines().count(),
        "{}",
        wrong.join("\n")
    );
}

fn here() -> Here {
    Here::read("now 2026-11-23T10:00:00Z Europe/Berlin en-GB")
}

#[test]
fn a_text_has_a_bound() {
    let here = here();
    let read = |text: &str| parse(text, here.now, here.zone, "en");
    assert!(read(&"ü".repeat(MAX_TEXT)).is_ok());
    assert_eq!(read(&"ü".repeat(MAX_TEXT + 1)), Err(Error::TooLong));
}

#[test]
fn no_text_takes_long() {
    let here = here();
    for words in [
        "(",
        "a ",
        "1 ",
        "1/2 ",
        "24th ",
        "every ",
        "!9 at 9 ",
        "1 day after ",
        "the last of ",
        "every day until ",
        "\"a",
        "every mon at 8pm, ",
        "remind me 1 day and ",
        "5pm Europe/Berli ",
        "every! other ",
    ] {
        let text: String = words.chars().cycle().take(MAX_TEXT).collect();
        let begun = std::time::Instant::now();
        here.parse(&text);
        assert!(begun.elapsed().as_secs() < 1, "{words}");
    }
}

#[test]
fn spans_count_as_a_browser_does() {
    let parsed = here().parse("🎉🎉 tomorrow");
    assert_eq!((parsed.spans[0].start, parsed.spans[0].end), (5, 13));
}

/// Words that mean something and words that do not, in any order.
fn lines() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "every",
        "every!",
        "other",
        "mon",
        "fri",
        "friday,",
        "and",
        "1st",
        "2nd",
        "last",
        "workday",
        "weekend",
        "day",
        "days",
        "week",
        "month",
        "of",
        "the",
        "next",
        "this",
        "in",
        "at",
        "on",
        "by",
        "for",
        "from",
        "until",
        "to",
        "starting",
        "ending",
        "after",
        "before",
        "3",
        "15",
        "31",
        "24th",
        "jan",
        "dec",
        "feb",
        "2026",
        "2027-02-28",
        "3/4",
        "24.12.2026",
        "5pm",
        "17:00",
        "9",
        "noon",
        "morning",
        "tonight",
        "Europe/Berlin",
        "EST",
        "remind",
        "me",
        "30m",
        "1h",
        "!30m",
        "#tag",
        "@home",
        "p1",
        "!high",
        "\"",
        "(",
        ")",
        "-",
        ",",
        ".",
        "milk",
        "call",
        "Tom",
        "tomorrow",
        "now",
        "end",
        "mid",
        "times",
        "half",
        "an",
        "hour",
        "year",
        "years",
        "new",
        "year's",
        "eve",
        "99999",
        "🎉",
        "دودھ",
        "e\u{301}",
    ];
    proptest::collection::vec(proptest::sample::select(WORDS), 0..20)
        .prop_map(|words| words.join(" "))
}

/// The characters that are not in a span, but for the space and the signs that only join.
fn essence(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !",;:-–—،.!?)]}…".contains(*c))
        .collect()
}

fn holds(text: &str, now: i64, zone: usize) {
    let zone = chrono_tz::TZ_VARIANTS[zone % chrono_tz::TZ_VARIANTS.len()];
    let now = Instant::from_millis(now).unwrap();
    let parsed = parse(text, now, zone, "en").unwrap();
    let units = text.encode_utf16().count();
    let (mut at, mut rest) = (0, String::new());
    for span in &parsed.spans {
        assert!(
            at <= span.start && span.start < span.end && span.end <= units,
            "{text:?}: {span:?}"
        );
        assert!(!span.means.is_empty());
        rest += &part(text, at, span.start);
        if span.means.starts_with("stays in the title") {
            rest += &part(text, span.start, span.end);
        }
        at = span.end;
    }
    rest += &part(text, at, units);
    // What is in no span is in the title.
    assert_eq!(essence(&rest), essence(&parsed.task.title), "{text:?}");
    assert_eq!(parsed.task.title.trim(), parsed.task.title);
    if let Some(recurrence) = &parsed.task.recurrence {
        let rule = Rule::parse(&recurrence.rule).unwrap();
        assert_eq!(rule.to_string(), recurrence.rule, "{text:?}");
        let due = parsed.task.due.unwrap();
        // The first date is one that the rule gives: the next after the day before it.
        let counted = ["INTERVAL", "COUNT"]
            .iter()
            .any(|part| recurrence.rule.contains(part));
        if recurrence.rule.contains("BY") && !counted {
            let before = Due {
                date: due.date.pred_opt().unwrap(),
                ..due.clone()
            };
            let series = Series {
                rule: &rule,
                start: &before,
            };
            let next: Vec<_> = preview(series, &before, 1, 1)
                .into_iter()
                .map(|o| o.due)
                .collect();
            assert_eq!(next, [due], "{text:?}");
        }
    }
    // In quotes, nothing is recognised.
    let quoted = format!("\"{}\"", text.replace('"', "").trim());
    let again = parse(&quoted, now, zone, "en").unwrap();
    assert_eq!((again.task.title, again.spans), (quoted, Vec::new()));
}

const INSTANTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_a_meaning(text in "\\PC{0,80}", now in INSTANTS, zone: usize) {
        holds(&text, now, zone);
    }

    #[test]
    fn any_words_have_a_meaning(text in lines(), now in INSTANTS, zone: usize) {
        holds(&text, now, zone);
    }
}
