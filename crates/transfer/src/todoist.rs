//! Todoist's CSV, as its templates and exports have it: one row a task, in the columns that the first row names.
//!
//! PRIORITY 1 is high, 2 medium, 3 low, 4 none (which is medium). `@label` in CONTENT becomes the tag `label`. DATE is a
//! date, or words in English. A `note` is put below the description of the task before it. Sections, the nesting of
//! tasks, durations and deadlines have no place here; what has none is told.
//!
//! What an export cannot say, and a second import therefore loses:
//!
//! | | |
//! |---|---|
//! | status | an export has the open tasks alone |
//! | reminders, position, series | |
//! | due | the seconds; a date that is past, if the task recurs: a series in words begins today at the earliest |
//! | recurrence | a rule that is more than "every so many days, weeks, months or years" |
//! | times of creation and of the last change | they are the import's |
//!
//! A task that was exported is another one for the import.

use chrono::NaiveTime;
use chrono_tz::{Tz, UTC};
use csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use docket_domain::command::Field;
use docket_domain::due::{Due, parse_date, parse_time, parse_zone};
use docket_domain::recurrence::From;
use docket_domain::task::Priority;
use docket_domain::{NewTask, Task, TaskInput};
use std::collections::HashMap;

use crate::import::{Dated, Import, Unreadable, due_input, one_line, quoted, recurrence_input};
use crate::words::{escaped, pieces, plain_rule, unescaped};

/// The columns, in the order of Todoist's own files.
const COLUMNS: [&str; 14] = [
    "TYPE",
    "CONTENT",
    "DESCRIPTION",
    "PRIORITY",
    "INDENT",
    "AUTHOR",
    "RESPONSIBLE",
    "DATE",
    "DATE_LANG",
    "TIMEZONE",
    "DURATION",
    "DURATION_UNIT",
    "DEADLINE",
    "DEADLINE_LANG",
];

/// A row, its fields by the names of their columns.
struct Row<'a> {
    columns: &'a HashMap<String, usize>,
    record: StringRecord,
    line: usize,
}

impl Row<'_> {
    fn raw(&self, column: &str) -> &str {
        let field = self.columns.get(column).and_then(|at| self.record.get(*at));
        field.unwrap_or_default()
    }

    fn get(&self, column: &str) -> &str {
        self.raw(column).trim()
    }
}

/// Reads a whole file.
pub(crate) fn read(text: &str, import: &mut Import) -> Result<(), Unreadable> {
    if let Some(line) = open_quote(text) {
        let detail = "the quote that begins here does not end".to_owned();
        return Err(Unreadable::NotOfFormat { line, detail });
    }
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let not_csv = |detail: &str| Unreadable::NotOfFormat {
        line: 1,
        detail: detail.to_owned(),
    };
    let headers = reader.headers().map_err(|_| not_csv("not CSV"))?;
    let columns: HashMap<String, usize> = headers
        .iter()
        .enumerate()
        .map(|(at, name)| (name.trim().to_ascii_uppercase(), at))
        .collect();
    if !(columns.contains_key("TYPE") && columns.contains_key("CONTENT")) {
        return Err(not_csv(
            "a Todoist CSV begins with its columns: TYPE,CONTENT,…",
        ));
    }
    // A task waits for its notes, which come after it.
    let mut waiting: Option<(usize, NewTask)> = None;
    let mut lines = Lines::new(text);
    for record in reader.records() {
        let record = record.map_err(|_| not_csv("not CSV"))?;
        let at = record.position().map_or(0, csv::Position::byte);
        let line = lines.number(at as usize);
        let row = Row {
            columns: &columns,
            record,
            line,
        };
        let content = row.get("CONTENT");
        match row.get("TYPE").to_ascii_lowercase().as_str() {
            "task" => {
                if let Some((line, task)) = waiting.take() {
                    import.add(line, task)?;
                }
                waiting = read_task(&row, import).map(|task| (line, task));
            }
            "note" => match &mut waiting {
                Some((_, task)) => add_note(&mut task.input, content),
                None => import.problem(line, "left out: a note without a task before it"),
            },
            "section" => import.problem(
                line,
                format!("the section {} is not kept, its tasks are", quoted(content)),
            ),
            // How a project looks is nothing about its tasks.
            "meta" => {}
            "" if row.record.iter().all(|field| field.trim().is_empty()) => {}
            other => import.problem(
                line,
                format!("left out: a row of the type {}", quoted(other)),
            ),
        }
    }
    if let Some((line, task)) = waiting {
        import.add(line, task)?;
    }
    Ok(())
}

