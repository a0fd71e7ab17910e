//! A port that remembers what it heard and answers the same to everybody.

use std::sync::Mutex;

use serde::Serialize;
use serde_json::{Value, json};

use super::*;
use crate::administration::{
    ApiKey, AuditEntry, Client, ClientSecret, NewlyMade, SigningKey, Tenant,
};
use crate::id::TenantId;
use crate::identity::{Limit, Limits};

#[derive(Default)]
pub struct Fake(Mutex<Option<(&'static str, Value)>>);

impl Fake {
    /// The last call: the method, and its arguments as JSON.
    pub fn heard(&self) -> (&'static str, Value) {
        self.0.lock().unwrap().take().unwrap()
    }

    /// Fails if the caller is the name of an error.
    fn hear(
        &self,
        Caller(bearer): &Caller,
        method: &'static str,
        arguments: impl Serialize,
    ) -> Result<(), Error> {
        let bearer = bearer.expose_secret();
        if let Some(code) = ErrorCode::from_name(bearer) {
            let error = Error::invalid("caller", "refused");
            return Err(Error { code, ..error });
        }
        assert_eq!(bearer, "sk-of-the-caller");
        *self.0.lock().unwrap() = Some((method, json!(arguments)));
        Ok(())
    }
}

pub fn tenant() -> Tenant {
    Tenant {
        id: "acme".into(),
        name: "Acme".into(),
        created_at: 1,
        disabled_at: Some(2),
        expires_at: Some(3),
    }
}

pub fn client() -> Client {
    Client {
        id: "c-1".into(),
        tenant: "acme".into(),
        name: "App".into(),
        scopes: scopes(),
        models: Some(vec!["deepseek-chat".into()]),
        method: ClientMethod::ClientSecretJwt,
        self_signed_bearer: true,
        token_endpoint_audience: true,
        jwks: Some(json!({"keys": [{"kty": "OKP"}]})),
        secrets: vec![secret()],
        created_at: 1,
        disabled_at: Some(2),
        expires_at: Some(3),
    }
}

pub fn secret() -> ClientSecret {
    ClientSecret {
        id: "s-1".into(),
        created_at: 1,
        expires_at: Some(3),
    }
}

pub fn api_key() -> ApiKey {
    ApiKey {
        id: "k-1".into(),
        tenant: "acme".into(),
        name: "App".into(),
        scopes: scopes(),
        models: Some(vec![]),
        created_at: 1,
        disabled_at: Some(2),
        expires_at: Some(3),
    }
}

pub fn limit() -> Limit {
    Limit {
        target: LimitTarget {
            tenant: "acme".into(),
            subject: Some("k-1".into()),
            model: Some("deepseek-chat".into()),
        },
        limits: Limits {
            concurrent_requests: Some(1),
            requests_per_minute: Some(0),
            tokens_per_minute: None,
            budget_micro_usd_per_day: Some(u64::MAX),
            budget_micro_usd_per_month: Some(5),
        },
    }
}

/// One signing key of each state.
pub fn signing_keys() -> Vec<SigningKey> {
    use crate::administration::SigningKeyState::{Published, Retired, Signing, Verifying};
    [Published, Signing, Verifying, Retired]
        .map(|state| SigningKey {
            kid: "kid-1".into(),
            algorithm: "EdDSA".into(),
            state,
            created_at: 1,
            signs_from: 2,
            retired_at: Some(3),
        })
        .into()
}

pub fn entry() -> AuditEntry {
    AuditEntry {
        position: 4,
        at: 5,
        actor: "operator:ada".into(),
        action: "key.create".into(),
        tenant: Some("acme".into()),
        target: "k-1".into(),
        details: json!({"name": "App"}),
    }
}

#[tonic::async_trait]
impl Administration for Fake {
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
        self.hear(caller, "create_client", new)?;
        Ok(NewlyMade {
            made: client(),
            secret: None,
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
        Ok(signing_keys())
    }

    async fn rotate_signing_key(&self, caller: &Caller) -> Result<SigningKey, Error> {
        self.hear(caller, "rotate_signing_key", ())?;
        Ok(signing_keys().remove(0))
    }

    async fn retire_signing_key(&self, caller: &Caller, kid: &str) -> Result<SigningKey, Error> {
        self.hear(caller, "retire_signing_key", kid)?;
        Ok(signing_keys().remove(3))
    }

    async fn audit(&self, caller: &Caller, page: AuditPage) -> Result<Vec<AuditEntry>, Error> {
        self.hear(caller, "audit", page)?;
        Ok(vec![entry()])
    }
}
