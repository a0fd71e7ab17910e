//! Making tenants, clients and API keys.

use fathom_proto::id::TenantId;
use fathom_proto::identity::{ModelAccess, Scopes};
use secrecy::{ExposeSecret as _, SecretString};

use crate::grant::Grant;
use crate::store::{ApiKeyRow, ClientRow, SecretRow};
use crate::{Auth, Error, api_key, clock, random};

/// A client to be made.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it; need not be unique.
    pub name: String,
    /// What it may do; at least one.
    pub scopes: Scopes,
    /// Whether it may sign bearers itself with its secret.
    pub self_signed_bearer: bool,
    /// When it ends, in seconds since the epoch.
    pub expires_at: Option<i64>,
}

/// A client's credentials. The secret is shown this once.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// The client's id.
    pub id: String,
    /// Its secret: 43 characters of base64url, 256 random bits.
    pub secret: SecretString,
}

/// An API key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it; need not be unique.
    pub name: String,
    /// What it may do; at least one.
    pub scopes: Scopes,
    /// When it ends, in seconds since the epoch.
    pub expires_at: Option<i64>,
}

impl Auth {
    /// Makes a tenant.
    ///
    /// # Errors
    /// [`Error::TenantExists`] when the id is taken.
    pub async fn create_tenant(&self, id: &TenantId, name: &str) -> Result<(), Error> {
        self.inner.store.insert_tenant(id, name, clock::now()).await
    }

    /// Makes a client with its first secret.
    ///
    /// # Errors
    /// [`Error::NoScopes`], [`Error::UnknownTenant`].
    pub async fn create_client(&self, client: NewClient) -> Result<ClientCredentials, Error> {
        if client.scopes.is_empty() {
            return Err(Error::NoScopes);
        }
        let secret = random::secret()?;
        let secret_id = random::id()?;
        let sealed = self.inner.key_ring.seal(
            SecretRow::place(&secret_id),
            secret.expose_secret().as_bytes(),
        )?;
        let row = ClientRow {
            id: random::id()?,
            grant: Grant {
                tenant: client.tenant,
                scopes: client.scopes,
                models: ModelAccess::All,
                expires_at: client.expires_at,
                disabled: false,
            },
            self_signed_bearer: client.self_signed_bearer,
        };
        let secret_row = SecretRow {
            id: secret_id,
            sealed,
        };
        self.inner
            .store
            .insert_client(&row, &client.name, &secret_row, clock::now())
            .await?;
        Ok(ClientCredentials { id: row.id, secret })
    }

    /// Makes an API key and returns its text, which is shown this once.
    ///
    /// # Errors
    /// [`Error::NoScopes`], [`Error::UnknownTenant`].
    pub async fn create_api_key(&self, key: NewApiKey) -> Result<SecretString, Error> {
        if key.scopes.is_empty() {
            return Err(Error::NoScopes);
        }
        let (id, text) = api_key::generate()?;
        let row = ApiKeyRow {
            id,
            grant: Grant {
                tenant: key.tenant,
                scopes: key.scopes,
                models: ModelAccess::All,
                expires_at: key.expires_at,
                disabled: false,
            },
            mac: self.inner.key_ring.mac(text.expose_secret().as_bytes()),
        };
        self.inner
            .store
            .insert_api_key(&row, &key.name, clock::now())
            .await?;
        Ok(text)
    }
}
