//! The port that knows who may call. The auth service implements it.

use std::fmt;

use secrecy::SecretString;

use crate::Error;
use crate::id::TenantId;

/// Knows identities.
#[tonic::async_trait]
pub trait Identity: Send + Sync {
    /// Says whose a bearer credential is; [`crate::ErrorCode::Unauthenticated`] if nobody's.
    async fn authenticate(&self, bearer: SecretString) -> Result<Principal, Error>;

    /// Exchanges client credentials for an access token (RFC 6749, section 4.4).
    async fn issue_token(&self, request: TokenRequest) -> Result<AccessToken, Error>;
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
    /// When the credential ends, in seconds since the epoch.
    pub expires_at: Option<i64>,
}

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// Ask models.
    Inference = 1,
    /// List models.
    ModelsRead = 2,
    /// Run batches.
    Batch = 4,
    /// Read usage.
    UsageRead = 8,
    /// Administer everything.
    Admin = 16,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [
        Self::Inference,
        Self::ModelsRead,
        Self::Batch,
        Self::UsageRead,
        Self::Admin,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::ModelsRead => "models:read",
            Self::Batch => "batch",
            Self::UsageRead => "usage:read",
            Self::Admin => "admin",
        }
    }
}

/// A set of permissions. [`fmt::Display`] gives the space-separated form of RFC 6749.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether the set holds `scope`.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope as u8 != 0
    }

    /// Whether every scope of `other` is in this set.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes in the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.contains(*scope))
    }

    /// Reads names; `Err` holds the first that is no scope.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut set = Self::default();
        for name in names {
            let scope = Scope::ALL
                .into_iter()
                .find(|scope| scope.as_str() == name)
                .ok_or_else(|| name.to_owned())?;
            set.0 |= scope as u8;
        }
        Ok(set)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope as u8))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

/// A client-credentials grant.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretString,
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
