//! OAuth2 clients: how they prove who they are.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use fathom_proto::administration::ClientMethod;
use fathom_proto::identity::{ClientAuthentication, ClientProof};
use secrecy::ExposeSecret as _;

use crate::metrics::Kind;
use crate::store::ClientRow;
use crate::{Auth, Error, Refusal, clock};

mod assertion;
mod hashing;
mod remembered;
mod secret;
mod signing_secrets;
mod throttle;

pub(crate) use hashing::Hashing;
pub(crate) use remembered::Remembered;
pub(crate) use signing_secrets::Decoy;
pub(crate) use throttle::Throttle;

/// No client id is longer, in bytes.
const MAX_ID_BYTES: usize = 64;

/// No secret and no assertion is longer, in bytes.
const MAX_PROOF_BYTES: usize = 8 * 1024;

impl Auth {
    /// The client that proves itself, and the kind of proof. Every refusal slows the next attempt
    /// from the same address.
    pub(crate) async fn authenticated_client(
        &self,
        claim: &ClientAuthentication,
    ) -> (Kind, Result<ClientRow, Error>) {
        let named = claim.client_id.as_deref();
        match &claim.proof {
            ClientProof::Secret(secret) => {
                let id = named.unwrap_or_default();
                let secret = secret.expose_secret();
                let proof = self.client_by_secret(id, secret, claim.address).await;
                (Kind::ClientSecret, proof)
            }
            ClientProof::Assertion(assertion) => {
                let assertion = assertion.expose_secret();
                let proof = self.client_by_assertion(named, assertion, claim.address);
                (Kind::ClientAssertion, proof.await)
            }
        }
    }
}

/// The client, if it has proven itself by its own `method` and may be used at all. Its state is
/// looked at last, so that only who has proven it can tell the reasons for a refusal by their time.
fn admitted(
    client: Option<ClientRow>,
    method: ClientMethod,
    proven: bool,
) -> Result<ClientRow, Refusal> {
    let client = client.filter(|client| proven & (client.method == method));
    let client = client.ok_or(Refusal::ClientSecret)?;
    client.grant.check(clock::now()).map(|()| client)
}

/// The id, or the empty one of nobody where it is none that we hand out: PostgreSQL takes no NUL in
/// a text, and a long one is not worth its way.
pub(crate) fn plausible(id: &str) -> &str {
    if id.len() <= MAX_ID_BYTES && id.bytes().all(|b| b.is_ascii_graphic()) {
        id
    } else {
        ""
    }
}

/// Whether two secrets are equal, in a time that depends on neither.
fn same_secret(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (digest(&SHA256, one), digest(&SHA256, other));
    verify_slices_are_equal(one.as_ref(), other.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

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
