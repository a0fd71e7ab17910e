//! The claims of an access token.

use fathom_proto::identity::Scopes;
use serde::{Deserialize, Serialize};

use crate::Refusal;

/// What keeps an access token and every other JWT apart (RFC 9068, section 2.1).
pub const TYPE: &str = "at+jwt";

/// Claims of an access token (RFC 9068, section 2.2). All but `nbf` are required; a repeated one is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The service that issued it.
    pub iss: String,
    /// The client: nobody else stands behind a client-credentials grant.
    pub sub: String,
    /// Whom it is for; one name, never a list.
    pub aud: String,
    /// The client.
    pub client_id: String,
    /// When it was made, in seconds since the epoch.
    pub iat: i64,
    /// When it ends, in seconds since the epoch.
    pub exp: i64,
    /// Before when it does not hold yet, in seconds since the epoch; our own say none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its own name.
    pub jti: String,
    /// Space-separated.
    pub scope: String,
    /// Tenant of the client.
    pub tenant: String,
}

impl Claims {
    /// What the token lets its client do.
    ///
    /// # Errors
    /// [`Refusal::NoScope`] when there is none, or one that we do not know.
    pub fn scopes(&self) -> Result<Scopes, Refusal> {
        Scopes::parse(self.scope.split(' '))
            .ok()
            .filter(|scopes| !scopes.is_empty())
            .ok_or(Refusal::NoScope)
    }
}
