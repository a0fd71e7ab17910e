use std::fmt::Debug;

use fathom_auth::Actor;
use fathom_proto::administration::{
    Administration, ApiKeyPatch, AuditPage, Caller, ClientMethod, ClientPatch, NewApiKey,
    NewClient, NewClientSecret, NewTenant, Page, TenantPatch,
};
use fathom_proto::identity::{Limit, LimitTarget, Limits, Scope, Scopes};
use fathom_proto::{Error, ErrorCode};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::at_rest::dump;
use crate::harness::{Database, Home, TENANT, new_client, new_key, now, on_both_databases, token};

mod fields;
mod resources;

on_both_databases!(
    every_method_needs_the_scope_admin,
    an_unknown_or_foreign_id_is_not_found,
    text_that_means_something_to_a_database_is_only_text,
    every_change_is_logged_with_who_made_it_and_without_a_secret,
);

fn id_limit(id: &str) -> Limit {
    Limit {
        target: LimitTarget {
            tenant: id.into(),
            subject: None,
            model: None,
        },
        limits: Limits {
            concurrent_requests: Some(0),
            ..Limits::default()
        },
    }
}

fn outcome<T: Debug>(
    name: &'static str,
    result: Result<T, Error>,
) -> (&'static str, Result<(), Error>) {
    (name, result.map(drop))
}

/// Every method that takes an id, with this one.
async fn with_id(
    port: &dyn Administration,
    caller: &Caller,
    id: &str,
) -> Vec<(&'static str, Result<(), Error>)> {
    let page = Page::default;
    let client = NewClient {
        tenant: id.into(),
        ..new_client()
    };
    let key = NewApiKey {
        tenant: id.into(),
        ..new_key()
    };
    let secret = NewClientSecret::default();
    let limit = id_limit(id);
    let target = limit.target.clone();
    let of = Some(id.into());
    vec![
        outcome("tenant", port.tenant(caller, id).await),
        outcome(
            "update_tenant",
            port.update_tenant(caller, id, TenantPatch::default()).await,
        ),
        outcome("create_client", port.create_client(caller, client).await),
        outcome("clients", port.clients(caller, of.clone(), page()).await),
        outcome("client", port.client(caller, id).await),
        outcome(
            "update_client",
            port.update_client(caller, id, ClientPatch::default()).await,
        ),
        outcome(
            "add_client_secret",
            port.add_client_secret(caller, id, secret).await,
        ),
        outcome(
            "remove_client_secret",
            port.remove_client_secret(caller, id, id).await,
        ),
        outcome("create_key", port.create_key(caller, key).await),
        outcome("keys", port.keys(caller, of.clone(), page()).await),
        outcome("key", port.key(caller, id).await),
        outcome(
            "update_key",
            port.update_key(caller, id, ApiKeyPatch::default()).await,
        ),
        outcome("limits", port.limits(caller, of).await),
        outcome("set_limit", port.set_limit(caller, limit).await),
        outcome("remove_limit", port.remove_limit(caller, target).await),
        outcome(
            "retire_signing_key",
            port.retire_signing_key(caller, id).await,
        ),
    ]
}

/// Every method that takes none.
async fn without_id(
    port: &dyn Administration,
    caller: &Caller,
) -> Vec<(&'static str, Result<(), Error>)> {
    let tenant = NewTenant {
        id: "other".into(),
        name: "Other".to_owned(),
        expires_at: None,
    };
    vec![
        outcome("create_tenant", port.create_tenant(caller, tenant).await),
        outcome("tenants", port.tenants(caller, Page::default()).await),
        outcome("signing_keys", port.signing_keys(caller).await),
        outcome("rotate_signing_key", port.rotate_signing_key(caller).await),
        outcome("audit", port.audit(caller, AuditPage::default()).await),
    ]
}

