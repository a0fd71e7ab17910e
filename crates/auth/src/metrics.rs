//! Names of the metrics, and the one place that counts.

use metrics::{counter, describe_counter};

use crate::Error;

/// Credentials checked, by `kind` ([`Kind`]) and `outcome`: `accepted`, `refused`, or `failed`
/// when it could not be checked, `throttled` when too many had failed before it.
pub const AUTHENTICATIONS: &str = "fathom_auth_authentications_total";

/// Slow hashes of client secrets that were computed; each takes tens of milliseconds of a
/// processor.
pub const SECRET_HASHES: &str = "fathom_auth_secret_hashes_total";

/// Describes the metrics to the recorder; call once at start.
pub fn describe() {
    describe_counter!(AUTHENTICATIONS, "Credentials checked, by kind and outcome.");
    describe_counter!(SECRET_HASHES, "Slow hashes of client secrets computed.");
}

/// Kind of a credential, by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An API key.
    ApiKey,
    /// A JWT of this service.
    AccessToken,
    /// A JWT that a client signed itself.
    SelfSigned,
    /// A client's id and secret.
    ClientSecret,
    /// A JWT that a client signed to prove itself.
    ClientAssertion,
    /// None of these.
    Unknown,
}

impl Kind {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::AccessToken => "access_token",
            Self::SelfSigned => "self_signed",
            Self::ClientSecret => "client_secret",
            Self::ClientAssertion => "client_assertion",
            Self::Unknown => "unknown",
        }
    }
}

/// Counts one check.
pub(crate) fn record<T>(kind: Kind, result: &Result<T, Error>) {
    let outcome = match result {
        Ok(_) => "accepted",
        Err(Error::Refused(_)) => "refused",
        Err(Error::Throttled { .. } | Error::TooManyAssertions | Error::TooManyRevocations) => {
            "throttled"
        }
        Err(Error::ScopeNotGranted { .. }) => "refused",
        Err(_) => "failed",
    };
    counter!(AUTHENTICATIONS, "kind" => kind.as_str(), "outcome" => outcome).increment(1);
}

/// Counts one slow hash.
pub(crate) fn record_hash() {
    counter!(SECRET_HASHES).increment(1);
}
