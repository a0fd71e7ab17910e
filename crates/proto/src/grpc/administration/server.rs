//! The answering side.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tonic::{Request, Response, Status};

use super::opened;
use crate::administration::{Administration, NewClientSecret};
use crate::convert::missing;
use crate::pb::auth as pb;
use crate::pb::auth::admin_service_server::{AdminService, AdminServiceServer};

/// Serves an [`Administration`].
pub struct AdministrationServer(Arc<dyn Administration>);

impl AdministrationServer {
    /// The tonic service in front of `port`.
    pub fn new(port: Arc<dyn Administration>) -> AdminServiceServer<Self> {
        AdminServiceServer::new(Self(port))
    }
}

/// What tonic wants of every method.
type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AdminService for AdministrationServer {
    async fn create_tenant(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> Answer<pb::CreateTenantResponse> {
        let (caller, message) = opened(request)?;
        let tenant = self.0.create_tenant(&caller, message.into()).await?;
        let tenant = Some(tenant.into());
        Ok(Response::new(pb::CreateTenantResponse { tenant }))
    }

    async fn list_tenants(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Answer<pb::ListTenantsResponse> {
        let (caller, message) = opened(request)?;
        let tenants = self.0.tenants(&caller, message.page.into()).await?;
        let tenants = all(tenants);
        Ok(Response::new(pb::ListTenantsResponse { tenants }))
    }

    async fn get_tenant(
        &self,
        request: Request<pb::GetTenantRequest>,
    ) -> Answer<pb::GetTenantResponse> {
        let (caller, message) = opened(request)?;
        let tenant = self.0.tenant(&caller, &message.id).await?;
        let tenant = Some(tenant.into());
        Ok(Response::new(pb::GetTenantResponse { tenant }))
    }

    async fn update_tenant(
        &self,
        request: Request<pb::UpdateTenantRequest>,
    ) -> Answer<pb::UpdateTenantResponse> {
        let (caller, mut message) = opened(request)?;
        let id = std::mem::take(&mut message.id);
        let patch = message.into();
        let tenant = self.0.update_tenant(&caller, &id, patch).await?;
        let tenant = Some(tenant.into());
        Ok(Response::new(pb::UpdateTenantResponse { tenant }))
    }

    async fn create_client(
        &self,
        request: Request<pb::CreateClientRequest>,
    ) -> Answer<pb::CreateClientResponse> {
        let (caller, message) = opened(request)?;
        let client = message.try_into()?;
        let new = self.0.create_client(&caller, client).await?;
        Ok(Response::new(pb::CreateClientResponse {
            client: Some(new.made.into()),
            secret: new.secret.as_ref().map(exposed),
        }))
    }

    async fn list_clients(
        &self,
        request: Request<pb::ListClientsRequest>,
    ) -> Answer<pb::ListClientsResponse> {
        let (caller, message) = opened(request)?;
        let tenant = message.tenant_id.map(Into::into);
        let page = message.page.into();
        let clients = self.0.clients(&caller, tenant, page).await?;
        let clients = all(clients);
        Ok(Response::new(pb::ListClientsResponse { clients }))
    }

    async fn get_client(
        &self,
        request: Request<pb::GetClientRequest>,
    ) -> Answer<pb::GetClientResponse> {
        let (caller, message) = opened(request)?;
        let client = self.0.client(&caller, &message.id).await?;
        let client = Some(client.into());
        Ok(Response::new(pb::GetClientResponse { client }))
    }

    async fn update_client(
        &self,
        request: Request<pb::UpdateClientRequest>,
    ) -> Answer<pb::UpdateClientResponse> {
        let (caller, mut message) = opened(request)?;
        let id = std::mem::take(&mut message.id);
        let patch = message.try_into()?;
        let client = self.0.update_client(&caller, &id, patch).await?;
        let client = Some(client.into());
        Ok(Response::new(pb::UpdateClientResponse { client }))
    }

    async fn add_client_secret(
        &self,
        request: Request<pb::AddClientSecretRequest>,
    ) -> Answer<pb::AddClientSecretResponse> {
        let (caller, message) = opened(request)?;
        let secret = NewClientSecret {
            expires_at: message.expires_at,
        };
        let id = &message.client_id;
        let new = self.0.add_client_secret(&caller, id, secret).await?;
        Ok(Response::new(pb::AddClientSecretResponse {
            made: Some(new.made.into()),
            secret: new.secret.as_ref().map(exposed).unwrap_or_default(),
        }))
    }

    async fn remove_client_secret(
        &self,
        request: Request<pb::RemoveClientSecretRequest>,
    ) -> Answer<pb::RemoveClientSecretResponse> {
        let (caller, message) = opened(request)?;
        self.0
            .remove_client_secret(&caller, &message.client_id, &message.secret_id)
            .await?;
        Ok(Response::new(pb::RemoveClientSecretResponse {}))
    }

    async fn create_key(
        &self,
        request: Request<pb::CreateKeyRequest>,
    ) -> Answer<pb::CreateKeyResponse> {
        let (caller, message) = opened(request)?;
        let new = self.0.create_key(&caller, message.try_into()?).await?;
        Ok(Response::new(pb::CreateKeyResponse {
            key: Some(new.made.into()),
            secret: new.secret.as_ref().map(exposed).unwrap_or_default(),
        }))
    }

    async fn list_keys(
        &self,
        request: Request<pb::ListKeysRequest>,
    ) -> Answer<pb::ListKeysResponse> {
        let (caller, message) = opened(request)?;
        let tenant = message.tenant_id.map(Into::into);
        let keys = self.0.keys(&caller, tenant, message.page.into()).await?;
        let keys = all(keys);
        Ok(Response::new(pb::ListKeysResponse { keys }))
    }

    async fn get_key(&self, request: Request<pb::GetKeyRequest>) -> Answer<pb::GetKeyResponse> {
        let (caller, message) = opened(request)?;
        let key = self.0.key(&caller, &message.id).await?;
        let key = Some(key.into());
        Ok(Response::new(pb::GetKeyResponse { key }))
    }

    async fn update_key(
        &self,
        request: Request<pb::UpdateKeyRequest>,
    ) -> Answer<pb::UpdateKeyResponse> {
        let (caller, mut message) = opened(request)?;
        let id = std::mem::take(&mut message.id);
        let patch = message.try_into()?;
        let key = self.0.update_key(&caller, &id, patch).await?;
        let key = Some(key.into());
        Ok(Response::new(pb::UpdateKeyResponse { key }))
    }

    async fn list_limits(
        &self,
        request: Request<pb::ListLimitsRequest>,
    ) -> Answer<pb::ListLimitsResponse> {
        let (caller, message) = opened(request)?;
        let tenant = message.tenant_id.map(Into::into);
        let limits = all(self.0.limits(&caller, tenant).await?);
        Ok(Response::new(pb::ListLimitsResponse { limits }))
    }

    async fn set_limit(
        &self,
        request: Request<pb::SetLimitRequest>,
    ) -> Answer<pb::SetLimitResponse> {
        let (caller, message) = opened(request)?;
        let limit = message.limit.ok_or_else(|| missing("limit"))?;
        let limit = self.0.set_limit(&caller, limit.into()).await?;
        let limit = Some(limit.into());
        Ok(Response::new(pb::SetLimitResponse { limit }))
    }

    async fn remove_limit(
        &self,
        request: Request<pb::RemoveLimitRequest>,
    ) -> Answer<pb::RemoveLimitResponse> {
        let (caller, message) = opened(request)?;
        self.0.remove_limit(&caller, message.into()).await?;
        Ok(Response::new(pb::RemoveLimitResponse {}))
    }

    async fn list_signing_keys(
        &self,
        request: Request<pb::ListSigningKeysRequest>,
    ) -> Answer<pb::ListSigningKeysResponse> {
        let (caller, _) = opened(request)?;
        let keys = all(self.0.signing_keys(&caller).await?);
        Ok(Response::new(pb::ListSigningKeysResponse { keys }))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<pb::RotateSigningKeyRequest>,
    ) -> Answer<pb::RotateSigningKeyResponse> {
        let (caller, _) = opened(request)?;
        let key = self.0.rotate_signing_key(&caller).await?;
        let key = Some(key.into());
        Ok(Response::new(pb::RotateSigningKeyResponse { key }))
    }

    async fn retire_signing_key(
        &self,
        request: Request<pb::RetireSigningKeyRequest>,
    ) -> Answer<pb::RetireSigningKeyResponse> {
        let (caller, message) = opened(request)?;
        let key = self.0.retire_signing_key(&caller, &message.kid).await?;
        let key = Some(key.into());
        Ok(Response::new(pb::RetireSigningKeyResponse { key }))
    }

    async fn read_audit_log(
        &self,
        request: Request<pb::ReadAuditLogRequest>,
    ) -> Answer<pb::ReadAuditLogResponse> {
        let (caller, message) = opened(request)?;
        let entries = all(self.0.audit(&caller, message.into()).await?);
        Ok(Response::new(pb::ReadAuditLogResponse { entries }))
    }
}

fn all<T, M: From<T>>(values: Vec<T>) -> Vec<M> {
    values.into_iter().map(Into::into).collect()
}

fn exposed(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}
