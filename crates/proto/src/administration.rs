//! The port that operators change identities by. The auth service implements it.
//!
//! Its types are the resources of `/admin/v1` too: their JSON is what operators read and write.
//! Times are in seconds since the epoch.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::id::TenantId;
use crate::identity::{Limit, LimitTarget};

mod audit;
mod client;
mod key;
mod newly_made;
mod page;
mod patch;
mod signing_key;
mod tenant;

pub use audit::AuditEntry;
pub use client::{Client, ClientMethod, ClientPatch, ClientSecret, NewClient, NewClientSecret};
pub use key::{ApiKey, ApiKeyPatch, NewApiKey};
pub use newly_made::NewlyMade;
pub use page::Page;
pub(crate) use patch::removable;
pub use signing_key::{SigningKey, SigningKeyState};
pub use tenant::{NewTenant, Tenant, TenantPatch};

/// Changes identities. Every method checks `caller` itself, a bearer credential that must have the
/// scope `admin`, and every change leaves a row in the audit log.
///
/// Errors are [`crate::ErrorCode::Unauthenticated`] and [`crate::ErrorCode::PermissionDenied`] of
/// the caller, [`crate::ErrorCode::NotFound`] of an id that is nobody's, and
/// [`crate::ErrorCode::InvalidRequest`] with the field at fault.
#[tonic::async_trait]
pub trait Administration: Send + Sync {
    /// Makes a tenant.
    async fn create_tenant(&self, caller: &Caller, tenant: NewTenant) -> Result<Tenant, Error>;
    /// Tenants by id.
    async fn tenants(&self, caller: &Caller, page: Page) -> Result<Vec<Tenant>, Error>;
    /// One tenant.
    async fn tenant(&self, caller: &Caller, id: &str) -> Result<Tenant, Error>;
    /// Changes a tenant.
    async fn update_tenant(
        &self,
        caller: &Caller,
        id: &str,
        patch: TenantPatch,
    ) -> Result<Tenant, Error>;

    /// Makes a client, with a first secret unless it signs with a key of its own.
    async fn create_client(
        &self,
        caller: &Caller,
        client: NewClient,
    ) -> Result<NewlyMade<Client>, Error>;
    /// Clients by id, of one tenant or of all.
    async fn clients(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<Client>, Error>;
    /// One client.
    async fn client(&self, caller: &Caller, id: &str) -> Result<Client, Error>;
    /// Changes a client.
    async fn update_client(
        &self,
        caller: &Caller,
        id: &str,
        patch: ClientPatch,
    ) -> Result<Client, Error>;
    /// Gives a client one more secret, so that it can be moved over before the old one ends.
    async fn add_client_secret(
        &self,
        caller: &Caller,
        client: &str,
        secret: NewClientSecret,
    ) -> Result<NewlyMade<ClientSecret>, Error>;
    /// Ends a secret of a client at once.
    async fn remove_client_secret(
        &self,
        caller: &Caller,
        client: &str,
        secret: &str,
    ) -> Result<(), Error>;

    /// Makes an API key.
    async fn create_key(&self, caller: &Caller, key: NewApiKey)
    -> Result<NewlyMade<ApiKey>, Error>;
    /// API keys by id, of one tenant or of all.
    async fn keys(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<ApiKey>, Error>;
    /// One API key.
    async fn key(&self, caller: &Caller, id: &str) -> Result<ApiKey, Error>;
    /// Changes an API key.
    async fn update_key(
        &self,
        caller: &Caller,
        id: &str,
        patch: ApiKeyPatch,
    ) -> Result<ApiKey, Error>;

    /// Limits, by tenant, subject and model; of one tenant or of all.
    async fn limits(&self, caller: &Caller, tenant: Option<TenantId>) -> Result<Vec<Limit>, Error>;
    /// Sets the limits of a target, in place of those it had.
    async fn set_limit(&self, caller: &Caller, limit: Limit) -> Result<Limit, Error>;
    /// Lifts the limits of a target.
    async fn remove_limit(&self, caller: &Caller, target: LimitTarget) -> Result<(), Error>;

    /// Signing keys, the newest first, retired ones included.
    async fn signing_keys(&self, caller: &Caller) -> Result<Vec<SigningKey>, Error>;
    /// Makes a key that signs once every verifier has had the time to learn of it.
    async fn rotate_signing_key(&self, caller: &Caller) -> Result<SigningKey, Error>;
    /// Ends a key at once, and with it every token that it signed. If it is the one that signs,
    /// its successor signs at once, and is made if there is none.
    async fn retire_signing_key(&self, caller: &Caller, kid: &str) -> Result<SigningKey, Error>;

    /// The audit log after a position, the oldest first.
    async fn audit(&self, caller: &Caller, page: AuditPage) -> Result<Vec<AuditEntry>, Error>;
}

/// The bearer credential of who calls.
#[derive(Clone, Debug)]
pub struct Caller(pub SecretString);

/// A part of the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditPage {
    /// Rows after this position; the first has position 1.
    pub after: i64,
    /// How many, 1 to 1,000; absent: 100.
    #[schemars(range(min = 1, max = Page::MAX_LIMIT))]
    pub limit: Option<u32>,
}

impl AuditPage {
    /// How many are asked for.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(Page::DEFAULT_LIMIT)
    }
}
