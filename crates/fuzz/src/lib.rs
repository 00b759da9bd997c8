//! Runs against parsers of outside text, bounded in time: as many inputs as there is time for, each of which has to be
//! read, or refused, without a panic and within a bound. They are tests in modules named `fuzz`; `cargo docket test fuzz`
//! gives each of them seconds, and the suite `unit` an instant.
//!
//! The inputs follow from a seed, so a run goes the same way again, and who has longer goes further; another seed goes another
//! way.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "it stands in tests alone, where a panic is a failed assertion"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The variable that says for how many seconds each run goes on.
pub const SECONDS: &str = "DOCKET_FUZZ_SECONDS";
/// The variable that has the seed, a number below 2^64.
pub const SEED: &str = "DOCKET_FUZZ_SEED";
/// How long a run goes on where nothing says otherwise.
const USUAL: Duration = Duration::from_millis(200);
/// How long one input may take, on a machine that does much else. A parser that takes a tenth of it would be too slow.
const INPUT: Duration = Duration::from_secs(5);
/// As many inputs are tried between two looks at the clock.
const STRIDE: u32 = 32;

/// Tries inputs until the time is over; panics with the smallest input found that makes `check` panic, or take too long, and
/// with the seed. How many were tried goes to standard error.
pub fn run<S: Strategy>(what: &str, inputs: S, check: impl Fn(S::Value)) {
    run_within(INPUT, what, inputs, check);
}

fn run_within<S: Strategy>(limit: Duration, what: &str, inputs: S, check: impl Fn(S::Value)) {
    let time = given(SECONDS).map_or(USUAL, Duration::from_secs);
    let seed = given(SEED).unwrap_or(0);
    let began = Instant::now();
    let (tried, slowest) = (Cell::new(0_u64), Cell::new(Duration::ZERO));
    // Seeds that are neighbours have their strides far apart.
    let mut stride = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    while began.elapsed() < time {
        // A runner counts up to its number of cases once in its life.
        let config = Config {
            cases: STRIDE,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(stride),
            ..Config::default()
        };
        stride = stride.wrapping_add(1);
        let outcome = TestRunner::new(config).run(&inputs, |input| {
            let began = Instant::now();
            check(input);
            let took = began.elapsed();
            tried.set(tried.get() + 1);
            slowest.set(slowest.get().max(took));
            prop_assert!(took < limit, "it takes {took:?}");
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!(
                "{what}: after {} inputs by {SEED}={seed}: {failure}",
                tried.get()
            );
        }
    }
    eprintln!(
        "fuzz: {what}: {} inputs in {:.1} s, the slowest took {:?}",
        tried.get(),
        began.elapsed().as_secs_f64(),
        slowest.get()
    );
}

/// The number in a variable. One that is none must not pass for a run that was asked for.
fn given(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Texts of a language: its words in any order with anything between them, and good texts with pieces taken out, doubled
/// and put in.
pub fn texts(
    words: &'static [&'static str],
    good: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let soup = vec(piece(words), 0..24).prop_map(|pieces| pieces.concat());
    let edited = (select(good), vec(edit(words), 0..6)).prop_map(|(text, edits)| {
        edits
            .into_iter()
            .fold(text.to_owned(), |text, edit| edit.of(&text))
    });
    // (`any::<String>()` would go through a regular expression, a hundred times slower.)
    let noise = vec(any::<char>(), 0..40).prop_map(String::from_iter);
    prop_oneof![2 => soup, 3 => edited, 1 => noise]
}

/// What tokens and cursors are made of, and what comes near it: base64url, the older base64, and what stands between parts.
pub const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.~ é";

/// Texts that differ from a good one by a few characters: another one of [`LETTERS`], one more, or one less. Some are the good
/// one itself.
pub fn near(good: &str) -> impl Strategy<Value = String> {
    #[derive(Clone, Debug)]
    enum Slip {
        Other(char),
        More(char),
        Less,
    }
    let letter = || select(LETTERS.chars().collect::<Vec<char>>());
    let slip = prop_oneof![
        3 => letter().prop_map(Slip::Other),
        1 => letter().prop_map(Slip::More),
        1 => Just(Slip::Less),
    ];
    let good: Vec<char> = good.chars().collect();
    vec((any::<Index>(), slip), 0..4).prop_map(move |slips| {
        let mut text = good.clone();
        for (place, slip) in slips {
            let place = place.index(text.len() + 1);
            match slip {
                Slip::More(letter) => text.insert(place, letter),
                Slip::Other(letter) => {
                    if let Some(old) = text.get_mut(place) {
                        *old = letter;
                    }
                }
                Slip::Less => {
                    if place < text.len() {
                        text.remove(place);
                    }
                }
            }
        }
        String::from_iter(text)
    })
}

/// A word, or something that is none.
fn piece(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        " ",
        "\n",
        "\r\n",
        "\t",
        "\0",
        "\u{feff}",
        "\u{202e}",
        "\u{200d}",
        "\u{301}",
        "é",
        "ß",
        "İ",
        "گ",
        "😀",
        "-",
        "+",
        ".",
        ",",
        ":",
        ";",
        "/",
        "\\",
        "\"",
        "'",
        "%",
        "&",
        "=",
        "{",
        "}",
        "[",
        "]",
        "0",
        "-1",
        "00",
        "1e999",
        "9999999999",
        "18446744073709551616",
        "-9223372036854775809",
        "9999-12-31",
        "0000-00-00",
        "2024-02-29",
        "T24:00:00Z",
        "Europe/Berlin",
    ];
    prop_oneof![
        5 => select(words).prop_map(str::to_owned),
        3 => select(ODD).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => (select(words), 2_usize..400).prop_map(|(word, times)| word.repeat(times)),
    ]
}

