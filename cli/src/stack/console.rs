//! What a person sees: steps with a mark, and the parts' log lines with a coloured prefix.

use std::io::{IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use super::logs::{Entry, Level};

/// How much of the parts' logs is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Follow {
    /// Nothing.
    Nothing,
    /// Only errors: while a stack comes up or goes down its parts warn of each other's absence.
    Errors,
    /// Warnings, errors, the host's requests and what the functions print.
    Useful,
    /// Everything.
    Everything,
}

/// How a step went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// Well.
    Done,
    /// Not well.
    Failed,
    /// Something to know.
    Note,
}

/// Where people read.
pub struct Console {
    out: Mutex<Box<dyn Write + Send>>,
    colored: bool,
    follow: AtomicU8,
    muted: AtomicBool,
}

const COLORS: [&str; 8] = ["36", "35", "34", "33", "32", "96", "95", "94"];

impl Console {
    /// Standard output; coloured if it is a terminal and NO_COLOR is not set, or if it was asked for.
    #[must_use]
    pub fn standard(colored: bool) -> Self {
        Self::new(
            Box::new(std::io::stdout()),
            colored || Self::terminal_colors(),
        )
    }

    /// Any writer.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, colored: bool) -> Self {
        Self {
            out: Mutex::new(out),
            colored,
            follow: AtomicU8::new(Follow::Errors as u8),
            muted: AtomicBool::new(false),
        }
    }

    /// Whether standard output wants colours.
    #[must_use]
    pub fn terminal_colors() -> bool {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        std::io::stdout().is_terminal() && !refused
    }

    /// Whether it is coloured.
    #[must_use]
    pub fn colored(&self) -> bool {
        self.colored
    }

    /// Chooses how much of the parts' logs is shown from now on.
    pub fn follow(&self, follow: Follow) {
        self.follow.store(follow as u8, Ordering::Relaxed);
    }

    /// Says nothing from now on: nobody reads it, and a file would grow for ever.
    pub fn mute(&self) {
        self.follow(Follow::Nothing);
        self.muted.store(true, Ordering::Relaxed);
    }

    /// Whether a log line has to be looked at at all.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.follow.load(Ordering::Relaxed) != Follow::Nothing as u8
    }

    /// One step.
    pub fn step(&self, mark: Mark, name: &str, detail: &str) {
        let (sign, color) = match mark {
            Mark::Done => ("✓", "32"),
            Mark::Failed => ("✗", "31"),
            Mark::Note => ("•", "33"),
        };
        let line = format!("  {} {name:<16} {detail}", self.paint(color, sign));
        self.line(line.trim_end());
    }

    /// A line.
    pub fn line(&self, text: &str) {
        if self.muted.load(Ordering::Relaxed) {
            return;
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader that went away must not end the stack.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A part's log line, if it is one to show.
    pub fn log(&self, part: &str, index: usize, entry: &Entry) {
        let follow = self.follow.load(Ordering::Relaxed);
        let shown = if follow == Follow::Everything as u8 {
            true
        } else if follow == Follow::Useful as u8 {
            entry.level >= Level::Warn || entry.for_people
        } else {
            follow == Follow::Errors as u8 && entry.level >= Level::Error
        };
        if !shown {
            return;
        }
        let color = COLORS.get(index % COLORS.len()).copied().unwrap_or("0");
        let prefix = self.paint(color, &format!("{part:<16} |"));
        let text = printable(&entry.text);
        let text = match entry.level {
            Level::Error => self.paint("31", &text),
            Level::Warn => self.paint("33", &text),
            Level::Info => text,
            Level::Debug => self.paint("2", &text),
        };
        self.line(&format!("{prefix} {text}"));
    }

    /// Text in bold.
    #[must_use]
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.colored {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A log line must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn shown(follow: Follow, colored: bool, level: Level, for_people: bool, text: &str) -> String {
        let out = Shared::default();
        let console = Console::new(Box::new(out.clone()), colored);
        console.follow(follow);
        console.log(
            "host",
            0,
            &Entry {
                level,
                for_people,
                text: text.to_owned(),
            },
        );
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_what_a_person_needs_is_shown() {
        use Follow::{Errors, Everything, Nothing, Useful};
        let cases = [
            (Nothing, Level::Error, true, false),
            (Errors, Level::Warn, true, false),
            (Errors, Level::Error, false, true),
            (Useful, Level::Info, false, false),
            (Useful, Level::Info, true, true),
            (Useful, Level::Warn, false, true),
            (Everything, Level::Debug, false, true),
        ];
        for (follow, level, for_people, expected) in cases {
            let text = shown(follow, false, level, for_people, "x");
            assert_eq!(
                !text.is_empty(),
                expected,
                "{follow:?} {level:?} {for_people}"
            );
        }
    }

    #[test]
    fn colours_are_left_out_when_not_wanted_and_control_characters_always() {
        let evil = "a\x1b[2Jb\nc";
        let plain = shown(Follow::Everything, false, Level::Error, false, evil);
        assert_eq!(plain, "host             | a [2Jb c\n");
        let colored = shown(Follow::Everything, true, Level::Info, false, evil);
        assert_eq!(colored, "\x1b[36mhost             |\x1b[0m a [2Jb c\n");
    }
}
