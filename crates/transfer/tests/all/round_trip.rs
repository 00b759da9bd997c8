//! What an export carries into a fresh account: all of it, or exactly what the format's documentation says.

use chrono::Timelike as _;
use docket_domain::due::{Due, parse_date};
use docket_domain::recurrence::{From, Recurrence, Rule, Start};
use docket_domain::task::{Before, Priority, Reminder, When};
use docket_domain::{Instant, Task, TaskId, base32};
use docket_transfer::Format;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{NOW, export, import, stored};

/// Rules, and what todo.txt and Todoist's CSV make of them.
const RULES: [(&str, Option<&str>, Option<&str>); 7] = [
    ("daily", Some("FREQ=DAILY"), Some("FREQ=DAILY")),
    ("yearly", Some("FREQ=YEARLY"), Some("FREQ=YEARLY")),
    (
        "FREQ=WEEKLY;INTERVAL=2",
        Some("FREQ=WEEKLY;INTERVAL=2"),
        Some("FREQ=WEEKLY;INTERVAL=2"),
    ),
    (
        "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
        Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        None,
    ),
    ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=6", None, None),
    ("FREQ=DAILY;UNTIL=20271231T235959Z", None, None),
    ("cron:0 9 * * 1-5", None, None),
];

/// Words that a reader might take for something else, and plain ones.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "x",
            "(A)",
            "(a)",
            "2026-11-20",
            "+1",
            "+",
            "@",
            "@home",
            "+home",
            "due:2026-12-01",
            "due:soon",
            "rec:1d",
            "rec:+1w",
            "pri:A",
            "pri:x",
            "key:value",
            "http://a.b/c",
            "a@b.c",
            "\\",
            "\\+1",
            "\\\\@x",
            "\\n",
            "\"quoted\"",
            "'",
            ",",
            ";",
            "a,b;c",
            "\\,",
            "=1+1",
            "^n",
            "BEGIN:VTODO",
            "END:VCALENDAR",
            "every",
            "\u{1f382}",
            "\u{628}\u{62c}\u{644}\u{6cc}",
            "\u{8cb7}\u{3044}\u{7269}",
            "e\u{301}",
            "\u{202e}rtl",
            "\u{2028}",
            "\u{feff}",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9 .:;,\\\\\"'+@()-]{1,20}",
        "\\PC{1,12}",
    ]
}

fn title() -> impl Strategy<Value = String> {
    (vec(word(), 1..8), select(vec![" ", "  ", "\t"])).prop_filter_map("blank", |(words, gap)| {
        let title = words.join(gap).trim().to_owned();
        (!title.is_empty() && !title.chars().any(|c| c.is_control() && c != '\t')).then_some(title)
    })
}

fn description() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        vec(word(), 0..12).prop_map(|words| words.join("\n")),
        "[ \t\n,;\\\\\"a]{0,40}",
        Just("\u{1f382},;\\\n\u{6af}".repeat(1_333)),
    ]
}

fn tag() -> impl Strategy<Value = String> {
    let unfit = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    word()
        .prop_map(move |word| word.replace(unfit, ""))
        .prop_filter("empty", |tag| !tag.is_empty())
}

fn instant() -> impl Strategy<Value = Instant> {
    (Instant::MIN.as_millis()..=Instant::MAX.as_millis())
        .prop_map(|millis| Instant::from_millis(millis).unwrap())
}

fn due() -> impl Strategy<Value = Due> {
    let zone = of(select(chrono_tz::TZ_VARIANTS.to_vec()));
    (
        2_i32..9_999,
        1_u32..=366,
        of((0_u32..24, 0_u32..60, select(vec![0, 0, 59]))),
        zone,
    )
        .prop_map(|(year, day, time, zone)| {
            let first = parse_date(&format!("{year:04}-01-01")).unwrap();
            let time = time.map(|(h, m, s)| chrono::NaiveTime::from_hms_opt(h, m, s).unwrap());
            Due {
                date: first.with_day_of_year(day),
                time,
                time_zone: zone.filter(|_| time.is_some()),
            }
        })
}

trait DayOfYear {
    fn with_day_of_year(self, day: u32) -> Self;
}

impl DayOfYear for chrono::NaiveDate {
    fn with_day_of_year(self, day: u32) -> Self {
        self + chrono::Days::new(u64::from(day) - 1)
    }
}

fn reminders() -> impl Strategy<Value = Vec<Reminder>> {
    let when = prop_oneof![
        instant().prop_map(When::At),
        (0_u32..=366 * 86_400)
            .prop_map(|s| When::Before(Before::parse(&format!("PT{s}S")).unwrap())),
    ];
    btree_map(0_u64..1 << 40, when, 0..4).prop_map(|reminders| {
        let reminder = |(id, when)| Reminder {
            id: base32::encode(id, 8),
            when,
        };
        reminders.into_iter().map(reminder).collect()
    })
}

fn recurrence() -> impl Strategy<Value = Recurrence> {
    let from = select(vec![From::Due, From::Completion]);
    let start = of((1_u32..1_000, due()).prop_map(|(index, due)| Start { index, due }));
    (
        select(RULES.to_vec()),
        from,
        any::<u64>(),
        1_u32..100_000,
        start,
    )
        .prop_map(|((rule, ..), from, id, index, start)| Recurrence {
            rule: Rule::checked(rule.to_owned()),
            from,
            series_id: base32::encode(id, 13),
            index,
            start,
            next: None,
        })
}

