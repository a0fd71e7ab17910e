//! Tenants.

use crate::administration::{NewTenant, Tenant, TenantPatch};
use crate::pb::auth as pb;

impl From<Tenant> for pb::Tenant {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            created_at: tenant.created_at,
            disabled_at: tenant.disabled_at,
            expires_at: tenant.expires_at,
        }
    }
}

impl From<pb::Tenant> for Tenant {
    fn from(message: pb::Tenant) -> Self {
        Self {
            id: message.id.into(),
            name: message.name,
            created_at: message.created_at,
            disabled_at: message.disabled_at,
            expires_at: message.expires_at,
        }
    }
}

impl From<NewTenant> for pb::CreateTenantRequest {
    fn from(tenant: NewTenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            expires_at: tenant.expires_at,
        }
    }
}

impl From<pb::CreateTenantRequest> for NewTenant {
    fn from(message: pb::CreateTenantRequest) -> Self {
        Self {
            id: message.id.into(),
            name: message.name,
            expires_at: message.expires_at,
        }
    }
}

impl From<(&str, TenantPatch)> for pb::UpdateTenantRequest {
    fn from((id, patch): (&str, TenantPatch)) -> Self {
        Self {
            id: id.to_owned(),
            name: patch.name,
            disabled: patch.disabled,
            expires_at: patch.expires_at.map(|value| pb::TimeChange { value }),
        }
    }
}

impl From<pb::UpdateTenantRequest> for TenantPatch {
    /// The id is read beside it.
    fn from(message: pb::UpdateTenantRequest) -> Self {
        Self {
            name: message.name,
            disabled: message.disabled,
            expires_at: message.expires_at.map(|change| change.value),
        }
    }
}
