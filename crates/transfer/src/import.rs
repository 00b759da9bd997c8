//! What all readers share: how tasks and problems are gathered, and what bounds them.

use chrono_tz::Tz;
use docket_domain::command::{DueInput, Field, RecurrenceInput};
use docket_domain::due::{Due, format_time};
use docket_domain::ids::first_64_bits;
use docket_domain::recurrence::From;
use docket_domain::shelf::CheckRule;
use docket_domain::{
    AccountId, Actor, ActorKind, Command, Context, Entropy, Instant, NewTask, Rejection, Shelf,
};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// The most tasks of one file.
pub const MAX_TASKS: usize = 20_000;
/// The most problems that are told one by one.
pub const MAX_PROBLEMS: usize = 1_000;
/// How much of somebody's words a problem repeats, in characters.
const MAX_QUOTE: usize = 80;

/// What a reader is told about the world.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The time, for dates such as "tomorrow".
    pub now: Instant,
    /// The zone of times that name none, if the person said which; else they stay without.
    pub time_zone: Option<Tz>,
    /// Knows dates in words, as in quick add; `None` for words that are anything else than a date.
    pub read_date: ReadDate,
    /// Knows recurrence rules, as in [`Context::check_rule`].
    pub check_rule: CheckRule,
}

/// See [`Options::read_date`]: the words, the time, and the zone that they are read in.
pub type ReadDate = fn(&str, Instant, Tz) -> Option<Dated>;

/// What a date in words says.
#[derive(Clone, Debug, PartialEq)]
pub struct Dated {
    /// When it is due first.
    pub due: Due,
    /// How it comes back: the rule, and what the next date is counted from.
    pub recurrence: Option<(String, From)>,
}

/// What a file holds.
#[derive(Debug)]
pub struct Import {
    /// The tasks, each with the number of the line where it begins, counted from 1.
    pub tasks: Vec<(usize, NewTask)>,
    pub(crate) options: Options,
    problems: Vec<Problem>,
    /// How many problems are not in the list, and the line of the first of them.
    untold: Option<(usize, usize)>,
    copies: HashMap<u64, u32>,
    /// The line of each token.
    taken: HashMap<u64, usize>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The line's number, counted from 1.
    pub line: usize,
    /// What is wrong, and what became of the line.
    pub detail: String,
}

/// Why a file is refused as a whole.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// Its bytes are not text.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// The line with the first wrong byte.
        line: usize,
    },
    /// It is not of the format that it was said to be, or was cut off.
    #[error("line {line}: {detail}")]
    NotOfFormat {
        /// The line where that shows.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// It has more tasks than are taken at once.
    #[error("the file has more than {MAX_TASKS} tasks")]
    TooManyTasks,
}

/// The file as text, without the mark that some programs put before it.
pub(crate) fn text(file: &[u8]) -> Result<&str, Unreadable> {
    let text = std::str::from_utf8(file).map_err(|error| {
        let before = file.iter().take(error.valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Unreadable::NotUtf8 { line }
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A due date as it is sent.
pub(crate) fn due_input(due: &Due) -> DueInput {
    DueInput {
        date: Field::Value(due.date.format("%Y-%m-%d").to_string()),
        time: due
            .time
            .map_or(Field::Absent, |time| Field::Value(format_time(time))),
        time_zone: due
            .time_zone
            .map_or(Field::Absent, |zone| Field::Value(zone.name().to_owned())),
    }
}

/// A recurrence as it is sent.
pub(crate) fn recurrence_input(rule: String, from: From) -> RecurrenceInput {
    let from = match from {
        From::Due => "due",
        From::Completion => "completion",
    };
    RecurrenceInput {
        rule: Field::Value(rule),
        from: Field::Value(from.to_owned()),
    }
}

/// Words on one line: whatever breaks or controls a line is a space.
pub(crate) fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    text.trim().chars().map(plain).collect()
}

/// The beginning of somebody's words, in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_QUOTE).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("\"{short}\"")
}

impl Import {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            tasks: Vec::new(),
            options,
            problems: Vec::new(),
            untold: None,
            copies: HashMap::new(),
            taken: HashMap::new(),
        }
    }

    /// Notes what is wrong with a line.
    pub(crate) fn problem(&mut self, line: usize, detail: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            let detail = detail.into();
            self.problems.push(Problem { line, detail });
        } else {
            let (count, _) = self.untold.get_or_insert((0, line));
            *count += 1;
        }
    }

    /// A task's token: a hash of the words that it was read from. The same words twice in a file mean two tasks; the
    /// same file twice means the same tasks.
    pub(crate) fn token(&mut self, words: &[&str]) -> u64 {
        let mut digest = Sha256::new();
        for word in words {
            digest.update(word.as_bytes());
            digest.update(b"\n");
        }
        let copy = self
            .copies
            .entry(first_64_bits(&digest.clone().finalize()))
            .or_default();
        digest.update(copy.to_be_bytes());
        *copy += 1;
        first_64_bits(&digest.finalize())
    }

    /// Takes a task, if it obeys the rules that every task obeys; else tells which it breaks.
    pub(crate) fn add(&mut self, line: usize, task: NewTask) -> Result<(), Unreadable> {
        if let Err(detail) = self.rules(&task) {
            self.problem(line, format!("left out: {detail}"));
            return Ok(());
        }
        let first = *self.taken.entry(task.token).or_insert(line);
        if first != line {
            self.problem(
                line,
                format!("left out: line {first} has this task already"),
            );
            return Ok(());
        }
        if self.tasks.len() == MAX_TASKS {
            return Err(Unreadable::TooManyTasks);
        }
        self.tasks.push((line, task));
        Ok(())
    }

    fn rules(&self, task: &NewTask) -> Result<(), String> {
        let context = Context {
            account: AccountId::parse("import").ok_or_else(String::new)?,
            actor: Actor::new(ActorKind::Person, ""),
            now: Instant::MIN,
            entropy: Entropy(0),
            if_version: None,
            check_rule: self.options.check_rule,
            allowance: Default::default(),
        };
        let command = Command::Import {
            tasks: vec![task.clone()],
            scanned: 0,
        };
        match Shelf::default().apply(&command, &context) {
            Ok(_) => Ok(()),
            Err(Rejection::Invalid(errors)) => {
                let details: Vec<String> = errors.into_iter().map(|error| error.detail).collect();
                Err(details.join("; "))
            }
            Err(other) => Err(other.to_string()),
        }
    }

    /// What could not be taken as it was meant, in the order of the lines: at most [`MAX_PROBLEMS`], and then one that
    /// says how many more there are.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        problems.sort_by_key(|problem| problem.line);
        problems.extend(self.untold.map(|(count, line)| Problem {
            line,
            detail: format!("{count} more problems from here on are not told"),
        }));
        problems
    }
}
