//! An agenda: which state documents have something due in which minute, in a store that cannot list its keys.
//!
//! A bucket is a document of its own, named by its minute and one of [`SHARDS`], and holds the keys of the documents to look
//! at. It only says where to look; what is due stands in the documents themselves. So one key too many costs a look, and
//! whoever has done what was due need not touch the bucket: the sweep clears it when its minute is over. The sweep asks for
//! every bucket between the [`Watermark`] and now by name, so it finds what was due however long everything was down.
//!
//! A document is put into its bucket in the transaction that makes it due there. What should have been due before is put
//! into the bucket of now ([`changes`]): nothing is ever added to a minute that lies behind the watermark.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

use crate::Instant;
use crate::ids::first_64_bits;

/// How many buckets a minute has, so that ten thousand things due at nine o'clock are not one document.
pub const SHARDS: u8 = 16;
/// The state key of the watermark.
pub const WATERMARK_KEY: &str = "agenda";
/// For how many minutes a bucket is looked at again: as long as a transaction that was begun in its minute may take until it
/// is stored.
const OVERLAP: i64 = 5;

const MINUTE: i64 = 60_000;

/// Minutes since 1970.
fn minute_of(at: Instant) -> i64 {
    at.as_millis().div_euclid(MINUTE)
}

/// Into which of so many shards a document belongs, by its key.
pub fn shard_of(document: &str, shards: u8) -> u8 {
    let bits = first_64_bits(&Sha256::digest(document));
    bits.checked_rem(u64::from(shards)).unwrap_or(0) as u8
}

/// Which bucket.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    minute: i64,
    shard: u8,
}

impl Place {
    /// The bucket for a document that has something due at `at`.
    pub fn of(document: &str, at: Instant) -> Self {
        Self {
            minute: minute_of(at),
            shard: shard_of(document, SHARDS),
        }
    }

    /// The bucket's state key.
    pub fn key(self) -> String {
        format!("{WATERMARK_KEY}:{}:{}", self.minute, self.shard)
    }

    /// Whether its minute is over: then all that it points at is due.
    pub fn is_over(self, now: Instant) -> bool {
        self.minute < minute_of(now)
    }

    /// The bucket of the current minute that takes what could not be done.
    pub fn postponed(self, now: Instant) -> Self {
        Self {
            minute: minute_of(now),
            ..self
        }
    }
}

/// What a bucket holds.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket {
    documents: BTreeSet<String>,
}

impl Bucket {
    /// The state keys of the documents to look at.
    pub fn documents(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().map(String::as_str)
    }

    /// Adds a document; whether it was not there.
    pub fn add(&mut self, document: &str) -> bool {
        !self.documents.contains(document) && self.documents.insert(document.to_owned())
    }

    /// Takes a document out; whether it was there.
    pub fn remove(&mut self, document: &str) -> bool {
        self.documents.remove(document)
    }

    /// Carries out a change; whether there was anything to do.
    pub fn apply(&mut self, document: &str, change: Change) -> bool {
        match change {
            Change::Add => self.add(document),
            Change::Remove => self.remove(document),
        }
    }

    /// Whether it points at nothing: then it need not be there.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }
}

/// What happens to a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It gets the document.
    Add,
    /// It loses it.
    Remove,
}

/// Which buckets change when a document has things due at the instants `after` instead of `before`. What is due already goes
/// into the bucket of now; a bucket of the past is left to the sweep.
pub fn changes(
    document: &str,
    before: impl IntoIterator<Item = Instant>,
    after: impl IntoIterator<Item = Instant>,
    now: Instant,
) -> BTreeMap<Place, Change> {
    let before: BTreeSet<Place> = before
        .into_iter()
        .map(|at| Place::of(document, at))
        .filter(|place| !place.is_over(now))
        .collect();
    let after: BTreeSet<Place> = after
        .into_iter()
        .map(|at| Place::of(document, at.max(now)))
        .collect();
    let added = after.difference(&before).map(|place| (*place, Change::Add));
    let removed = before
        .difference(&after)
        .map(|place| (*place, Change::Remove));
    added.chain(removed).collect()
}

/// How far the agenda has been worked off: every bucket of an earlier minute is done. It has to be stored before the first
/// bucket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark {
    minute: i64,
}

impl Watermark {
    /// That of an agenda which begins now, or has nothing left to do but what is due now.
    pub fn at(now: Instant) -> Self {
        Self {
            minute: minute_of(now) - OVERLAP,
        }
    }

    /// Every bucket that may point at something due, the earliest first. If the clock was set back, the watermark lies ahead
    /// of it; then these are the last minutes.
    pub fn places(self, now: Instant) -> impl Iterator<Item = Place> {
        let first = self.minute.min(Self::at(now).minute);
        (first..=minute_of(now))
            .flat_map(|minute| (0..SHARDS).map(move |shard| Place { minute, shard }))
    }

