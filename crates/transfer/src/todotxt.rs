//! todo.txt (the format of <https://github.com/todotxt/todo.txt>): one task a line.
//!
//! `(A)` is high, `(B)` and none medium, any later letter low. `+project` becomes the tag `project`, `@context` the tag
//! `@context`. `due:` and `rec:` (as the todo.txt apps write it: `rec:1w` counts from completion, `rec:+1w` from the due
//! date) become the task's own fields. Any other `key:value` stays in the title. A word of the title that would mean
//! something is written with a backslash before it (`\\+1`).
//!
//! What an export cannot say, and a second import therefore loses:
//!
//! | | |
//! |---|---|
//! | description, reminders, position, series | |
//! | due | the time and its zone |
//! | recurrence | a rule that is more than "every so many days, weeks, months or years" (or every weekday) |
//! | times of creation and completion | the time of the day, in UTC |
//! | time of the last change | it is the import's |
//!
//! A task that was exported and changed meanwhile is another one for the import.

use docket_domain::command::{DueInput, Field, RecurrenceInput};
use docket_domain::due::parse_date;
use docket_domain::recurrence::From;
use docket_domain::task::Priority;
use docket_domain::{Instant, NewTask, Task, TaskInput};

use crate::import::{Import, Options, Unreadable, quoted, recurrence_input};
use crate::words::{escaped, pieces, plain_rule, unescaped};

/// Every weekday: "business days" are no unit of RFC 5545, so only one of them has a rule.
const WEEKDAYS: &str = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR";
/// The largest number of a `rec:`.
const MAX_INTERVAL: u32 = 999;

/// Reads a whole file. Blank lines count as lines, and are nothing else.
pub(crate) fn read(text: &str, import: &mut Import) -> Result<(), Unreadable> {
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let mut problems = Vec::new();
        let task = read_line(line, import.options, &mut problems);
        for problem in problems {
            import.problem(number, problem);
        }
        if let Some(mut task) = task {
            task.token = import.token(&["todotxt", line]);
            import.add(number, task)?;
        }
    }
    Ok(())
}

fn read_line(line: &str, options: Options, problems: &mut Vec<String>) -> Option<NewTask> {
    let mut task = NewTask::default();
    let mut rest = line.trim_end();
    if rest == "x" {
        problems.push("left out: done, but without a text".to_owned());
        return None;
    }
    let priority;
    if let Some(done) = rest.strip_prefix("x ") {
        rest = done;
        let completed = take_date(&mut rest);
        priority = take_priority(&mut rest);
        let created = take_date(&mut rest);
        task.done = true;
        task.completed_at = completed;
        // A date of creation alone would stand where the one of completion does.
        task.created_at = created.or(completed);
    } else {
        priority = take_priority(&mut rest);
        task.created_at = take_date(&mut rest);
    }

    let mut words = Words {
        input: TaskInput::default(),
        tags: Vec::new(),
        priority,
        options,
        problems,
    };
    let title = words.sift(rest);
    task.input = TaskInput {
        title: Field::Value(title),
        priority: words
            .priority
            .map_or(Field::Absent, |p| Field::Value(priority_word(p).to_owned())),
        tags: Field::Value(words.tags),
        ..words.input
    };
    if task.input.title == Field::Value(String::new()) {
        words
            .problems
            .push("left out: no text but tags and keys".to_owned());
        return None;
    }
    Some(task)
}

/// Takes a date and the space after it off the start.
fn take_date(rest: &mut &str) -> Option<Instant> {
    let (word, after) = rest.split_once(' ')?;
    let date = parse_date(word)?;
    *rest = after;
    Instant::from_datetime(&date.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// Takes `(A) ` off the start.
fn take_priority(rest: &mut &str) -> Option<char> {
    let mut chars = rest.chars();
    let (open, letter, close, space) = (chars.next()?, chars.next()?, chars.next()?, chars.next()?);
    if open != '(' || !letter.is_ascii_uppercase() || close != ')' || space != ' ' {
        return None;
    }
    *rest = chars.as_str();
    Some(letter)
}

fn priority_word(letter: char) -> &'static str {
    match letter {
        'A' => "high",
        'B' => "medium",
        _ => "low",
    }
}

struct Words<'a> {
    input: TaskInput,
    tags: Vec<String>,
    priority: Option<char>,
    options: Options,
    problems: &'a mut Vec<String>,
}

