//! The outbox ring: where the events of a change wait, beside the change itself, until the broker has them.
//!
//! The ring is a fixed set of state keys, so that a sweep finds what was left without listing. A change takes a free
//! slot in the transaction that stores it. A slot names the account's slot before it, and the book the last one: an
//! account's slots are published and freed strictly in that order, so whoever finds the slot before his free knows
//! that all earlier events are with the broker.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Event, Instant};

/// How many slots the ring has.
pub const SLOTS: u16 = 1024;

/// A slot of the ring, and which change took it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// The slot, below [`SLOTS`].
    pub slot: u16,
    /// The change's id: a slot is used again, a change's id never.
    pub change: String,
}

/// What a taken slot holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// The change's id.
    pub change: String,
    /// The account that changed.
    pub account: AccountId,
    /// The account's slot before this one, if it has had one.
    pub after: Option<Taken>,
    /// When the change was made, or when somebody who delivers for long said that he is at it.
    pub at: Instant,
    /// The events that are to be published, in the order of their sequence numbers.
    pub events: Vec<Event>,
}

impl Slot {
    /// The sequence number of the first event; slots of one account are in the order of these.
    pub fn seq(&self) -> u64 {
        self.events.first().map_or(0, |event| event.seq)
    }
}

/// The state key of a slot.
pub fn slot_key(slot: u16) -> String {
    format!("outbox:{slot}")
}
