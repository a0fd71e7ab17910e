//! API keys: `sk-<id>-<secret>`, where the id is public and the secret has 256 random bits.
//!
//! So much randomness cannot be guessed, which is why a fast keyed hash is enough to store it.

use fathom_proto::identity::Principal;
use secrecy::{ExposeSecret as _, SecretString};

use crate::keyring::Mac;
use crate::store::ApiKeyRow;
use crate::{Auth, Error, Refusal, clock, random};

/// What every API key starts with, and no JWT does.
pub(crate) const PREFIX: &str = "sk-";

/// Length of the id in bytes.
const ID_BYTES: usize = 32;

/// A new key: its id and its text.
pub(crate) fn generate() -> Result<(String, SecretString), Error> {
    let id = random::id()?;
    let secret = random::secret()?;
    let text = format!("{PREFIX}{id}-{}", secret.expose_secret());
    Ok((id, text.into()))
}

/// The id in the text of a key; empty, and so nobody's, when there is none.
fn id_of(text: &str) -> &str {
    text.strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'))
        .map(|(id, _)| id)
        .filter(|id| id.len() == ID_BYTES && id.bytes().all(|b| b.is_ascii_hexdigit()))
        .unwrap_or_default()
}

impl Auth {
    /// Whose API key this is. An unknown id costs the same query and the same hash as a known one.
    pub(crate) async fn api_key(&self, text: &str) -> Result<Principal, Error> {
        let row = self.inner.store.api_key(id_of(text)).await?;
        let mac = match &row {
            Some(row) => row.mac.clone(),
            None => Mac {
                text: String::new(),
                ..self.inner.key_ring.mac(b"")
            },
        };
        let key_ring = &self.inner.key_ring;
        // A pepper that is unknown may have come since the key ring was read.
        if !key_ring.has_pepper(&mac.key_id) {
            key_ring.refresh().await?;
        }
        if !key_ring.has_pepper(&mac.key_id) {
            // The key may be good: who holds it must not be told that it is not.
            return Err(Error::MissingPepper { key_id: mac.key_id });
        }
        let proven = key_ring.verify(text.as_bytes(), &mac);
        let row = row.filter(|_| proven).ok_or(Refusal::ApiKey)?;
        row.grant.check(clock::now())?;
        if row.mac.key_id != key_ring.first_pepper() {
            self.rehash(&row, text).await;
        }
        self.principal(row.id, row.grant).await
    }

    /// Moves a key to the first pepper: now its text is known. It is as good where that fails.
    async fn rehash(&self, row: &ApiKeyRow, text: &str) {
        let mac = self.inner.key_ring.mac(text.as_bytes());
        let replaced = self
            .inner
            .store
            .replace_api_key_mac(&row.id, &row.mac, &mac)
            .await;
        if let Err(error) = replaced {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                key.id = row.id,
                "an API key stays under an older pepper"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_its_id_and_rubbish_to_none() {
        let (id, text) = generate().unwrap();
        assert_eq!(id_of(text.expose_secret()), id);
        assert_eq!(text.expose_secret().len(), 3 + 32 + 1 + 43);
        for text in [
            "",
            "sk-",
            "sk--",
            "sk-' OR '1'='1",
            &format!("sk-{id}"),
            &id,
        ] {
            assert_eq!(id_of(text), "", "{text}");
        }
    }

    #[test]
    fn no_two_keys_are_alike() {
        assert_ne!(
            generate().unwrap().1.expose_secret(),
            generate().unwrap().1.expose_secret()
        );
    }
}