impl Words<'_> {
    /// Takes the words that mean something out of the text; what stays is the title, its spacing as it was.
    fn sift(&mut self, text: &str) -> String {
        let mut title = String::with_capacity(text.len());
        for (word, piece) in pieces(text) {
            if unescaped(word, means_something).is_some() {
                title.push_str(piece.strip_prefix('\\').unwrap_or(piece));
            } else if !self.take(word) {
                title.push_str(piece);
            }
        }
        title.trim().to_owned()
    }

    fn take(&mut self, word: &str) -> bool {
        match word.strip_prefix(['+', '@']) {
            Some("") | None => {}
            Some(name) => {
                self.tags.push(if word.starts_with('@') {
                    word.to_owned()
                } else {
                    name.to_owned()
                });
                return true;
            }
        }
        match word.split_once(':') {
            Some(("due", value)) => match parse_date(value) {
                Some(_) if self.input.due == Field::Absent => {
                    self.input.due = Field::Value(DueInput {
                        date: Field::Value(value.to_owned()),
                        ..DueInput::default()
                    });
                    true
                }
                Some(_) => self.keep(word, "a second due date"),
                None => self.keep(word, "not a date"),
            },
            Some(("rec", value)) => match self.recurrence(value) {
                Some(recurrence) => {
                    self.input.recurrence = Field::Value(recurrence);
                    true
                }
                None => self.keep(word, "not a recurrence that is known"),
            },
            // How todo.txt apps keep the priority of a done task.
            Some(("pri", value)) => match value.chars().next() {
                Some(letter) if value.len() == 1 && letter.is_ascii_uppercase() => {
                    self.priority = Some(letter);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn keep(&mut self, word: &str, why: &str) -> bool {
        let word = quoted(word);
        self.problems
            .push(format!("{word} is {why}; it stays in the title"));
        false
    }

    /// `rec:[+]<number><d|b|w|m|y>`.
    fn recurrence(&self, value: &str) -> Option<RecurrenceInput> {
        let strict = value.strip_prefix('+');
        let rest = strict.unwrap_or(value);
        let unit = rest.chars().next_back()?;
        let number: u32 = rest
            .strip_suffix(unit)?
            .parse()
            .ok()
            .filter(|n| (1..=MAX_INTERVAL).contains(n))?;
        let rule = match (unit, number) {
            ('d', n) => format!("FREQ=DAILY;INTERVAL={n}"),
            ('b', 1) => WEEKDAYS.to_owned(),
            ('w', n) => format!("FREQ=WEEKLY;INTERVAL={n}"),
            ('m', n) => format!("FREQ=MONTHLY;INTERVAL={n}"),
            ('y', n) => format!("FREQ=YEARLY;INTERVAL={n}"),
            _ => return None,
        };
        let from = if strict.is_some() {
            From::Due
        } else {
            From::Completion
        };
        let rule = (self.options.check_rule)(&rule).ok()?;
        Some(recurrence_input(rule, from))
    }
}

/// Whether a word of a title would be read as something else.
fn means_something(word: &str) -> bool {
    let key = word.split_once(':').map(|(key, _)| key);
    (word.len() > 1 && word.starts_with(['+', '@'])) || matches!(key, Some("due" | "rec" | "pri"))
}

/// Writes a task as a line. A date of creation always stands before the title, so nothing at its beginning can be taken
/// for a mark, a priority or a date.
pub(crate) fn write(task: &Task, out: &mut String) {
    let letter = match task.priority {
        Priority::High => Some('A'),
        Priority::Medium => None,
        Priority::Low => Some('C'),
    };
    let day = |at: Instant| at.to_datetime().format("%Y-%m-%d").to_string();
    match (task.completed_at, letter) {
        (Some(at), _) => out.extend(["x ", &day(at), " "]),
        (None, Some(letter)) => out.extend(["(", letter.encode_utf8(&mut [0; 4]), ") "]),
        (None, None) => {}
    }
    out.extend([&day(task.created_at), " "]);
    out.push_str(&escaped(&task.title, means_something));
    for tag in &task.tags {
        let mark = if tag.starts_with('@') && tag.len() > 1 {
            " "
        } else {
            " +"
        };
        out.extend([mark, tag]);
    }
    if let Some(due) = &task.due {
        out.extend([" due:", &due.date.format("%Y-%m-%d").to_string()]);
    }
    if let Some(recurrence) = &task.recurrence
        && let Some(interval) = interval(recurrence.rule.as_str())
    {
        let strict = if recurrence.from == From::Due {
            "+"
        } else {
            ""
        };
        out.extend([" rec:", strict, &interval]);
    }
    // A done task has no "(A)": this is how todo.txt apps keep it.
    if let (Some(_), Some(letter)) = (task.completed_at, letter) {
        out.push_str(" pri:");
        out.push(letter);
    }
    out.push('\n');
}

/// A rule as `rec:` has it, if it is one of the plain ones.
fn interval(rule: &str) -> Option<String> {
    if rule == WEEKDAYS {
        return Some("1b".to_owned());
    }
    let (unit, number) = plain_rule(rule).filter(|(_, number)| *number <= MAX_INTERVAL)?;
    Some(format!("{number}{unit}"))
}
