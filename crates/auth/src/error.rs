//! What goes wrong here, and what of it a caller may learn.

use std::io;
use std::path::PathBuf;

use fathom_proto::ErrorCode;
use fathom_proto::id::TenantId;
use fathom_proto::identity::Scopes;

/// A failed call on the service, or a failed start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is nobody we know. The text is one for every reason, so that it teaches nothing.
    #[error("the credential is not valid")]
    Refused(Refusal),
    /// A token was asked for with scopes the client does not have, or with none.
    #[error("scope must be one or more of: {granted}")]
    ScopeNotGranted {
        /// What the client has.
        granted: Scopes,
    },
    /// A client or key was to be made without any scope.
    #[error("scopes must name at least one scope")]
    NoScopes,
    /// The tenant's id is taken.
    #[error("tenant {0} exists; choose another id")]
    TenantExists(TenantId),
    /// A client or key was to be made for nobody.
    #[error("tenant {0} does not exist; create it first")]
    UnknownTenant(TenantId),
    /// A setting is out of its range.
    #[error("auth.{field} {problem}")]
    InvalidConfig {
        /// Name of the setting.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// A file with secrets is open to other users of the machine.
    #[error("{path} has mode {mode:03o}, which lets others at it; run: chmod 600 '{path}'", path = path.display())]
    ExposedFile {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file with secrets cannot be read or written.
    #[error("cannot use {path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key ring is not one. Says nothing of its content.
    #[error("{path} is not a key ring: {problem}", path = path.display())]
    InvalidKeyRing {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// A stored value needs a master key that the key ring lacks, or was altered or moved.
    #[error(
        "a value of {table} sealed with master key {key_id} does not open; \
         restore the key ring that this database was made with"
    )]
    DoesNotOpen {
        /// Where the value is.
        table: &'static str,
        /// The master key it names.
        key_id: String,
    },
    /// A row holds what this version never writes.
    #[error("{table}.{column} of {row} is not understood")]
    InvalidRow {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Public id of the row.
        row: String,
    },
    /// The database failed.
    #[error("the identity database failed")]
    Database(#[from] sqlx::Error),
    /// The cryptography library failed, for example for want of random numbers.
    #[error("the cryptography library failed")]
    Cryptography,
}

impl Error {
    /// What kind of failure it is for the caller.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(_) => ErrorCode::Unauthenticated,
            Self::ScopeNotGranted { .. }
            | Self::NoScopes
            | Self::TenantExists(_)
            | Self::UnknownTenant(_) => ErrorCode::InvalidRequest,
            Self::Database(
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed,
            ) => ErrorCode::Unavailable,
            Self::InvalidConfig { .. }
            | Self::ExposedFile { .. }
            | Self::File { .. }
            | Self::InvalidKeyRing { .. }
            | Self::DoesNotOpen { .. }
            | Self::InvalidRow { .. }
            | Self::Database(_)
            | Self::Cryptography => ErrorCode::Internal,
        }
    }

    /// The request field at fault.
    fn param(&self) -> Option<&'static str> {
        match self {
            Self::ScopeNotGranted { .. } => Some("scope"),
            Self::NoScopes => Some("scopes"),
            Self::TenantExists(_) | Self::UnknownTenant(_) => Some("tenant"),
            _ => None,
        }
    }
}

impl From<Error> for fathom_proto::Error {
    fn from(error: Error) -> Self {
        match error.code() {
            ErrorCode::Internal => Self::internal(error),
            ErrorCode::Unavailable => Self {
                source: Some(error.into()),
                ..Self::new(
                    ErrorCode::Unavailable,
                    "identities cannot be checked; try again",
                )
            },
            code => Self {
                param: error.param().map(str::to_owned),
                ..Self::new(code, error.to_string())
            },
        }
    }
}

impl From<aws_lc_rs::error::Unspecified> for Error {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Cryptography
    }
}

impl From<fathom_token::Refusal> for Error {
    fn from(reason: fathom_token::Refusal) -> Self {
        Self::Refused(Refusal::Token(reason))
    }
}

impl From<Refusal> for Error {
    fn from(reason: Refusal) -> Self {
        Self::Refused(reason)
    }
}

/// Why a credential was refused; for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than any credential of ours.
    #[error("longer than 8 KiB")]
    TooLong,
    /// Neither an API key nor a JWT.
    #[error("neither an api key nor a jwt")]
    Malformed,
    /// No API key has this id, or its secret is another.
    #[error("api key unknown or its secret wrong")]
    ApiKey,
    /// No client has this id, or its secret is another.
    #[error("client unknown or its secret wrong")]
    ClientSecret,
    /// It is a JWT and does not hold.
    #[error(transparent)]
    Token(#[from] fathom_token::Refusal),
    /// The client may not sign its own bearers.
    #[error("client may not sign its own bearers")]
    SelfSigned,
    /// The tenant, the client or the key was switched off.
    #[error("tenant, client or key disabled")]
    Disabled,
    /// The client or the key has expired.
    #[error("client or key expired")]
    Expired,
    /// Nothing is left of the credential's scopes.
    #[error("no scope left")]
    NoScope,
}
