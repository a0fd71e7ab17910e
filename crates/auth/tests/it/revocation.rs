use std::time::Duration;

use fathom_proto::ErrorCode;
use fathom_proto::identity::Identity as _;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use crate::harness::{ClientCredentials, Database, Home, now, on_both_databases, self_signed};
use crate::oauth::{assert_refused, by_secret};

on_both_databases!(
    a_client_ends_its_own_token,
    nobody_ends_anothers_credential,
    a_token_that_was_ended_is_not_ended_again,
    a_client_that_ends_too_many_tokens_must_wait,
);

async fn revoke(home: &Home, client: &ClientCredentials, token: &str) {
    home.auth
        .revoke_token(by_secret(client, None), token.into())
        .await
        .unwrap();
}

/// SEC-12: what was ended needs no change: it does not wait for those that others make.
async fn a_token_that_was_ended_is_not_ended_again(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let token = home.token(&client).await.unwrap();
    revoke(&home, &client, token.expose_secret()).await;
    let mut others = home.pool.begin().await.unwrap();
    sqlx::query("UPDATE audit_head SET position = position WHERE id = 1")
        .execute(&mut *others)
        .await
        .unwrap();
    let again = revoke(&home, &client, token.expose_secret());
    timeout(Duration::from_secs(1), again).await.unwrap();
    others.rollback().await.unwrap();
    let rows = "SELECT COUNT(*) FROM audit_log WHERE action = 'token.revoke'";
    assert_eq!(home.count(rows).await, 1);
}

/// SEC-8: every gateway holds every revoked token, so a client has a share of them.
async fn a_client_that_ends_too_many_tokens_must_wait(database: Database) {
    let home = Home::on(database).await;
    let (client, other) = (home.client(false).await, home.client(false).await);
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
         INSERT INTO revoked_tokens (id, client_id, expires_at) \
         SELECT CAST(i AS TEXT), $1, $2 FROM n",
    )
    .bind(&client.id)
    .bind(now() + 60)
    .execute(&home.pool)
    .await
    .unwrap();
    let token = home.token(&client).await.unwrap();
    let error = home
        .auth
        .revoke_token(by_secret(&client, None), token)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::RateLimited);
    let token = home.token(&other).await.unwrap();
    revoke(&home, &other, token.expose_secret()).await;
    home.assert_refused(token.expose_secret(), "a revoked token")
        .await;
}

/// Part of SEC-12: a token that its client ends is over everywhere, and every other is not.
async fn a_client_ends_its_own_token(database: Database) {
    let home = Home::on(database).await;
    let second = home.second().await;
    let client = home.client(false).await;
    let (token, other) = (
        home.token(&client).await.unwrap(),
        home.token(&client).await.unwrap(),
    );
    home.authenticate(token.expose_secret()).await.unwrap();
    for _ in 0..2 {
        revoke(&home, &client, token.expose_secret()).await;
        home.assert_refused(token.expose_secret(), "a revoked token")
            .await;
    }
    assert_refused(
        second.authenticate(token.clone()).await,
        "at another process",
    );
    assert_eq!(home.introspect(&client, token.expose_secret()).await, None);
    home.authenticate(other.expose_secret()).await.unwrap();

    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT actor, target, details FROM audit_log WHERE action = 'token.revoke'",
    )
    .fetch_all(&home.pool)
    .await
    .unwrap();
    assert_eq!(rows.len(), 1, "a token ends once");
    let (actor, target, details) = &rows[0];
    assert_eq!(*actor, format!("client:{}", client.id));
    assert!(
        details.contains(&client.id) && details.contains("expires_at"),
        "{details}"
    );
    assert!(!token.expose_secret().contains(target.as_str()));
}

/// RFC 7009, section 2.2: what is nobody's, or another's, is left as it is, without a word.
async fn nobody_ends_anothers_credential(database: Database) {
    let home = Home::on(database).await;
    let (client, other) = (home.client(true).await, home.client(false).await);
    let token = home.token(&client).await.unwrap();
    let key = home.api_key(None).await;
    let own = self_signed(&client, now(), now() + 60);
    for credential in [
        token.expose_secret(),
        key.expose_secret(),
        &own,
        "",
        "rubbish",
        &"a".repeat(100_000),
    ] {
        revoke(&home, &other, credential).await;
    }
    revoke(&home, &client, key.expose_secret()).await;
    revoke(&home, &client, &own).await;
    for credential in [token.expose_secret(), key.expose_secret(), &own] {
        home.authenticate(credential).await.unwrap();
    }
    assert_eq!(home.count("SELECT COUNT(*) FROM revoked_tokens").await, 0);
    let mut wrong = client.clone();
    wrong.secret = other.secret.clone();
    let result = home
        .auth
        .revoke_token(by_secret(&wrong, None), token.clone())
        .await;
    assert_refused(result, "a wrong secret");
    home.authenticate(token.expose_secret()).await.unwrap();
}
