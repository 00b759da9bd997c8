//! Reads todo.txt (the format of <https://github.com/todotxt/todo.txt>): one task a line.
//!
//! `(A)` is high, `(B)` medium, any later letter low. `+project` becomes the tag `project`, `@context` the tag
//! `@context`. `due:` and `rec:` (as the todo.txt apps write it: `rec:1w` counts from completion, `rec:+1w` from the
//! due date) become the task's own fields. Any other `key:value` stays in the title.

use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

use crate::command::{DueInput, Field, NewTask, RecurrenceInput, TaskInput};
use crate::due::parse_date;
use crate::ids::first_64_bits;
use crate::shelf::CheckRule;
use crate::{Instant, Rejection};

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The tasks, each with the number of its line, counted from 1.
    pub tasks: Vec<(usize, NewTask)>,
    /// What could not be taken as it was meant.
    pub problems: Vec<Problem>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Problem {
    /// The line's number, counted from 1.
    pub line: usize,
    /// What is wrong, and what became of the line.
    pub detail: String,
}

/// Reads a whole file. Blank lines count as lines, and are nothing else.
pub fn read(text: &str, check_rule: CheckRule) -> Import {
    let mut import = Import::default();
    let mut copies: HashMap<&str, u32> = HashMap::new();
    for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let number = i + 1;
        if line.trim().is_empty() {
            continue;
        }
        let mut problems = Vec::new();
        if let Some(mut task) = read_line(line, &mut problems) {
            // The same line twice in a file means two tasks; the same file twice means the same tasks.
            let copy = copies.entry(line).or_default();
            let digest = Sha256::new()
                .chain_update("todotxt\n")
                .chain_update(line)
                .chain_update(copy.to_be_bytes());
            task.token = first_64_bits(&digest.finalize());
            *copy += 1;
            match rules(&task, check_rule) {
                Ok(()) => import.tasks.push((number, task)),
                Err(detail) => problems.push(format!("left out: {detail}")),
            }
        }
        import
            .problems
            .extend(problems.into_iter().map(|detail| Problem {
                line: number,
                detail,
            }));
    }
    import
}

/// Checks a task by the rules that every task obeys.
fn rules(new: &NewTask, check_rule: CheckRule) -> Result<(), String> {
    let mut shelf = crate::Shelf::default();
    let context = crate::Context {
        account: crate::AccountId::parse("import").ok_or_else(String::new)?,
        actor: crate::Actor {
            kind: crate::ActorKind::Person,
            id: String::new(),
        },
        now: Instant::MIN,
        entropy: crate::Entropy(0),
        if_version: None,
        check_rule,
    };
    match shelf.apply(
        &crate::Command::Import {
            tasks: vec![new.clone()],
            scanned: 0,
        },
        &context,
    ) {
        Ok(_) => Ok(()),
        Err(Rejection::Invalid(errors)) => Err(errors
            .into_iter()
            .map(|e| e.detail)
            .collect::<Vec<_>>()
            .join("; ")),
        Err(other) => Err(other.to_string()),
    }
}

fn read_line(line: &str, problems: &mut Vec<String>) -> Option<NewTask> {
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
            Some(("rec", value)) => match recurrence(value) {
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
        let word: String = word.chars().take(80).collect();
        self.problems
            .push(format!("\"{word}\" is {why}; it stays in the title"));
        false
    }
}

/// `rec:[+]<number><d|b|w|m|y>`; business days are every weekday, so only `1b` has a rule.
fn recurrence(value: &str) -> Option<RecurrenceInput> {
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
        rule: Field::Value(rule),
        from: Field::Value(from.to_owned()),
    })
}

#[cfg(test)]
mod tests;
