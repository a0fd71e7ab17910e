//! Why a caller is not let in. The caller learns whether to come again; the log line learns why.

use std::time::Duration;

use fathom_proto::{self as proto, ErrorCode};

/// Who calls is not established.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody is behind the credential.
    #[error("the credential is not valid")]
    Refused(#[from] Refusal),
    /// Auth does not say.
    #[error("who calls cannot be established at the moment; send the request again")]
    Unavailable {
        /// When auth expects to answer again.
        retry_after: Option<Duration>,
    },
}

/// Why a credential is refused; for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is longer than any that we make.
    #[error("longer than any credential")]
    TooLong,
    /// Auth does not know it, or it does not hold any more.
    #[error("unknown to auth")]
    Unknown,
    /// An access token that does not verify.
    #[error(transparent)]
    Token(#[from] fathom_token::Refusal),
    /// An access token that was revoked.
    #[error("token revoked")]
    Revoked,
    /// An access token whose client belongs to another tenant.
    #[error("token of another tenant")]
    Tenant,
    /// It ended while its caller was connected.
    #[error("over while connected")]
    Expired,
    /// An access token that outlived its key, its client or what this may do.
    #[error("token without a client, a key or a scope by now")]
    Ended,
}

impl From<Error> for proto::Error {
    /// One text for every refusal.
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(_) => Self::new(ErrorCode::Unauthenticated, error.to_string()),
            Error::Unavailable { retry_after } => Self {
                retry_after,
                ..Self::new(ErrorCode::Unavailable, error.to_string())
            },
        }
    }
}