/// SEC-51: nobody, a stranger, and each identity without the scope, at every method.
async fn every_method_needs_the_scope_admin(database: Database) {
    let home = Home::on(database).await;
    let others: Vec<_> = Scope::ALL
        .into_iter()
        .filter(|s| *s != Scope::Admin)
        .collect();
    let key = NewApiKey {
        scopes: others.into_iter().collect(),
        ..new_key()
    };
    let key = home.auth.create_key(&Actor::System, key).await.unwrap();
    let client = home.client(false).await;
    let token = home.token(&client).await.unwrap();
    let admin = home.admin().await;
    let wrong = format!("{}A", admin.0.expose_secret());
    let rows = home.auth.verify_audit(None).await.unwrap().rows;
    for (bearer, code) in [
        (String::new(), ErrorCode::Unauthenticated),
        ("sk-nobody".to_owned(), ErrorCode::Unauthenticated),
        (wrong, ErrorCode::Unauthenticated),
        (
            key.secret.unwrap().expose_secret().to_owned(),
            ErrorCode::PermissionDenied,
        ),
        (
            token.expose_secret().to_owned(),
            ErrorCode::PermissionDenied,
        ),
    ] {
        let caller = Caller(bearer.into());
        let mut outcomes = with_id(&home.auth, &caller, TENANT).await;
        outcomes.extend(without_id(&home.auth, &caller).await);
        assert_eq!(outcomes.len(), 21, "all methods of the port");
        for (name, result) in outcomes {
            let error = result.unwrap_err();
            assert_eq!(error.code, code, "{name}");
        }
    }
    assert_eq!(home.auth.verify_audit(None).await.unwrap().rows, rows);
}

