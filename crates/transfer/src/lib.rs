//! Tasks out of files and into files: todo.txt, Todoist's CSV, iCalendar and JSON Lines.
//!
//! Reading is generous: a line that is not as it should be is told as a [`Problem`], with its number, the reason and
//! what became of it, and the rest of the file is taken. Only a file that is not of its format at all is refused as a
//! whole ([`Unreadable`]). Each task gets a token that follows from what was read, so that the same file gives the same
//! tasks a second time. Pure: no clock, no chance, no I/O; what needs the planner is a function in [`Options`].

mod import;
mod todotxt;

pub use import::{Import, MAX_PROBLEMS, MAX_TASKS, Options, Problem, Unreadable};

/// A format of files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// [todo.txt](https://github.com/todotxt/todo.txt): one task a line.
    TodoTxt,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::TodoTxt];

    /// Reads the name used on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::TodoTxt => "todotxt",
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
    }
    Ok(import)
}

#[cfg(test)]
mod tests;