    /// The watermark after every bucket before `place` was done.
    pub fn reached(place: Place, now: Instant) -> Self {
        Self {
            minute: place.minute.min(Self::at(now).minute),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::Instant;

    fn at(text: &str) -> Instant {
        Instant::parse(&format!("2026-11-23T{text}Z")).unwrap()
    }

    const DOCUMENT: &str = "reminders:ann:0-90tj1f2kwhvp";

    #[test]
    fn a_document_is_in_the_bucket_of_its_minute() {
        let place = Place::of(DOCUMENT, at("09:00:00"));
        assert_eq!(place.key(), "agenda:29923740:6");
        assert_eq!(place, Place::of(DOCUMENT, at("09:00:59.999")));
        assert_ne!(place, Place::of(DOCUMENT, at("09:01:00")));
        assert!(!place.is_over(at("09:00:59.999")));
        assert!(place.is_over(at("09:01:00")));
        let early = Instant::parse("1969-12-31T23:59:59Z").unwrap();
        assert_eq!(Place::of(DOCUMENT, early).minute, -1);
    }

    #[test]
    fn documents_are_spread_over_the_shards() {
        let mut shards = [0; SHARDS as usize];
        for n in 0..1_600 {
            let document = format!("reminders:ann:{n}");
            shards[usize::from(Place::of(&document, at("09:00:00")).shard)] += 1;
        }
        assert!(
            shards.iter().all(|count| (50..150).contains(count)),
            "{shards:?}"
        );
    }

    #[test]
    fn what_moves_changes_its_buckets() {
        use Change::{Add, Remove};
        let now = at("08:30:30");
        for (before, after, expected) in [
            (&[][..], &["09:00:00"][..], &[("09:00:00", Add)][..]),
            (&["09:00:00"], &["09:00:00"], &[]),
            // Within the minute nothing changes.
            (&["09:00:00"], &["09:00:40"], &[]),
            (
                &["09:00:00"],
                &["10:00:00"],
                &[("09:00:00", Remove), ("10:00:00", Add)],
            ),
            (&["09:00:00", "09:00:30"], &[], &[("09:00:00", Remove)]),
            // One of two of the same minute stays.
            (&["09:00:00", "09:00:30"], &["09:00:30"], &[]),
            // What is due already is looked for now; the bucket of the past is the sweep's.
            (&[], &["07:00:00"], &[("08:30:00", Add)]),
            (&["07:00:00"], &["09:00:00"], &[("09:00:00", Add)]),
            (&["07:00:00"], &["07:00:00"], &[("08:30:00", Add)]),
            (&["08:30:10"], &["08:30:10"], &[]),
        ] {
            let instants = |texts: &[&str]| texts.iter().map(|t| at(t)).collect::<Vec<_>>();
            let expected: BTreeMap<Place, Change> = expected
                .iter()
                .map(|(text, change)| (Place::of(DOCUMENT, at(text)), *change))
                .collect();
            let changed = changes(DOCUMENT, instants(before), instants(after), now);
            assert_eq!(changed, expected, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn a_bucket_is_a_set() {
        let mut bucket = Bucket::default();
        assert!(bucket.apply("b", Change::Add) && bucket.apply("a", Change::Add));
        assert!(!bucket.apply("b", Change::Add));
        assert_eq!(serde_json::to_string(&bucket).unwrap(), r#"["a","b"]"#);
        assert!(bucket.apply("a", Change::Remove) && !bucket.apply("a", Change::Remove));
        assert_eq!(bucket.documents().collect::<Vec<_>>(), ["b"]);
        assert!(bucket.apply("b", Change::Remove) && bucket.is_empty());
    }

    #[test]
    fn every_bucket_since_the_watermark_is_looked_at() {
        let began = Watermark::at(at("09:00:00"));
        let minutes = |watermark: Watermark, now: &str| {
            let mut minutes: Vec<i64> = watermark
                .places(at(now))
                .map(|place| place.minute)
                .collect();
            assert_eq!(minutes.len() % usize::from(SHARDS), 0);
            minutes.dedup();
            let start = minute_of(at("00:00:00"));
            (
                minutes.first().unwrap() - start,
                minutes.last().unwrap() - start,
            )
        };
        for (now, first, last) in [
            ("09:00:30", 535, 540),
            ("09:02:00", 535, 542),
            // Everything was down for hours.
            ("17:00:00", 535, 1020),
            // The clock was set back by an hour.
            ("08:00:00", 475, 480),
        ] {
            assert_eq!(minutes(began, now), (first, last), "{now}");
        }
        // Half way through, after the hours; and at the end, where the last minutes are looked at again.
        let place = Place::of(DOCUMENT, at("12:00:00"));
        let half = Watermark::reached(place, at("17:00:00"));
        assert_eq!(minutes(half, "17:00:00"), (720, 1020));
        let place = Place::of(DOCUMENT, at("17:00:00"));
        let done = Watermark::reached(place, at("17:00:00"));
        assert_eq!(done, Watermark::at(at("17:00:00")));
        assert_eq!(serde_json::to_string(&done).unwrap(), "29924215");
    }

    #[test]
    fn what_is_added_is_found_whatever_the_clock_does() {
        // Each step: the time on the clock, and at which time something is to be due that is added now, if anything is.
        let steps = [
            ("09:00:00", Some("09:03:00")),
            ("09:00:05", Some("08:00:00")),
            ("09:10:00", None),
            ("08:00:00", Some("08:30:00")),
            ("08:00:05", None),
            ("10:00:00", Some("10:00:00")),
            ("10:30:00", None),
        ];
        let mut watermark = Watermark::at(at(steps[0].0));
        let mut buckets: BTreeSet<(Place, &str)> = BTreeSet::new();
        for (now, due) in steps {
            if let Some(due) = due {
                for (place, change) in changes(DOCUMENT, [], [at(due)], at(now)) {
                    assert_eq!(change, Change::Add);
                    buckets.insert((place, due));
                }
            }
            let places: Vec<Place> = watermark.places(at(now)).collect();
            buckets.retain(|(place, due)| at(due) > at(now) || !places.contains(place));
            watermark = Watermark::at(at(now));
        }
        assert!(buckets.is_empty(), "{buckets:?}");
    }
}
