//! What the keys do.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;

use crate::Error;

/// The keys of a key ring.
pub(super) struct Keys {
    pub masters: Ring<RandomizedNonceKey>,
    pub peppers: Ring<hmac::Key>,
    pub audits: Ring<hmac::Key>,
}

impl Keys {
    pub fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Result<Sealed, Error> {
        let (key_id, key) = &self.masters.current;
        let mut ciphertext = plaintext.to_vec();
        let nonce = key.seal_in_place_append_tag(place.as_aad(), &mut ciphertext)?;
        let text = URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &ciphertext].concat());
        Ok(Sealed {
            key_id: key_id.clone(),
            text,
        })
    }

    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Error> {
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

    /// Whether both hold the same keys in the same order; an id is never given to a second key.
    pub fn same_ids(&self, other: &Self) -> bool {
        self.masters.ids().eq(other.masters.ids())
            && self.peppers.ids().eq(other.peppers.ids())
            && self.audits.ids().eq(other.audits.ids())
    }
}

/// Keys by id; never empty.
pub(super) struct Ring<K> {
    pub current: (String, K),
    pub older: Vec<(String, K)>,
}

impl<K> Ring<K> {
    pub fn find(&self, id: &str) -> Option<&K> {
        self.iter()
            .find_map(|(known, key)| (known == id).then_some(key))
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(id, _)| id.as_str())
    }

    fn iter(&self) -> impl Iterator<Item = &(String, K)> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl Ring<hmac::Key> {
    pub fn mac(&self, message: &[u8]) -> Mac {
        let (key_id, key) = &self.current;
        Mac {
            key_id: key_id.clone(),
            text: URL_SAFE_NO_PAD.encode(hmac::sign(key, message)),
        }
    }

    pub fn verify(&self, message: &[u8], mac: &Mac) -> bool {
        let found = self.find(&mac.key_id);
        let tag = URL_SAFE_NO_PAD.decode(&mac.text).unwrap_or_default();
        let key = found.unwrap_or(&self.current.1);
        hmac::verify(key, message, &tag).is_ok() & found.is_some()
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