/// The line where a quote begins that never ends, which `csv` takes for the rest of the file.
fn open_quote(text: &str) -> Option<usize> {
    enum At {
        FieldStart,
        Plain,
        Quoted,
        /// Behind a quote within quotes: it was the end, unless another one follows.
        Closed,
    }
    let (mut at, mut line, mut begin) = (At::FieldStart, 1, 1);
    for byte in text.bytes() {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, _) | (At::Closed, b'"') => At::Quoted,
            (At::FieldStart, b'"') => {
                begin = line;
                At::Quoted
            }
            (_, b',' | b'\r' | b'\n') => At::FieldStart,
            _ => At::Plain,
        };
        line += usize::from(byte == b'\n');
    }
    matches!(at, At::Quoted).then_some(begin)
}

/// Numbers lines by the places where rows begin, which only ever grow.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// The line of the row that begins at a byte or after the line breaks there: `csv` counts those to the row.
    fn number(&mut self, byte: usize) -> usize {
        let rest = self.text.as_bytes().get(byte..).unwrap_or_default();
        let breaks = rest
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n'))
            .count();
        let begin = byte + breaks;
        let between = self.text.as_bytes().get(self.at..begin).unwrap_or_default();
        self.line += between.iter().filter(|b| **b == b'\n').count();
        self.at = begin;
        self.line
    }
}

fn read_task(row: &Row, import: &mut Import) -> Option<NewTask> {
    let line = row.line;
    let (title, tags) = read_content(&one_line(row.get("CONTENT")));
    if title.is_empty() {
        import.problem(line, "left out: a task without a text");
        return None;
    }
    let priority = match row.get("PRIORITY") {
        "1" => Field::Value("high".to_owned()),
        "2" => Field::Value("medium".to_owned()),
        "3" => Field::Value("low".to_owned()),
        "4" | "" => Field::Absent,
        other => {
            let other = quoted(other);
            import.problem(
                line,
                format!("{other} is not a priority from 1 to 4; taken without it"),
            );
            Field::Absent
        }
    };
    let dated = read_date(row, import);
    tell_what_is_not_kept(row, import);
    let description = row.raw("DESCRIPTION").to_owned();
    let fields: Vec<&str> = row.record.iter().collect();
    Some(NewTask {
        token: import.token(&[&["todoist"], fields.as_slice()].concat()),
        input: TaskInput {
            title: Field::Value(title),
            description: Field::Value(description),
            priority,
            tags: Field::Value(tags),
            due: dated
                .as_ref()
                .map_or(Field::Absent, |dated| Field::Value(due_input(&dated.due))),
            recurrence: dated
                .and_then(|dated| dated.recurrence)
                .map_or(Field::Absent, |(rule, from)| {
                    Field::Value(recurrence_input(rule, from))
                }),
            ..TaskInput::default()
        },
        ..NewTask::default()
    })
}

fn read_content(content: &str) -> (String, Vec<String>) {
    let (mut title, mut tags) = (String::with_capacity(content.len()), Vec::new());
    for (word, piece) in pieces(content) {
        if unescaped(word, means_something).is_some() {
            title.push_str(piece.strip_prefix('\\').unwrap_or(piece));
        } else if means_something(word) {
            tags.extend(word.strip_prefix('@').map(str::to_owned));
        } else {
            title.push_str(piece);
        }
    }
    (title.trim().to_owned(), tags)
}

/// Whether a word of a title would be read as a label.
fn means_something(word: &str) -> bool {
    word.len() > 1 && word.starts_with('@')
}

fn add_note(input: &mut TaskInput, note: &str) {
    if let Field::Value(description) = &mut input.description {
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        description.push_str(note);
    }
}

