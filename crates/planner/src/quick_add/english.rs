//! English.

mod patterns;
mod words;

use super::grammar::Language;

/// The language.
pub static ENGLISH: Language = Language {
    words: words::WORDS,
    days: patterns::DAYS,
    clauses: patterns::CLAUSES,
    pieces: patterns::PIECES,
    beyond: patterns::BEYOND,
    // "Call Tom" is not due tomorrow.
    names: &["Tom"],
    holidays: &[
        (&["halloween"], 10, 31),
        (&["new", "year", "day"], 1, 1),
        (&["new", "year", "eve"], 12, 31),
        (&["new", "year's", "day"], 1, 1),
        (&["new", "year's", "eve"], 12, 31),
        (&["new", "years", "day"], 1, 1),
        (&["new", "years", "eve"], 12, 31),
        (&["valentine"], 2, 14),
        (&["valentine's"], 2, 14),
        (&["valentine's", "day"], 2, 14),
        (&["valentines", "day"], 2, 14),
    ],
};
