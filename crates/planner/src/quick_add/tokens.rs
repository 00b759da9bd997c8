//! The text in tokens: words, numbers, signs, and quoted parts that mean nothing.

use super::grammar::{Entry, Language};

/// What a token is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Letters, with apostrophes between them.
    Word,
    /// Digits: their value (cut off at the largest) and how many there are.
    Number(u32, usize),
    /// Any other character.
    Sign(char),
    /// A part in double quotes, quotes included.
    Quoted,
}

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
    /// Whether it follows the token before it without a space.
    pub glued: bool,
    /// What the language knows of it, if it is a word.
    pub entries: &'static [Entry],
}

/// Cuts a text into tokens; white space separates them and is in none.
pub fn tokens(text: &str, language: &Language) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 4 + 1);
    let mut rest = text.char_indices().peekable();
    let mut word = String::new();
    while let Some((start, c)) = rest.next() {
        if c.is_whitespace() {
            continue;
        }
        let before = tokens.last().filter(|t| t.end == start);
        let glued = before.is_some();
        let after_word = before.is_some_and(|t| matches!(t.kind, Kind::Word | Kind::Number(..)));
        let mut end = start + c.len_utf8();
        let mut entries: &[Entry] = &[];
        let kind = if let Some(first) = digit(c) {
            let (mut value, mut digits) = (first, 1);
            while let Some((at, d)) = rest
                .peek()
                .and_then(|(at, c)| Some((*at + c.len_utf8(), digit(*c)?)))
            {
                rest.next();
                value = value.saturating_mul(10).saturating_add(d);
                digits += 1;
                end = at;
            }
            Kind::Number(value, digits)
        } else if letter(c) {
            word.clear();
            word.extend(c.to_lowercase());
            while let Some(&(at, c)) = rest.peek() {
                let after = at + c.len_utf8();
                let inner = apostrophe(c)
                    && text
                        .get(after..)
                        .and_then(|t| t.chars().next())
                        .is_some_and(letter);
                if !(letter(c) || inner) {
                    break;
                }
                rest.next();
                end = after;
                if inner {
                    word.push('\'');
                } else {
                    word.extend(c.to_lowercase());
                }
            }
            if text
                .get(start..end)
                .is_some_and(|word| !language.names.contains(&word))
            {
                entries = language.entries(&word);
            }
            Kind::Word
        } else if let Some(close) = closing(c).filter(|_| !after_word).and_then(|close| {
            let at = text.get(end..)?.find(close)?;
            Some(end + at + close.len_utf8())
        }) {
            while rest.next_if(|(at, _)| *at < close).is_some() {}
            end = close;
            Kind::Quoted
        } else {
            Kind::Sign(c)
        };
        tokens.push(Token {
            kind,
            start,
            end,
            glued,
            entries,
        });
    }
    tokens
}

/// Signs after which a piece may begin without a space.
pub fn opens(sign: char) -> bool {
    matches!(
        sign,
        '(' | '[' | '{' | '"' | '\'' | '“' | '‘' | ',' | ';' | ':' | '–' | '—' | '¿' | '¡'
    )
}

/// Signs that may follow a piece without a space.
pub fn closes(sign: char) -> bool {
    matches!(
        sign,
        ')' | ']'
            | '}'
            | '"'
            | '\''
            | '”'
            | '’'
            | ','
            | ';'
            | ':'
            | '.'
            | '!'
            | '?'
            | '…'
            | '—'
            | '،'
            | '؟'
            | '۔'
    )
}

fn letter(c: char) -> bool {
    // Marks that are put upon a letter, and the joiners of scripts that need them, belong to the word.
    c.is_alphabetic() || matches!(c, '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}')
}

fn apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// The quote that ends what this one begins.
fn closing(c: char) -> Option<char> {
    match c {
        '"' => Some('"'),
        '“' => Some('”'),
        _ => None,
    }
}

/// The value of a digit: European, Arabic-Indic, or the Eastern form that Urdu and Persian have.
fn digit(c: char) -> Option<u32> {
    let zero = match c {
        '0'..='9' => '0',
        '٠'..='٩' => '٠',
        '۰'..='۹' => '۰',
        _ => return None,
    };
    Some(u32::from(c) - u32::from(zero))
}
