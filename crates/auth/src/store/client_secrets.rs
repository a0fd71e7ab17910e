//! Table `client_secrets`.

use sqlx::AnyConnection;

use super::Store;
use crate::Error;
use crate::keyring::{Place, Sealed};

/// Live secrets that a client may have; replacing a secret needs two at once. More are not read.
pub(crate) const MAX_SECRETS: i64 = 16;

/// A secret of a client.
#[derive(Clone, Debug)]
pub(crate) struct SecretRow {
    pub id: String,
    pub kept: Kept,
    /// Seconds since the epoch.
    pub expires_at: Option<i64>,
}

/// How a secret is kept.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// As an argon2id hash (PHC string).
    Hashed(String),
    /// So that it can be read again, because its client signs with it.
    Sealed(Sealed),
}

impl SecretRow {
    /// Where the secret with this id opens.
    pub(crate) fn place(id: &str) -> Place<'_> {
        Place {
            table: "client_secrets",
            row: id,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    hash: Option<String>,
    sealed: Option<String>,
    key_id: Option<String>,
    expires_at: Option<i64>,
}

impl TryFrom<Row> for SecretRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let kept = match (row.hash, row.sealed, row.key_id) {
            (Some(hash), None, None) => Kept::Hashed(hash),
            (None, Some(text), Some(key_id)) => Kept::Sealed(Sealed { key_id, text }),
            _ => {
                return Err(Error::InvalidRow {
                    table: "client_secrets",
                    column: "hash",
                    row: row.id,
                });
            }
        };
        Ok(Self {
            id: row.id,
            kept,
            expires_at: row.expires_at,
        })
    }
}

impl Store {
    /// The client's secrets that live at `now`, the newest first.
    pub(crate) async fn client_secrets(
        &self,
        client: &str,
        now: i64,
    ) -> Result<Vec<SecretRow>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, hash, sealed, key_id, expires_at FROM client_secrets \
             WHERE client_id = $1 AND (expires_at IS NULL OR expires_at > $2) \
             ORDER BY created_at DESC, id LIMIT $3",
        )
        .bind(client)
        .bind(now)
        .bind(MAX_SECRETS)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(SecretRow::try_from).collect()
    }

    pub(crate) async fn insert_secret(
        connection: &mut AnyConnection,
        client_id: &str,
        secret: &SecretRow,
        expires_at: Option<i64>,
        now: i64,
    ) -> Result<(), Error> {
        let (hash, sealed) = match &secret.kept {
            Kept::Hashed(hash) => (Some(hash), None),
            Kept::Sealed(sealed) => (None, Some(sealed)),
        };
        sqlx::query(
            "INSERT INTO client_secrets \
                 (id, client_id, hash, sealed, key_id, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&secret.id)
        .bind(client_id)
        .bind(hash)
        .bind(sealed.map(|sealed| &sealed.text))
        .bind(sealed.map(|sealed| &sealed.key_id))
        .bind(now)
        .bind(expires_at)
        .execute(connection)
        .await?;
        Ok(())
    }
}
