//! Search by words, whatever their case and accents.
//!
//! Text is folded, and a word is found where it stands between boundaries: "art" is in "art-work" and not in "party".
//! Scripts that put no space between words (Chinese, Japanese, Thai …) have a boundary at every character, so a part
//! of such a text is found wherever it stands.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

use crate::task::Task;

/// The longest search, in characters.
pub const MAX_SEARCH: usize = 200;
/// The most words of a search.
pub const MAX_WORDS: usize = 16;

/// The words that a task has to have in its title, description and tags: all of them, the last one perhaps only begun.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Search {
    words: Vec<String>,
}

/// Why a text is no search.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SearchError {
    /// It has too many characters.
    #[error("a search has at most {MAX_SEARCH} characters")]
    TooLong,
    /// It has too many words.
    #[error("a search has at most {MAX_WORDS} words")]
    TooManyWords,
}

impl Search {
    /// Reads what somebody typed: words, with whatever between them. What stands alone and is no word ("🎂", "++") is
    /// searched as it is. A blank text finds everything.
    ///
    /// # Errors
    /// The text is too long, or has too many words.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        if text.chars().nth(MAX_SEARCH).is_some() {
            return Err(SearchError::TooLong);
        }
        let folded = fold(text);
        let words: Vec<String> = folded.split_whitespace().flat_map(words).collect();
        if words.len() > MAX_WORDS {
            return Err(SearchError::TooManyWords);
        }
        Ok(Self { words })
    }

    /// The words, folded.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether the task has all of the words.
    pub fn finds(&self, task: &Task) -> bool {
        let Some((prefix, whole)) = self.words.split_last() else {
            return true;
        };
        let texts = [&task.title, &task.description].into_iter();
        let texts: Vec<_> = texts.chain(&task.tags).map(|text| fold(text)).collect();
        texts.iter().any(|text| has(text, prefix, false))
            && whole
                .iter()
                .all(|word| texts.iter().any(|text| has(text, word, true)))
    }
}

/// The text without what a search passes over: case, accents and vowel points, and the differences between characters
/// that are compatible (Unicode's NFKD: wide, ligature, superscript) or that keyboards mix up (the yeh, kaf and heh of
/// Arabic and Urdu).
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    // Most text is ASCII at least in part, which only has a case. No mark moves over an ASCII character, so what is
    // between two of them can be folded by itself.
    while !rest.is_empty() {
        let (ascii, other) =
            rest.split_at(rest.find(|c: char| !c.is_ascii()).unwrap_or(rest.len()));
        folded.extend(ascii.chars().map(|c| c.to_ascii_lowercase()));
        let (other, next) =
            other.split_at(other.find(|c: char| c.is_ascii()).unwrap_or(other.len()));
        fold_other(other, &mut folded);
        rest = next;
    }
    folded
}

fn fold_other(text: &str, folded: &mut String) {
    let chars = text
        .nfkd()
        .filter(|c| !is_passed_over(*c))
        // By way of the upper case, which unites "ß" and "ss", and the two forms of the Greek sigma.
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'ي' | 'ى' => 'ی',
            'ك' => 'ک',
            'ه' | 'ة' => 'ہ',
            other => other,
        });
    folded.extend(chars);
}

/// Accents and points, by their combining class, and what is not to be seen: soft hyphen, joiners, the Arabic tatweel.
/// Classes 7 to 9 (nukta, the voicing of kana, virama) make other letters, so they stay.
fn is_passed_over(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{640}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}')
        || !matches!(canonical_combining_class(c), 0 | 7..=9)
}

fn words(chunk: &str) -> Vec<String> {
    let words: Vec<String> = chunk
        .split(|c| !is_letter(c))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if words.is_empty() {
        vec![chunk.to_owned()]
    } else {
        words
    }
}

