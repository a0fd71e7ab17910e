//! The key ring's file: JSON, because keys are no place for a clever format.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::{Zeroize as _, Zeroizing};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::{KeyRing, Ring};
use crate::{Error, private_file, random};

/// Bytes of a master key, and of a pepper.
const KEY_BYTES: usize = 32;

pub(super) async fn load_or_create(path: &Path) -> Result<KeyRing, Error> {
    if let Some(text) = private_file::read(path).await? {
        return parse(&text).map_err(|problem| invalid(path, problem));
    }
    let text = fresh()?;
    if private_file::create(path, &text).await? {
        tracing::info!(path = %path.display(), "created a key ring; back it up with the database");
        return parse(&text).map_err(|problem| invalid(path, problem));
    }
    // Another process was first: its keys are the ones the database will hold.
    let text = private_file::read(path).await?;
    let text = text.ok_or_else(|| invalid(path, "it vanished while it was read"))?;
    parse(&text).map_err(|problem| invalid(path, problem))
}

fn invalid(path: &Path, problem: &'static str) -> Error {
    Error::InvalidKeyRing {
        path: path.to_owned(),
        problem,
    }
}

/// The file. The first key of a list makes new values, all of them read old ones.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    master: Vec<Entry>,
    pepper: Vec<Entry>,
    audit: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    /// 32 random bytes in base64url.
    key: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

fn fresh() -> Result<SecretString, Error> {
    let entry = || -> Result<Entry, Error> {
        let key = URL_SAFE_NO_PAD.encode(random::bytes::<KEY_BYTES>()?.as_slice());
        Ok(Entry {
            id: random::id()?,
            key,
        })
    };
    let file = File {
        master: vec![entry()?],
        pepper: vec![entry()?],
        audit: vec![entry()?],
    };
    let text = serde_json::to_string_pretty(&file).map_err(|_| Error::Cryptography)?;
    Ok(text.into())
}

/// The error never quotes the text, which is all secrets.
pub(super) fn parse(text: &SecretString) -> Result<KeyRing, &'static str> {
    let file: File = serde_json::from_str(text.expose_secret())
        .map_err(|_| "expected JSON with the lists `master`, `pepper` and `audit` of {id, key}")?;
    Ok(KeyRing {
        masters: ring(&file.master, |key| {
            RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| "a master key does not work")
        })?,
        peppers: ring(&file.pepper, |key| {
            Ok(hmac::Key::new(hmac::HMAC_SHA256, key))
        })?,
        audits: ring(&file.audit, |key| {
            Ok(hmac::Key::new(hmac::HMAC_SHA256, key))
        })?,
    })
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
    let current = keys.next().ok_or("both lists need at least one key")?;
    Ok(Ring {
        current,
        older: keys.collect(),
    })
}
