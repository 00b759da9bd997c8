//! Segments that an instance has read or written, kept for its next requests.

use docket_domain::AccountId;
use docket_domain::ids::SegmentNumber;
use docket_domain::shelf::{Closed, Segment};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes of segments are kept, counted as their JSON.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Segments by account and number. One counts only as long as the directory in the account's book says of it what it
/// said when the segment was kept; whoever asks has just read the book.
#[derive(Clone)]
pub struct Cache {
    kept: Arc<Mutex<Kept>>,
}

type Key = (AccountId, SegmentNumber);

struct Kept {
    segments: HashMap<Key, Entry>,
    /// From the one that was not used for longest.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
    max_bytes: usize,
}

struct Entry {
    directory: Closed,
    segment: Arc<Segment>,
    bytes: usize,
    used: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self::with_room_for(MAX_BYTES)
    }
}

impl Cache {
    fn with_room_for(max_bytes: usize) -> Self {
        Self {
            kept: Arc::new(Mutex::new(Kept {
                segments: HashMap::new(),
                by_use: BTreeMap::new(),
                uses: 0,
                bytes: 0,
                max_bytes,
            })),
        }
    }

    /// The segment, if it is kept and is the one that the `directory` tells of.
    pub fn get(
        &self,
        account: &AccountId,
        number: SegmentNumber,
        directory: Closed,
    ) -> Option<Arc<Segment>> {
        self.lock().get(&(account.clone(), number), directory)
    }

    /// Keeps a segment of so many `bytes`, as the one that the `directory` tells of.
    pub fn put(
        &self,
        account: &AccountId,
        number: SegmentNumber,
        directory: Closed,
        segment: Arc<Segment>,
        bytes: usize,
    ) {
        let entry = Entry {
            directory,
            segment,
            bytes,
            used: 0,
        };
        self.lock().put((account.clone(), number), entry);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn get(&mut self, key: &Key, directory: Closed) -> Option<Arc<Segment>> {
        let entry = self.segments.get_mut(key)?;
        if entry.directory != directory {
            return None;
        }
        self.uses += 1;
        if let Some(key) = self.by_use.remove(&entry.used) {
            self.by_use.insert(self.uses, key);
        }
        entry.used = self.uses;
        Some(entry.segment.clone())
    }

    fn put(&mut self, key: Key, entry: Entry) {
        self.remove(&key);
        self.uses += 1;
        self.bytes += entry.bytes;
        self.by_use.insert(self.uses, key.clone());
        let used = self.uses;
        self.segments.insert(key, Entry { used, ..entry });
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.segments.remove(key) {
            self.bytes -= entry.bytes;
            self.by_use.remove(&entry.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountId {
        AccountId::parse(name).unwrap()
    }

    fn directory(last: u64) -> Closed {
        Closed(1, 0, last, 1)
    }

    fn put(cache: &Cache, name: &str, number: SegmentNumber, last: u64, bytes: usize) {
        let segment = Arc::new(Segment::default());
        cache.put(&account(name), number, directory(last), segment, bytes);
    }

    fn has(cache: &Cache, name: &str, number: SegmentNumber, last: u64) -> bool {
        cache.get(&account(name), number, directory(last)).is_some()
    }

    #[test]
    fn a_segment_counts_for_its_account_its_number_and_its_directory_entry_alone() {
        let cache = Cache::default();
        put(&cache, "ann", 3, 7, 100);
        assert!(has(&cache, "ann", 3, 7));
        assert!(!has(&cache, "bob", 3, 7));
        assert!(!has(&cache, "ann", 4, 7));
        assert!(!has(&cache, "ann", 3, 8));
        assert!(!has(&cache, "ann", 3, 6));
        assert!(cache.get(&account("ann"), 3, Closed(0, 1, 7, 1)).is_none());
        put(&cache, "ann", 3, 8, 50);
        assert!(has(&cache, "ann", 3, 8) && !has(&cache, "ann", 3, 7));
        assert_eq!(cache.lock().bytes, 50);
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let cache = Cache::with_room_for(300);
        for number in 0..3 {
            put(&cache, "ann", number, 1, 100);
        }
        assert!(has(&cache, "ann", 0, 1));
        put(&cache, "ann", 3, 1, 100);
        let kept: Vec<_> = (0..4).filter(|n| has(&cache, "ann", *n, 1)).collect();
        assert_eq!(kept, [0, 2, 3]);
        // One that is larger than all of the room is not kept, nor anything else.
        put(&cache, "bob", 0, 1, 301);
        let kept = cache.lock();
        assert_eq!(
            (kept.segments.len(), kept.by_use.len(), kept.bytes),
            (0, 0, 0)
        );
    }
}
