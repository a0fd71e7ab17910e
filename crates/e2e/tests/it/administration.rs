//! Changes to identities over HTTP: who may make them, and what they do.

use fathom_e2e::Cluster;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::in_both_wirings;
use crate::operator::Operator;

/// Every route with a body that would do.
fn routes(tenant: &str, client: &str, key: &str) -> Vec<(Method, String, Option<Value>)> {
    let new = |name: &str| json!({"tenant": tenant, "name": name, "scopes": ["inference"]});
    let patch = || Some(json!({"name": "other"}));
    vec![
        (Method::GET, "tenants".to_owned(), None),
        (
            Method::POST,
            "tenants".to_owned(),
            Some(json!({"id": "new", "name": "New"})),
        ),
        (Method::GET, format!("tenants/{tenant}"), None),
        (Method::PATCH, format!("tenants/{tenant}"), patch()),
        (Method::GET, "clients".to_owned(), None),
        (Method::POST, "clients".to_owned(), Some(new("client"))),
        (Method::GET, format!("clients/{client}"), None),
        (Method::PATCH, format!("clients/{client}"), patch()),
        (
            Method::POST,
            format!("clients/{client}/secrets"),
            Some(json!({})),
        ),
        (Method::GET, "keys".to_owned(), None),
        (Method::POST, "keys".to_owned(), Some(new("key"))),
        (Method::GET, format!("keys/{key}"), None),
        (Method::PATCH, format!("keys/{key}"), patch()),
        (Method::GET, "limits".to_owned(), None),
        (
            Method::PUT,
            "limits".to_owned(),
            Some(json!({"target": {"tenant": tenant}, "limits": {"concurrent_requests": 9}})),
        ),
        (Method::GET, "signing-keys".to_owned(), None),
        (Method::POST, "signing-keys".to_owned(), None),
        (Method::GET, "audit".to_owned(), None),
    ]
}

in_both_wirings! {
    /// SEC-51: a key without the scope `admin` is refused on every route, and the same routes
    /// answer the operator.
    async fn administration_needs_its_scope(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let operator = Operator::of(&cluster);
        let (key, text) = operator.tenant_with_key("acme").await;
        let client = operator.make("clients", json!({
            "tenant": "acme", "name": "app", "scopes": ["inference"],
        })).await;
        let client = client["id"].as_str().unwrap();
        let low = Operator::with(&cluster, text);
        let nobody = Operator::with(&cluster, SecretString::from("sk-nobody"));
        for (method, path, body) in routes("acme", client, &key) {
            for (caller, expected) in [(&low, 403), (&nobody, 401)] {
                let (status, problem) = caller.send(method.clone(), &path, body.clone()).await;
                assert_eq!(status, expected, "{method} {path}");
                assert_eq!(problem["status"], expected, "{problem}");
                assert!(problem["title"].is_string() && problem["type"].is_string(), "{problem}");
            }
            let (status, answer) = operator.send(method.clone(), &path, body).await;
            assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        }
    }

    /// SEC-51: what is not there is 404, in every verb.
    async fn an_unknown_id_is_404(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let operator = Operator::of(&cluster);
        for (method, path, body) in routes("nobody", "nobody", "nobody") {
            if path.contains('/') {
                let (status, problem) = operator.send(method.clone(), &path, body).await;
                assert_eq!(status, 404, "{method} {path}: {problem}");
            }
        }
    }

    /// SEC-52: what a caller must not set is refused by name, not dropped.
    async fn members_that_are_not_the_callers_are_refused(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let operator = Operator::of(&cluster);
        let (key, _) = operator.tenant_with_key("acme").await;
        for member in ["id", "tenant", "role", "limits", "usage", "created_at", "disabled_at"] {
            let mut patch = serde_json::Map::new();
            patch.insert(member.to_owned(), json!("x"));
            let path = format!("keys/{key}");
            let (status, problem) = operator.send(Method::PATCH, &path, Some(patch.into())).await;
            assert!([400, 422].contains(&status), "{member}: {status}");
            assert!(problem.to_string().contains(member), "{problem}");
        }
    }

    /// Every change leaves its row, with who made it and without the secret.
    async fn every_change_is_in_the_audit_log(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let operator = Operator::of(&cluster);
        let (key, text) = operator.tenant_with_key("acme").await;
        operator.change(&format!("keys/{key}"), json!({"disabled": true})).await;
        let (_, log) = operator.send(Method::GET, "audit?limit=1000", None).await;
        let rows: Vec<&Value> = log["data"].as_array().unwrap().iter().collect();
        let actions: Vec<&str> = rows
            .iter()
            .filter(|row| row["tenant"] == "acme")
            .map(|row| row["action"].as_str().unwrap())
            .collect();
        assert_eq!(actions, ["tenant.create", "key.create", "key.update"]);
        let admin = cluster.demo.admin_key.expose_secret();
        let admin = admin.split('-').nth(1).unwrap();
        let last = rows.last().unwrap();
        assert_eq!(last["actor"], format!("key:{admin}"));
        assert_eq!(last["target"], key);
        assert!(!log.to_string().contains(text.expose_secret()));
    }
}
