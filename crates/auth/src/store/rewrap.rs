//! The columns that need a key of the key ring.

use std::collections::BTreeSet;

use super::Store;
use crate::Error;
use crate::keyring::Sealed;

/// A table with sealed values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SealedTable {
    ClientSecrets,
    SigningKeys,
}

/// A sealed value.
#[derive(Clone, Debug)]
pub(crate) struct SealedRow {
    pub id: String,
    pub sealed: Sealed,
}

impl SealedTable {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ClientSecrets => "client_secrets",
            Self::SigningKeys => "signing_keys",
        }
    }
}

impl Store {
    /// Up to `limit` rows by id, after the id `after`, that are not sealed with the key `key_id`.
    pub(crate) async fn rows_not_sealed_with(
        &self,
        key_id: &str,
        table: SealedTable,
        after: &str,
        limit: i64,
    ) -> Result<Vec<SealedRow>, Error> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(match table {
            SealedTable::ClientSecrets => {
                "SELECT id, key_id, sealed FROM client_secrets \
                 WHERE key_id <> $1 AND id > $2 ORDER BY id LIMIT $3"
            }
            SealedTable::SigningKeys => {
                "SELECT kid, key_id, sealed FROM signing_keys \
                 WHERE key_id <> $1 AND kid > $2 ORDER BY kid LIMIT $3"
            }
        })
        .bind(key_id)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let row = |(id, key_id, text)| SealedRow {
            id,
            sealed: Sealed { key_id, text },
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Puts another sealing of the same value in its place; 0 if somebody else has.
    pub(crate) async fn reseal(
        &self,
        table: SealedTable,
        row: &SealedRow,
        sealed: &Sealed,
    ) -> Result<u64, Error> {
        let done = sqlx::query(match table {
            SealedTable::ClientSecrets => {
                "UPDATE client_secrets SET sealed = $1, key_id = $2 WHERE id = $3 AND sealed = $4"
            }
            SealedTable::SigningKeys => {
                "UPDATE signing_keys SET sealed = $1, key_id = $2 WHERE kid = $3 AND sealed = $4"
            }
        })
        .bind(&sealed.text)
        .bind(&sealed.key_id)
        .bind(&row.id)
        .bind(&row.sealed.text)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// API keys that are neither off nor over at `now`, under another pepper than `pepper`.
    pub(crate) async fn count_keys_on_other_peppers(
        &self,
        pepper: &str,
        now: i64,
    ) -> Result<i64, Error> {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(*) FROM api_keys \
             WHERE pepper_id <> $1 AND disabled_at IS NULL \
                 AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(pepper)
        .bind(now)
        .fetch_one(&self.pool)
        .await?)
    }

    pub(crate) async fn key_ids_in_use(&self, now: i64) -> Result<BTreeSet<String>, Error> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT key_id FROM client_secrets WHERE key_id IS NOT NULL \
             UNION SELECT key_id FROM signing_keys \
             UNION SELECT pepper_id FROM api_keys \
                 WHERE disabled_at IS NULL AND (expires_at IS NULL OR expires_at > $1)",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().collect())
    }
}
