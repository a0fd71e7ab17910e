use std::sync::Arc;
use std::time::Duration;

use fathom_auth::{Auth, Config};
use fathom_proto::identity::{Identity as _, Scope, Scopes, TokenRequest};
use fathom_proto::{Error, ErrorCode};
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use secrecy::ExposeSecret as _;
use tokio::runtime::Runtime;

use crate::harness::{
    ClientCredentials, Database, Home, TENANT, now, on_both_databases, scopes, self_signed,
};
use crate::oauth::by_secret;

on_both_databases!(
    a_client_gets_a_token_that_leads_back_to_it,
    a_token_has_the_asked_scopes_if_the_client_has_them,
    a_token_outlives_a_restart,
    a_token_does_not_outlive_its_client,
    a_token_ends_with_its_client,
    a_token_of_another_issuer_or_audience_is_refused,
    the_lifetime_is_configured
);

fn request(client: &ClientCredentials, scopes: Option<Scopes>) -> TokenRequest {
    TokenRequest {
        client: by_secret(client, None),
        scopes,
    }
}

async fn a_client_gets_a_token_that_leads_back_to_it(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let token = home.auth.issue_token(request(&client, None)).await.unwrap();
    assert_eq!((token.expires_in, token.scopes), (3600, scopes()));
    let principal = home
        .authenticate(token.token.expose_secret())
        .await
        .unwrap();
    assert_eq!(principal.tenant.as_str(), TENANT);
    assert_eq!(principal.subject, client.id);
    assert_eq!(principal.scopes, scopes());
    let left = principal.expires_at.unwrap() - now();
    assert!((3590..=3600).contains(&left), "{left} s");
}

async fn a_token_has_the_asked_scopes_if_the_client_has_them(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let models = Scopes::from_iter([Scope::ModelsRead]);
    let token = home
        .auth
        .issue_token(request(&client, Some(models)))
        .await
        .unwrap();
    assert_eq!(token.scopes, models);
    let principal = home
        .authenticate(token.token.expose_secret())
        .await
        .unwrap();
    assert_eq!(principal.scopes, models);

    for wanted in [
        Scopes::default(),
        Scopes::from_iter([Scope::Admin]),
        Scopes::from_iter([Scope::Inference, Scope::Batch]),
    ] {
        let error = home
            .auth
            .issue_token(request(&client, Some(wanted)))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{wanted}");
        assert_eq!(error.param.as_deref(), Some("scope"), "{wanted}");
        assert_eq!(
            error.message,
            "scope must be one or more of: inference models:read"
        );
    }
}

/// Part of SEC-12 and SEC-21.
#[tokio::test]
async fn a_client_that_is_not_proven_gets_no_token() {
    fn assert_refused<T>(result: Result<T, Error>, why: &str) {
        let error = result.map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthenticated, "{why}");
        assert_eq!(error.message, "the credential is not valid", "{why}");
    }
    let home = Home::new().await;
    let (client, other) = (home.client(false).await, home.client(false).await);
    let secret = client.secret.expose_secret();
    for (id, secret) in [
        (client.id.as_str(), ""),
        (&client.id, other.secret.expose_secret()),
        (&client.id, &secret[1..]),
        (&client.id, &format!("{secret}\n")),
        (&client.id, &"a".repeat(9_000)),
        (&other.id, secret),
        ("", secret),
        ("' OR '1'='1", secret),
        ("%", secret),
        ("a\0b", secret),
        ("\u{fffd}", secret),
        (&"a".repeat(1024 * 1024), secret),
    ] {
        let (id, secret) = (id.to_owned(), secret.into());
        let wrong = ClientCredentials { id, secret };
        assert_refused(
            home.token(&wrong).await,
            &wrong.id[..wrong.id.len().min(40)],
        );
    }

    home.token(&client).await.unwrap();
    home.sql("UPDATE client_secrets SET expires_at = 1").await;
    assert_refused(home.token(&client).await, "no live secret");
    home.sql("UPDATE client_secrets SET expires_at = NULL")
        .await;
    home.sql("UPDATE clients SET expires_at = 1").await;
    assert_refused(home.token(&client).await, "expired");
    home.sql("UPDATE clients SET expires_at = NULL, disabled_at = 1")
        .await;
    assert_refused(home.token(&client).await, "disabled");
    home.sql("UPDATE clients SET disabled_at = NULL").await;
    home.sql("UPDATE tenants SET disabled_at = 1").await;
    assert_refused(home.token(&client).await, "tenant disabled");
}

