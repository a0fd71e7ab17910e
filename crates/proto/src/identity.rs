//! The port that knows who may call. The auth service implements it.

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;

use crate::Error;
use crate::id::{ModelId, TenantId};

mod change;
mod limit;
mod scope;

pub use change::{Change, ChangeStream, Notice};
pub use limit::{Limit, LimitTarget, Limits};
pub use scope::{Scope, Scopes};

/// Knows identities.
#[tonic::async_trait]
pub trait Identity: Send + Sync {
    /// Says whose a bearer credential is; [`crate::ErrorCode::Unauthenticated`] if nobody's.
    async fn authenticate(&self, bearer: SecretString) -> Result<Principal, Error>;

    /// What a client may do now, for those who have verified one of its access tokens by
    /// themselves; [`crate::ErrorCode::Unauthenticated`] if it may do nothing any more.
    async fn client(&self, id: &str) -> Result<Principal, Error>;

    /// Exchanges client credentials for an access token (RFC 6749, section 4.4).
    async fn issue_token(&self, request: TokenRequest) -> Result<AccessToken, Error>;

    /// What a token is good for (RFC 7662); `None` if for nothing, or if it is none of the
    /// asking client's business.
    async fn introspect(
        &self,
        client: ClientAuthentication,
        token: SecretString,
    ) -> Result<Option<Introspection>, Error>;

    /// Ends an access token of the asking client (RFC 7009). One that is unknown has ended.
    async fn revoke_token(
        &self,
        client: ClientAuthentication,
        token: SecretString,
    ) -> Result<(), Error>;

    /// The keys that verify access tokens now.
    async fn key_set(&self) -> Result<KeySet, Error>;

    /// What changes for those who keep answers of this port: everything after position `after`,
    /// or from now on. It never ends by itself, and a heartbeat comes at least each second.
    async fn watch_revocations(&self, after: Option<i64>) -> Result<ChangeStream, Error>;
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who pays.
    pub tenant: TenantId,
    /// Client or API key id, to name in logs and audit rows.
    pub subject: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The models it may know of and ask.
    pub models: ModelAccess,
    /// How much it may use; those of its tenant and its own.
    pub limits: Arc<[Limit]>,
    /// When the credential ends, in seconds since the epoch.
    pub expires_at: Option<i64>,
}

/// The models an identity may know of and ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ModelAccess {
    /// Every model.
    #[default]
    All,
    /// These.
    Only(Arc<[ModelId]>),
}

impl ModelAccess {
    /// Whether `model` is among them.
    #[must_use]
    pub fn allows(&self, model: &ModelId) -> bool {
        match self {
            Self::All => true,
            Self::Only(models) => models.contains(model),
        }
    }
}

/// A client that says who it is.
#[derive(Clone, Debug)]
pub struct ClientAuthentication {
    /// The client's id; may be absent beside an assertion, which names it.
    pub client_id: Option<String>,
    /// How it proves that.
    pub proof: ClientProof,
    /// Where the request comes from: guesses are slowed by it.
    pub address: Option<IpAddr>,
}

/// What a client proves itself with.
#[derive(Clone, Debug)]
pub enum ClientProof {
    /// Its secret (RFC 6749, section 2.3.1).
    Secret(SecretString),
    /// A JWT that it signed (RFC 7523, section 2.2).
    Assertion(SecretString),
}

/// A client-credentials grant.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Who asks.
    pub client: ClientAuthentication,
    /// Wanted scopes; `None`: all that the client has.
    pub scopes: Option<Scopes>,
}

/// An access token (RFC 9068).
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The signed JWT.
    pub token: SecretString,
    /// Lifetime in seconds.
    pub expires_in: u32,
    /// Granted scopes.
    pub scopes: Scopes,
}

/// What a token that holds is good for (RFC 7662, section 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Client or API key behind it.
    pub subject: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made, in seconds since the epoch; a JWT alone says so.
    pub issued_at: Option<i64>,
    /// When it ends, in seconds since the epoch.
    pub expires_at: Option<i64>,
    /// `jti` of an access token.
    pub token_id: Option<String>,
}

/// The keys that verify access tokens, and what must be in these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// `iss` of every token; the prefix of the OAuth endpoints.
    pub issuer: String,
    /// `aud` of every token.
    pub audience: String,
    /// The public keys, as a JWK set (RFC 7517, section 5).
    pub jwks: String,
}
