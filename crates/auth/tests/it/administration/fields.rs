//! What the fields may hold.

use fathom_proto::administration::{SigningKey, Tenant};
use serde::de::DeserializeOwned;

use super::*;

fn refusal<T: Debug>(result: Result<T, fathom_auth::Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_refused_field_is_named_with_what_would_be_right() {
    let home = Home::new().await;
    let auth = &home.auth;
    let key = |change: fn(&mut NewApiKey)| {
        let mut key = new_key();
        change(&mut key);
        async move { refusal(auth.create_key(&Actor::System, key).await) }
    };
    assert_eq!(
        key(|key| key.name.clear()).await,
        "name must be 1 to 200 characters, none of them a control character"
    );
    assert_eq!(
        key(|key| key.scopes = Scopes::default()).await,
        "scopes must name at least one scope"
    );
    assert_eq!(
        key(|key| key.models = Some(Vec::new())).await,
        "models must name 1 to 100 models; leave it out to allow all"
    );
    assert_eq!(
        key(|key| key.models = Some(vec!["m".into(); 101])).await,
        "models must name 1 to 100 models; leave it out to allow all"
    );
    assert_eq!(
        key(|key| key.expires_at = Some(now())).await,
        "expires_at must be in the future"
    );
    assert_eq!(
        key(|key| key.expires_at = Some(now() * 1_000)).await,
        "expires_at must be in seconds since the epoch, and before the year 10000"
    );
    let tenant = NewTenant {
        id: "Acme!".into(),
        name: "A".to_owned(),
        expires_at: None,
    };
    assert_eq!(
        refusal(auth.create_tenant(&Actor::System, tenant).await),
        "id must be 1 to 64 of a-z, 0-9, `-`, `_` and `.`"
    );
    let again = NewTenant {
        id: TENANT.into(),
        name: "A".to_owned(),
        expires_at: None,
    };
    assert_eq!(
        refusal(auth.create_tenant(&Actor::System, again).await),
        "tenant acme exists; choose another id"
    );
    for limit in [0, 1_001] {
        let page = Page {
            after: None,
            limit: Some(limit),
        };
        assert_eq!(refusal(auth.tenants(page).await), "limit must be 1 to 1000");
    }
    let mut limit = id_limit(TENANT);
    limit.limits = Limits::default();
    assert_eq!(
        refusal(auth.set_limit(&Actor::System, limit.clone()).await),
        "limits must name at least one amount; to lift limits, remove them"
    );
    limit.limits.tokens_per_minute = Some(u64::MAX);
    assert_eq!(
        refusal(auth.set_limit(&Actor::System, limit).await),
        "limits must be amounts below 2^63"
    );
}

#[tokio::test]
async fn a_client_has_what_its_method_needs_and_nothing_else() {
    let home = Home::new().await;
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "1" }] });
    let create = |change: &dyn Fn(&mut NewClient)| {
        let mut client = new_client();
        change(&mut client);
        let auth = home.auth.clone();
        async move { auth.create_client(&Actor::System, client).await }
    };
    let with_keys = |client: &mut NewClient| {
        client.method = ClientMethod::PrivateKeyJwt;
        client.jwks = Some(jwks.clone());
    };
    for (field, change) in [
        (
            "jwks",
            &(|c: &mut NewClient| c.method = ClientMethod::PrivateKeyJwt)
                as &dyn Fn(&mut NewClient),
        ),
        ("jwks", &|c| c.jwks = Some(jwks.clone())),
        ("self_signed_bearer", &|c| {
            with_keys(c);
            c.self_signed_bearer = true;
        }),
        ("token_endpoint_audience", &|c| {
            c.token_endpoint_audience = true;
        }),
        ("jwks", &|c| {
            with_keys(c);
            c.jwks = Some(json!({ "keys": [] }));
        }),
    ] {
        let message = refusal(create(change).await);
        assert!(message.starts_with(&format!("{field} ")), "{message}");
    }

    let made = create(&with_keys).await.unwrap();
    assert!(made.secret.is_none() && made.made.secrets.is_empty());
    let id = &made.made.id;
    let more = home
        .auth
        .add_client_secret(&Actor::System, id, NewClientSecret::default());
    assert!(refusal(more.await).starts_with("client has the method private_key_jwt"));

    let plain = create(&|_| {}).await.unwrap().made.id;
    let patch = ClientPatch {
        self_signed_bearer: Some(true),
        ..ClientPatch::default()
    };
    let message = refusal(home.auth.update_client(&Actor::System, &plain, patch).await);
    assert!(
        message.starts_with("self_signed_bearer can be switched on when"),
        "{message}"
    );
    let patch = ClientPatch {
        jwks: Some(jwks.clone()),
        ..ClientPatch::default()
    };
    let message = refusal(home.auth.update_client(&Actor::System, &plain, patch).await);
    assert_eq!(message, "jwks is for the method private_key_jwt alone");
}

/// SEC-52: who sends `role` or `limits` along is told, and a field of the answer is none of the
/// request.
#[test]
fn a_member_that_is_not_known_is_refused() {
    fn assert_closed<T: DeserializeOwned>(good: serde_json::Value) {
        serde_json::from_value::<T>(good.clone()).map(drop).unwrap();
        for member in [
            "role",
            "limits_",
            "usage",
            "tenant_id",
            "created_at",
            "admin",
            "secrets",
        ] {
            let mut bad = good.clone();
            bad[member] = json!("admin");
            let error = serde_json::from_value::<T>(bad).map(drop).unwrap_err();
            assert!(error.to_string().contains(member), "{error}");
        }
    }
    let new = json!({ "tenant": "t", "name": "n", "scopes": ["inference"] });
    assert_closed::<NewTenant>(json!({ "id": "t", "name": "n" }));
    assert_closed::<NewClient>(new.clone());
    assert_closed::<NewApiKey>(new);
    assert_closed::<NewClientSecret>(json!({}));
    assert_closed::<TenantPatch>(json!({}));
    assert_closed::<ClientPatch>(json!({}));
    assert_closed::<ApiKeyPatch>(json!({}));
    assert_closed::<Page>(json!({}));
    assert_closed::<AuditPage>(json!({}));
    assert_closed::<Limits>(json!({}));
    assert_closed::<LimitTarget>(json!({ "tenant": "t" }));
    assert_closed::<Limit>(json!({ "target": { "tenant": "t" }, "limits": {} }));
    // A patch cannot move anything to another tenant, or give it another id.
    for member in ["id", "tenant", "method", "disabled_at"] {
        let patch = json!({ member: "x" });
        assert!(serde_json::from_value::<ClientPatch>(patch.clone()).is_err());
        assert!(serde_json::from_value::<ApiKeyPatch>(patch.clone()).is_err());
        assert!(serde_json::from_value::<TenantPatch>(patch).is_err());
    }
}

/// The types of answers are read by clients of an older release, which take what they do not know.
#[test]
fn an_answer_may_grow() {
    let tenant = json!({ "id": "t", "name": "n", "created_at": 1, "more": true });
    serde_json::from_value::<Tenant>(tenant).unwrap();
    let key = json!({ "kid": "k", "algorithm": "EdDSA", "state": "signing",
        "created_at": 1, "signs_from": 1, "more": true });
    serde_json::from_value::<SigningKey>(key).unwrap();
}
