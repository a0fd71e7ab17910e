//! The calling side.

use tonic::transport::Channel;

use super::signed;
use crate::Error;
use crate::administration::{
    Administration, ApiKey, ApiKeyPatch, AuditEntry, AuditPage, Caller, Client, ClientPatch,
    ClientSecret, NewApiKey, NewClient, NewClientSecret, NewTenant, NewlyMade, Page, SigningKey,
    Tenant, TenantPatch,
};
use crate::grpc::MAX_MESSAGE_BYTES;
use crate::id::TenantId;
use crate::identity::{Limit, LimitTarget};
use crate::pb::auth as pb;
use crate::pb::auth::admin_service_client::AdminServiceClient;

/// A remote [`Administration`].
#[derive(Clone)]
pub struct AdministrationClient(AdminServiceClient<Channel>);

impl AdministrationClient {
    /// Calls over `channel`.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(AdminServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }
}

/// The answer to a message that has the caller's credential beside it.
macro_rules! call {
    ($self:ident.$rpc:ident($caller:ident, $message:expr)) => {
        $self
            .0
            .clone()
            .$rpc(signed($caller, $message)?)
            .await?
            .into_inner()
    };
}

#[tonic::async_trait]
impl Administration for AdministrationClient {
    async fn create_tenant(&self, caller: &Caller, tenant: NewTenant) -> Result<Tenant, Error> {
        let message = pb::CreateTenantRequest::from(tenant);
        one(call!(self.create_tenant(caller, message)).tenant)
    }

    async fn tenants(&self, caller: &Caller, page: Page) -> Result<Vec<Tenant>, Error> {
        let page = Some(page.into());
        let message = pb::ListTenantsRequest { page };
        all(call!(self.list_tenants(caller, message)).tenants)
    }

    async fn tenant(&self, caller: &Caller, id: &str) -> Result<Tenant, Error> {
        let message = pb::GetTenantRequest { id: id.to_owned() };
        one(call!(self.get_tenant(caller, message)).tenant)
    }

    async fn update_tenant(
        &self,
        caller: &Caller,
        id: &str,
        patch: TenantPatch,
    ) -> Result<Tenant, Error> {
        let message = pb::UpdateTenantRequest::from((id, patch));
        one(call!(self.update_tenant(caller, message)).tenant)
    }

    async fn create_client(
        &self,
        caller: &Caller,
        client: NewClient,
    ) -> Result<NewlyMade<Client>, Error> {
        let message = pb::CreateClientRequest::from(client);
        let answer = call!(self.create_client(caller, message));
        Ok(NewlyMade {
            made: one(answer.client)?,
            secret: answer.secret.map(Into::into),
        })
    }

