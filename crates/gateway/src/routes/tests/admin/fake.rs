//! A port that remembers what it heard, and knows everything but the id `nobody`.

use std::sync::Mutex;

use fathom_proto::administration::{
    Administration, ApiKey, ApiKeyPatch, AuditEntry, AuditPage, Caller, Client, ClientMethod,
    ClientPatch, ClientSecret, NewApiKey, NewClient, NewClientSecret, NewTenant, NewlyMade, Page,
    SigningKey, SigningKeyState, Tenant, TenantPatch,
};
use fathom_proto::id::TenantId;
use fathom_proto::identity::{Limit, LimitTarget, Limits, Scope};
use fathom_proto::{Error, ErrorCode};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};

use crate::identity::fake::ALL_SCOPES;

#[derive(Default)]
pub struct FakeAdministration(Mutex<Option<(&'static str, Value)>>);

impl FakeAdministration {
    /// The last call: the method, and its arguments as JSON.
    pub fn heard(&self) -> (&'static str, Value) {
        self.0.lock().unwrap().take().unwrap()
    }

    fn hear(
        &self,
        Caller(bearer): &Caller,
        method: &'static str,
        arguments: impl Serialize,
    ) -> Result<(), Error> {
        assert_eq!(bearer.expose_secret(), ALL_SCOPES);
        let arguments = json!(arguments);
        if arguments == "nobody" || arguments[0] == "nobody" {
            return Err(Error::new(ErrorCode::NotFound, "there is no such id"));
        }
        *self.0.lock().unwrap() = Some((method, arguments));
        Ok(())
    }
}

fn tenant() -> Tenant {
    Tenant {
        id: "acme".into(),
        name: "Acme".into(),
        created_at: 1,
        disabled_at: None,
        expires_at: None,
    }
}

fn client() -> Client {
    Client {
        id: "c-1".into(),
        tenant: "acme".into(),
        name: "App".into(),
        scopes: [Scope::Inference].into_iter().collect(),
        models: None,
        method: ClientMethod::ClientSecret,
        self_signed_bearer: false,
        token_endpoint_audience: false,
        jwks: None,
        secrets: vec![secret()],
        created_at: 1,
        disabled_at: None,
        expires_at: None,
    }
}

fn secret() -> ClientSecret {
    ClientSecret {
        id: "s-1".into(),
        created_at: 1,
        expires_at: None,
    }
}

fn api_key() -> ApiKey {
    ApiKey {
        id: "k-1".into(),
        tenant: "acme".into(),
        name: "App".into(),
        scopes: [Scope::Inference].into_iter().collect(),
        models: None,
        created_at: 1,
        disabled_at: None,
        expires_at: None,
    }
}

fn limit() -> Limit {
    Limit {
        target: LimitTarget {
            tenant: "acme".into(),
            subject: None,
            model: None,
        },
        limits: Limits {
            concurrent_requests: Some(1),
            ..Limits::default()
        },
    }
}

fn signing_key() -> SigningKey {
    SigningKey {
        kid: "kid-1".into(),
        algorithm: "EdDSA".into(),
        state: SigningKeyState::Published,
        created_at: 1,
        signs_from: 2,
        retired_at: None,
    }
}

fn entry(position: i64) -> AuditEntry {
    AuditEntry {
        position,
        at: 1,
        actor: "operator:ada".into(),
        action: "tenant.create".into(),
        tenant: Some("acme".into()),
        target: "acme".into(),
        details: json!({}),
    }
}

#[tonic::async_trait]
impl Administration for FakeAdministration {
    async fn create_tenant(&self, caller: &Caller, new: NewTenant) -> Result<Tenant, Error> {
        self.hear(caller, "create_tenant", new)?;
        Ok(tenant())
    }

    async fn tenants(&self, caller: &Caller, page: Page) -> Result<Vec<Tenant>, Error> {
        self.hear(caller, "tenants", page)?;
        Ok(vec![tenant()])
    }

    async fn tenant(&self, caller: &Caller, id: &str) -> Result<Tenant, Error> {
        self.hear(caller, "tenant", id)?;
        Ok(tenant())
    }

    async fn update_tenant(
        &self,
        caller: &Caller,
        id: &str,
        patch: TenantPatch,
    ) -> Result<Tenant, Error> {
        self.hear(caller, "update_tenant", (id, patch))?;
        Ok(tenant())
    }

    async fn create_client(
        &self,
        caller: &Caller,
        new: NewClient,
    ) -> Result<NewlyMade<Client>, Error> {
        let secret = (new.method != ClientMethod::PrivateKeyJwt).then(|| "cs-text".into());
        self.hear(caller, "create_client", new)?;
        Ok(NewlyMade {
            made: client(),
            secret,
        })
    }

    async fn clients(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<Client>, Error> {
        self.hear(caller, "clients", (tenant, page))?;
        Ok(vec![client()])
    }

    async fn client(&self, caller: &Caller, id: &str) -> Result<Client, Error> {
        self.hear(caller, "client", id)?;
        Ok(client())
    }

    async fn update_client(
        &self,
        caller: &Caller,
        id: &str,
        patch: ClientPatch,
    ) -> Result<Client, Error> {
        self.hear(caller, "update_client", (id, patch))?;
        Ok(client())
    }

    async fn add_client_secret(
        &self,
        caller: &Caller,
        client: &str,
        new: NewClientSecret,
    ) -> Result<NewlyMade<ClientSecret>, Error> {
        self.hear(caller, "add_client_secret", (client, new))?;
        Ok(NewlyMade {
            made: secret(),
            secret: Some("cs-text".into()),
        })
    }

    async fn remove_client_secret(
        &self,
        caller: &Caller,
        client: &str,
        secret: &str,
    ) -> Result<(), Error> {
        self.hear(caller, "remove_client_secret", (client, secret))
    }

    async fn create_key(
        &self,
        caller: &Caller,
        new: NewApiKey,
    ) -> Result<NewlyMade<ApiKey>, Error> {
        self.hear(caller, "create_key", new)?;
        Ok(NewlyMade {
            made: api_key(),
            secret: Some("sk-text".into()),
        })
    }

    async fn keys(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        page: Page,
    ) -> Result<Vec<ApiKey>, Error> {
        self.hear(caller, "keys", (tenant, page))?;
        Ok(vec![api_key()])
    }

    async fn key(&self, caller: &Caller, id: &str) -> Result<ApiKey, Error> {
        self.hear(caller, "key", id)?;
        Ok(api_key())
    }

    async fn update_key(
        &self,
        caller: &Caller,
        id: &str,
        patch: ApiKeyPatch,
    ) -> Result<ApiKey, Error> {
        self.hear(caller, "update_key", (id, patch))?;
        Ok(api_key())
    }

    async fn limits(&self, caller: &Caller, tenant: Option<TenantId>) -> Result<Vec<Limit>, Error> {
        self.hear(caller, "limits", tenant)?;
        Ok(vec![limit()])
    }

    async fn set_limit(&self, caller: &Caller, limit: Limit) -> Result<Limit, Error> {
        self.hear(caller, "set_limit", limit.clone())?;
        Ok(limit)
    }

    async fn remove_limit(&self, caller: &Caller, target: LimitTarget) -> Result<(), Error> {
        self.hear(caller, "remove_limit", target)
    }

    async fn signing_keys(&self, caller: &Caller) -> Result<Vec<SigningKey>, Error> {
        self.hear(caller, "signing_keys", ())?;
        Ok(vec![signing_key()])
    }

    async fn rotate_signing_key(&self, caller: &Caller) -> Result<SigningKey, Error> {
        self.hear(caller, "rotate_signing_key", ())?;
        Ok(signing_key())
    }

    async fn retire_signing_key(&self, caller: &Caller, kid: &str) -> Result<SigningKey, Error> {
        self.hear(caller, "retire_signing_key", kid)?;
        Ok(signing_key())
    }

    /// Three rows, at most as many as are wanted.
    async fn audit(&self, caller: &Caller, page: AuditPage) -> Result<Vec<AuditEntry>, Error> {
        self.hear(caller, "audit", page)?;
        let rows = (page.after + 1..=3).map(entry);
        Ok(rows.take(page.limit() as usize).collect())
    }
}
