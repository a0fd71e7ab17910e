//! The keys outside the database: master keys that seal what is stored, peppers that hash it, and
//! audit keys that chain the audit log.

use std::fmt;
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;
use tokio::sync::watch;

use crate::Error;

mod edit;
mod file;
mod keys;
mod source;

pub use edit::{List, prepend, remove};
use keys::Keys;
pub(crate) use keys::{Mac, Place, Sealed};
pub use source::KeyRingSource;

/// Master keys, peppers and audit keys. The first of each makes new values; all of them read old
/// ones, so a key is replaced by putting a new one in front. They are those of the source as it
/// was when it was last read.
pub struct KeyRing {
    source: KeyRingSource,
    keys: watch::Sender<Arc<Keys>>,
}

impl KeyRing {
    /// Reads the key ring at `source`; makes a file of fresh keys, mode 0600, when there is none.
    ///
    /// # Errors
    /// [`Error::ExposedFile`] when other users of the machine have any right on the file, and
    /// [`Error::InvalidKeyRing`].
    pub async fn load_or_create(source: impl Into<KeyRingSource>) -> Result<Self, Error> {
        let source = source.into();
        let keys = source.load_or_create().await?;
        Ok(Self {
            source,
            keys: watch::Sender::new(Arc::new(keys)),
        })
    }

    /// Reads the source again: another process may have put a key in front, or taken one away.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        let keys = self.source.read().await?;
        let changed = self.keys.send_if_modified(|current| {
            let changed = !current.same_ids(&keys);
            if changed {
                *current = Arc::new(keys);
            }
            changed
        });
        if changed {
            tracing::info!(key_ring = %self.source, "the key ring has changed and is in use");
        }
        Ok(())
    }

    /// Encrypts `plaintext` (AES-256-GCM) so that it opens at `place` alone.
    pub(crate) fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Result<Sealed, Error> {
        self.keys().seal(place, plaintext)
    }

    /// Decrypts what [`KeyRing::seal`] made for `place`.
    pub(crate) fn open(
        &self,
        place: Place<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.keys().open(place, sealed)
    }

    /// Hashes `message` (HMAC-SHA-256) with a pepper.
    pub(crate) fn mac(&self, message: &[u8]) -> Mac {
        self.keys().peppers.mac(message)
    }

    /// Whether `mac` is of `message`, under a pepper. Takes the same work whatever the answer.
    pub(crate) fn verify(&self, message: &[u8], mac: &Mac) -> bool {
        self.keys().peppers.verify(message, mac)
    }

    /// Hashes a row of the audit log.
    pub(crate) fn audit_mac(&self, message: &[u8]) -> Mac {
        self.keys().audits.mac(message)
    }

    /// Whether `mac` is of this row of the audit log.
    pub(crate) fn verify_audit(&self, message: &[u8], mac: &Mac) -> bool {
        self.keys().audits.verify(message, mac)
    }

    /// Whether there is a master key of this id.
    pub(crate) fn has_master(&self, id: &str) -> bool {
        self.keys().masters.find(id).is_some()
    }

    /// Whether there is a pepper of this id.
    pub(crate) fn has_pepper(&self, id: &str) -> bool {
        self.keys().peppers.find(id).is_some()
    }

    /// Whether there is an audit key of this id.
    pub(crate) fn has_audit_key(&self, id: &str) -> bool {
        self.keys().audits.find(id).is_some()
    }

    /// Id of the master key that seals new values.
    pub(crate) fn first_master(&self) -> String {
        self.keys().masters.current.0.clone()
    }

    /// Id of the pepper that hashes new values.
    pub(crate) fn first_pepper(&self) -> String {
        self.keys().peppers.current.0.clone()
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys.borrow().clone()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("master", &self.first_master())
            .field("pepper", &self.first_pepper())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
