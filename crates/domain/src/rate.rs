//! How often something may happen: the generic cell rate algorithm (ITU-T I.371), which needs one instant of memory.

use serde::{Deserialize, Serialize};

use crate::Instant;

/// So many in so long a time, which may come all at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How many; none at all if it is 0.
    pub count: u32,
    /// In how many milliseconds.
    pub period_millis: i64,
}

impl Rate {
    /// So many a second, a minute, and so on.
    pub const fn new(count: u32, period_seconds: u32) -> Self {
        Self {
            count,
            period_millis: period_seconds as i64 * 1_000,
        }
    }

    /// What one of them uses up, in nanoseconds, so that odd rates do not round to nothing.
    fn step(self) -> i128 {
        i128::from(self.period_millis) * 1_000_000 / i128::from(self.count.max(1))
    }
}

/// What has happened of one kind to one subject: the instant, in nanoseconds since the epoch, at which all of it is
/// used up again. It only counts while it is to come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Meter(i64);

impl Meter {
    /// Whether it tells nothing any more.
    pub fn is_idle(self, now: Instant) -> bool {
        i128::from(self.0) <= nanos(now)
    }

    /// Takes in that it happens `times` times now. More than the rate's count at once is taken in when nothing is used
    /// up, since it could never be otherwise.
    ///
    /// # Errors
    /// That is too much: in how many seconds, at least 1, it is not. Nothing is taken in.
    pub fn take(&mut self, rate: Rate, times: u32, now: Instant) -> Result<(), u32> {
        let now = nanos(now);
        let all = i128::from(rate.period_millis) * 1_000_000;
        // One from further away than that was written before the clock was set back.
        let used_until = Some(i128::from(self.0)).filter(|until| (now..=now + all).contains(until));
        let used_until = used_until.unwrap_or(now);
        let wanted = (rate.step() * i128::from(times)).min(all);
        let until = used_until + wanted;
        if rate.count == 0 || until - now > all {
            let seconds = (until - now - all + 999_999_999) / 1_000_000_000;
            return Err(u32::try_from(seconds).unwrap_or(u32::MAX).max(1));
        }
        self.0 = i64::try_from(until).unwrap_or(i64::MAX);
        Ok(())
    }
}

fn nanos(at: Instant) -> i128 {
    i128::from(at.as_millis()) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(1_800_000_000_000 + millis).unwrap()
    }

    #[test]
    fn all_at_once_and_then_one_after_the_other() {
        let rate = Rate::new(3, 60);
        let mut meter = Meter::default();
        for _ in 0..3 {
            assert_eq!(meter.take(rate, 1, at(0)), Ok(()));
        }
        assert_eq!(meter.take(rate, 1, at(0)), Err(20));
        assert_eq!(meter.take(rate, 1, at(19_001)), Err(1));
        assert_eq!(meter.take(rate, 1, at(20_000)), Ok(()));
        assert_eq!(meter.take(rate, 1, at(20_000)), Err(20));
        assert!(!meter.is_idle(at(79_999)) && meter.is_idle(at(80_000)));
        for _ in 0..3 {
            assert_eq!(meter.take(rate, 1, at(80_000)), Ok(()));
        }
    }

    #[test]
    fn never_more_than_twice_the_count_in_a_period_and_the_rate_in_the_long_run() {
        let rate = Rate::new(100, 60);
        let mut meter = Meter::default();
        let taken: Vec<i64> = (0..600_000)
            .step_by(50)
            .filter(|millis| meter.take(rate, 1, at(*millis)).is_ok())
            .collect();
        assert_eq!(taken.len(), 100 + 1_000 - 1);
        for start in (0..540_000).step_by(5_000) {
            let window = start..start + 60_000;
            assert!(taken.iter().filter(|t| window.contains(*t)).count() <= 200);
        }
    }

    #[test]
    fn several_count_as_several_and_too_many_for_any_time_as_all() {
        let rate = Rate::new(10, 10);
        let mut meter = Meter::default();
        assert_eq!(meter.take(rate, 8, at(0)), Ok(()));
        assert_eq!(meter.take(rate, 3, at(0)), Err(1));
        assert_eq!(meter.take(rate, 2, at(0)), Ok(()));
        assert_eq!(meter.take(rate, 25, at(0)), Err(10));
        assert_eq!(meter.take(rate, 25, at(10_000)), Ok(()));
        assert_eq!(meter.take(Rate::new(0, 10), 1, at(99_000)), Err(1));
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nobody_up_for_ever() {
        let rate = Rate::new(2, 10);
        let mut meter = Meter::default();
        assert_eq!(meter.take(rate, 2, at(86_400_000)), Ok(()));
        assert_eq!(meter.take(rate, 2, at(0)), Ok(()));
        assert_eq!(meter.take(rate, 1, at(0)), Err(5));
    }
}
