//! What changes for those who keep answers of the identity port.

use futures::stream::BoxStream;

use crate::Error;
use crate::id::TenantId;

/// A stream of notices, in the order of their positions.
pub type ChangeStream = BoxStream<'static, Result<Notice, Error>>;

/// A change, or a sign that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// All changes up to here are known to who has read this; where to go on after a break.
    pub position: i64,
    /// What must be asked again; `None`: nothing, this is a heartbeat.
    pub change: Option<Change>,
}

/// What must be asked again, or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Everything: what was missed cannot be told. The revoked tokens follow as one
    /// [`Change::Token`] each, then a heartbeat.
    Everything,
    /// The tenant, its clients and its keys.
    Tenant(TenantId),
    /// A client or an API key.
    Subject(String),
    /// An access token is over.
    Token {
        /// Its `jti`.
        id: String,
        /// The client that it was made for.
        subject: String,
        /// When it would have ended, in seconds since the epoch.
        expires_at: i64,
    },
    /// The keys that verify access tokens.
    SigningKeys,
}
