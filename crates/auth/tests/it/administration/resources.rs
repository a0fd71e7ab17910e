//! What is made, changed and listed.

use fathom_proto::identity::ModelAccess;

use super::*;
use crate::harness::ClientCredentials;

on_both_databases!(
    what_was_made_is_read_back_and_changed,
    lists_come_in_pages,
    a_client_has_up_to_four_secrets,
    models_and_limits_go_with_the_identity,
    two_changes_at_once_are_both_made,
    an_identity_ends_at_every_level,
);

async fn what_was_made_is_read_back_and_changed(database: Database) {
    let home = Home::on(database).await;
    let (auth, actor) = (&home.auth, Actor::System);
    let end = now() + 600;
    let tenant = NewTenant {
        id: "t.1-a_b".into(),
        name: "Büro".to_owned(),
        expires_at: Some(end),
    };
    let tenant = auth.create_tenant(&actor, tenant).await.unwrap();
    assert_eq!(auth.tenant("t.1-a_b").await.unwrap(), tenant);
    let patch = TenantPatch {
        name: Some("Amt".to_owned()),
        disabled: Some(true),
        expires_at: Some(None),
    };
    let patched = auth.update_tenant(&actor, "t.1-a_b", patch).await.unwrap();
    assert_eq!((patched.name.as_str(), patched.expires_at), ("Amt", None));
    assert!(patched.disabled_at.is_some());
    assert_eq!(auth.tenant("t.1-a_b").await.unwrap(), patched);

    let client = NewClient {
        models: Some(vec!["a".into(), "b/c:d".into()]),
        method: ClientMethod::ClientSecretJwt,
        self_signed_bearer: true,
        token_endpoint_audience: true,
        expires_at: Some(end),
        ..new_client()
    };
    let client = auth.create_client(&actor, client).await.unwrap().made;
    assert_eq!(auth.client(&client.id).await.unwrap(), client);
    let patch = ClientPatch {
        name: Some("it's".to_owned()),
        scopes: Some(Scopes::from_iter([Scope::Batch])),
        models: Some(None),
        self_signed_bearer: Some(false),
        token_endpoint_audience: Some(false),
        jwks: None,
        disabled: Some(false),
        expires_at: Some(Some(1)),
    };
    let patched = auth.update_client(&actor, &client.id, patch).await.unwrap();
    assert_eq!((patched.name.as_str(), &patched.models), ("it's", &None));
    assert_eq!((patched.disabled_at, patched.expires_at), (None, Some(1)));
    assert!(!patched.self_signed_bearer && !patched.token_endpoint_audience);
    assert_eq!(auth.client(&client.id).await.unwrap(), patched);

    let key = NewApiKey {
        models: Some(vec!["a".into()]),
        expires_at: Some(end),
        ..new_key()
    };
    let key = auth.create_key(&actor, key).await.unwrap().made;
    assert_eq!(auth.key(&key.id).await.unwrap(), key);
    let off = ApiKeyPatch {
        disabled: Some(true),
        ..ApiKeyPatch::default()
    };
    let patched = auth.update_key(&actor, &key.id, off.clone()).await.unwrap();
    assert!(patched.disabled_at.is_some());
    let again = auth.update_key(&actor, &key.id, off).await.unwrap();
    assert_eq!(again, patched);
    let on = ApiKeyPatch {
        disabled: Some(false),
        ..ApiKeyPatch::default()
    };
    assert_eq!(auth.update_key(&actor, &key.id, on).await.unwrap(), key);
}

async fn lists_come_in_pages(database: Database) {
    let home = Home::on(database).await;
    let auth = &home.auth;
    home.tenant("other").await;
    for _ in 0..5 {
        home.client(false).await;
        home.api_key(None).await;
    }
    let other = NewApiKey {
        tenant: "other".into(),
        ..new_key()
    };
    let other = auth.create_key(&Actor::System, other).await.unwrap().made;

    let page = |after: Option<&str>, limit| Page {
        after: after.map(str::to_owned),
        limit: Some(limit),
    };
    let all = auth.keys(None, Page::default()).await.unwrap();
    assert_eq!(all.len(), 6);
    let mut seen = Vec::new();
    while let Ok(keys) = auth
        .keys(None, page(seen.last().map(String::as_str), 4))
        .await
    {
        if keys.is_empty() {
            break;
        }
        seen.extend(keys.into_iter().map(|key| key.id));
    }
    assert!(all.iter().map(|key| &key.id).eq(&seen));
    let of_other = auth.keys(Some("other".into()), Page::default()).await;
    assert_eq!(of_other.unwrap(), [other]);

    let clients = auth.clients(Some(TENANT.into()), Page::default()).await;
    let clients = clients.unwrap();
    assert_eq!(clients.len(), 5);
    for client in &clients {
        assert_eq!(client.secrets.len(), 1);
        assert_eq!(&auth.client(&client.id).await.unwrap(), client);
    }
    let second = auth.clients(None, page(Some(&clients[0].id), 1)).await;
    assert_eq!(second.unwrap(), clients[1..2]);
    let of_other = auth.clients(Some("other".into()), Page::default()).await;
    assert!(of_other.unwrap().is_empty());
    let tenants = auth.tenants(page(Some(TENANT), 1)).await.unwrap();
    assert_eq!(tenants[0].id.as_str(), "other");
}

