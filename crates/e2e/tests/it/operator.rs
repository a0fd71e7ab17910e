//! An operator, who changes identities over `/admin/v1`.

use fathom_e2e::Cluster;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// Calls with one credential.
pub struct Operator {
    http: reqwest::Client,
    base_url: String,
    bearer: SecretString,
}

impl Operator {
    /// The demo tenant's administrator.
    pub fn of(cluster: &Cluster) -> Self {
        Self::with(cluster, cluster.demo.admin_key.clone())
    }

    pub fn with(cluster: &Cluster, bearer: SecretString) -> Self {
        Self {
            http: reqwest::Client::new(),
            base_url: cluster.base_url.clone(),
            bearer,
        }
    }

    /// Status and JSON of the answer; `null` where there is no body.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/admin/v1/{path}", self.base_url);
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(self.bearer.expose_secret());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// What was made.
    pub async fn make(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.send(Method::POST, path, Some(body)).await;
        assert_eq!(status, 201, "{path}: {made}");
        made
    }

    pub async fn change(&self, path: &str, patch: Value) -> Value {
        let (status, changed) = self.send(Method::PATCH, path, Some(patch)).await;
        assert_eq!(status, 200, "{path}: {changed}");
        changed
    }

    /// A tenant with an API key that asks models: ids of both, and the key.
    pub async fn tenant_with_key(&self, tenant: &str) -> (String, SecretString) {
        self.make("tenants", json!({"id": tenant, "name": tenant}))
            .await;
        let key = json!({"tenant": tenant, "name": "app", "scopes": ["inference", "models:read"]});
        let made = self.make("keys", key).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("secret").into())
    }
}
