//! How often an account may be changed, and how often by one agent. What was used up is in the book, so it is counted in
//! the transaction of the change itself: exactly, and at no cost.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::rate::{Meter, Rate};
use crate::{Instant, Rejection};

/// An hour, in milliseconds.
const HOUR: i64 = 3_600_000;

/// What the doer of a change may do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Allowance {
    /// How often the account may be changed; a batch is one time.
    pub rate: Option<Rate>,
    /// What an agent is bound to.
    pub quota: Option<Quota>,
}

/// What an agent is bound to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quota {
    /// The id of its token.
    pub token: String,
    /// How many tasks it may change within an hour, which begins with the first of them.
    pub changes_per_hour: u32,
}

/// What was used up of late.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// By the whole account.
    #[serde(default)]
    all: Meter,
    /// By agents that are bound: when the hour of each began, and how many changes it has made in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    agents: BTreeMap<String, (Instant, u32)>,
}

impl Spent {
    /// Whether there is nothing to tell.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in that a command changes so many tasks now.
    ///
    /// # Errors
    /// [`Rejection::TooMany`]
    pub fn take(
        &mut self,
        allowance: &Allowance,
        changes: u32,
        now: Instant,
    ) -> Result<(), Rejection> {
        if let Some(rate) = allowance.rate {
            let what = "the account is changed too often";
            let taken = self.all.take(rate, 1, now);
            taken.map_err(|seconds| Rejection::TooMany { what, seconds })?;
        }
        let is_of_late =
            |began: &Instant| (0..HOUR).contains(&(now.as_millis() - began.as_millis()));
        self.agents.retain(|_, (began, _)| is_of_late(began));
        let Some(quota) = &allowance.quota else {
            return Ok(());
        };
        let (began, count) = self.agents.get(&quota.token).copied().unwrap_or((now, 0));
        let count = count.saturating_add(changes);
        if count > quota.changes_per_hour {
            let left = began.as_millis() + HOUR - now.as_millis();
            let seconds = u32::try_from((left + 999) / 1_000).unwrap_or(1).max(1);
            let what = "the agent token allows no more changes within this hour";
            return Err(Rejection::TooMany { what, seconds });
        }
        self.agents.insert(quota.token.clone(), (began, count));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_millis(1_800_000_000_000 + seconds * 1_000).unwrap()
    }

    fn agent(token: &str, changes_per_hour: u32) -> Allowance {
        Allowance {
            rate: None,
            quota: Some(Quota {
                token: token.to_owned(),
                changes_per_hour,
            }),
        }
    }

    #[test]
    fn an_agent_has_its_changes_within_an_hour_and_others_have_theirs() {
        let mut spent = Spent::default();
        let (a, b) = (agent("a", 3), agent("b", 1));
        assert_eq!(spent.take(&a, 2, at(0)), Ok(()));
        assert!(matches!(
            spent.take(&a, 2, at(1_800)),
            Err(Rejection::TooMany { seconds: 1_800, .. })
        ));
        assert_eq!(spent.take(&a, 1, at(1_800)), Ok(()));
        assert_eq!(spent.take(&b, 1, at(1_800)), Ok(()));
        assert_eq!(spent.take(&Allowance::default(), 100, at(1_801)), Ok(()));
        assert!(spent.take(&a, 1, at(3_599)).is_err());
        assert_eq!(spent.take(&a, 3, at(3_600)), Ok(()));
        assert!(spent.take(&a, 4, at(90_000)).is_err());
    }

    #[test]
    fn nothing_is_kept_of_what_is_over() {
        let mut spent = Spent::default();
        for n in 0..50 {
            spent
                .take(&agent(&n.to_string(), 9), 1, at(n * 60))
                .unwrap();
        }
        spent
            .take(&Allowance::default(), 1, at(50 * 60 + 3_600))
            .unwrap();
        assert!(spent.is_nothing());
    }

    #[test]
    fn a_command_counts_once_for_the_account() {
        let mut spent = Spent::default();
        let bound = Allowance {
            rate: Some(Rate::new(2, 60)),
            quota: None,
        };
        assert_eq!(spent.take(&bound, 200, at(0)), Ok(()));
        assert_eq!(spent.take(&bound, 1, at(0)), Ok(()));
        assert!(matches!(
            spent.take(&bound, 1, at(0)),
            Err(Rejection::TooMany { seconds: 30, .. })
        ));
        assert_eq!(spent.take(&bound, 1, at(30)), Ok(()));
    }
}
