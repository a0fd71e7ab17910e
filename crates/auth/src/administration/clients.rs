//! OAuth2 clients.

use fathom_proto::administration::{
    Client, ClientMethod, ClientPatch, ClientSecret, NewClient, NewlyMade, Page,
};
use fathom_proto::id::TenantId;
use serde_json::json;

use super::check;
use super::tenants::disabled_at;
use crate::change::{Entry, action};
use crate::store::Store;
use crate::{Actor, Auth, Error, clock, random};

impl Auth {
    /// Makes a client, with a first secret unless it signs with a key of its own.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] and [`Error::InvalidField`].
    pub async fn create_client(
        &self,
        actor: &Actor,
        client: NewClient,
    ) -> Result<NewlyMade<Client>, Error> {
        let now = clock::now();
        let mut client = checked(client, now)?;
        client.id = random::id()?;
        // Made before the change begins: hashing takes its time, and changes wait for one another.
        let secret = match client.method {
            ClientMethod::PrivateKeyJwt => None,
            _ => Some(self.new_secret(&client.id, signs(&client)).await?),
        };
        if let Some((row, _)) = &secret {
            client.secrets.push(ClientSecret {
                id: row.id.clone(),
                created_at: now,
                expires_at: None,
            });
        }
        let mut change = self.inner.store.change().await?;
        Store::require_tenant(change.connection(), &client.tenant).await?;
        Store::insert_client(change.connection(), &client).await?;
        if let Some((row, _)) = &secret {
            Store::insert_secret(change.connection(), &client.id, row, None, now).await?;
        }
        let entry = entry(action::CLIENT_CREATE, &client, json!(client));
        self.commit(change, actor, entry).await?;
        Ok(NewlyMade {
            made: client,
            secret: secret.map(|(_, text)| text),
        })
    }

    /// Clients by id, of one tenant or of all.
    ///
    /// # Errors
    /// [`Error::NotFound`] of the tenant, [`Error::InvalidField`] of the page.
    pub async fn clients(
        &self,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<Client>, Error> {
        let (after, limit) = check::page(&page)?;
        if let Some(tenant) = &tenant {
            self.tenant(tenant.as_str()).await?;
        }
        let tenant = tenant.as_ref().map_or("", TenantId::as_str);
        self.inner
            .store
            .clients(tenant, after, limit, clock::now())
            .await
    }

    /// One client.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn client(&self, id: &str) -> Result<Client, Error> {
        let id = check::id(id, "client")?;
        let mut connection = self.inner.store.pool.acquire().await?;
        let client = Store::client_resource(&mut connection, id, clock::now()).await?;
        client.ok_or(Error::NotFound("client"))
    }

    /// Changes a client.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::InvalidField`].
    pub async fn update_client(
        &self,
        actor: &Actor,
        id: &str,
        patch: ClientPatch,
    ) -> Result<Client, Error> {
        let id = check::id(id, "client")?;
        let details = json!(patch);
        let mut change = self.inner.store.change().await?;
        let before = Store::client_resource(change.connection(), id, clock::now()).await?;
        let before = before.ok_or(Error::NotFound("client"))?;
        let after = patched(before.clone(), patch)?;
        if after == before {
            return Ok(before);
        }
        Store::update_client(change.connection(), &after).await?;
        let entry = entry(action::CLIENT_UPDATE, &after, details);
        self.commit(change, actor, entry).await?;
        Ok(after)
    }
}

/// Whether the client signs with its secret, so that this must be readable again.
pub(super) fn signs(client: &Client) -> bool {
    client.self_signed_bearer || client.method == ClientMethod::ClientSecretJwt
}

/// What the log says of a change of the client.
pub(super) fn entry(action: &'static str, client: &Client, details: serde_json::Value) -> Entry {
    Entry {
        action,
        tenant: Some(client.tenant.clone()),
        target: client.id.clone(),
        details,
    }
}

/// The client, still without an id and a secret.
fn checked(client: NewClient, now: i64) -> Result<Client, Error> {
    check::id(client.tenant.as_str(), "tenant")?;
    check::name(&client.name)?;
    check::scopes(client.scopes)?;
    check::models(client.models.as_deref())?;
    check::new_end(client.expires_at, now)?;
    let client = Client {
        id: String::new(),
        tenant: client.tenant,
        name: client.name,
        scopes: client.scopes,
        models: client.models,
        method: client.method,
        self_signed_bearer: client.self_signed_bearer,
        token_endpoint_audience: client.token_endpoint_audience,
        jwks: client.jwks,
        secrets: Vec::new(),
        created_at: now,
        disabled_at: None,
        expires_at: client.expires_at,
    };
    check_method(&client)?;
    Ok(client)
}

fn patched(mut client: Client, patch: ClientPatch) -> Result<Client, Error> {
    if let Some(name) = patch.name {
        check::name(&name)?;
        client.name = name;
    }
    if let Some(scopes) = patch.scopes {
        check::scopes(scopes)?;
        client.scopes = scopes;
    }
    if let Some(models) = patch.models {
        check::models(models.as_deref())?;
        client.models = models;
    }
    if let Some(self_signed_bearer) = patch.self_signed_bearer {
        if self_signed_bearer && !client.self_signed_bearer {
            return Err(Error::InvalidField {
                field: "self_signed_bearer",
                problem: "can be switched on when a client is made alone; make another client",
            });
        }
        client.self_signed_bearer = self_signed_bearer;
    }
    if let Some(token_endpoint_audience) = patch.token_endpoint_audience {
        client.token_endpoint_audience = token_endpoint_audience;
    }
    if let Some(jwks) = patch.jwks {
        client.jwks = Some(jwks);
    }
    if let Some(disabled) = patch.disabled {
        client.disabled_at = disabled_at(disabled, client.disabled_at);
    }
    if let Some(expires_at) = patch.expires_at {
        check::end(expires_at)?;
        client.expires_at = expires_at;
    }
    check_method(&client)?;
    Ok(client)
}

/// Checks what depends on how the client says who it is.
fn check_method(client: &Client) -> Result<(), Error> {
    let invalid = |field, problem| Err(Error::InvalidField { field, problem });
    match (client.method, &client.jwks) {
        (ClientMethod::PrivateKeyJwt, Some(jwks)) => check::jwks(jwks)?,
        (ClientMethod::PrivateKeyJwt, None) => {
            return invalid("jwks", "must be given for the method private_key_jwt");
        }
        (_, Some(_)) => return invalid("jwks", "is for the method private_key_jwt alone"),
        (_, None) => {}
    }
    if client.self_signed_bearer && client.method == ClientMethod::PrivateKeyJwt {
        return invalid(
            "self_signed_bearer",
            "needs a secret, which the method private_key_jwt does not have",
        );
    }
    if client.token_endpoint_audience && client.method == ClientMethod::ClientSecret {
        return invalid(
            "token_endpoint_audience",
            "is for the methods client_secret_jwt and private_key_jwt",
        );
    }
    Ok(())
}
