//! Client secrets: `cs-<id>-<secret>`, where the id is public and the secret has 256 random bits.
//!
//! The id says which hash to compare with, so that an attempt costs one slow hash: for a client
//! with many secrets, for one whose secrets are sealed, and for one that does not exist.

use std::net::IpAddr;

use fathom_proto::administration::ClientMethod;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::{MAX_PROOF_BYTES, admitted, plausible, same_secret};
use crate::store::{ClientRow, Kept, SecretRow};
use crate::{Auth, Error, Refusal, clock, random};

/// What every client secret starts with.
const PREFIX: &str = "cs-";

impl Auth {
    /// Makes a secret for a client, sealed if it `signs` with it, and hashed otherwise.
    pub(crate) async fn new_secret(
        &self,
        client_id: &str,
        signs: bool,
    ) -> Result<(SecretRow, SecretString), Error> {
        let id = random::id()?;
        let text = random::secret()?;
        let text = SecretString::from(format!("{PREFIX}{id}-{}", text.expose_secret()));
        let kept = if signs {
            let text = text.expose_secret().as_bytes();
            let place = SecretRow::place(&id);
            Kept::Sealed(self.inner.key_ring.seal(place, text)?)
        } else {
            let turn = self.inner.hashing.turn().await?;
            Kept::Hashed(turn.hash(message(client_id, text.expose_secret())).await?)
        };
        let row = SecretRow {
            id,
            kept,
            expires_at: None,
        };
        Ok((row, text))
    }

    /// The client with this id and secret. One that proved itself a moment ago is known again
    /// without a hash, and does not wait behind those who guess.
    pub(super) async fn client_by_secret(
        &self,
        id: &str,
        secret: &str,
        address: Option<IpAddr>,
    ) -> Result<ClientRow, Error> {
        let inner = &self.inner;
        let id = plausible(id);
        let attempts = inner.throttle.attempts(id, address);
        if secret.len() > MAX_PROOF_BYTES {
            attempts.count().await;
            return Err(Refusal::TooLong.into());
        }
        let remembered = inner.remembered.secret_id(id, secret).await;
        if remembered.is_none() {
            attempts.check().await?;
        }
        let client = inner.store.client(id).await?;
        let rows = inner.store.client_secrets(id, clock::now()).await?;
        if remembered.is_some_and(|known| rows.iter().any(|row| row.id == known)) {
            return Ok(admitted(client, ClientMethod::ClientSecret, true)?);
        }

        let turn = inner.hashing.turn().await?;
        // Others of this address may have failed meanwhile. An attempt counts before it is made:
        // who goes away without waiting for the answer has tried.
        attempts.check().await?;
        attempts.count().await;
        let named = rows.iter().find(|row| row.id == id_of(secret));
        let hash = named.and_then(|row| match &row.kept {
            Kept::Hashed(hash) => Some(hash.as_str()),
            Kept::Sealed(_) => None,
        });
        let hashed = turn.holds(hash, message(id, secret)).await?;
        let proven = match self.sealed_like(&rows, secret).await? {
            Some(row) => Some(row),
            None => named.filter(|_| hashed),
        };
        let client = admitted(client, ClientMethod::ClientSecret, proven.is_some())?;
        if let Some(row) = proven {
            inner.remembered.remember(id, secret, &row.id).await;
        }
        attempts.forgive().await;
        Ok(client)
    }

    /// The one of the sealed secrets that is this one; all of them are compared.
    async fn sealed_like<'a>(
        &self,
        rows: &'a [SecretRow],
        secret: &str,
    ) -> Result<Option<&'a SecretRow>, Error> {
        let mut found = None;
        for row in rows {
            if let Kept::Sealed(sealed) = &row.kept {
                let opened = self.open_sealed(SecretRow::place(&row.id), sealed).await?;
                let same = same_secret(&opened, secret.as_bytes());
                found = found.or(same.then_some(row));
            }
        }
        Ok(found)
    }
}

/// What is hashed: with the client's id, so that a hash holds for no other client.
fn message(client_id: &str, secret: &str) -> Zeroizing<Vec<u8>> {
    let mut message = Zeroizing::new(Vec::with_capacity(client_id.len() + 1 + secret.len()));
    message.extend_from_slice(client_id.as_bytes());
    message.push(b'\n');
    message.extend_from_slice(secret.as_bytes());
    message
}

/// The id in the text of a secret; empty, and so no secret's, when there is none.
fn id_of(secret: &str) -> &str {
    secret
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'))
        .map_or("", |(id, _)| id)
}

#[cfg(test)]
mod tests;
