//! The port that operators change identities by: who calls is checked here, against the database.
//! What is done is in the modules below, as methods on [`Auth`] that the command line uses too.

use fathom_proto::Error as PortError;
use fathom_proto::administration::{
    Administration, ApiKey, ApiKeyPatch, AuditEntry, AuditPage, Caller, Client, ClientPatch,
    ClientSecret, NewApiKey, NewClient, NewClientSecret, NewTenant, NewlyMade, Page, SigningKey,
    Tenant, TenantPatch,
};
use fathom_proto::id::TenantId;
use fathom_proto::identity::{Limit, LimitTarget, Scope};
use secrecy::ExposeSecret as _;

use crate::identity::settle;
use crate::metrics::Kind;
use crate::{Actor, Auth, Error};

pub(crate) mod check;
mod client_secrets;
mod clients;
mod keys;
mod limits;
mod rewrap;
mod tenants;

pub use rewrap::Rewrapped;

impl Auth {
    /// Who calls, if it may administer.
    async fn administrator(&self, caller: &Caller) -> Result<Actor, PortError> {
        let (kind, identified) = self.identify(caller.0.expose_secret()).await;
        let principal = settle(kind, identified)?;
        if !principal.scopes.contains(Scope::Admin) {
            return Err(Error::NotAdmin.into());
        }
        Ok(match kind {
            Kind::ApiKey => Actor::Key(principal.subject),
            _ => Actor::Client(principal.subject),
        })
    }
}

#[tonic::async_trait]
impl Administration for Auth {
    async fn create_tenant(&self, caller: &Caller, tenant: NewTenant) -> Result<Tenant, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.create_tenant(&actor, tenant).await?)
    }

    async fn tenants(&self, caller: &Caller, page: Page) -> Result<Vec<Tenant>, PortError> {
        self.administrator(caller).await?;
        Ok(self.tenants(page).await?)
    }

    async fn tenant(&self, caller: &Caller, id: &str) -> Result<Tenant, PortError> {
        self.administrator(caller).await?;
        Ok(self.tenant(id).await?)
    }

    async fn update_tenant(
        &self,
        caller: &Caller,
        id: &str,
        patch: TenantPatch,
    ) -> Result<Tenant, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.update_tenant(&actor, id, patch).await?)
    }

    async fn create_client(
        &self,
        caller: &Caller,
        client: NewClient,
    ) -> Result<NewlyMade<Client>, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.create_client(&actor, client).await?)
    }

    async fn clients(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<Client>, PortError> {
        self.administrator(caller).await?;
        Ok(self.clients(tenant, page).await?)
    }

    async fn client(&self, caller: &Caller, id: &str) -> Result<Client, PortError> {
        self.administrator(caller).await?;
        Ok(self.client(id).await?)
    }

    async fn update_client(
        &self,
        caller: &Caller,
        id: &str,
        patch: ClientPatch,
    ) -> Result<Client, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.update_client(&actor, id, patch).await?)
    }

    async fn add_client_secret(
        &self,
        caller: &Caller,
        client: &str,
        secret: NewClientSecret,
    ) -> Result<NewlyMade<ClientSecret>, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.add_client_secret(&actor, client, secret).await?)
    }

    async fn remove_client_secret(
        &self,
        caller: &Caller,
        client: &str,
        secret: &str,
    ) -> Result<(), PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.remove_client_secret(&actor, client, secret).await?)
    }

    async fn create_key(
        &self,
        caller: &Caller,
        key: NewApiKey,
    ) -> Result<NewlyMade<ApiKey>, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.create_key(&actor, key).await?)
    }

    async fn keys(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<ApiKey>, PortError> {
        self.administrator(caller).await?;
        Ok(self.keys(tenant, page).await?)
    }

    async fn key(&self, caller: &Caller, id: &str) -> Result<ApiKey, PortError> {
        self.administrator(caller).await?;
        Ok(self.key(id).await?)
    }

    async fn update_key(
        &self,
        caller: &Caller,
        id: &str,
        patch: ApiKeyPatch,
    ) -> Result<ApiKey, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.update_key(&actor, id, patch).await?)
    }

    async fn limits(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
    ) -> Result<Vec<Limit>, PortError> {
        self.administrator(caller).await?;
        Ok(self.limits(tenant).await?)
    }

    async fn set_limit(&self, caller: &Caller, limit: Limit) -> Result<Limit, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.set_limit(&actor, limit).await?)
    }

    async fn remove_limit(&self, caller: &Caller, target: LimitTarget) -> Result<(), PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.remove_limit(&actor, target).await?)
    }

    async fn signing_keys(&self, caller: &Caller) -> Result<Vec<SigningKey>, PortError> {
        self.administrator(caller).await?;
        Ok(self.signing_keys().await?)
    }

    async fn rotate_signing_key(&self, caller: &Caller) -> Result<SigningKey, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.rotate_signing_key(&actor).await?)
    }

    async fn retire_signing_key(
        &self,
        caller: &Caller,
        kid: &str,
    ) -> Result<SigningKey, PortError> {
        let actor = self.administrator(caller).await?;
        Ok(self.retire_signing_key(&actor, kid).await?)
    }

    async fn audit(&self, caller: &Caller, page: AuditPage) -> Result<Vec<AuditEntry>, PortError> {
        self.administrator(caller).await?;
        Ok(self.audit(page).await?)
    }
}