async fn a_client_has_up_to_four_secrets(database: Database) {
    let home = Home::on(database).await;
    let (auth, actor) = (&home.auth, Actor::System);
    let client = home.client(false).await;
    let add = || auth.add_client_secret(&actor, &client.id, NewClientSecret::default());
    let mut newest = add().await.unwrap();
    for _ in 0..2 {
        newest = add().await.unwrap();
    }
    let error = add().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "client has 4 secrets, which is the most; remove one first"
    );
    let with_new = ClientCredentials {
        id: client.id.clone(),
        secret: newest.secret.unwrap(),
    };
    home.token(&client).await.unwrap();
    home.token(&with_new).await.unwrap();

    auth.remove_client_secret(&actor, &client.id, &newest.made.id)
        .await
        .unwrap();
    assert!(home.token(&with_new).await.is_err());
    home.token(&client).await.unwrap();
    // One that is over does not count.
    add().await.unwrap();
    home.sql("UPDATE client_secrets SET expires_at = 1").await;
    assert!(auth.client(&client.id).await.unwrap().secrets.is_empty());
    add().await.unwrap();
}

async fn models_and_limits_go_with_the_identity(database: Database) {
    let home = Home::on(database).await;
    let (auth, actor) = (&home.auth, Actor::System);
    home.tenant("other").await;
    let key = NewApiKey {
        models: Some(vec!["a".into()]),
        ..new_key()
    };
    let key = auth.create_key(&actor, key).await.unwrap();
    let bearer = key.secret.unwrap();
    let limit = |tenant: &str, subject: Option<&str>, model: Option<&str>, amount| Limit {
        target: LimitTarget {
            tenant: tenant.into(),
            subject: subject.map(str::to_owned),
            model: model.map(Into::into),
        },
        limits: Limits {
            concurrent_requests: Some(amount),
            requests_per_minute: Some(u32::MAX),
            tokens_per_minute: Some(i64::MAX.unsigned_abs()),
            budget_micro_usd_per_day: Some(0),
            budget_micro_usd_per_month: None,
        },
    };
    let id = key.made.id.as_str();
    let expected = [
        limit(TENANT, None, None, 7),
        limit(TENANT, None, Some("a"), 1),
        limit(TENANT, Some(id), None, 2),
        limit(TENANT, Some(id), Some("a"), 3),
    ];
    let foreign = home.auth.create_key(&actor, new_key()).await.unwrap().made;
    for limit in [
        limit(TENANT, None, None, 5),
        limit("other", None, None, 4),
        limit(TENANT, Some(&foreign.id), None, 6),
    ]
    .iter()
    .chain(&expected)
    {
        auth.set_limit(&actor, limit.clone()).await.unwrap();
    }
    let principal = home.authenticate(bearer.expose_secret()).await.unwrap();
    assert_eq!(principal.models, ModelAccess::Only(["a".into()].into()));
    assert_eq!(*principal.limits, expected);
    assert_eq!(auth.limits(None).await.unwrap().len(), 6);
    let of_other = auth.limits(Some("other".into())).await.unwrap();
    assert_eq!(of_other, [limit("other", None, None, 4)]);

    for limit in expected {
        auth.remove_limit(&actor, limit.target).await.unwrap();
    }
    let principal = home.authenticate(bearer.expose_secret()).await.unwrap();
    assert!(principal.limits.is_empty());
}

async fn two_changes_at_once_are_both_made(database: Database) {
    let home = Home::on(database).await;
    let key = home.auth.create_key(&Actor::System, new_key()).await;
    let id = key.unwrap().made.id;
    for i in 0..10 {
        let name = format!("name {i}");
        let rename = ApiKeyPatch {
            name: Some(name.clone()),
            ..ApiKeyPatch::default()
        };
        let toggle = ApiKeyPatch {
            disabled: Some(i % 2 == 0),
            ..ApiKeyPatch::default()
        };
        let (one, two) = tokio::join!(
            home.auth.update_key(&Actor::System, &id, rename),
            home.auth.update_key(&Actor::System, &id, toggle),
        );
        one.unwrap();
        two.unwrap();
        let key = home.auth.key(&id).await.unwrap();
        assert_eq!((key.name, key.disabled_at.is_some()), (name, i % 2 == 0));
    }
}

async fn an_identity_ends_at_every_level(database: Database) {
    let home = Home::on(database).await;
    let (auth, actor) = (&home.auth, Actor::System);
    let client = home.client(true).await;
    let works = async || home.token(&client).await.is_ok();
    let tenant = async |patch| auth.update_tenant(&actor, TENANT, patch).await.unwrap();
    let own = async |patch| auth.update_client(&actor, &client.id, patch).await.unwrap();
    let of_tenant = |disabled, expires_at| TenantPatch {
        disabled: Some(disabled),
        expires_at: Some(expires_at),
        ..TenantPatch::default()
    };
    let of_client = |disabled, expires_at| ClientPatch {
        disabled: Some(disabled),
        expires_at: Some(expires_at),
        ..ClientPatch::default()
    };
    assert!(works().await);
    for (disabled, expires_at) in [(true, None), (false, Some(1))] {
        tenant(of_tenant(disabled, expires_at)).await;
        assert!(!works().await);
        tenant(of_tenant(false, None)).await;
        own(of_client(disabled, expires_at)).await;
        assert!(!works().await);
        own(of_client(false, Some(now() + 600))).await;
        assert!(works().await);
    }
}
