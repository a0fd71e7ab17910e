use fathom_auth::Actor;
use fathom_proto::administration::NewClientSecret;
use fathom_proto::identity::Scopes;
use secrecy::ExposeSecret as _;

use crate::harness::{
    ClientCredentials, Database, Home, TENANT, hs256, now, on_both_databases, scopes, self_signed,
};

on_both_databases!(
    a_bearer_ends_with_its_secret,
    the_documents_own_token_leads_to_its_client,
    clocks_may_be_a_minute_apart,
    what_else_a_good_token_says_is_not_used,
    any_live_secret_of_the_client_may_have_signed,
    a_client_cannot_sign_when_it_ends
);

async fn the_documents_own_token_leads_to_its_client(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(true).await;
    let iat = now();
    let principal = home
        .authenticate(&self_signed(&client, iat, iat + 3600))
        .await
        .unwrap();
    assert_eq!(principal.tenant.as_str(), TENANT);
    assert_eq!(principal.subject, client.id);
    assert_eq!(principal.scopes, scopes());
    assert_eq!(principal.expires_at, Some(iat + 3600));
}

async fn clocks_may_be_a_minute_apart(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(true).await;
    let now = now();
    for (iat, exp) in [
        (now + 50, now + 3650),
        (now - 3600, now - 50),
        (now, now + 1),
    ] {
        home.authenticate(&self_signed(&client, iat, exp))
            .await
            .unwrap();
    }
}

/// Part of SEC-3: keys and addresses of keys in a header are not looked at.
async fn what_else_a_good_token_says_is_not_used(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(true).await;
    let secret = client.secret.expose_secret().as_bytes();
    let (id, iat) = (&client.id, now());
    let exp = iat + 60;
    let plain = format!(r#"{{"iss":"{id}","iat":{iat},"exp":{exp}}}"#);
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"jwt"}"#,
        r#"{"alg":"HS256","kid":"../../dev/null"}"#,
        r#"{"alg":"HS256","kid":"' or 1=1"}"#,
        r#"{"alg":"HS256","jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/"}"#,
        r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#,
    ] {
        home.authenticate(&hs256(header, &plain, secret))
            .await
            .unwrap();
    }
    for claims in [
        format!(r#"{{"iss":"{id}","sub":"{id}","iat":{iat},"exp":{exp},"nbf":{iat}}}"#),
        format!(r#"{{"iss":"{id}","aud":"fathom","iat":{iat},"exp":{exp}}}"#),
        format!(r#"{{"iss":"{id}","aud":"http://127.0.0.1:8080","iat":{iat},"exp":{exp}}}"#),
        format!(r#"{{"iss":"{id}","iat":{iat},"exp":{exp},"scope":"admin","tenant":"other"}}"#),
    ] {
        let token = hs256(r#"{"alg":"HS256","typ":"JWT"}"#, &claims, secret);
        let principal = home.authenticate(&token).await.unwrap();
        assert_eq!(
            (principal.tenant.as_str(), principal.scopes),
            (TENANT, scopes()),
            "{claims}"
        );
    }
}

/// Part of SEC-12: a bearer ends with the secret that signed it, for who remembers it too.
async fn a_bearer_ends_with_its_secret(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(true).await;
    let (iat, end) = (now(), now() + 30);
    let new = NewClientSecret {
        expires_at: Some(end),
    };
    let added = home
        .auth
        .add_client_secret(&Actor::System, &client.id, new)
        .await
        .unwrap();
    let ending = ClientCredentials {
        secret: added.secret.unwrap(),
        ..client.clone()
    };
    for (signer, ends) in [(&ending, end), (&client, iat + 600)] {
        let bearer = self_signed(signer, iat, iat + 600);
        let principal = home.authenticate(&bearer).await.unwrap();
        assert_eq!(principal.expires_at, Some(ends));
    }
}

/// Part of SEC-12: while a secret is replaced, both hold.
async fn any_live_secret_of_the_client_may_have_signed(database: Database) {
    let home = Home::on(database).await;
    let (client, other) = (home.client(true).await, home.client(true).await);
    let iat = now();
    let mut second = client.clone();
    second.secret = other.secret.clone();
    let by_second = self_signed(&second, iat, iat + 60);
    home.assert_refused(&by_second, "another client's secret")
        .await;

    // The id of the row stays, so the sealed secret still opens.
    sqlx::query("UPDATE client_secrets SET client_id = $1")
        .bind(&client.id)
        .execute(&home.pool)
        .await
        .unwrap();
    home.authenticate(&by_second).await.unwrap();
    home.authenticate(&self_signed(&client, iat, iat + 60))
        .await
        .unwrap();
    home.token(&second).await.unwrap();
}

async fn a_client_cannot_sign_when_it_ends(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(true).await;
    let iat = now();
    let token = self_signed(&client, iat, iat + 60);
    for (off, on) in [
        (
            "UPDATE clients SET self_signed_bearer = 0",
            "UPDATE clients SET self_signed_bearer = 1",
        ),
        (
            "UPDATE clients SET disabled_at = 1",
            "UPDATE clients SET disabled_at = NULL",
        ),
        (
            "UPDATE clients SET expires_at = 1",
            "UPDATE clients SET expires_at = NULL",
        ),
        (
            "UPDATE client_secrets SET expires_at = 1",
            "UPDATE client_secrets SET expires_at = NULL",
        ),
        (
            "UPDATE tenants SET disabled_at = 1",
            "UPDATE tenants SET disabled_at = NULL",
        ),
    ] {
        home.authenticate(&token).await.unwrap();
        home.sql(off).await;
        home.assert_refused(&token, off).await;
        home.sql(on).await;
    }
    let principal = home.authenticate(&token).await.unwrap();
    assert_ne!(principal.scopes, Scopes::default());
}