fn read_date(row: &Row, import: &mut Import) -> Option<Dated> {
    let (line, text) = (row.line, row.get("DATE"));
    if text.is_empty() {
        return None;
    }
    let zone = match row.get("TIMEZONE") {
        "" => import.options.time_zone,
        name => {
            let zone = parse_zone(name);
            if zone.is_none() {
                let name = quoted(name);
                import.problem(
                    line,
                    format!("{name} is not an IANA time zone; the date is taken without it"),
                );
            }
            zone
        }
    };
    if let Some(due) = plain_date(text, zone) {
        return Some(Dated {
            due,
            recurrence: None,
        });
    }
    let language = row.get("DATE_LANG");
    let why = if language.is_empty() || language.eq_ignore_ascii_case("en") {
        let options = import.options;
        match (options.read_date)(text, options.now, zone.unwrap_or(UTC)) {
            Some(mut dated) => {
                if zone.is_none() {
                    dated.due.time_zone = None;
                }
                return Some(dated);
            }
            None => "is not a date".to_owned(),
        }
    } else {
        format!(
            "is a date in the language {}, which is not read",
            quoted(language)
        )
    };
    let text = quoted(text);
    import.problem(line, format!("{text} {why}; taken without the date"));
    None
}

/// A date as an export of ours has it: `2026-12-03`, `2026-12-03 at 14:15`, and how programs write that.
fn plain_date(text: &str, zone: Option<Tz>) -> Option<Due> {
    let (date, rest) = text.split_at_checked(10)?;
    let date = parse_date(date)?;
    let time = match rest {
        "" => None,
        _ => Some(parse_time(
            [" at ", "T", " "]
                .into_iter()
                .find_map(|mark| rest.strip_prefix(mark))?,
        )?),
    };
    Some(Due {
        date,
        time,
        time_zone: zone.filter(|_| time.is_some()),
    })
}

fn tell_what_is_not_kept(row: &Row, import: &mut Import) {
    let mut lost = Vec::new();
    if !matches!(row.get("INDENT"), "" | "1") {
        lost.push("its place below another task".to_owned());
    }
    if !row.get("DURATION").is_empty() {
        let (number, unit) = (row.get("DURATION"), row.get("DURATION_UNIT"));
        lost.push(format!(
            "its duration {}",
            quoted(format!("{number} {unit}").trim())
        ));
    }
    if !row.get("DEADLINE").is_empty() {
        lost.push(format!("its deadline {}", quoted(row.get("DEADLINE"))));
    }
    if !row.get("RESPONSIBLE").is_empty() {
        lost.push("who is responsible".to_owned());
    }
    if !lost.is_empty() {
        import.problem(row.line, format!("taken without {}", lost.join(", ")));
    }
}

/// Writes the row of the columns.
pub(crate) fn write_head(out: &mut String) {
    write_row(&COLUMNS, out);
}

/// Writes a task as a row.
pub(crate) fn write(task: &Task, out: &mut String) {
    let mut content = escaped(&task.title, means_something);
    for tag in &task.tags {
        content.extend([" @", tag]);
    }
    let priority = match task.priority {
        Priority::High => "1",
        Priority::Medium => "4",
        Priority::Low => "3",
    };
    let date = task
        .due
        .as_ref()
        .map(|due| written_date(due, task))
        .unwrap_or_default();
    let zone = task
        .due
        .as_ref()
        .and_then(|due| due.time_zone)
        .map_or("", |zone| zone.name());
    let language = if date.is_empty() { "" } else { "en" };
    write_row(
        &[
            "task",
            &content,
            &task.description,
            priority,
            "1",
            "",
            "",
            &date,
            language,
            zone,
            "",
            "",
            "",
            "",
        ],
        out,
    );
}

fn written_date(due: &Due, task: &Task) -> String {
    let date = due.date.format("%Y-%m-%d").to_string();
    let time = |time: NaiveTime| format!(" at {}", time.format("%H:%M"));
    let time = due.time.map(time).unwrap_or_default();
    let every = task.recurrence.as_ref().and_then(|recurrence| {
        let (unit, number) = plain_rule(recurrence.rule.as_str())?;
        let unit = match unit {
            'd' => "day",
            'w' => "week",
            'm' => "month",
            _ => "year",
        };
        let mark = if recurrence.from == From::Completion {
            "!"
        } else {
            ""
        };
        Some(match number {
            1 => format!("every{mark} {unit}"),
            _ => format!("every{mark} {number} {unit}s"),
        })
    });
    match every {
        Some(every) => format!("{every}{time} starting {date}"),
        None => format!("{date}{time}"),
    }
}

fn write_row(fields: &[&str], out: &mut String) {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .buffer_capacity(512)
        .from_writer(Vec::new());
    // Writing to memory does not fail, and what comes out is the text that went in.
    let written = writer
        .write_record(fields)
        .ok()
        .and_then(|()| writer.into_inner().ok());
    out.push_str(&String::from_utf8(written.unwrap_or_default()).unwrap_or_default());
}
