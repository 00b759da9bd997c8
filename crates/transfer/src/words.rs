//! What todo.txt and Todoist have in common: words of a title that mean something, and rules that have a short form.
//!
//! A title may have words that a reader would take for a tag or a key (`+1`, `due:soon`). They are written with a
//! backslash before them, which reading takes away again; neither format has an escape of its own.

/// The words of a text, each with the blanks after it.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_inclusive([' ', '\t'])
        .map(|piece| (piece.trim_end_matches([' ', '\t']), piece))
}

/// The word behind the backslash that keeps it from meaning something.
pub(crate) fn unescaped(word: &str, means_something: fn(&str) -> bool) -> Option<&str> {
    let rest = word.strip_prefix('\\')?;
    means_something(rest.trim_start_matches('\\')).then_some(rest)
}

/// A title, each word that would mean something with a backslash before it.
pub(crate) fn escaped(title: &str, means_something: fn(&str) -> bool) -> String {
    let mut text = String::with_capacity(title.len() + 8);
    for (word, piece) in pieces(title) {
        if means_something(word.trim_start_matches('\\')) {
            text.push('\\');
        }
        text.push_str(piece);
    }
    text
}

/// A rule that says no more than "every so many days, weeks, months or years", as the unit's first letter and their
/// number.
pub(crate) fn plain_rule(rule: &str) -> Option<(char, u32)> {
    let (mut unit, mut number) = (None, 1);
    for part in rule.split(';') {
        match part {
            "daily" | "FREQ=DAILY" => unit = Some('d'),
            "weekly" | "FREQ=WEEKLY" => unit = Some('w'),
            "monthly" | "FREQ=MONTHLY" => unit = Some('m'),
            "yearly" | "FREQ=YEARLY" => unit = Some('y'),
            _ => number = part.strip_prefix("INTERVAL=")?.parse().ok()?,
        }
    }
    Some((unit?, number))
}
