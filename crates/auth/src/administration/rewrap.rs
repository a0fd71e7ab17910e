//! Moving stored values to the first keys of the key ring, so that older ones can be taken away.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;

use crate::change::{Entry, action};
use crate::keyring::Place;
use crate::store::SealedTable;
use crate::{Actor, Auth, Error, clock};

/// Rows read at once.
const BATCH: i64 = 100;

/// What a rewrap did and what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rewrapped {
    /// Client secrets that were sealed anew.
    pub client_secrets: u64,
    /// Signing keys that were sealed anew.
    pub signing_keys: u64,
    /// Live API keys under an older pepper. A key moves when it is next used, since only then its
    /// text is known.
    pub api_keys_on_old_peppers: u64,
}

impl Auth {
    /// Seals everything anew that is not under the first master key. Services may run meanwhile;
    /// each needs a second to learn of a key that was put in front, and seals under the former one
    /// until then.
    ///
    /// # Errors
    /// [`Error::DoesNotOpen`] names a value whose key is missing; those before it are done.
    pub async fn rewrap(&self, actor: &Actor) -> Result<Rewrapped, Error> {
        self.inner.key_ring.refresh().await?;
        let pepper = self.inner.key_ring.first_pepper();
        let rewrapped = Rewrapped {
            client_secrets: self.rewrap_table(SealedTable::ClientSecrets).await?,
            signing_keys: self.rewrap_table(SealedTable::SigningKeys).await?,
            api_keys_on_old_peppers: self
                .inner
                .store
                .count_keys_on_other_peppers(&pepper, clock::now())
                .await?
                .unsigned_abs(),
        };
        let change = self.inner.store.change().await?;
        let entry = Entry {
            action: action::REWRAP,
            tenant: None,
            target: self.inner.key_ring.first_master(),
            details: json!(rewrapped),
        };
        self.commit(change, actor, entry).await?;
        Ok(rewrapped)
    }

    /// Ids of the master keys and peppers that stored values need: those of every sealed value,
    /// and of every API key that is neither switched off nor over.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn key_ids_in_use(&self) -> Result<BTreeSet<String>, Error> {
        self.inner.store.key_ids_in_use(clock::now()).await
    }

    /// Seals the rows of one table anew, a batch at a time: nobody has to wait for all.
    async fn rewrap_table(&self, table: SealedTable) -> Result<u64, Error> {
        let store = &self.inner.store;
        let key_ring = &self.inner.key_ring;
        let first = key_ring.first_master();
        let (mut done, mut after) = (0, String::new());
        loop {
            let rows = store
                .rows_not_sealed_with(&first, table, &after, BATCH)
                .await?;
            let Some(last) = rows.last() else {
                return Ok(done);
            };
            after.clone_from(&last.id);
            for row in rows {
                let place = Place {
                    table: table.name(),
                    row: &row.id,
                };
                let text = self.open_sealed(place, &row.sealed).await?;
                let sealed = key_ring.seal(place, &text)?;
                done += store.reseal(table, &row, &sealed).await?;
            }
        }
    }
}
