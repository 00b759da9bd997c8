//! When which mail is looked at: the agenda in Dapr state.

use docket_domain::Instant;
use docket_domain::agenda::{self, Bucket, Place, WATERMARK_KEY, Watermark};
use docket_sidecar::{Document, Error, Operation, Sidecar, Transport};

use crate::store::STATE;

/// How many buckets are read in one call.
const READ_AT_ONCE: usize = 96;

/// The agenda.
#[derive(Clone)]
pub struct Agenda<T> {
    sidecar: Sidecar<T>,
}

impl<T: Transport> Agenda<T> {
    pub fn new(sidecar: Sidecar<T>) -> Self {
        Self { sidecar }
    }

    /// What a transaction writes so that the sweep looks at `document` at `at`. The bucket is written even if it has the
    /// document already: were it left out, the sweep could take the bucket away before the transaction is stored.
    pub async fn schedule(
        &self,
        document: &str,
        at: Instant,
        now: Instant,
    ) -> Result<Vec<Operation>, Error> {
        let mut operations = Vec::new();
        let mut watermark = self.watermark().await?;
        if !watermark.exists() {
            watermark.value = Some(Watermark::at(now));
            operations.push(watermark.write()?);
        }
        for (place, change) in agenda::changes(document, [], [at], now) {
            let mut bucket: Document<Bucket> = self.sidecar.document(STATE, place.key()).await?;
            bucket.value.apply(document, change);
            operations.push(bucket.write()?);
        }
        Ok(operations)
    }

    /// How far the agenda was worked off; nothing if it is new.
    pub async fn watermark(&self) -> Result<Document<Option<Watermark>>, Error> {
        self.sidecar.document(STATE, WATERMARK_KEY.to_owned()).await
    }

    /// The buckets that point at something, of those that may point at something due. The earliest come first.
    pub async fn buckets(
        &self,
        watermark: Watermark,
        now: Instant,
    ) -> Result<Vec<(Place, Document<Bucket>)>, Error> {
        let places: Vec<Place> = watermark.places(now).collect();
        let mut found = Vec::new();
        for places in places.chunks(READ_AT_ONCE) {
            let keys: Vec<String> = places.iter().map(|place| place.key()).collect();
            let buckets = self.sidecar.documents(STATE, &keys).await?;
            let filled = places.iter().copied().zip(buckets);
            found.extend(filled.filter(|(_, bucket): &(_, Document<Bucket>)| bucket.exists()));
        }
        Ok(found)
    }
}
