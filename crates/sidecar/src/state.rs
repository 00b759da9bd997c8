//! Dapr's state API: <https://docs.dapr.io/reference/api/state_api/>.

use bytes::Bytes;
use http::header::{ETAG, HeaderValue, IF_MATCH};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Error, Sidecar, Transport, encode, escape, parse};

/// What guards a write against others: the version that was read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Etag(pub(crate) String);

/// A value that was read.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The value as it was stored: JSON.
    pub value: Bytes,
    /// Its version.
    pub etag: Etag,
}

/// A key that was read in bulk.
#[derive(Debug, Deserialize)]
pub struct Item {
    /// The key.
    pub key: String,
    /// The value; `None` if there is none.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
    /// Its version.
    #[serde(default)]
    pub etag: Option<Etag>,
}

/// A step of a transaction.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "operation", content = "request", rename_all = "lowercase")]
pub enum Operation {
    /// Writes a value.
    Upsert(Upsert),
    /// Removes a key.
    Delete(Delete),
}

/// What to write, and on which condition.
#[derive(Clone, Debug, Serialize)]
pub struct Upsert {
    key: String,
    value: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<Etag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

#[derive(Clone, Debug, Serialize)]
struct Metadata {
    #[serde(rename = "ttlInSeconds")]
    ttl_in_seconds: String,
}

/// What to remove, and at which version alone.
#[derive(Clone, Debug, Serialize)]
pub struct Delete {
    key: String,
    etag: Etag,
    options: Options,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Options {
    concurrency: &'static str,
}

const FIRST_WRITE: Options = Options {
    concurrency: "first-write",
};

impl Operation {
    /// About how many bytes of the transaction's request it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Upsert(upsert) => upsert.value.get().len() + upsert.key.len() + 160,
            Self::Delete(delete) => delete.key.len() + 160,
        }
    }

    /// Writes `value` if the key is still at the version `etag`; without one, only if the key does not exist.
    ///
    /// # Errors
    /// The value is not JSON: a map with keys that are no strings.
    pub fn guarded<V: Serialize>(
        key: String,
        value: &V,
        etag: Option<Etag>,
    ) -> Result<Self, serde_json::Error> {
        let value = serde_json::value::to_raw_value(value)?;
        Ok(Self::Upsert(Upsert {
            key,
            value,
            etag,
            options: Some(FIRST_WRITE),
            metadata: None,
        }))
    }

    /// The same write of a value that goes away after so many seconds: it then counts as one that does not exist.
    pub fn expiring(mut self, seconds: u32) -> Self {
        if let Self::Upsert(upsert) = &mut self {
            upsert.metadata = Some(Metadata {
                ttl_in_seconds: seconds.to_string(),
            });
        }
        self
    }

    /// Removes the key if it is still at the version `etag`.
    pub fn delete(key: String, etag: Etag) -> Self {
        Self::Delete(Delete {
            key,
            etag,
            options: FIRST_WRITE,
        })
    }
}

impl<T: Transport> Sidecar<T> {
    /// Reads a key; `None` if it does not exist.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get_state(&self, store: &str, key: &str) -> Result<Option<Entry>, Error> {
        const CALL: &str = "state get";
        let path = format!("/v1.0/state/{}/{}", escape(store), escape(key));
        let response = crate::checked(
            CALL,
            self.send(CALL, Method::GET, &path, &[], Bytes::new())
                .await?,
        )?;
        if response.status() == StatusCode::NO_CONTENT || response.body().is_empty() {
            return Ok(None);
        }
        let etag = response
            .headers()
            .get(ETAG)
            .and_then(|etag| etag.to_str().ok())
            .map(|etag| Etag(etag.to_owned()))
            .ok_or(Error::Malformed {
                call: CALL,
                detail: "a value without an etag".to_owned(),
            })?;
        Ok(Some(Entry {
            value: response.into_body(),
            etag,
        }))
    }

    /// Reads a key in the form of [`Self::get_states`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get_item(&self, store: &str, key: &str) -> Result<Item, Error> {
        let (data, etag) = match self.get_state(store, key).await? {
            Some(entry) => (Some(parse("state get", &entry.value)?), Some(entry.etag)),
            None => (None, None),
        };
        Ok(Item {
            key: key.to_owned(),
            data,
            etag,
        })
    }

    /// Reads many keys, in any order; each is answered, existing or not.
    ///
    /// # Errors
    /// See [`Error`]; a key that could not be read fails the whole call.
    pub async fn get_states(&self, store: &str, keys: &[String]) -> Result<Vec<Item>, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            keys: &'a [String],
            parallelism: u8,
        }
        #[derive(Deserialize)]
        struct Failed {
            #[serde(default)]
            error: Option<String>,
        }
        const CALL: &str = "state bulk get";
        let body = encode(
            CALL,
            &Body {
                keys,
                parallelism: 16,
            },
        )?;
        let path = format!("/v1.0/state/{}/bulk", escape(store));
        let response = self.post_json(CALL, &path, body).await?;
        let failed: Vec<Failed> = parse(CALL, response.body())?;
        if let Some(error) = failed.into_iter().find_map(|item| item.error) {
            return Err(Error::Malformed {
                call: CALL,
                detail: error,
            });
        }
        parse(CALL, response.body())
    }

    /// Carries out all operations, or none of them. A refusal does not say whether a guard failed: read the keys again
    /// and compare (Dapr answers `ERR_STATE_TRANSACTION` for either).
    ///
    /// # Errors
    /// See [`Error`]; after [`Error::Transport`] the transaction may or may not be done.
    pub async fn transact<'a>(
        &self,
        store: &str,
        operations: impl IntoIterator<Item = &'a Operation>,
    ) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            operations: Vec<&'a Operation>,
        }
        const CALL: &str = "state transaction";
        let operations = operations.into_iter().collect();
        let body = encode(CALL, &Body { operations })?;
        let path = format!("/v1.0/state/{}/transaction", escape(store));
        self.post_json(CALL, &path, body).await.map(drop)
    }

    /// Deletes a key if it is still at the version `etag`. Gives whether it was: `false` means that somebody else has
    /// written or deleted it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_state(&self, store: &str, key: &str, etag: &Etag) -> Result<bool, Error> {
        const CALL: &str = "state delete";
        let path = format!(
            "/v1.0/state/{}/{}?concurrency=first-write",
            escape(store),
            escape(key)
        );
        let etag = HeaderValue::from_str(&etag.0).map_err(|e| Error::Malformed {
            call: CALL,
            detail: e.to_string(),
        })?;
        let response = self
            .send(
                CALL,
                Method::DELETE,
                &path,
                &[(IF_MATCH, etag)],
                Bytes::new(),
            )
            .await?;
        if response.status() == StatusCode::CONFLICT {
            return Ok(false);
        }
        crate::checked(CALL, response).map(|_| true)
    }
}
