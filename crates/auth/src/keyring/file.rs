//! The text of a key ring: JSON, because keys are no place for a clever format.

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::{Zeroize as _, Zeroizing};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::keys::{Keys, Ring};
use crate::{Error, random};

/// Bytes of a key of any list.
const KEY_BYTES: usize = 32;

/// The lists. The first key of each makes new values, all of them read old ones.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub master: Vec<Entry>,
    pub pepper: Vec<Entry>,
    /// Absent in files of the first release.
    #[serde(default)]
    pub audit: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub id: String,
    /// 32 random bytes in base64url.
    key: String,
}

impl Entry {
    pub fn fresh() -> Result<Self, Error> {
        let key = URL_SAFE_NO_PAD.encode(random::bytes::<KEY_BYTES>()?.as_slice());
        Ok(Self {
            id: random::id()?,
            key,
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl File {
    /// The error never quotes the text, which is all secrets.
    pub fn from_text(text: &SecretString) -> Result<Self, &'static str> {
        serde_json::from_str(text.expose_secret())
            .map_err(|_| "expected JSON with the lists `master`, `pepper` and `audit` of {id, key}")
    }

    pub fn text(&self) -> Result<SecretString, Error> {
        let text = serde_json::to_string_pretty(self).map_err(|_| Error::Cryptography)?;
        Ok(text.into())
    }
}

pub(super) fn fresh() -> Result<SecretString, Error> {
    let file = File {
        master: vec![Entry::fresh()?],
        pepper: vec![Entry::fresh()?],
        audit: vec![Entry::fresh()?],
    };
    file.text()
}

pub(super) fn parse(text: &SecretString) -> Result<Keys, &'static str> {
    let file = File::from_text(text)?;
    Ok(Keys {
        masters: ring(&file.master, |key| {
            RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| "a master key does not work")
        })?,
        peppers: ring(&file.pepper, hmac_key)?,
        audits: ring(&file.audit, hmac_key)?,
    })
}

fn hmac_key(bytes: &[u8]) -> Result<hmac::Key, &'static str> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes))
}

fn ring<K>(
    entries: &[Entry],
    build: impl Fn(&[u8]) -> Result<K, &'static str>,
) -> Result<Ring<K>, &'static str> {
    let mut keys: Vec<(String, K)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let bytes = URL_SAFE_NO_PAD.decode(&entry.key).map(Zeroizing::new);
        let bytes = bytes.ok().filter(|bytes| bytes.len() == KEY_BYTES);
        let bytes = bytes.ok_or("every key must be 32 bytes in base64url")?;
        if entry.id.is_empty() || keys.iter().any(|(id, _)| *id == entry.id) {
            return Err("every key of a list needs an id of its own");
        }
        keys.push((entry.id.clone(), build(&bytes)?));
    }
    let mut keys = keys.into_iter();
    let current = keys
        .next()
        .ok_or("each of the lists `master`, `pepper` and `audit` needs at least one key")?;
    Ok(Ring {
        current,
        older: keys.collect(),
    })
}
