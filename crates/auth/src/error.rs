//! What goes wrong here, and what of it a caller may learn.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use fathom_proto::ErrorCode;
use fathom_proto::id::TenantId;
use fathom_proto::identity::Scopes;

use crate::audit::AuditFault;

/// A failed call on the service, or a failed start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is nobody we know. The text is one for every reason, so that it teaches nothing.
    #[error("the credential is not valid")]
    Refused(Refusal),
    /// Too many attempts from there failed.
    #[error("too many failed attempts; wait before the next")]
    Throttled {
        /// How long.
        retry_after: Duration,
    },
    /// The client has proven itself by more assertions than are remembered at once.
    #[error("too many client assertions; reuse access tokens, or let assertions end sooner")]
    TooManyAssertions,
    /// A client has ended very many tokens that would still hold.
    #[error("too many tokens of this client are revoked; try again when some of them have ended")]
    TooManyRevocations,
    /// Every place for a slow hash is taken.
    #[error("too many client secrets are being checked; try again")]
    Busy,
    /// No signing key has this id.
    #[error("signing key {0} does not exist")]
    UnknownSigningKey(String),
    /// One more signing key would make the key set too large.
    #[error("too many signing keys; retire some first")]
    TooManySigningKeys,
    /// There is no key to sign a token with.
    #[error("there is no signing key")]
    NoSigningKey,
    /// A token was asked for with scopes the client does not have, or with none.
    #[error("scope must be one or more of: {granted}")]
    ScopeNotGranted {
        /// What the client has.
        granted: Scopes,
    },
    /// The caller is known and may not administer.
    #[error("this needs the scope admin")]
    NotAdmin,
    /// There is no such thing, or it is another's.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// A field of a request is wrong.
    #[error("{field} {problem}")]
    InvalidField {
        /// The field.
        field: &'static str,
        /// What would be right.
        problem: &'static str,
    },
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
    #[error("{key_ring} is not a key ring: {problem}")]
    InvalidKeyRing {
        /// The file or the variable.
        key_ring: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A key was to be taken away that is needed.
    #[error("key {id} {reason}")]
    KeyStays {
        /// The key.
        id: String,
        /// Why it stays, and what would have to be done first.
        reason: &'static str,
    },
    /// The audit log is not as it was written.
    #[error("row {position} of the audit log {fault}")]
    BrokenAudit {
        /// The first row at fault.
        position: i64,
        /// What is wrong with it.
        fault: AuditFault,
    },
    /// The signed end of the audit log is not one of this key ring.
    #[error("{path} is not a signed end of the audit log under this key ring", path = path.display())]
    InvalidAuditHead {
        /// The file.
        path: PathBuf,
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
    /// An API key was hashed with a pepper that the key ring lacks.
    #[error(
        "an API key is hashed with pepper {key_id}, which the key ring does not have; \
         give every replica the same key ring"
    )]
    MissingPepper {
        /// The pepper it names.
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
            Self::NotAdmin => ErrorCode::PermissionDenied,
            Self::Throttled { .. } | Self::TooManyAssertions | Self::TooManyRevocations => {
                ErrorCode::RateLimited
            }
            Self::Busy => ErrorCode::Overloaded,
            Self::NotFound(_) | Self::UnknownTenant(_) | Self::UnknownSigningKey(_) => {
                ErrorCode::NotFound
            }
            Self::ScopeNotGranted { .. }
            | Self::TooManySigningKeys
            | Self::InvalidField { .. }
            | Self::KeyStays { .. }
            | Self::TenantExists(_) => ErrorCode::InvalidRequest,
            Self::Database(error) if passes(error) => ErrorCode::Unavailable,
            Self::NoSigningKey
            | Self::InvalidConfig { .. }
            | Self::ExposedFile { .. }
            | Self::File { .. }
            | Self::InvalidKeyRing { .. }
            | Self::InvalidAuditHead { .. }
            | Self::BrokenAudit { .. }
            | Self::DoesNotOpen { .. }
            | Self::MissingPepper { .. }
            | Self::InvalidRow { .. }
            | Self::Database(_)
            | Self::Cryptography => ErrorCode::Internal,
        }
    }

    /// When to come again.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => Some(*retry_after),
            Self::TooManyAssertions | Self::TooManyRevocations => Some(Duration::from_secs(60)),
            Self::Busy => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The request field at fault.
    fn param(&self) -> Option<&'static str> {
        match self {
            Self::ScopeNotGranted { .. } => Some("scope"),
            Self::InvalidField { field, .. } => Some(field),
            Self::TenantExists(_) => Some("id"),
            Self::UnknownTenant(_) => Some("tenant"),
            _ => None,
        }
    }
}

/// Whether the database may do the same a little later: it is away, goes down, has no room, or
/// others hold what it needs (PostgreSQL's SQLSTATE, appendix A; SQLite's result codes).
fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let class = ["08", "40", "53", "57"];
            code == "55P03"
                || code == "5"
                || code == "6"
                || code.len() == 5 && class.iter().any(|class| code.starts_with(class))
        }),
        _ => false,
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
                retry_after: error.retry_after(),
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
    /// No client has this id.
    #[error("client unknown")]
    UnknownClient,
    /// An assertion that was taken before.
    #[error("client assertion used before")]
    Replayed,
    /// An access token that was ended before its time.
    #[error("access token revoked")]
    Revoked,
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
