//! Tasks out of files and into files: todo.txt, Todoist's CSV, iCalendar and JSON Lines.
//!
//! Reading is generous: a line that is not as it should be is told as a [`Problem`], with its number, the reason and
//! what became of it, and the rest of the file is taken. Only a file that is not of its format at all is refused as a
//! whole ([`Unreadable`]). Each task gets a token that follows from what was read, so that the same file gives the same
//! tasks a second time. Pure: no clock, no chance, no I/O; what needs the planner is a function in [`Options`].

#[cfg(test)]
mod fuzz;
mod ics;
mod import;
mod jsonl;
mod todoist;
mod todotxt;
mod words;

pub use import::{Dated, Import, MAX_PROBLEMS, MAX_TASKS, Options, Problem, ReadDate, Unreadable};

use docket_domain::Task;

/// A format of files. What each can say, and what is lost in it, is in its module.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// [todo.txt](https://github.com/todotxt/todo.txt): one task a line.
    TodoTxt,
    /// The CSV of Todoist's templates and exports.
    TodoistCsv,
    /// iCalendar (RFC 5545): each VTODO is a task.
    Ics,
    /// One task a line, in JSON as the API shows it.
    JsonLines,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TodoTxt, Self::TodoistCsv, Self::Ics, Self::JsonLines];

    /// Reads the name used on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::TodoTxt => "todotxt",
            Self::TodoistCsv => "todoist-csv",
            Self::Ics => "ics",
            Self::JsonLines => "jsonl",
        }
    }

    /// The media type of an exported file.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::TodoTxt => "text/plain; charset=utf-8",
            Self::TodoistCsv => "text/csv; charset=utf-8; header=present",
            Self::Ics => "text/calendar; charset=utf-8; component=VTODO",
            Self::JsonLines => "application/jsonl",
        }
    }

    /// The name of an exported file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::TodoTxt => "todo.txt",
            Self::TodoistCsv => "tasks.csv",
            Self::Ics => "tasks.ics",
            Self::JsonLines => "tasks.jsonl",
        }
    }

    /// Whether a file can say that a task is done.
    pub fn has_done_tasks(self) -> bool {
        self != Self::TodoistCsv
    }

    /// Writes what stands before the tasks.
    pub fn write_head(self, out: &mut String) {
        match self {
            Self::TodoistCsv => todoist::write_head(out),
            Self::Ics => ics::write_head(out),
            Self::TodoTxt | Self::JsonLines => {}
        }
    }

    /// Writes a task.
    pub fn write_task(self, task: &Task, out: &mut String) {
        match self {
            Self::TodoTxt => todotxt::write(task, out),
            Self::TodoistCsv => todoist::write(task, out),
            Self::Ics => ics::write(task, out),
            Self::JsonLines => jsonl::write(task, out),
        }
    }

    /// Writes what stands after the tasks.
    pub fn write_tail(self, out: &mut String) {
        match self {
            Self::Ics => out.push_str(ics::TAIL),
            Self::TodoTxt | Self::TodoistCsv | Self::JsonLines => {}
        }
    }
}

/// Reads a whole file.
///
/// # Errors
/// [`Unreadable`]: the file is not UTF-8, not of the format, or has too many tasks.
pub fn read(format: Format, file: &[u8], options: &Options) -> Result<Import, Unreadable> {
    let text = import::text(file)?;
    let mut import = Import::new(*options);
    match format {
        Format::TodoTxt => todotxt::read(text, &mut import)?,
        Format::TodoistCsv => todoist::read(text, &mut import)?,
        Format::Ics => ics::read(text, &mut import)?,
        Format::JsonLines => jsonl::read(text, &mut import)?,
    }
    Ok(import)
}
