//! `/admin/v1`: what an operator sees.

use std::sync::Arc;

use self::fake::FakeAdministration;
use super::*;
use crate::identity::fake::{AUTH_IS_DOWN, NO_SCOPES};
use crate::policy::Policy;

pub mod fake;
pub mod models;

/// Every route and method, with a body that would do.
const CALLS: [(&str, &str, &str); 31] = [
    ("GET", "/admin/v1/tenants", ""),
    (
        "POST",
        "/admin/v1/tenants",
        r#"{"id": "acme", "name": "Acme"}"#,
    ),
    ("GET", "/admin/v1/tenants/{id}", ""),
    ("PATCH", "/admin/v1/tenants/{id}", r#"{"name": "Acme"}"#),
    ("GET", "/admin/v1/clients", ""),
    ("POST", "/admin/v1/clients", NEW),
    ("GET", "/admin/v1/clients/{id}", ""),
    ("PATCH", "/admin/v1/clients/{id}", r#"{"name": "App"}"#),
    ("POST", "/admin/v1/clients/{id}/secrets", "{}"),
    ("DELETE", "/admin/v1/clients/{id}/secrets/{secret}", ""),
    ("GET", "/admin/v1/keys", ""),
    ("POST", "/admin/v1/keys", NEW),
    ("GET", "/admin/v1/keys/{id}", ""),
    ("PATCH", "/admin/v1/keys/{id}", r#"{"name": "App"}"#),
    ("GET", "/admin/v1/limits", ""),
    ("PUT", "/admin/v1/limits", LIMIT),
    ("DELETE", "/admin/v1/limits?tenant=acme", ""),
    ("GET", "/admin/v1/signing-keys", ""),
    ("POST", "/admin/v1/signing-keys", ""),
    ("DELETE", "/admin/v1/signing-keys/{kid}", ""),
    ("GET", "/admin/v1/audit", ""),
    ("GET", "/admin/v1/models", ""),
    (
        "POST",
        "/admin/v1/models",
        r#"{"id": "chat", "owned_by": "me", "context_length": 4096}"#,
    ),
    ("GET", "/admin/v1/models/{id}", ""),
    ("PATCH", "/admin/v1/models/{id}", r#"{"hedging": true}"#),
    (
        "POST",
        "/admin/v1/models/{id}/deploy",
        r#"{"target": "chat-q4", "percent": 5}"#,
    ),
    ("POST", "/admin/v1/models/{id}/promote", "{}"),
    ("POST", "/admin/v1/models/{id}/rollback", r#"{"to": 3}"#),
    ("POST", "/admin/v1/models/{id}/abort", "{}"),
    ("GET", "/admin/v1/models/{id}/versions", ""),
    ("GET", "/admin/v1/models/{id}/history", ""),
];
const NEW: &str = r#"{"tenant": "acme", "name": "App", "scopes": ["inference"]}"#;
const LIMIT: &str = r#"{"target": {"tenant": "acme"}, "limits": {"concurrent_requests": 1}}"#;

/// A path of the table with `id` in it.
fn path(pattern: &str, id: &str) -> String {
    pattern
        .replace("{id}", id)
        .replace("{secret}", "s-1")
        .replace("{kid}", id)
}

async fn ask(method: &str, path: &str, bearer: Option<&str>, body: &str) -> Answer {
    let method = method.parse().unwrap();
    let request = request(method, path, bearer, body.to_owned());
    send(routes(gateway()), request).await
}

/// Asserts the form of RFC 9457, and gives the problem.
#[track_caller]
fn problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let problem = answer.json();
    let code = problem["code"].as_str().unwrap();
    assert_eq!(problem["type"], format!("urn:fathom:error:{code}"));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(problem["request_id"], id);
    problem
}

/// SEC-51, and part of SEC-24: nobody gets past without the scope `admin`, on any route.
#[tokio::test]
async fn administration_needs_its_scope_on_every_route() {
    for (method, pattern, body) in CALLS {
        let path = path(pattern, "k-1");
        for (bearer, status, challenge) in [
            (None, 401, "Bearer realm=\"fathom\""),
            (
                Some("unknown"),
                401,
                "Bearer realm=\"fathom\", error=\"invalid_token\"",
            ),
            (
                Some(NO_SCOPES),
                403,
                "Bearer realm=\"fathom\", error=\"insufficient_scope\", scope=\"admin\"",
            ),
        ] {
            let answer = ask(method, &path, bearer, body).await;
            problem(&answer, status);
            assert_eq!(answer.headers["www-authenticate"], challenge);
        }
        let down = ask(method, &path, Some(AUTH_IS_DOWN), body).await;
        problem(&down, 503);
        assert_eq!(down.headers["retry-after"], "1");
        let answer = ask(method, &path, Some(ALL_SCOPES), body).await;
        assert!(
            answer.status.is_success(),
            "{method} {path}: {}",
            answer.body
        );
    }
}

#[test]
fn every_route_of_administration_is_tested() {
    for (path, policy, _) in table() {
        if path.starts_with("/admin/") {
            assert_eq!(policy, Policy::Scope(Scope::Admin), "{path}");
            assert!(CALLS.iter().any(|(_, called, _)| *called == path), "{path}");
        }
    }
}

/// SEC-51: what is not there is 404, in every verb.
#[tokio::test]
async fn an_unknown_id_is_404() {
    for (method, pattern, body) in CALLS {
        if pattern.contains('{') {
            let path = path(pattern, "nobody");
            let answer = ask(method, &path, Some(ALL_SCOPES), body).await;
            assert_eq!(problem(&answer, 404)["code"], "not_found");
        }
    }
}

/// SEC-52: a member that is unknown, or is not the caller's to set, is refused by name.
#[tokio::test]
async fn unknown_members_are_refused_by_name() {
    for (method, pattern, body) in CALLS {
        if body.is_empty() {
            continue;
        }
        for member in ["role", "usage", "disabled_at", "created_at", "secret"] {
            let mut body: Value = serde_json::from_str(body).unwrap();
            body[member] = json!("x");
            let path = path(pattern, "k-1");
            let answer = ask(method, &path, Some(ALL_SCOPES), &body.to_string()).await;
            let problem = problem(&answer, 400);
            assert_eq!(problem["code"], "invalid_request");
            assert_eq!(problem["param"], member, "{method} {path}");
        }
    }
    let nested = r#"{"target": {"tenant": "acme"}, "limits": {"requests": 1}}"#;
    let answer = ask("PUT", "/admin/v1/limits", Some(ALL_SCOPES), nested).await;
    assert_eq!(problem(&answer, 400)["param"], "limits.requests");
    for query in ["limt=1", "limit=many", "limit=-1"] {
        let path = format!("/admin/v1/keys?{query}");
        let answer = ask("GET", &path, Some(ALL_SCOPES), "").await;
        let (name, _) = query.split_once('=').unwrap();
        let detail = problem(&answer, 400)["detail"].to_string();
        assert!(detail.contains(name), "{detail}");
    }
}

#[tokio::test]
async fn every_other_error_has_the_form_of_rfc_9457_too() {
    let admin = Some(ALL_SCOPES);
    let answer = ask("GET", "/admin/v1/nothing", admin, "").await;
    problem(&answer, 404);
    let answer = ask("PATCH", "/admin/v1/tenants", admin, "{}").await;
    problem(&answer, 405);
    assert_eq!(answer.headers["allow"], "GET,HEAD,POST");
    let long = " ".repeat(gateway().config.max_body_bytes + 1);
    let answer = ask("POST", "/admin/v1/tenants", admin, &long).await;
    problem(&answer, 413);
    let answer = ask("POST", "/admin/v1/tenants", admin, "{").await;
    problem(&answer, 400);
    let answer = ask("GET", "/admin/v1/tenants/%ff", admin, "").await;
    problem(&answer, 404);
    let form = Request::post("/admin/v1/tenants")
        .header("authorization", format!("Bearer {ALL_SCOPES}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("id=acme"))
        .unwrap();
    problem(&send(routes(gateway()), form).await, 415);
}

/// A secret is in the answer that makes it, where no cache keeps it, and in no other.
#[tokio::test]
async fn what_is_made_says_where_it_is_and_shows_its_secret_once() {
    let with_key = r#"{"tenant": "acme", "name": "App", "scopes": ["inference"],
        "method": "private_key_jwt", "jwks": {"keys": []}}"#;
    for (path, body, location, secret) in [
        (
            "tenants",
            r#"{"id": "acme", "name": "Acme"}"#,
            "tenants/acme",
            None,
        ),
        ("clients", NEW, "clients/c-1", Some("cs-text")),
        ("clients", with_key, "clients/c-1", None),
        (
            "clients/c-1/secrets",
            "{}",
            "clients/c-1/secrets/s-1",
            Some("cs-text"),
        ),
        ("keys", NEW, "keys/k-1", Some("sk-text")),
        ("signing-keys", "", "signing-keys/kid-1", None),
    ] {
        let answer = ask("POST", &format!("/admin/v1/{path}"), Some(ALL_SCOPES), body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let location = format!("/admin/v1/{location}");
        assert_eq!(answer.headers["location"], location.as_str());
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.json()["secret"].as_str(), secret);
    }
    for path in ["clients", "clients/c-1", "keys", "keys/k-1"] {
        let answer = ask("GET", &format!("/admin/v1/{path}"), Some(ALL_SCOPES), "").await;
        assert!(!answer.body.contains("text"), "{}", answer.body);
    }
}

#[tokio::test]
async fn lists_are_given_in_parts() {
    for (query, positions, has_more) in [
        ("", &[1, 2, 3][..], false),
        ("?limit=2", &[1, 2], true),
        ("?after=2&limit=2", &[3], false),
    ] {
        let path = format!("/admin/v1/audit{query}");
        let list = ask("GET", &path, Some(ALL_SCOPES), "").await.json();
        let data = list["data"].as_array().unwrap();
        let found: Vec<_> = data.iter().map(|row| &row["position"]).collect();
        assert_eq!(found, positions);
        assert_eq!(
            (&list["object"], &list["has_more"]),
            (&json!("list"), &json!(has_more))
        );
    }
}

/// What the port hears is what the request says, to the difference between absent and null.
#[tokio::test]
async fn the_port_hears_what_was_sent() {
    let port = Arc::new(FakeAdministration::default());
    let change = r#"{"models": null, "disabled": true}"#;
    let target = "/admin/v1/limits?tenant=acme&subject=k-1&model=deepseek-chat";
    for (method, path, body, status, heard) in [
        (
            "PATCH",
            "/admin/v1/keys/k-1",
            change,
            200,
            (
                "update_key",
                json!(["k-1", {"models": null, "disabled": true}]),
            ),
        ),
        (
            "GET",
            "/admin/v1/clients?tenant=acme&after=c-0&limit=5",
            "",
            200,
            ("clients", json!(["acme", {"after": "c-0", "limit": 5}])),
        ),
        (
            "DELETE",
            target,
            "",
            204,
            (
                "remove_limit",
                json!({"tenant": "acme", "subject": "k-1", "model": "deepseek-chat"}),
            ),
        ),
        (
            "DELETE",
            "/admin/v1/clients/c-1/secrets/s-1",
            "",
            204,
            ("remove_client_secret", json!(["c-1", "s-1"])),
        ),
        (
            "DELETE",
            "/admin/v1/signing-keys/kid-1",
            "",
            204,
            ("retire_signing_key", json!("kid-1")),
        ),
    ] {
        let mut gateway = gateway();
        gateway.administration = port.clone();
        let mut request = request(method.parse().unwrap(), path, Some(ALL_SCOPES), body);
        if method == "PATCH" {
            let merge_patch = "application/merge-patch+json".parse().unwrap();
            request.headers_mut().insert("content-type", merge_patch);
        }
        let answer = send(routes(gateway), request).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(port.heard(), heard);
    }
}
