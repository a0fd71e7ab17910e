//! API keys.

use fathom_proto::administration::{ApiKey, ApiKeyPatch, NewApiKey, NewlyMade, Page};
use fathom_proto::id::TenantId;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::check;
use super::tenants::disabled_at;
use crate::change::{Entry, action};
use crate::store::Store;
use crate::{Actor, Auth, Error, api_key, clock};

impl Auth {
    /// Makes an API key. Its text is shown this once.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] and [`Error::InvalidField`].
    pub async fn create_key(
        &self,
        actor: &Actor,
        key: NewApiKey,
    ) -> Result<NewlyMade<ApiKey>, Error> {
        let now = clock::now();
        let (id, text) = api_key::generate()?;
        let key = checked(key, id, now)?;
        let mut change = self.inner.store.change().await?;
        Store::require_tenant(change.connection(), &key.tenant).await?;
        let mac = self.inner.key_ring.mac(text.expose_secret().as_bytes());
        Store::insert_key(change.connection(), &key, &mac).await?;
        let entry = entry(action::KEY_CREATE, &key, json!(key));
        self.commit(change, actor, entry).await?;
        Ok(NewlyMade {
            made: key,
            secret: Some(text),
        })
    }

    /// API keys by id, of one tenant or of all.
    ///
    /// # Errors
    /// [`Error::NotFound`] of the tenant, [`Error::InvalidField`] of the page.
    pub async fn keys(&self, tenant: Option<TenantId>, page: Page) -> Result<Vec<ApiKey>, Error> {
        let (after, limit) = check::page(&page)?;
        if let Some(tenant) = &tenant {
            self.tenant(tenant.as_str()).await?;
        }
        let tenant = tenant.as_ref().map_or("", TenantId::as_str);
        self.inner.store.keys(tenant, after, limit).await
    }

    /// One API key.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn key(&self, id: &str) -> Result<ApiKey, Error> {
        let id = check::id(id, "key")?;
        let mut connection = self.inner.store.pool.acquire().await?;
        let key = Store::key(&mut connection, id).await?;
        key.ok_or(Error::NotFound("key"))
    }

    /// Changes an API key.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::InvalidField`].
    pub async fn update_key(
        &self,
        actor: &Actor,
        id: &str,
        patch: ApiKeyPatch,
    ) -> Result<ApiKey, Error> {
        let id = check::id(id, "key")?;
        let details = json!(patch);
        let mut change = self.inner.store.change().await?;
        let before = Store::key(change.connection(), id).await?;
        let before = before.ok_or(Error::NotFound("key"))?;
        let after = patched(before.clone(), patch)?;
        if after == before {
            return Ok(before);
        }
        Store::update_key(change.connection(), &after).await?;
        let entry = entry(action::KEY_UPDATE, &after, details);
        self.commit(change, actor, entry).await?;
        Ok(after)
    }
}

fn entry(action: &'static str, key: &ApiKey, details: serde_json::Value) -> Entry {
    Entry {
        action,
        tenant: Some(key.tenant.clone()),
        target: key.id.clone(),
        details,
    }
}

fn checked(key: NewApiKey, id: String, now: i64) -> Result<ApiKey, Error> {
    check::id(key.tenant.as_str(), "tenant")?;
    check::name(&key.name)?;
    check::scopes(key.scopes)?;
    check::models(key.models.as_deref())?;
    check::new_end(key.expires_at, now)?;
    Ok(ApiKey {
        id,
        tenant: key.tenant,
        name: key.name,
        scopes: key.scopes,
        models: key.models,
        created_at: now,
        disabled_at: None,
        expires_at: key.expires_at,
    })
}

fn patched(mut key: ApiKey, patch: ApiKeyPatch) -> Result<ApiKey, Error> {
    if let Some(name) = patch.name {
        check::name(&name)?;
        key.name = name;
    }
    if let Some(scopes) = patch.scopes {
        check::scopes(scopes)?;
        key.scopes = scopes;
    }
    if let Some(models) = patch.models {
        check::models(models.as_deref())?;
        key.models = models;
    }
    if let Some(disabled) = patch.disabled {
        key.disabled_at = disabled_at(disabled, key.disabled_at);
    }
    if let Some(expires_at) = patch.expires_at {
        check::end(expires_at)?;
        key.expires_at = expires_at;
    }
    Ok(key)
}
