//! Tenants.

use fathom_proto::administration::{NewTenant, Page, Tenant, TenantPatch};
use serde_json::json;

use super::check;
use crate::change::{Entry, action};
use crate::store::Store;
use crate::{Actor, Auth, Error, clock};

impl Auth {
    /// Makes a tenant.
    ///
    /// # Errors
    /// [`Error::TenantExists`] when the id is taken, and [`Error::InvalidField`].
    pub async fn create_tenant(&self, actor: &Actor, tenant: NewTenant) -> Result<Tenant, Error> {
        let now = clock::now();
        check::new_tenant_id(tenant.id.as_str())?;
        check::name(&tenant.name)?;
        check::new_end(tenant.expires_at, now)?;
        let tenant = Tenant {
            id: tenant.id,
            name: tenant.name,
            created_at: now,
            disabled_at: None,
            expires_at: tenant.expires_at,
        };
        let mut change = self.inner.store.change().await?;
        if Store::tenant(change.connection(), tenant.id.as_str())
            .await?
            .is_some()
        {
            return Err(Error::TenantExists(tenant.id));
        }
        Store::insert_tenant(change.connection(), &tenant).await?;
        let entry = Entry {
            action: action::TENANT_CREATE,
            tenant: Some(tenant.id.clone()),
            target: tenant.id.to_string(),
            details: json!(tenant),
        };
        self.commit(change, actor, entry).await?;
        Ok(tenant)
    }

    /// Tenants by id.
    ///
    /// # Errors
    /// [`Error::InvalidField`] of the page.
    pub async fn tenants(&self, page: Page) -> Result<Vec<Tenant>, Error> {
        let (after, limit) = check::page(&page)?;
        self.inner.store.tenants(after, limit).await
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn tenant(&self, id: &str) -> Result<Tenant, Error> {
        let id = check::id(id, "tenant")?;
        let mut connection = self.inner.store.pool.acquire().await?;
        let tenant = Store::tenant(&mut connection, id).await?;
        tenant.ok_or(Error::NotFound("tenant"))
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::InvalidField`].
    pub async fn update_tenant(
        &self,
        actor: &Actor,
        id: &str,
        patch: TenantPatch,
    ) -> Result<Tenant, Error> {
        let id = check::id(id, "tenant")?;
        let details = json!(patch);
        let mut change = self.inner.store.change().await?;
        let before = Store::tenant(change.connection(), id).await?;
        let before = before.ok_or(Error::NotFound("tenant"))?;
        let after = patched(before.clone(), patch)?;
        if after == before {
            return Ok(before);
        }
        Store::update_tenant(change.connection(), &after).await?;
        let entry = Entry {
            action: action::TENANT_UPDATE,
            tenant: Some(after.id.clone()),
            target: after.id.to_string(),
            details,
        };
        self.commit(change, actor, entry).await?;
        Ok(after)
    }
}

fn patched(mut tenant: Tenant, patch: TenantPatch) -> Result<Tenant, Error> {
    if let Some(name) = patch.name {
        check::name(&name)?;
        tenant.name = name;
    }
    if let Some(disabled) = patch.disabled {
        tenant.disabled_at = disabled_at(disabled, tenant.disabled_at);
    }
    if let Some(expires_at) = patch.expires_at {
        check::end(expires_at)?;
        tenant.expires_at = expires_at;
    }
    Ok(tenant)
}

/// Since when something is switched off; what is off already stays so since then.
pub(super) fn disabled_at(disabled: bool, before: Option<i64>) -> Option<i64> {
    disabled.then(|| before.unwrap_or_else(clock::now))
}
