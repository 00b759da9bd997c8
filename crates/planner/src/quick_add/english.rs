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

#[cfg(test)]
mod tests {
    use super::super::grammar::Word;
    use super::*;

    #[test]
    fn words_can_be_found() {
        assert!(ENGLISH.words.is_sorted_by_key(|(word, _)| *word));
        for (word, meaning) in ENGLISH.words {
            assert_eq!(word.to_lowercase(), *word);
            assert!(ENGLISH.entries(word).contains(&(*word, *meaning)));
        }
        // "Beginning" of a series, and of a month.
        assert_eq!(ENGLISH.entries("beginning").len(), 2);
        assert!(ENGLISH.entries("mayor").is_empty());
    }

    #[test]
    fn holidays_begin_with_a_word_that_says_so() {
        for (words, ..) in ENGLISH.holidays {
            let first = ENGLISH.entries(words[0]);
            assert!(
                first.iter().any(|(_, word)| *word == Word::Holiday),
                "{words:?}"
            );
        }
    }
}
