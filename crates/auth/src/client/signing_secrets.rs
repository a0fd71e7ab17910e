//! The secrets that clients sign with (HS256).

use fathom_token::Signed;
use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::keyring::KeyRing;
use crate::store::{Kept, SecretRow};
use crate::{Auth, Error, clock, random};

/// A key no shorter than the hash's output (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// A secret that belongs to nobody. It is checked where a client has none to sign with, so that
/// the time an answer takes does not tell who exists.
pub(crate) struct Decoy {
    id: String,
    secret: SecretString,
}

impl Decoy {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            id: random::id()?,
            secret: random::secret()?,
        })
    }

    /// A row as the database could hold it. It is sealed anew each time: the master key of an
    /// earlier time may have been taken away.
    fn row(&self, key_ring: &KeyRing) -> Result<SecretRow, Error> {
        let (id, secret) = (self.id.clone(), self.secret.expose_secret().as_bytes());
        let sealed = key_ring.seal(SecretRow::place(&id), secret)?;
        let kept = Kept::Sealed(sealed);
        Ok(SecretRow {
            id,
            kept,
            expires_at: None,
        })
    }
}

/// The live secrets of a client that verify what it signed.
pub(crate) struct SigningSecrets {
    /// Each with its end, in seconds since the epoch.
    secrets: Vec<(Zeroizing<Vec<u8>>, Option<i64>)>,
    are_decoys: bool,
}

impl SigningSecrets {
    /// The claims of `token` and the end of the secret that signed it, if one did; all of them are
    /// tried.
    pub(crate) fn verify(&self, token: &str) -> Option<(Signed, Option<i64>)> {
        let mut signed = None;
        for (secret, end) in &self.secrets {
            let key = DecodingKey::from_secret(secret);
            let claims = Signed::verify(token, &key, Algorithm::HS256).ok();
            let claims = claims.filter(|_| secret.len() >= MIN_SECRET_BYTES);
            signed = signed.or(claims.map(|claims| (claims, *end)));
        }
        signed.filter(|_| !self.are_decoys)
    }
}

impl Auth {
    /// Opens the secrets of a client; the same queries and decryptions run whether it exists or
    /// not.
    pub(crate) async fn signing_secrets(&self, client: &str) -> Result<SigningSecrets, Error> {
        let mut rows = self
            .inner
            .store
            .client_secrets(client, clock::now())
            .await?;
        rows.retain(|row| matches!(row.kept, Kept::Sealed(_)));
        let are_decoys = rows.is_empty();
        if are_decoys {
            rows.push(self.inner.decoy.row(&self.inner.key_ring)?);
        }
        let mut secrets = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Kept::Sealed(sealed) = &row.kept {
                let place = SecretRow::place(&row.id);
                let secret = self.open_sealed(place, sealed).await?;
                secrets.push((secret, row.expires_at));
            }
        }
        Ok(SigningSecrets {
            secrets,
            are_decoys,
        })
    }
}
