//! A state document: a key, what it holds and what guards the writing of it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

use crate::{Entry, Error, Etag, Operation, Sidecar, Transport};

/// How many documents are removed in one transaction.
const REMOVED_TOGETHER: usize = 64;

/// A JSON document as it was read. Written back, it is guarded: only if nobody has written or removed it since.
#[derive(Clone, Debug)]
pub struct Document<V> {
    /// Its state key.
    pub key: String,
    /// What it holds; the default if it did not exist.
    pub value: V,
    etag: Option<Etag>,
}

impl<V> Document<V> {
    /// Whether it existed when it was read.
    pub fn exists(&self) -> bool {
        self.etag.is_some()
    }

    /// The removal of it, if it existed.
    pub fn removal(&self) -> Option<Operation> {
        let etag = self.etag.clone()?;
        Some(Operation::delete(self.key.clone(), etag))
    }
}

impl<V: Serialize> Document<V> {
    /// The writing of its value.
    ///
    /// # Errors
    /// The value is not JSON: a map with keys that are no strings.
    pub fn write(&self) -> Result<Operation, Error> {
        guarded(self.key.clone(), &self.value, self.etag.clone())
    }
}

/// The writing of a document that is not there yet.
///
/// # Errors
/// The value is not JSON: a map with keys that are no strings.
pub fn creation<V: Serialize>(key: String, value: &V) -> Result<Operation, Error> {
    guarded(key, value, None)
}

fn guarded<V: Serialize>(key: String, value: &V, etag: Option<Etag>) -> Result<Operation, Error> {
    Operation::guarded(key, value, etag).map_err(|error| Error::Malformed {
        call: "state transaction",
        detail: error.to_string(),
    })
}

impl<T: Transport> Sidecar<T> {
    /// Reads a document; one that does not exist holds the default.
    ///
    /// # Errors
    /// See [`Error`]; what is there but cannot be read is [`Error::Malformed`].
    pub async fn document<V: DeserializeOwned + Default>(
        &self,
        store: &str,
        key: String,
    ) -> Result<Document<V>, Error> {
        let (value, etag) = match self.get_state(store, &key).await? {
            Some(Entry { value, etag }) => (crate::parse("state get", &value)?, Some(etag)),
            None => (V::default(), None),
        };
        Ok(Document { key, value, etag })
    }

    /// Reads many documents in one call, in the order of their keys.
    ///
    /// # Errors
    /// See [`Self::document`] and [`Self::get_states`].
    pub async fn documents<V: DeserializeOwned + Default>(
        &self,
        store: &str,
        keys: &[String],
    ) -> Result<Vec<Document<V>>, Error> {
        let mut items: HashMap<_, _> = self
            .get_states(store, keys)
            .await?
            .into_iter()
            .map(|item| (item.key, (item.data, item.etag)))
            .collect();
        keys.iter()
            .map(|key| {
                let (value, etag) = match items.remove(key) {
                    Some((Some(data), etag)) => {
                        (crate::parse("state bulk get", data.get().as_bytes())?, etag)
                    }
                    _ => (V::default(), None),
                };
                let key = key.clone();
                Ok(Document { key, value, etag })
            })
            .collect()
    }

    /// Removes documents, whatever they hold: some dozens in a transaction each. Those that are not there are left out.
    ///
    /// # Errors
    /// See [`Error`]. What was removed stays so; [`Error::Refused`] if one was written meanwhile.
    pub async fn remove(&self, store: &str, keys: &[String]) -> Result<(), Error> {
        for keys in keys.chunks(REMOVED_TOGETHER) {
            let there = self.get_states(store, keys).await?.into_iter();
            let removals: Vec<Operation> = there
                .filter_map(|item| Some(Operation::delete(item.key, item.etag?)))
                .collect();
            if !removals.is_empty() {
                self.transact(store, &removals).await?;
            }
        }
        Ok(())
    }
}
