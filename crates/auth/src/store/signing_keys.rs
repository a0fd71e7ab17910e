//! Table `signing_keys`.

use fathom_token::SigningAlgorithm;
use sqlx::AnyConnection;

use super::Store;
use crate::Error;
use crate::keyring::{Place, Sealed};
use crate::signing_key::Life;

/// Rows read at once, the live ones first.
const MAX_ROWS: i64 = 512;

/// A key that signs access tokens.
#[derive(Clone, Debug)]
pub(crate) struct SigningKeyRow {
    pub life: Life,
    /// In base64url: 32 bytes of Ed25519, an uncompressed point of P-256, or an `RSAPublicKey`.
    pub public_key: String,
    /// PKCS #8.
    pub private_key: Sealed,
}

impl SigningKeyRow {
    /// Where the private key with this id opens.
    pub(crate) fn place(kid: &str) -> Place<'_> {
        Place {
            table: "signing_keys",
            row: kid,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    kid: String,
    algorithm: String,
    public_key: String,
    sealed: String,
    key_id: String,
    created_at: i64,
    signs_from: i64,
    retired_at: Option<i64>,
}

impl TryFrom<Row> for SigningKeyRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let algorithm = SigningAlgorithm::from_name(&row.algorithm);
        let algorithm = algorithm.ok_or_else(|| Error::InvalidRow {
            table: "signing_keys",
            column: "algorithm",
            row: row.kid.clone(),
        })?;
        Ok(Self {
            life: Life {
                kid: row.kid,
                algorithm,
                created_at: row.created_at,
                // A version that knew no publication has left zero here.
                signs_from: row.signs_from.max(row.created_at),
                retired_at: row.retired_at,
            },
            public_key: row.public_key,
            private_key: Sealed {
                key_id: row.key_id,
                text: row.sealed,
            },
        })
    }
}

impl Store {
    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, Error> {
        Self::signing_keys_on(&mut *self.pool.acquire().await?).await
    }

    /// The keys, as the transaction of `connection` sees them.
    pub(crate) async fn signing_keys_on(
        connection: &mut AnyConnection,
    ) -> Result<Vec<SigningKeyRow>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT kid, algorithm, public_key, sealed, key_id, created_at, signs_from, retired_at \
             FROM signing_keys \
             ORDER BY CASE WHEN retired_at IS NULL THEN 0 ELSE 1 END, created_at DESC, kid \
             LIMIT $1",
        )
        .bind(MAX_ROWS)
        .fetch_all(connection)
        .await?;
        rows.into_iter().map(SigningKeyRow::try_from).collect()
    }

    pub(crate) async fn insert_signing_key(
        connection: &mut AnyConnection,
        key: &SigningKeyRow,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO signing_keys \
                 (kid, algorithm, public_key, sealed, key_id, created_at, signs_from) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&key.life.kid)
        .bind(key.life.algorithm.as_str())
        .bind(&key.public_key)
        .bind(&key.private_key.text)
        .bind(&key.private_key.key_id)
        .bind(key.life.created_at)
        .bind(key.life.signs_from)
        .execute(connection)
        .await?;
        Ok(())
    }

    pub(crate) async fn retire_signing_key(
        connection: &mut AnyConnection,
        kid: &str,
        now: i64,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE signing_keys SET retired_at = $1 WHERE kid = $2 AND retired_at IS NULL",
        )
        .bind(now)
        .bind(kid)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Lets a published key sign before its time.
    pub(crate) async fn advance_signing_key(
        connection: &mut AnyConnection,
        kid: &str,
        signs_from: i64,
    ) -> Result<(), Error> {
        sqlx::query("UPDATE signing_keys SET signs_from = $1 WHERE kid = $2")
            .bind(signs_from)
            .bind(kid)
            .execute(connection)
            .await?;
        Ok(())
    }
}