/// SEC-51: whether an id is nobody's or another's, the answer is the same.
async fn an_unknown_or_foreign_id_is_not_found(database: Database) {
    let home = Home::on(database).await;
    home.tenant("other").await;
    let admin = home.admin().await;
    let auth: &dyn Administration = &home.auth;
    let unknown = "0".repeat(32);
    for (name, result) in with_id(auth, &admin, &unknown).await {
        assert_eq!(result.unwrap_err().code, ErrorCode::NotFound, "{name}");
    }

    let one = auth.create_client(&admin, new_client()).await.unwrap();
    let other = auth.create_client(&admin, new_client()).await.unwrap();
    let (one, other) = (one.made, other.made);
    let secret = &other.secrets[0].id;
    let error = auth.remove_client_secret(&admin, &one.id, secret).await;
    assert_eq!(error.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(auth.client(&admin, &other.id).await.unwrap(), other);

    let key = auth.create_key(&admin, new_key()).await.unwrap().made;
    for subject in [&one.id, &key.id, &unknown] {
        let mut limit = id_limit("other");
        limit.target.subject = Some(subject.clone());
        let error = auth.set_limit(&admin, limit.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
        let error = auth.remove_limit(&admin, limit.target).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    }
    // A key's id is no client's, and the other way round.
    let error = auth.client(&admin, &key.id).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    let error = auth.key(&admin, &one.id).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
}

/// SEC-21, in every field of every method: refused as what it is, or kept as it is.
async fn text_that_means_something_to_a_database_is_only_text(database: Database) {
    let home = Home::on(database).await;
    let admin = home.admin().await;
    let auth: &dyn Administration = &home.auth;
    let made = auth.create_client(&admin, new_client()).await.unwrap().made;
    let long = "a".repeat(1024 * 1024);
    for text in [
        "' OR '1'='1",
        "'; DROP TABLE tenants; --",
        "\"; --",
        "%",
        "_",
        "\\",
        "$1",
        "\0",
        "a\0b",
        "\u{202e}\u{feff}",
        "\u{fffd}",
        "🦀",
        "é́́́",
        &long,
    ] {
        let shown: String = text.chars().take(30).collect();
        for (name, result) in with_id(auth, &admin, text).await {
            let error = result.unwrap_err();
            assert_eq!(error.code, ErrorCode::NotFound, "{name} {shown:?}");
        }
        let page = Page {
            after: Some(text.to_owned()),
            limit: None,
        };
        let pages = [
            outcome("tenants", auth.tenants(&admin, page.clone()).await),
            outcome("clients", auth.clients(&admin, None, page.clone()).await),
            outcome("keys", auth.keys(&admin, None, page).await),
        ];
        let id = NewTenant {
            id: text.into(),
            name: "T".to_owned(),
            expires_at: None,
        };
        let models = NewClient {
            models: Some(vec![text.into()]),
            ..new_client()
        };
        let jwks = NewClient {
            method: ClientMethod::PrivateKeyJwt,
            jwks: Some(json!({ "keys": [text] })),
            ..new_client()
        };
        let mut model = id_limit(TENANT);
        model.target.model = Some(text.into());
        let fields = [
            outcome("tenant.id", auth.create_tenant(&admin, id).await),
            outcome("client.models", auth.create_client(&admin, models).await),
            outcome("client.jwks", auth.create_client(&admin, jwks).await),
            outcome("limit.model", auth.set_limit(&admin, model).await),
        ];
        for (name, result) in pages.into_iter().chain(fields) {
            if let Err(error) = result {
                assert_eq!(error.code, ErrorCode::InvalidRequest, "{name} {shown:?}");
                assert!(error.param.is_some(), "{name} {shown:?}");
                assert!(error.message.len() < 300, "{name} {shown:?}");
            }
        }
        let patch = ClientPatch {
            name: Some(text.to_owned()),
            ..ClientPatch::default()
        };
        match auth.update_client(&admin, &made.id, patch).await {
            Ok(client) => assert_eq!(client.name, text),
            Err(error) => assert_eq!(error.param.as_deref(), Some("name"), "{shown:?}"),
        }
    }
    auth.tenant(&admin, TENANT).await.unwrap();
    home.auth.verify_audit(None).await.unwrap();
}

async fn every_change_is_logged_with_who_made_it_and_without_a_secret(database: Database) {
    let home = Home::on(database).await;
    let admin = home.admin().await;
    let actor = admin.0.expose_secret().split('-').nth(1).unwrap();
    let before = home.auth.verify_audit(None).await.unwrap().rows;
    let port: &dyn Administration = &home.auth;

    let client = port.create_client(&admin, new_client()).await.unwrap();
    let id = &client.made.id;
    let off = ClientPatch {
        disabled: Some(true),
        ..ClientPatch::default()
    };
    // The second time changes nothing, and is none.
    for _ in 0..2 {
        port.update_client(&admin, id, off.clone()).await.unwrap();
    }
    let secret = port.add_client_secret(&admin, id, NewClientSecret::default());
    let secret = secret.await.unwrap();
    port.remove_client_secret(&admin, id, &secret.made.id)
        .await
        .unwrap();
    let limit = id_limit(TENANT);
    for _ in 0..2 {
        port.set_limit(&admin, limit.clone()).await.unwrap();
    }
    port.remove_limit(&admin, limit.target.clone())
        .await
        .unwrap();

    let page = AuditPage {
        after: before,
        limit: None,
    };
    let log = port.audit(&admin, page).await.unwrap();
    let made = serde_json::to_value(&client.made).unwrap();
    let added = json!({ "secret": secret.made });
    let removed = json!({ "secret": { "id": secret.made.id } });
    let target = json!({ "target": limit.target });
    for (entry, (action, target, details)) in log.iter().zip([
        ("client.create", id.as_str(), made),
        ("client.update", id, json!({ "disabled": true })),
        ("client_secret.add", id, added),
        ("client_secret.remove", id, removed),
        ("limit.set", TENANT, serde_json::to_value(&limit).unwrap()),
        ("limit.remove", TENANT, target),
    ]) {
        assert_eq!(
            (entry.action.as_str(), entry.target.as_str()),
            (action, target)
        );
        assert_eq!(entry.details, details, "{action}");
        assert_eq!(entry.actor, format!("key:{actor}"));
        assert_eq!(entry.tenant.as_ref().unwrap().as_str(), TENANT);
        assert!((now() - 60..=now()).contains(&entry.at));
    }
    assert_eq!(log.len(), 6);
    let dump = dump(&home).await;
    for secret in [client.secret.unwrap(), secret.secret.unwrap()] {
        assert!(!dump.contains(secret.expose_secret()));
    }
}

/// An access token of a client with the scope is as good as a key, and is named.
#[tokio::test]
async fn a_client_may_administer() {
    let home = Home::new().await;
    let client = NewClient {
        scopes: Scopes::from_iter([Scope::Admin]),
        ..new_client()
    };
    let client = home
        .auth
        .create_client(&Actor::System, client)
        .await
        .unwrap();
    let caller = Caller(token(&home.auth, &client.clone().into()).await.unwrap());
    let port: &dyn Administration = &home.auth;
    port.create_key(&caller, new_key()).await.unwrap();
    let log = port.audit(&caller, AuditPage::default()).await.unwrap();
    assert_eq!(
        log.last().unwrap().actor,
        format!("client:{}", client.made.id)
    );
}
