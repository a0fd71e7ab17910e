//! Table `signing_keys`.

use super::Store;
use crate::Error;
use crate::keyring::{Place, Sealed};

/// The one algorithm of the keys here: Ed25519 (RFC 8037).
const ALGORITHM: &str = "EdDSA";

/// Signing keys read at once; a rotation needs two.
const MAX_KEYS: i64 = 16;

/// A key that signs access tokens.
#[derive(Clone, Debug)]
pub(crate) struct SigningKeyRow {
    pub kid: String,
    /// 32 bytes in base64url, as `x` of a JWK (RFC 8037, section 2).
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

impl Store {
    /// The keys in use, the newest first.
    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>, Error> {
        let rows: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT kid, public_key, sealed, key_id FROM signing_keys \
             WHERE algorithm = $1 AND retired_at IS NULL \
             ORDER BY created_at DESC, kid LIMIT $2",
        )
        .bind(ALGORITHM)
        .bind(MAX_KEYS)
        .fetch_all(&self.pool)
        .await?;
        let row = |(kid, public_key, text, key_id)| SigningKeyRow {
            kid,
            public_key,
            private_key: Sealed { key_id, text },
        };
        Ok(rows.into_iter().map(row).collect())
    }

    pub(crate) async fn insert_signing_key(
        &self,
        key: &SigningKeyRow,
        now: i64,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO signing_keys (kid, algorithm, public_key, sealed, key_id, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&key.kid)
        .bind(ALGORITHM)
        .bind(&key.public_key)
        .bind(&key.private_key.text)
        .bind(&key.private_key.key_id)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
