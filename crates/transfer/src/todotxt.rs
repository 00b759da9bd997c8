//! Reads todo.txt (the format of <https://github.com/todotxt/todo.txt>): one task a line.
//!
//! `(A)` is high, `(B)` medium, any later letter low. `+project` becomes the tag `project`, `@context` the tag
//! `@context`. `due:` and `rec:` (as the todo.txt apps write it: `rec:1w` counts from completion, `rec:+1w` from the
//! due date) become the task's own fields. Any other `key:value` stays in the title.

use docket_domain::command::{DueInput, Field, RecurrenceInput};
use docket_domain::due::parse_date;
use docket_domain::{Instant, NewTask, TaskInput};

use crate::import::{Import, Options, Unreadable, quoted};

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
        for piece in text.split_inclusive([' ', '\t']) {
            let word = piece.trim_end_matches([' ', '\t']);
            if !self.take(word) {
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

    /// `rec:[+]<number><d|b|w|m|y>`; business days are every weekday, so only `1b` has a rule.
    fn recurrence(&self, value: &str) -> Option<RecurrenceInput> {
        let strict = value.strip_prefix('+');
        let rest = strict.unwrap_or(value);
        let unit = rest.chars().next_back()?;
        let number: u32 = rest
            .strip_suffix(unit)?
            .parse()
            .ok()
            .filter(|n| (1..=999).contains(n))?;
        let rule = match (unit, number) {
            ('d', n) => format!("FREQ=DAILY;INTERVAL={n}"),
            ('b', 1) => "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR".to_owned(),
            ('w', n) => format!("FREQ=WEEKLY;INTERVAL={n}"),
            ('m', n) => format!("FREQ=MONTHLY;INTERVAL={n}"),
            ('y', n) => format!("FREQ=YEARLY;INTERVAL={n}"),
            _ => return None,
        };
        let from = if strict.is_some() {
            "due"
        } else {
            "completion"
        };
        Some(RecurrenceInput {
            rule: Field::Value((self.options.check_rule)(&rule).ok()?),
            from: Field::Value(from.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests;
