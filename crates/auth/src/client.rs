//! OAuth2 clients and their secrets.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

use crate::keyring::KeyRing;
use crate::store::{ClientRow, SecretRow};
use crate::{Auth, Error, Refusal, clock, random};

/// No client id is longer, in bytes.
const MAX_ID_BYTES: usize = 64;

/// A secret that belongs to nobody. It is checked where a client is unknown, so that the time an
/// answer takes does not tell who exists.
pub(crate) struct Decoy(Vec<SecretRow>);

impl Decoy {
    pub(crate) fn new(key_ring: &KeyRing) -> Result<Self, Error> {
        let id = random::id()?;
        let secret = random::secret()?;
        let sealed = key_ring.seal(SecretRow::place(&id), secret.expose_secret().as_bytes())?;
        Ok(Self(vec![SecretRow { id, sealed }]))
    }
}

/// A client as found by its id, whose secret is not yet proven.
pub(crate) struct Claimed {
    client: Option<ClientRow>,
    /// Its live secrets, opened; a decoy if there are none.
    secrets: Vec<Zeroizing<Vec<u8>>>,
}

impl Claimed {
    /// The client, if `holds` is true of one of its secrets and it may be used at all.
    ///
    /// All secrets are tried and the client's state is looked at last, so that only who knows
    /// the secret can tell the reasons for a refusal apart by their time.
    pub(crate) fn proven_by(
        self,
        mut holds: impl FnMut(&[u8]) -> bool,
    ) -> Result<ClientRow, Refusal> {
        let proven = self
            .secrets
            .iter()
            .fold(false, |proven, secret| proven | holds(secret));
        match self.client {
            Some(client) if proven => client.grant.check(clock::now()).map(|()| client),
            _ => Err(Refusal::ClientSecret),
        }
    }
}

impl Auth {
    /// Looks a client up; the same queries and decryptions run whether it exists or not.
    pub(crate) async fn claimed(&self, id: &str) -> Result<Claimed, Error> {
        let id = plausible(id);
        let client = self.inner.store.client(id).await?;
        let rows = self.inner.store.client_secrets(id, clock::now()).await?;
        // A client without a live secret is proven by nothing, least of all by the decoy.
        let client = client.filter(|_| !rows.is_empty());
        let rows = if rows.is_empty() {
            &self.inner.decoy.0
        } else {
            &rows
        };
        let open = |row: &SecretRow| {
            self.inner
                .key_ring
                .open(SecretRow::place(&row.id), &row.sealed)
        };
        Ok(Claimed {
            client,
            secrets: rows.iter().map(open).collect::<Result<_, _>>()?,
        })
    }
}

/// The id, or the empty one of nobody where it is none that we hand out: PostgreSQL takes no NUL in
/// a text, and a long one is not worth its way.
fn plausible(id: &str) -> &str {
    if id.len() <= MAX_ID_BYTES && id.bytes().all(|b| b.is_ascii_graphic()) {
        id
    } else {
        ""
    }
}

/// Whether two secrets are equal, in a time that depends on neither.
pub(crate) fn same_secret(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (digest(&SHA256, one), digest(&SHA256, other));
    verify_slices_are_equal(one.as_ref(), other.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_no_database_should_see_is_nobodys() {
        assert_eq!(plausible("' OR '1'='1"), "");
        assert_eq!(plausible("a\0b"), "");
        assert_eq!(plausible("\u{202e}"), "");
        assert_eq!(plausible(&"a".repeat(65)), "");
        let id = random::id().unwrap();
        assert_eq!(plausible(&id), id);
    }
}
