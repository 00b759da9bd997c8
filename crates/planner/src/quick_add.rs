//! Quick add: a task out of a line of text.

/// A piece of the text that has a meaning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Span {
    /// Where it begins, in UTF-16 code units from the start of the text, as a browser counts.
    pub start: usize,
    /// Where it ends, exclusively, in the same units.
    pub end: usize,
    /// What it means, in words for a person: "due Friday 27 November 2026".
    pub means: String,
}