prop_compose! {
    fn task()(
        texts in (title(), description(), vec(tag(), 0..5)),
        priority in select(vec![Priority::Low, Priority::Medium, Priority::High]),
        dates in (of(due()), reminders(), of(recurrence())),
        place in (of(any::<i32>()), any::<u64>(), 0_u32..1_000, 1_u64..100_000),
        times in (instant(), instant(), of(instant())),
    ) -> Task {
        let (title, description, mut tags) = texts;
        let mut seen = Vec::new();
        tags.retain(|tag| {
            let new = !seen.contains(tag);
            seen.push(tag.clone());
            new
        });
        let (position, token, segment, seq) = place;
        Task {
            id: TaskId::new(segment, token),
            title,
            description,
            priority,
            tags,
            due: dates.0,
            reminders: dates.1,
            recurrence: dates.2,
            parent_id: None,
            position: position.map(|n| f64::from(n) / 16.0),
            created_seq: seq,
            seq,
            created_at: times.0,
            updated_at: times.1,
            completed_at: times.2,
        }
    }
}

/// What comes back, its place in the new account put aside.
fn carried(format: Format, task: &Task) -> Task {
    let file = export(format, std::slice::from_ref(task));
    let import = import(format, &file);
    assert_eq!(import.problems(), [], "{file}");
    let back = stored(import).pop();
    back.unwrap_or_else(|| panic!("{file}"))
}

/// The task as a format that knows little more than titles and dates brings it.
fn plain(task: &Task, back: &Task, rule: Option<&str>) -> Task {
    let now = Instant::parse(NOW).unwrap();
    let recurrence = task.recurrence.as_ref().zip(rule);
    Task {
        id: back.id,
        recurrence: recurrence
            .zip(back.recurrence.as_ref())
            .map(|((old, rule), new)| Recurrence {
                rule: Rule::checked(rule.to_owned()),
                from: old.from,
                series_id: new.series_id.clone(),
                index: 1,
                start: None,
                next: None,
            }),
        reminders: Vec::new(),
        position: None,
        created_seq: 1,
        seq: 1,
        updated_at: now,
        ..task.clone()
    }
}

fn rules(task: &Task) -> (Option<&'static str>, Option<&'static str>) {
    let rule = task
        .recurrence
        .as_ref()
        .map(|recurrence| recurrence.rule.as_str());
    let row = RULES.iter().find(|(name, ..)| Some(*name) == rule);
    row.map_or((None, None), |(_, todotxt, todoist)| (*todotxt, *todoist))
}

fn day(at: Instant) -> Instant {
    Instant::from_millis(at.as_millis().div_euclid(86_400_000) * 86_400_000).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn json_lines_and_icalendar_carry_everything(task in task()) {
        for format in [Format::JsonLines, Format::Ics] {
            let back = carried(format, &task);
            prop_assert_eq!(back.id.token, task.id.token);
            let expected = Task {
                id: back.id,
                position: Some(task.position.unwrap_or(task.created_seq as f64)),
                created_seq: 1,
                seq: 1,
                ..task.clone()
            };
            prop_assert_eq!(&back, &expected);
        }
    }

    #[test]
    fn todo_txt_loses_what_it_says(task in task()) {
        let back = carried(Format::TodoTxt, &task);
        let expected = Task {
            description: String::new(),
            due: task.due.clone().map(|due| Due { time: None, time_zone: None, ..due }),
            created_at: day(task.created_at),
            completed_at: task.completed_at.map(day),
            ..plain(&task, &back, rules(&task).0)
        };
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn todoist_csv_loses_what_it_says(task in task()) {
        let task = Task { completed_at: None, ..task };
        // A series in words begins today at the earliest.
        let is_past = task.due.as_ref().is_some_and(|due| due.date < parse_date("2026-11-25").unwrap());
        prop_assume!(!(is_past && rules(&task).1.is_some()));
        let back = carried(Format::TodoistCsv, &task);
        let minute = |time: chrono::NaiveTime| time.with_second(0).unwrap();
        let expected = Task {
            due: task.due.clone().map(|due| Due { time: due.time.map(minute), ..due }),
            created_at: Instant::parse(NOW).unwrap(),
            ..plain(&task, &back, rules(&task).1.filter(|_| task.due.is_some()))
        };
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn control_characters_of_a_description_are_lost_in_icalendar_alone(text in "[a\r\n\u{1}\u{7f}]{0,12}") {
        let task = Task { description: text.clone(), ..stored(import(Format::TodoTxt, "Call")).remove(0) };
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace(['\u{1}', '\u{7f}'], "");
        prop_assert_eq!(carried(Format::Ics, &task).description, text);
        for format in [Format::JsonLines, Format::TodoistCsv] {
            prop_assert_eq!(&carried(format, &task).description, &task.description);
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,200}|[x()+@:A-Z0-9 -]{0,80}|[\"\\\\,;:=^\r\n a-cTZ0-9-]{0,120}") {
        let around = [
            text.clone(),
            format!("TYPE,CONTENT,DATE\n{text}"),
            format!("TYPE,CONTENT,DATE,PRIORITY\ntask,{text}"),
            format!("BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\n{text}\nEND:VTODO\nEND:VCALENDAR"),
            format!("BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\nDUE{text}\nBEGIN:VALARM\nTRIGGER{text}\nEND:VALARM\nEND:VTODO\nEND:VCALENDAR"),
            format!("{{\"title\":\"{text}\"}}"),
        ];
        for file in around {
            for format in Format::ALL {
                let _ = docket_transfer::read(format, file.as_bytes(), &crate::options());
            }
        }
    }
}