    async fn clients(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<Client>, Error> {
        let message = pb::ListClientsRequest {
            tenant_id: tenant.map(|tenant| tenant.to_string()),
            page: Some(page.into()),
        };
        all(call!(self.list_clients(caller, message)).clients)
    }

    async fn client(&self, caller: &Caller, id: &str) -> Result<Client, Error> {
        let message = pb::GetClientRequest { id: id.to_owned() };
        one(call!(self.get_client(caller, message)).client)
    }

    async fn update_client(
        &self,
        caller: &Caller,
        id: &str,
        patch: ClientPatch,
    ) -> Result<Client, Error> {
        let message = pb::UpdateClientRequest::from((id, patch));
        one(call!(self.update_client(caller, message)).client)
    }

    async fn add_client_secret(
        &self,
        caller: &Caller,
        client: &str,
        secret: NewClientSecret,
    ) -> Result<NewlyMade<ClientSecret>, Error> {
        let message = pb::AddClientSecretRequest {
            client_id: client.to_owned(),
            expires_at: secret.expires_at,
        };
        let answer = call!(self.add_client_secret(caller, message));
        Ok(NewlyMade {
            made: one(answer.made)?,
            secret: Some(answer.secret.into()),
        })
    }

    async fn remove_client_secret(
        &self,
        caller: &Caller,
        client: &str,
        secret: &str,
    ) -> Result<(), Error> {
        let message = pb::RemoveClientSecretRequest {
            client_id: client.to_owned(),
            secret_id: secret.to_owned(),
        };
        call!(self.remove_client_secret(caller, message));
        Ok(())
    }

    async fn create_key(
        &self,
        caller: &Caller,
        key: NewApiKey,
    ) -> Result<NewlyMade<ApiKey>, Error> {
        let message = pb::CreateKeyRequest::from(key);
        let answer = call!(self.create_key(caller, message));
        Ok(NewlyMade {
            made: one(answer.key)?,
            secret: Some(answer.secret.into()),
        })
    }

    async fn keys(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<ApiKey>, Error> {
        let message = pb::ListKeysRequest {
            tenant_id: tenant.map(|tenant| tenant.to_string()),
            page: Some(page.into()),
        };
        all(call!(self.list_keys(caller, message)).keys)
    }

    async fn key(&self, caller: &Caller, id: &str) -> Result<ApiKey, Error> {
        let message = pb::GetKeyRequest { id: id.to_owned() };
        one(call!(self.get_key(caller, message)).key)
    }

    async fn update_key(
        &self,
        caller: &Caller,
        id: &str,
        patch: ApiKeyPatch,
    ) -> Result<ApiKey, Error> {
        let message = pb::UpdateKeyRequest::from((id, patch));
        one(call!(self.update_key(caller, message)).key)
    }

    async fn limits(&self, caller: &Caller, tenant: Option<TenantId>) -> Result<Vec<Limit>, Error> {
        let tenant_id = tenant.map(|tenant| tenant.to_string());
        let message = pb::ListLimitsRequest { tenant_id };
        all(call!(self.list_limits(caller, message)).limits)
    }

    async fn set_limit(&self, caller: &Caller, limit: Limit) -> Result<Limit, Error> {
        let limit = Some(limit.into());
        let message = pb::SetLimitRequest { limit };
        one(call!(self.set_limit(caller, message)).limit)
    }

    async fn remove_limit(&self, caller: &Caller, target: LimitTarget) -> Result<(), Error> {
        let message = pb::RemoveLimitRequest::from(target);
        call!(self.remove_limit(caller, message));
        Ok(())
    }

    async fn signing_keys(&self, caller: &Caller) -> Result<Vec<SigningKey>, Error> {
        let message = pb::ListSigningKeysRequest {};
        all(call!(self.list_signing_keys(caller, message)).keys)
    }

    async fn rotate_signing_key(&self, caller: &Caller) -> Result<SigningKey, Error> {
        let message = pb::RotateSigningKeyRequest {};
        one(call!(self.rotate_signing_key(caller, message)).key)
    }

    async fn retire_signing_key(&self, caller: &Caller, kid: &str) -> Result<SigningKey, Error> {
        let kid = kid.to_owned();
        let message = pb::RetireSigningKeyRequest { kid };
        one(call!(self.retire_signing_key(caller, message)).key)
    }

    async fn audit(&self, caller: &Caller, page: AuditPage) -> Result<Vec<AuditEntry>, Error> {
        let message = pb::ReadAuditLogRequest::from(page);
        all(call!(self.read_audit_log(caller, message)).entries)
    }
}

/// What an answer holds. One that is incomplete is not the caller's fault.
fn one<M, T>(message: Option<M>) -> Result<T, Error>
where
    T: TryFrom<M>,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let message = message.ok_or_else(|| Error::internal("an answer of auth is empty"))?;
    message.try_into().map_err(Error::internal)
}

fn all<M, T>(messages: Vec<M>) -> Result<Vec<T>, Error>
where
    T: TryFrom<M>,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    messages
        .into_iter()
        .map(|message| one(Some(message)))
        .collect()
}
