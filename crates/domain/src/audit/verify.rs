//! Whether a log is as it was written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Hash, Log};

/// Which sequence numbers of an account have come: all up to the highest, but for some that are missing. An event that
/// went to the dead letters is missing, and late when it is replayed.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// The highest.
    pub last: u64,
    /// The spans below that have not come, each with both its ends, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<(u64, u64)>,
}

impl Sequence {
    /// Whether a number has come.
    pub fn has(&self, seq: u64) -> bool {
        let is_in = |(from, to): &(u64, u64)| (*from..=*to).contains(&seq);
        seq <= self.last && !self.missing.iter().any(is_in)
    }

    /// Notes that a number has come; gives whether it had not before.
    pub fn take(&mut self, seq: u64) -> bool {
        if self.has(seq) || seq == 0 {
            return false;
        }
        if seq > self.last {
            if seq > self.last + 1 {
                self.missing.push((self.last + 1, seq - 1));
            }
            self.last = seq;
            return true;
        }
        let spans = std::mem::take(&mut self.missing).into_iter();
        let without = spans.flat_map(|(from, to)| {
            if (from..=to).contains(&seq) {
                [(from, seq - 1), (seq + 1, to)]
            } else {
                // The other half is empty.
                [(from, to), (1, 0)]
            }
        });
        self.missing = without.filter(|(from, to)| from <= to).collect();
        true
    }
}

/// What is wrong at a place of a log.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    /// The entry is not what was written.
    Changed,
    /// What should stand before the entry is not there, or is another than it was.
    Missing,
    /// The entry stands where another one should, which comes later: something was moved, or put in.
    Reordered,
    /// The event is there a second time.
    Repeated,
    /// The log does not end as it did.
    CutOff,
}

/// Where a log is broken first.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
#[schemars(rename = "AuditBreak")]
pub struct Broken {
    /// At which entry, counted from 1 in the order of the log.
    pub position: u64,
    /// The event's id; none if the log ends there.
    pub event_id: Option<String>,
    /// What is wrong there.
    pub why: Break,
}

/// What was found of a log.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
#[schemars(rename = "AuditVerified")]
pub struct Verified {
    /// How many entries it has.
    pub entries: u64,
    /// Whether all of it is as it was written.
    pub ok: bool,
    /// Where it is broken first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<Broken>,
    /// The account's sequence numbers of which no event has come, as spans with both ends: they are on their way, or
    /// among the dead letters.
    pub missing: Vec<(u64, u64)>,
    /// How many events came after later ones.
    pub late: u64,
    /// How many entries were redacted.
    pub redacted: u64,
    /// The hash of the last entry. Whoever keeps it can tell later whether the log still goes through it.
    pub hash: Hash,
}

/// Goes through a log, entry by entry from the first one on, and finds where it is broken.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    entries: u64,
    hash: Hash,
    sequence: Sequence,
    late: u64,
    redacted: u64,
    broken: Option<Broken>,
}

impl Verifier {
    /// Takes the next entry.
    pub fn take(&mut self, entry: &Entry) {
        if let Some(broken) = &mut self.broken {
            // What should have come at the break comes here.
            if broken.why == Break::Missing && entry.previous_hash == self.hash {
                broken.why = Break::Reordered;
            }
            self.entries += 1;
            return;
        }
        let seq = entry.content.seq;
        let wrong = if !entry.is_whole() {
            Some(Break::Changed)
        } else if entry.previous_hash != self.hash {
            Some(Break::Missing)
        } else if self.sequence.has(seq) {
            Some(Break::Repeated)
        } else {
            None
        };
        if let Some(why) = wrong {
            self.broken = Some(Broken {
                position: self.entries + 1,
                event_id: Some(entry.content.event_id.clone()),
                why,
            });
        } else {
            self.late += u64::from(seq < self.sequence.last);
            self.redacted += u64::from(entry.redacted);
            self.sequence.take(seq);
            self.hash = entry.hash;
        }
        self.entries += 1;
    }

    /// Notes that the log ends here, though it did not.
    pub fn cut_off(&mut self) {
        let position = self.entries + 1;
        self.broken.get_or_insert(Broken {
            position,
            event_id: None,
            why: Break::CutOff,
        });
    }

    /// How many entries were taken.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// What was found, without a log to hold it against.
    pub fn finish(self) -> Verified {
        Verified {
            entries: self.entries,
            ok: self.broken.is_none(),
            broken_at: self.broken,
            missing: self.sequence.missing,
            late: self.late,
            redacted: self.redacted,
            hash: self.hash,
        }
    }

    /// What was found, if the last entry that was taken should be the last one of `log`.
    pub fn finish_at(mut self, log: &Log) -> Verified {
        let ends = (log.entries, log.hash) == (self.entries, self.hash);
        if self.broken.is_none() && (!ends || log.sequence != self.sequence) {
            self.cut_off();
        }
        self.finish()
    }
}
