//! The order of a list.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

use super::search::fold;
use crate::task::Task;

/// As many characters of a folded title decide its order; titles that agree so far come in the order of creation. It
/// bounds the cursor, which carries them.
const TITLE_KEY: usize = 128;

/// What a list is ordered by, and which way.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Order {
    /// What counts.
    pub by: SortBy,
    /// From the greatest to the least.
    pub descending: bool,
}

/// What a list is ordered by. Tasks that are alike in it come in the order of their creation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// The instant at which they are due ([`crate::due::Due::at_in`]); those without a due date are last either way.
    Due,
    /// Low, medium, high.
    Priority,
    /// The order in which they came into the account.
    Created,
    /// The order of their last changes.
    Updated,
    /// The title, folded as for a search.
    Title,
    /// The manual order.
    Position,
}

impl Default for Order {
    /// The newest first.
    fn default() -> Self {
        Self {
            by: SortBy::Created,
            descending: true,
        }
    }
}

impl Order {
    /// Reads `due`, `priority`, `created`, `updated`, `title` or `position`, with a `-` before it for descending; `None`
    /// for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let by = match name {
            "due" => SortBy::Due,
            "priority" => SortBy::Priority,
            "created" => SortBy::Created,
            "updated" => SortBy::Updated,
            "title" => SortBy::Title,
            "position" => SortBy::Position,
            _ => return None,
        };
        Some(Self { by, descending })
    }

    /// Where a task stands for somebody in `time_zone`.
    pub fn place(&self, task: &Task, time_zone: Tz) -> Place {
        let key = match self.by {
            SortBy::Due => task
                .due
                .as_ref()
                .map(|due| Key::Number(due.at_in(time_zone).as_millis())),
            SortBy::Priority => Some(Key::Number(task.priority as i64)),
            SortBy::Created => None,
            SortBy::Updated => Some(Key::Number(task.seq as i64)),
            SortBy::Title => Some(Key::Text(
                fold(&task.title).chars().take(TITLE_KEY).collect(),
            )),
            SortBy::Position => {
                let position = task.position.unwrap_or(task.created_seq as f64);
                Some(Key::Number(ordered(position)))
            }
        };
        Place {
            key,
            created_seq: task.created_seq,
        }
    }

    /// The place before all others in the order of creation.
    pub(super) fn start(&self) -> Place {
        Place {
            key: None,
            created_seq: if self.descending { u64::MAX } else { 0 },
        }
    }

    /// Which of two places comes first.
    pub fn compare(&self, a: &Place, b: &Place) -> Ordering {
        let directed = |order: Ordering| {
            if self.descending {
                order.reverse()
            } else {
                order
            }
        };
        match (&a.key, &b.key) {
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (a, b) => directed(a.cmp(b)),
        }
        .then_with(|| directed(a.created_seq.cmp(&b.created_seq)))
    }
}

/// Where a task stands in a list: no two tasks of an account stand in the same place.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// What the order is by; `None` is last.
    key: Option<Key>,
    /// The order of creation, which decides the rest.
    created_seq: u64,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Number(i64),
    Text(String),
}

/// A number that is ordered as the float is (the total order of IEEE 754, with one zero).
fn ordered(float: f64) -> i64 {
    let bits = (float + 0.0).to_bits().cast_signed();
    bits ^ (bits >> 63).cast_unsigned().unbounded_shr(1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_order_of_floats() {
        let floats = [
            f64::MIN,
            -1.5,
            -f64::MIN_POSITIVE,
            0.0,
            f64::MIN_POSITIVE,
            1.0,
            1.000_000_1,
            9e15,
            f64::MAX,
        ];
        assert!(floats.map(ordered).is_sorted_by(|a, b| a < b));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    #[test]
    fn orders_have_names() {
        for name in ["due", "priority", "created", "updated", "title", "position"] {
            let order = Order::parse(name).unwrap();
            assert_eq!(serde_json::to_value(order.by).unwrap(), name);
            assert!(Order::parse(&format!("-{name}")).unwrap().descending);
        }
        for wrong in ["", "-", "--due", "Due", "due ", "+due", "colour"] {
            assert_eq!(Order::parse(wrong), None, "{wrong}");
        }
    }
}