/// Whether the word stands in the text between boundaries; one that is not `whole` needs none after it.
fn has(text: &str, word: &str, whole: bool) -> bool {
    let (first, last) = (word.chars().next(), word.chars().next_back());
    let mut from = 0;
    while let Some((passed, rest)) = text.split_at_checked(from) {
        let Some(at) = rest.find(word) else {
            return false;
        };
        let (before, found) = rest.split_at(at);
        let before = before.chars().next_back().or(passed.chars().next_back());
        let after = found.get(word.len()..).and_then(|text| text.chars().next());
        if is_boundary(before, first) && (!whole || is_boundary(last, after)) {
            return true;
        }
        from += at + first.map_or(1, char::len_utf8);
    }
    false
}

/// Whether a word can begin or end between two characters.
fn is_boundary(left: Option<char>, right: Option<char>) -> bool {
    let joins = |c: char| is_letter(c) && !is_unspaced(c);
    match (left, right) {
        (Some(left), Some(right)) => !(joins(left) && joins(right)),
        _ => true,
    }
}

/// Letters, digits, and the marks that folding keeps.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || canonical_combining_class(c) != 0
}

/// Characters of scripts that put no space between words.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}'       // Thai, Lao
        | '\u{1000}'..='\u{109f}'   // Myanmar
        | '\u{1780}'..='\u{17ff}'   // Khmer
        | '\u{3005}'..='\u{3007}'   // marks of iteration
        | '\u{3040}'..='\u{312f}'   // kana, Bopomofo
        | '\u{31f0}'..='\u{31ff}'   // kana
        | '\u{3400}'..='\u{9fff}'   // Han
        | '\u{20000}'..='\u{3ffff}' // Han
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding() {
        for (text, folded) in [
            ("Plain ASCII", "plain ascii"),
            ("Überprüfung", "uberprufung"),
            ("U\u{308}berpru\u{308}fung", "uberprufung"),
            ("STRASSE Straße", "strasse strasse"),
            ("ΟΔΥΣΣΕΎΣ Ὀδυσσεύς", "οδυσσευσ οδυσσευσ"),
            ("İstanbul ısı", "istanbul isi"),
            ("Dvořák, naïve, Æ", "dvorak, naive, æ"),
            ("ﬁn Ａ①²", "fin a12"),
            ("گھر کی چابی", "گھر کی چابی"),
            ("كي ه آ", "کی ہ ا"),
            ("عَرَبِيّ", "عربی"),
            ("ガラス", "カ\u{3099}ラス"),
            ("हिंदी", "हिंदी"),
            ("co\u{ad}operate", "cooperate"),
            ("Ёлка", "елка"),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn what_is_searched() {
        for (typed, words) in [
            ("", &[] as &[&str]),
            ("  \t ", &[]),
            ("Milk", &["milk"]),
            ("dr. osei's", &["dr", "osei", "s"]),
            ("bob@example.com", &["bob", "example", "com"]),
            ("买 \u{1f382} ++", &["买", "🎂", "++"]),
            ("買い物", &["買い物"]),
        ] {
            assert_eq!(Search::parse(typed).unwrap().words(), words, "{typed}");
        }
        assert!(Search::parse(&"é".repeat(MAX_SEARCH)).is_ok());
        assert_eq!(
            Search::parse(&"a".repeat(MAX_SEARCH + 1)),
            Err(SearchError::TooLong)
        );
        assert!(Search::parse(&"a ".repeat(MAX_WORDS)).is_ok());
        assert_eq!(
            Search::parse(&"a ".repeat(MAX_WORDS + 1)),
            Err(SearchError::TooManyWords)
        );
    }

    #[test]
    fn words_stand_between_boundaries() {
        for (text, word, whole, found) in [
            ("art work", "art", true, true),
            ("art-work", "art", true, true),
            ("party", "art", false, false),
            ("party", "part", false, true),
            ("party", "part", true, false),
            ("snow_art", "art", true, true),
            ("aab ab", "ab", true, true),
            ("v2.0", "v2", true, true),
            ("2026", "202", true, false),
            ("c++ and c", "++", true, true),
            ("買い物に行く", "物に", true, true),
            ("2日目", "日", true, true),
            ("aéb", "b", true, false),
            ("", "a", false, false),
        ] {
            assert_eq!(has(text, word, whole), found, "{text} {word} {whole}");
        }
    }
}
