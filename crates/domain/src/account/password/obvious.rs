//! Passwords that everybody tries first (NIST SP 800-63B, section 5.1.1.2): characters that repeat or follow on each other, and
//! well-known words, or the owner's own, with digits and signs around them. It is no list of what was ever leaked.

/// Where one key or letter follows on another, in either direction.
const ROWS: [&str; 9] = [
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl;",
    "zxcvbnm,./",
    // Rows from above to below, and two rows in turns.
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
];
/// With fewer characters that do not follow on the one before, a password is one that is tried first.
const FEWEST_CHOICES: usize = 4;
/// Well-known ones, without what may stand around them.
const WORDS: [&str; 42] = [
    "admin",
    "administrator",
    "asdf",
    "baseball",
    "batman",
    "changeme",
    "charlie",
    "computer",
    "default",
    "docket",
    "dragon",
    "football",
    "freedom",
    "guest",
    "hello",
    "iloveyou",
    "internet",
    "jesus",
    "killer",
    "letmein",
    "liverpool",
    "login",
    "love",
    "master",
    "michael",
    "monkey",
    "mypassword",
    "pakistan",
    "pass",
    "passcode",
    "password",
    "pokemon",
    "princess",
    "qwerty",
    "secret",
    "shadow",
    "starwars",
    "sunshine",
    "superman",
    "test",
    "welcome",
    "whatever",
];

/// Whether it is one that is tried first, by strangers or by those who know its owner by `names`.
pub fn is_obvious(password: &str, names: &[&str]) -> bool {
    let password = password.trim().to_lowercase();
    let characters: Vec<char> = password.chars().collect();
    let unit = repeated(&characters);
    let known = word(&String::from_iter(unit));
    let is_known = |other: &str| !known.is_empty() && known == word(other);
    let is_name = |name: &&str| {
        let name = name.trim().to_lowercase();
        name == password || is_known(&name)
    };
    choices(unit) < FEWEST_CHOICES || WORDS.into_iter().any(is_known) || names.iter().any(is_name)
}

/// What a text repeats from its beginning to its end; all of it if it does not.
fn repeated(text: &[char]) -> &[char] {
    let again = |length: &usize| {
        let (unit, rest) = text.split_at(*length);
        rest.iter().zip(unit.iter().cycle()).all(|(a, b)| a == b)
    };
    let length = (1..=text.len() / 2).find(again).unwrap_or(text.len());
    text.get(..length).unwrap_or(text)
}

/// How many characters do not follow on the one before.
fn choices(text: &[char]) -> usize {
    let pairs = text.iter().zip(text.iter().skip(1));
    1 + pairs
        .filter(|(before, next)| !follows(**before, **next))
        .count()
}

fn follows(before: char, next: char) -> bool {
    let beside = |row: &&str| {
        let keys = row.chars().zip(row.chars().skip(1));
        let pairs = [(before, next), (next, before)];
        keys.into_iter().any(|keys| pairs.contains(&keys))
    };
    before == next || ROWS.iter().any(beside)
}

/// The word in a text: without the digits and signs around it, and with the letters that others stand for.
fn word(text: &str) -> String {
    let word = text.trim_matches(|c: char| !c.is_alphabetic());
    let letter = |c| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        c => c,
    };
    word.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_first_is_known() {
        for (password, obvious) in [
            ("1234567890", true),
            ("0987654321", true),
            ("123456789123456789", true),
            ("aaaaaaaaaaaa", true),
            ("          ", true),
            ("ababababab", true),
            ("abcdefghijklm", true),
            ("abc123abc123", true),
            ("qwertyuiop", true),
            ("Qwerty123456", true),
            ("1q2w3e4r5t6y", true),
            ("1qaz2wsx3edc", true),
            ("asdfghjkl;'", true),
            ("password123", true),
            ("P@ssw0rd2026", true),
            ("!!Passw0rd!!", true),
            ("passwordpassword", true),
            ("iloveyou1234", true),
            ("Docket-2026", true),
            ("administrator", true),
            ("پپپپپپپپپپپپ", true),
            ("Ann.Petersen1990", true),
            ("lou8lou8lou8", true),
            ("+44 20 7946 018", true),
            ("+44 20 7946 019", false),
            ("petersen_1990", false),
            ("correct horse", false),
            ("correct horse battery", false),
            ("another horse", false),
            ("پاس ورڈ پاس ورڈ", false),
            ("8137264590", false),
            ("my password is long", false),
            ("tr0ub4dor&3", false),
            ("ffe0a1b2c8d7", false),
        ] {
            let names = [
                "Ann Petersen",
                "ann.petersen",
                "Lou8Lou8Lou8",
                "+44 20 7946 018",
                "",
            ];
            assert_eq!(is_obvious(password, &names), obvious, "{password}");
        }
    }

    #[test]
    fn a_name_without_letters_stands_for_nothing() {
        assert!(!is_obvious("8137264590", &["", "12", "!!"]));
    }

    #[test]
    fn words_are_as_they_are_looked_for() {
        for known in WORDS {
            assert_eq!(word(known), known);
        }
        assert!(WORDS.is_sorted());
    }
}