/// A change of a text between two of its characters.
#[derive(Clone, Debug)]
struct Edit {
    from: Index,
    to: Index,
    what: Option<String>,
}

fn edit(words: &'static [&'static str]) -> impl Strategy<Value = Edit> {
    let what = prop::option::of(piece(words));
    (any::<Index>(), any::<Index>(), what).prop_map(|(from, to, what)| Edit { from, to, what })
}

impl Edit {
    /// The text with the piece between two places doubled, or something else in its place.
    fn of(&self, text: &str) -> String {
        let mut places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
        places.push(text.len());
        let (a, b) = (*self.from.get(&places), *self.to.get(&places));
        let (from, to) = (a.min(b), a.max(b));
        let (before, rest) = text.split_at(from);
        let (piece, after) = rest.split_at(to - from);
        match &self.what {
            Some(what) => format!("{before}{what}{after}"),
            None => format!("{before}{piece}{piece}{after}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_tried_and_are_of_many_kinds() {
        let seen = std::cell::RefCell::new(std::collections::BTreeSet::new());
        run("itself", texts(&["word"], &["a good text"]), |text| {
            seen.borrow_mut().insert(text);
        });
        let seen = seen.into_inner();
        assert!(seen.len() > STRIDE as usize * 4, "{}", seen.len());
        assert!(seen.iter().any(|text| text.contains("wordword")));
        assert!(seen.iter().any(|text| text.contains("good")));
    }

    #[test]
    fn some_near_texts_are_the_good_one_and_more_are_others() {
        let (same, others) = (Cell::new(0_u64), Cell::new(0_u64));
        run("what is near", near("abc"), |text| {
            assert!(text.chars().count() <= 6, "{text}");
            let count = if text == "abc" { &same } else { &others };
            count.set(count.get() + 1);
        });
        assert!(same.get() > 0 && same.get() < others.get());
    }

    #[test]
    fn a_run_goes_the_same_way_again() {
        let first = |_| {
            let seen = std::cell::RefCell::new(Vec::new());
            run("itself again", texts(&["word"], &["a good text"]), |text| {
                seen.borrow_mut().push(text);
            });
            let mut seen = seen.into_inner();
            seen.truncate(STRIDE as usize);
            seen
        };
        let [one, other] = [(), ()].map(first);
        assert_eq!(one, other);
    }

    #[test]
    #[should_panic(expected = "minimal failing input")]
    fn a_panic_is_told_with_its_input() {
        run("what cannot read an x", texts(&["x"], &["axb"]), |text| {
            assert!(!text.contains('x'));
        });
    }

    #[test]
    #[should_panic(expected = "it takes")]
    fn what_takes_too_long_is_told() {
        run_within(Duration::ZERO, "anybody", Just(()), |()| ());
    }
}
