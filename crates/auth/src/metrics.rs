//! Names of the metrics, and the one place that counts.

use metrics::{counter, describe_counter};

use crate::Error;

/// Credentials checked, by `kind` ([`Kind`]) and `outcome`: `accepted`, `refused`, or `failed`
/// when it could not be checked.
pub const AUTHENTICATIONS: &str = "fathom_auth_authentications_total";

/// Describes the metrics to the recorder; call once at start.
pub fn describe() {
    describe_counter!(AUTHENTICATIONS, "Credentials checked, by kind and outcome.");
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
            Self::Unknown => "unknown",
        }
    }
}

/// Counts one check.
pub(crate) fn record<T>(kind: Kind, result: &Result<T, Error>) {
    let outcome = match result {
        Ok(_) => "accepted",
        Err(Error::Refused(_)) => "refused",
        Err(_) => "failed",
    };
    counter!(AUTHENTICATIONS, "kind" => kind.as_str(), "outcome" => outcome).increment(1);
}
