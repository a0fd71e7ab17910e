//! The keys outside the database: master keys that seal what is stored, peppers that hash it.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;

use crate::Error;

mod file;

/// Master keys and peppers. The first of each makes new values; all of them read old ones, so a
/// key is replaced by putting a new one in front.
pub struct KeyRing {
    masters: Ring<RandomizedNonceKey>,
    peppers: Ring<hmac::Key>,
    audits: Ring<hmac::Key>,
}

impl KeyRing {
    /// Reads the key ring at `path`; makes one of fresh keys, mode 0600, when there is none.
    ///
    /// [`Error::ExposedFile`] when other users of the machine have any right on the file.
    pub async fn load_or_create(path: &Path) -> Result<Self, Error> {
        file::load_or_create(path).await
    }

    /// Encrypts `plaintext` (AES-256-GCM) so that it opens at `place` alone.
    pub(crate) fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Result<Sealed, Error> {
        let (key_id, key) = &self.masters.current;
        let mut ciphertext = plaintext.to_vec();
        let nonce = key.seal_in_place_append_tag(place.as_aad(), &mut ciphertext)?;
        let text = URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &ciphertext].concat());
        Ok(Sealed {
            key_id: key_id.clone(),
            text,
        })
    }

    /// Decrypts what [`KeyRing::seal`] made for `place`.
    pub(crate) fn open(
        &self,
        place: Place<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let open = || {
            let key = self.masters.find(&sealed.key_id)?;
            let bytes = URL_SAFE_NO_PAD.decode(&sealed.text).ok()?;
            let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LEN)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut buffer = Zeroizing::new(ciphertext.to_vec());
            let length = key
                .open_in_place(nonce, place.as_aad(), &mut buffer)
                .ok()?
                .len();
            buffer.truncate(length);
            Some(buffer)
        };
        open().ok_or_else(|| Error::DoesNotOpen {
            table: place.table,
            key_id: sealed.key_id.clone(),
        })
    }

    /// Hashes `message` (HMAC-SHA-256) with a pepper.
    pub(crate) fn mac(&self, message: &[u8]) -> Mac {
        self.peppers.mac(message)
    }

    /// Whether `mac` is of `message`, under a pepper. Takes the same work whatever the answer.
    pub(crate) fn verify(&self, message: &[u8], mac: &Mac) -> bool {
        self.peppers.verify(message, mac)
    }

    /// Hashes a row of the audit log.
    pub(crate) fn audit_mac(&self, message: &[u8]) -> Mac {
        self.audits.mac(message)
    }

    /// Whether `mac` is of this row of the audit log.
    pub(crate) fn verify_audit(&self, message: &[u8], mac: &Mac) -> bool {
        self.audits.verify(message, mac)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("master", &self.masters.current.0)
            .field("pepper", &self.peppers.current.0)
            .finish_non_exhaustive()
    }
}

/// Where a sealed value is stored; it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// Id of the row.
    pub row: &'a str,
}

impl Place<'_> {
    fn as_aad(self) -> Aad<String> {
        Aad::from(format!("{}/{}", self.table, self.row))
    }
}

/// An encrypted value: base64url of nonce, ciphertext and tag.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    /// The master key's id.
    pub key_id: String,
    /// The value.
    pub text: String,
}

/// A keyed hash, in base64url.
#[derive(Clone, Debug)]
pub(crate) struct Mac {
    /// The key's id.
    pub key_id: String,
    /// The hash.
    pub text: String,
}

/// Keys by id; never empty.
struct Ring<K> {
    current: (String, K),
    older: Vec<(String, K)>,
}

impl<K> Ring<K> {
    fn find(&self, id: &str) -> Option<&K> {
        std::iter::once(&self.current)
            .chain(&self.older)
            .find_map(|(known, key)| (known == id).then_some(key))
    }
}

impl Ring<hmac::Key> {
    fn mac(&self, message: &[u8]) -> Mac {
        let (key_id, key) = &self.current;
        Mac {
            key_id: key_id.clone(),
            text: URL_SAFE_NO_PAD.encode(hmac::sign(key, message)),
        }
    }

    fn verify(&self, message: &[u8], mac: &Mac) -> bool {
        let found = self.find(&mac.key_id);
        let tag = URL_SAFE_NO_PAD.decode(&mac.text).unwrap_or_default();
        let key = found.unwrap_or(&self.current.1);
        hmac::verify(key, message, &tag).is_ok() & found.is_some()
    }
}

#[cfg(test)]
mod tests;
