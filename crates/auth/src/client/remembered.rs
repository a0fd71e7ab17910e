//! Secrets that were right a moment ago. Their owners do not wait for a slow hash again, nor behind
//! those who guess.

use std::time::Duration;

use aws_lc_rs::hmac;
use moka::future::Cache;

use crate::{Error, random};

/// Secrets remembered at once.
const MAX_SECRETS: u64 = 10_000;

/// How long one is remembered after its last use.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Ids of secrets by a keyed hash of client and secret. The key is this process's own, so that what
/// is in memory tells nothing to who has the database. Whether a secret lives is not remembered.
pub(crate) struct Remembered {
    key: hmac::Key,
    secrets: Cache<[u8; 32], String>,
}

impl Remembered {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, random::bytes::<32>()?.as_slice()),
            secrets: Cache::builder()
                .max_capacity(MAX_SECRETS)
                .time_to_idle(LIFETIME)
                .build(),
        })
    }

    /// The id of this secret, if it was right.
    pub(crate) async fn secret_id(&self, client: &str, secret: &str) -> Option<String> {
        self.secrets.get(&self.hash(client, secret)).await
    }

    /// Remembers a secret that was right.
    pub(crate) async fn remember(&self, client: &str, secret: &str, id: &str) {
        let hash = self.hash(client, secret);
        self.secrets.insert(hash, id.to_owned()).await;
    }

    fn hash(&self, client: &str, secret: &str) -> [u8; 32] {
        let mut hash = hmac::Context::with_key(&self.key);
        hash.update(&(client.len() as u64).to_be_bytes());
        hash.update(client.as_bytes());
        hash.update(secret.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.sign().as_ref());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Part of SEC-22: what is remembered is the whole of client and secret.
    #[tokio::test]
    async fn only_the_same_client_with_the_same_secret_is_known_again() {
        let remembered = Remembered::new().unwrap();
        remembered.remember("ab", "cd", "id").await;
        assert_eq!(
            remembered.secret_id("ab", "cd").await.as_deref(),
            Some("id")
        );
        for (client, secret) in [
            ("a", "bcd"),
            ("abc", "d"),
            ("ab", "c"),
            ("ab", "cde"),
            ("", ""),
        ] {
            assert_eq!(remembered.secret_id(client, secret).await, None);
        }
    }
}