async fn a_token_outlives_a_restart(database: Database) {
    let mut home = Home::on(database).await;
    let client = home.client(false).await;
    let token = home.token(&client).await.unwrap();
    home.restart().await;
    home.authenticate(token.expose_secret()).await.unwrap();
    home.token(&client).await.unwrap();
}

async fn a_token_does_not_outlive_its_client(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(true).await;
    let end = now() + 100;
    sqlx::query("UPDATE clients SET expires_at = $1")
        .bind(end)
        .execute(&home.pool)
        .await
        .unwrap();
    let token = home.auth.issue_token(request(&client, None)).await.unwrap();
    assert!(
        (90..=100).contains(&token.expires_in),
        "{} s",
        token.expires_in
    );
    let principal = home.auth.authenticate(token.token).await.unwrap();
    assert_eq!(principal.expires_at, Some(end));
    let own = self_signed(&client, now(), now() + 600);
    assert_eq!(home.authenticate(&own).await.unwrap().expires_at, Some(end));
}

/// Part of SEC-12: a token grants no more than its client still has.
async fn a_token_ends_with_its_client(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let token = home.token(&client).await.unwrap();
    let token = token.expose_secret();

    home.sql("UPDATE clients SET scopes = 'models:read batch'")
        .await;
    let principal = home.authenticate(token).await.unwrap();
    assert_eq!(principal.scopes, Scopes::from_iter([Scope::ModelsRead]));
    home.sql("UPDATE clients SET scopes = 'batch'").await;
    home.assert_refused(token, "a token without a scope left")
        .await;
    home.sql("UPDATE clients SET scopes = 'inference', disabled_at = 1")
        .await;
    home.assert_refused(token, "a disabled client's token")
        .await;
    home.sql("UPDATE clients SET disabled_at = NULL").await;
    home.authenticate(token).await.unwrap();
    home.sql("UPDATE tenants SET disabled_at = 1").await;
    home.assert_refused(token, "a disabled tenant's token")
        .await;
    home.sql("UPDATE tenants SET disabled_at = NULL").await;
    home.sql("INSERT INTO tenants (id, name, created_at) VALUES ('other', 'Other', 1)")
        .await;
    home.sql("UPDATE clients SET tenant_id = 'other'").await;
    home.assert_refused(token, "a token of the tenant its client has left")
        .await;
}

/// Part of SEC-4: truly signed, for another service.
async fn a_token_of_another_issuer_or_audience_is_refused(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let config = &home.config;
    for config in [
        Config {
            issuer: format!("{}/other", config.issuer),
            ..config.clone()
        },
        Config {
            audience: "other".to_owned(),
            ..config.clone()
        },
    ] {
        let other = Auth::open(config, home.pool.clone()).await.unwrap();
        let token = other
            .issue_token(request(&client, None))
            .await
            .unwrap()
            .token;
        other.authenticate(token.clone()).await.unwrap();
        home.assert_refused(token.expose_secret(), "another service's token")
            .await;
    }
}

async fn the_lifetime_is_configured(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let token_lifetime = Duration::from_secs(90);
    let config = Config {
        token_lifetime,
        ..home.config.clone()
    };
    let auth = Auth::open(config, home.pool.clone()).await.unwrap();
    let token = auth.issue_token(request(&client, None)).await.unwrap();
    assert_eq!(token.expires_in, 90);
    let left = auth
        .authenticate(token.token)
        .await
        .unwrap()
        .expires_at
        .unwrap()
        - now();
    assert!((80..=90).contains(&left), "{left} s");
}

/// Part of SEC-4: flipped bits of a good token, none accepted. The seed of a failure is printed.
#[test]
fn a_token_with_flipped_bits_is_refused() {
    let runtime = Runtime::new().unwrap();
    let home = Arc::new(runtime.block_on(Home::new()));
    let token = runtime.block_on(async {
        let client = home.client(false).await;
        home.token(&client).await.unwrap()
    });
    let token = token.expose_secret();
    let bits = token.len() * 7;
    let runs = Runs {
        cases: 2_000,
        failure_persistence: None,
        ..Runs::default()
    };
    let flips = prop::collection::btree_set(0..bits, 1..4);
    TestRunner::new_with_rng(
        runs,
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    )
    .run(&flips, |flips| {
        let mut flipped = token.as_bytes().to_vec();
        for bit in &flips {
            flipped[bit / 7] ^= 1 << (bit % 7);
        }
        let flipped = String::from_utf8(flipped).unwrap();
        let result = runtime.block_on(home.authenticate(&flipped));
        prop_assert!(result.is_err(), "accepted with bits {flips:?} flipped");
        Ok(())
    })
    .unwrap();
}
