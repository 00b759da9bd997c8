//! Small sets of small numbers.

/// A set of numbers from 0 to 63.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Set(u64);

impl Set {
    /// The numbers of a range, both ends within.
    pub(super) fn range(first: u32, last: u32) -> Self {
        (first..=last).collect()
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it holds a number.
    pub(super) fn has(self, number: u32) -> bool {
        number < 64 && self.0 & (1 << number) != 0
    }

    /// Adds a number; those above 63 are dropped.
    pub(super) fn insert(&mut self, number: u32) {
        self.0 |= 1_u64.checked_shl(number).unwrap_or(0);
    }

    /// The numbers, ascending.
    pub(super) fn iter(self) -> impl DoubleEndedIterator<Item = u32> {
        (0..64).filter(move |number| self.has(*number))
    }
}

impl FromIterator<u32> for Set {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut set = Self::default();
        for number in numbers {
            set.insert(number);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_order() {
        let set: Set = [63, 0, 7, 7, 64, 1000].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 7, 63]);
        assert!(!set.has(64) && Set::default().is_empty());
        assert_eq!(Set::range(1, 3).iter().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
