use fathom_auth::Actor;
use fathom_proto::administration::{NewApiKey, NewClient};
use fathom_proto::identity::Identity;
use secrecy::ExposeSecret as _;

use crate::harness::{
    ClientCredentials, Database, Home, new_client, new_key, now, on_both_databases, scopes,
    self_signed,
};
use crate::oauth::{Signer, assert_refused, by_secret};

on_both_databases!(
    a_client_learns_what_a_token_of_its_tenant_is_good_for,
    a_token_of_another_tenant_or_that_does_not_hold_is_nothing,
    who_asks_must_prove_itself,
    what_a_client_may_do_is_told_while_it_may_do_anything
);

async fn a_client_learns_what_a_token_of_its_tenant_is_good_for(database: Database) {
    let home = Home::on(database).await;
    let (asking, client) = (home.client(false).await, home.client(true).await);
    let token = home.token(&client).await.unwrap();
    let found = home
        .introspect(&asking, token.expose_secret())
        .await
        .unwrap();
    assert_eq!(
        (found.subject.as_str(), found.scopes),
        (client.id.as_str(), scopes())
    );
    let made = found.issued_at.unwrap();
    assert!((now() - 5..=now()).contains(&made));
    assert_eq!(found.expires_at, Some(made + 3_600));
    assert!(found.token_id.is_some());
    assert!(
        home.introspect(&client, token.expose_secret())
            .await
            .is_some()
    );

    let iat = now();
    let own = self_signed(&client, iat, iat + 60);
    let found = home.introspect(&asking, &own).await.unwrap();
    assert_eq!(
        (found.issued_at, found.expires_at),
        (Some(iat), Some(iat + 60))
    );
    assert_eq!(found.token_id, None);

    let key = home.api_key(None).await;
    let found = home.introspect(&asking, key.expose_secret()).await.unwrap();
    assert!(key.expose_secret().contains(&found.subject));
    assert_eq!(
        (found.issued_at, found.expires_at, found.token_id),
        (None, None, None)
    );
}

/// Part of SEC-51 and SEC-12: what is another tenant's, or does not hold, is nothing.
async fn a_token_of_another_tenant_or_that_does_not_hold_is_nothing(database: Database) {
    let home = Home::on(database).await;
    let asking = home.client(false).await;
    home.tenant("other").await;
    let stranger = NewClient {
        tenant: "other".into(),
        ..new_client()
    };
    let stranger = home.auth.create_client(&Actor::System, stranger).await;
    let stranger = ClientCredentials::from(stranger.unwrap());
    let key = NewApiKey {
        tenant: "other".into(),
        ..new_key()
    };
    let key = home.auth.create_key(&Actor::System, key).await.unwrap();
    let key = key.secret.unwrap();
    let theirs = home.token(&stranger).await.unwrap();
    for token in [
        theirs.expose_secret(),
        key.expose_secret(),
        "",
        "rubbish",
        "a.b.c",
        "sk-1-2",
        &"a".repeat(9_000),
    ] {
        assert_eq!(home.introspect(&asking, token).await, None);
    }
    assert!(
        home.introspect(&stranger, theirs.expose_secret())
            .await
            .is_some()
    );

    let client = home.client(false).await;
    let token = home.token(&client).await.unwrap();
    sqlx::query("UPDATE clients SET disabled_at = 1 WHERE id = $1")
        .bind(&client.id)
        .execute(&home.pool)
        .await
        .unwrap();
    assert_eq!(home.introspect(&asking, token.expose_secret()).await, None);
    let signer = Signer::with_secret(&home).await;
    assert_eq!(
        home.introspect(&asking, &signer.assertion(&home, "1"))
            .await,
        None
    );
}

async fn who_asks_must_prove_itself(database: Database) {
    let home = Home::on(database).await;
    let mut client = home.client(false).await;
    let token = home.token(&client).await.unwrap();
    client.secret = "cs-wrong".into();
    let result = home.auth.introspect(by_secret(&client, None), token).await;
    assert_refused(result, "a wrong secret");
}

/// For gateways that verify tokens by themselves.
async fn what_a_client_may_do_is_told_while_it_may_do_anything(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let principal = Identity::client(&home.auth, &client.id).await.unwrap();
    assert_eq!(
        (principal.subject, principal.scopes),
        (client.id.clone(), scopes())
    );
    for id in ["", "nobody", "' OR '1'='1", "a\0b", &"a".repeat(100_000)] {
        assert_refused(Identity::client(&home.auth, id).await, id);
    }
    home.sql("UPDATE clients SET models = 'm1 m2', expires_at = 9000000000")
        .await;
    home.sql("UPDATE tenants SET expires_at = 8000000000").await;
    let principal = Identity::client(&home.auth, &client.id).await.unwrap();
    assert!(principal.models.allows(&"m2".into()) && !principal.models.allows(&"m3".into()));
    assert_eq!(principal.expires_at, Some(8_000_000_000));
    home.sql("UPDATE tenants SET disabled_at = 1").await;
    assert_refused(
        Identity::client(&home.auth, &client.id).await,
        "its tenant is disabled",
    );
}
