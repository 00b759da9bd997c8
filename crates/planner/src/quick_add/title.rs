//! What is left of the text, and where its pieces are.

use std::ops::Range;

use super::matcher::Matcher;
use super::pieces::Piece;
use super::reading::Fate;
use super::tokens::{Kind, Token, closes};

/// The bytes of a piece.
pub fn bytes(tokens: &[Token], piece: &Piece) -> Range<usize> {
    let token = |at: usize| tokens.get(at);
    let start = token(piece.tokens.start).map_or(0, |token| token.start);
    let last = piece.tokens.end.checked_sub(1).and_then(token);
    start..last.map_or(start, |token| token.end)
}

/// The bytes of a piece with the brackets around it, if it is alone in them.
pub fn place(matcher: &Matcher<'_>, piece: &Piece) -> Range<usize> {
    let own = bytes(matcher.tokens, piece);
    let before = piece
        .tokens
        .start
        .checked_sub(1)
        .and_then(|at| matcher.tokens.get(at));
    let after = matcher.tokens.get(piece.tokens.end);
    match (before, after) {
        (Some(open), Some(close))
            if matches!(
                (open.kind, close.kind),
                (Kind::Sign('('), Kind::Sign(')')) | (Kind::Sign('['), Kind::Sign(']'))
            ) =>
        {
            open.start..close.end
        }
        _ => own,
    }
}

/// The text without the pieces that were taken: trimmed, and with the space and the signs mended around the gaps.
pub fn title<'a>(text: &str, pieces: impl Iterator<Item = (&'a Range<usize>, &'a Fate)>) -> String {
    let mut title = String::with_capacity(text.len());
    let mut from = 0;
    let mut gaps = false;
    for (place, fate) in pieces {
        if matches!(fate, Fate::Taken(_)) {
            join(
                &mut title,
                text.get(from..place.start).unwrap_or_default(),
                from > 0,
            );
            from = place.end;
            gaps = true;
        }
    }
    join(&mut title, text.get(from..).unwrap_or_default(), gaps);
    if gaps && from > 0 && text.get(from..).is_some_and(|rest| rest.trim().is_empty()) {
        trim_end(&mut title);
    }
    title.trim().to_owned()
}

/// Puts the next part behind the title; with a gap between them if pieces were taken out there.
fn join(title: &mut String, part: &str, gap: bool) {
    if !gap {
        title.push_str(part);
        return;
    }
    let part = part.trim_start();
    let first = part.chars().next();
    title.truncate(title.trim_end().len());
    if title.is_empty() {
        // Nothing is before "tomorrow: buy milk" but its colon.
        title.push_str(part.trim_start_matches(|c: char| {
            c.is_whitespace() || lone(c) || (closes(c) && !quote(c))
        }));
        return;
    }
    match first {
        None => {}
        Some(sign) if closes(sign) && !quote(sign) => {
            trim_end(title);
            // "Done. Tomorrow." ends with one full stop.
            let part = if title.ends_with(sign) {
                part.get(sign.len_utf8()..).unwrap_or_default()
            } else {
                part
            };
            title.push_str(part);
        }
        Some(_) => {
            title.push(' ');
            title.push_str(part);
        }
    }
}

/// Takes off what only joined the title to a piece.
fn trim_end(title: &mut String) {
    let kept = title
        .trim_end_matches(|c: char| c.is_whitespace() || lone(c))
        .len();
    title.truncate(kept);
}

/// Signs that mean nothing at an end of a title.
fn lone(sign: char) -> bool {
    matches!(sign, ',' | ';' | ':' | '-' | '–' | '—' | '،')
}

/// Signs that may also begin what comes after a gap.
fn quote(sign: char) -> bool {
    matches!(sign, '"' | '\'' | '”' | '’')
}

/// Counts UTF-16 code units, from the start on.
pub struct Units<'a> {
    text: &'a str,
    byte: usize,
    unit: usize,
}

impl<'a> Units<'a> {
    /// At the start of the text.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            byte: 0,
            unit: 0,
        }
    }

    /// How many code units there are before a byte, which is not before the one asked for last.
    pub fn at(&mut self, byte: usize) -> usize {
        let passed = self.text.get(self.byte..byte).unwrap_or_default();
        self.unit += passed.encode_utf16().count();
        self.byte = byte;
        self.unit
    }
}
