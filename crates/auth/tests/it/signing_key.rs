use std::time::Duration;

use fathom_auth::{Actor, Auth, Config, Error};
use fathom_proto::administration::SigningKeyState::{Published, Retired, Signing, Verifying};
use fathom_proto::identity::Identity as _;
use fathom_token::{SigningAlgorithm, Verifier};
use jsonwebtoken::decode_header;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::harness::{Database, Home, now, on_both_databases};
use crate::oauth::{assert_refused, by_secret, issue};

on_both_databases!(
    processes_that_start_together_make_one_key,
    a_rotation_publishes_before_it_signs,
    a_retired_key_is_refused_at_once,
    a_key_of_another_process_is_looked_up,
    another_algorithm_takes_over_after_its_publication,
    a_public_key_that_was_replaced_is_not_used,
    a_token_of_no_known_key_is_refused
);

fn operator() -> Actor {
    Actor::Operator("test".to_owned())
}

fn kid(token: &str) -> String {
    decode_header(token).unwrap().kid.unwrap()
}

async fn published(auth: &Auth) -> Vec<Value> {
    let set = auth.key_set().await.unwrap();
    let jwks: Value = serde_json::from_str(&set.jwks).unwrap();
    jwks["keys"].as_array().unwrap().clone()
}

/// A service of its own settings over the same database.
async fn open(home: &Home, change: impl FnOnce(&mut Config)) -> Auth {
    let mut config = home.config.clone();
    change(&mut config);
    Auth::open(config, home.pool.clone()).await.unwrap()
}

/// Whoever has the key set can verify our tokens, and sees nothing private.
#[tokio::test]
async fn the_key_set_verifies_tokens_of_every_algorithm() {
    for algorithm in [
        SigningAlgorithm::EdDSA,
        SigningAlgorithm::ES256,
        SigningAlgorithm::RS256,
    ] {
        let home = Home::new().await;
        let client = home.client(false).await;
        // The key that every start makes is of the default algorithm.
        home.sql("DELETE FROM signing_keys").await;
        let auth = open(&home, |config| config.signing_algorithm = algorithm).await;
        let token = issue(&auth, by_secret(&client, None)).await.unwrap();
        let token = token.expose_secret();
        let header = decode_header(token).unwrap();
        assert_eq!(header.alg, algorithm.into());
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        auth.authenticate(token.into()).await.unwrap();

        let verifier = Verifier::new(&auth.key_set().await.unwrap()).unwrap();
        let (_, claims) = verifier.verify(token, now()).unwrap();
        assert_eq!(claims.client_id, client.id);
        let keys = published(&auth).await;
        assert_eq!(keys.len(), 1);
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(keys[0].get(member).is_none(), "{member}");
        }
        assert_eq!(keys[0]["use"], "sig");
        assert_eq!(keys[0]["alg"], algorithm.as_str());
        assert_eq!(keys[0]["kid"], header.kid.unwrap());
    }
}

async fn processes_that_start_together_make_one_key(database: Database) {
    let home = Home::on(database).await;
    home.sql("DELETE FROM signing_keys").await;
    let (one, other, third) = tokio::join!(home.second(), home.second(), home.second());
    assert_eq!(home.count("SELECT COUNT(*) FROM signing_keys").await, 1);
    let client = home.client(false).await;
    let token = issue(&one, by_secret(&client, None)).await.unwrap();
    for auth in [&other, &third] {
        auth.authenticate(token.clone()).await.unwrap();
    }
    let rows =
        "SELECT COUNT(*) FROM audit_log WHERE action = 'signing_key.create' AND actor = 'system'";
    assert_eq!(
        home.count(rows).await,
        2,
        "that of the first start, and the one"
    );
}

/// Part of SEC-11: a new key is known before it signs.
async fn a_rotation_publishes_before_it_signs(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let first = home.auth.signing_keys().await.unwrap().remove(0);
    assert_eq!(first.state, Signing);
    let second = home.auth.rotate_signing_key(&operator()).await.unwrap();
    assert_eq!(second.state, Published);
    let wait = second.signs_from - now();
    assert!((595..=600).contains(&wait), "{wait}");
    let token = home.token(&client).await.unwrap();
    assert_eq!(kid(token.expose_secret()), first.kid);
    assert_eq!(published(&home.auth).await.len(), 2, "old and new");

    home.sql("UPDATE signing_keys SET signs_from = created_at")
        .await;
    sqlx::query("UPDATE signing_keys SET signs_from = signs_from - 10, created_at = created_at - 10 WHERE kid = $1")
        .bind(&first.kid)
        .execute(&home.pool)
        .await
        .unwrap();
    let later = home.second().await;
    let states: Vec<_> = later
        .signing_keys()
        .await
        .unwrap()
        .into_iter()
        .map(|key| (key.kid, key.state))
        .collect();
    assert_eq!(
        states,
        [(second.kid.clone(), Signing), (first.kid, Verifying)]
    );
    let new = issue(&later, by_secret(&client, None)).await.unwrap();
    assert_eq!(kid(new.expose_secret()), second.kid);
    for auth in [&home.auth, &later] {
        auth.authenticate(token.clone()).await.unwrap();
        auth.authenticate(new.clone()).await.unwrap();
    }
}

/// Part of SEC-11: an emergency ends the tokens of a key at once, and others are made at once.
async fn a_retired_key_is_refused_at_once(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let token = home.token(&client).await.unwrap();
    let first = kid(token.expose_secret());
    let retired = home
        .auth
        .retire_signing_key(&operator(), &first)
        .await
        .unwrap();
    assert_eq!(
        (retired.state, retired.kid.as_str()),
        (Retired, first.as_str())
    );
    assert!(retired.retired_at.is_some());
    home.assert_refused(token.expose_secret(), "a retired key's token")
        .await;
    assert_eq!(published(&home.auth).await.len(), 1);
    let token = home.token(&client).await.unwrap();
    assert_ne!(kid(token.expose_secret()), first);
    home.authenticate(token.expose_secret()).await.unwrap();

    let published = home.auth.rotate_signing_key(&operator()).await.unwrap();
    let second = kid(token.expose_secret());
    home.auth
        .retire_signing_key(&operator(), &second)
        .await
        .unwrap();
    home.assert_refused(token.expose_secret(), "a retired key's token")
        .await;
    let token = home.token(&client).await.unwrap();
    assert_eq!(
        kid(token.expose_secret()),
        published.kid,
        "the next was known already"
    );

    let rows = home.count("SELECT COUNT(*) FROM audit_log").await;
    let again = home
        .auth
        .retire_signing_key(&operator(), &first)
        .await
        .unwrap();
    assert_eq!(again.retired_at, retired.retired_at);
    assert_eq!(
        home.count("SELECT COUNT(*) FROM audit_log").await,
        rows,
        "nothing changed"
    );
    let unknown = home.auth.retire_signing_key(&operator(), "nobody").await;
    assert!(matches!(unknown, Err(Error::UnknownSigningKey(_))));
}

/// Part of SEC-11: a process learns of another's new key from the first token it sees.
async fn a_key_of_another_process_is_looked_up(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let second = home.second().await;
    let first = home.auth.signing_keys().await.unwrap().remove(0);
    second
        .retire_signing_key(&operator(), &first.kid)
        .await
        .unwrap();
    let token = issue(&second, by_secret(&client, None)).await.unwrap();
    home.authenticate(token.expose_secret()).await.unwrap();
    // By now it has read that the first is over, too.
    assert_eq!(published(&home.auth).await.len(), 1);
}

async fn another_algorithm_takes_over_after_its_publication(database: Database) {
    let home = Home::on(database).await;
    let client = home.client(false).await;
    let auth = open(&home, |config| {
        config.signing_algorithm = SigningAlgorithm::ES256;
        config.signing_key_publication = Duration::from_secs(600);
    })
    .await;
    let keys = auth.signing_keys().await.unwrap();
    let shown: Vec<_> = keys
        .iter()
        .map(|key| (key.algorithm.as_str(), key.state))
        .collect();
    assert!(shown.contains(&("EdDSA", Signing)) && shown.contains(&("ES256", Published)));
    let token = issue(&auth, by_secret(&client, None)).await.unwrap();
    assert_eq!(
        decode_header(token.expose_secret()).unwrap().alg,
        jsonwebtoken::Algorithm::EdDSA
    );
    home.sql("UPDATE signing_keys SET signs_from = created_at WHERE algorithm = 'ES256'")
        .await;
    let later = open(&home, |config| {
        config.signing_algorithm = SigningAlgorithm::ES256;
    })
    .await;
    let token = issue(&later, by_secret(&client, None)).await.unwrap();
    assert_eq!(
        decode_header(token.expose_secret()).unwrap().alg,
        jsonwebtoken::Algorithm::ES256
    );
    home.authenticate(token.expose_secret()).await.unwrap();
}

/// Part of SEC-42: who writes the database cannot put in a key. One that does not sign is left out,
/// and holds up no other.
async fn a_public_key_that_was_replaced_is_not_used(database: Database) {
    let home = Home::on(database).await;
    let published = home.auth.rotate_signing_key(&operator()).await.unwrap();
    home.sql("UPDATE signing_keys SET public_key = 'other' WHERE signs_from > created_at")
        .await;
    let without = home.another().await;
    let set = without.key_set().await.unwrap();
    assert!(!set.jwks.contains(&published.kid), "{}", set.jwks);
    let client = home.client(false).await;
    issue(&without, by_secret(&client, None)).await.unwrap();

    home.sql("UPDATE signing_keys SET public_key = 'other'")
        .await;
    let error = Auth::open(home.config.clone(), home.pool.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::InvalidRow {
                table: "signing_keys",
                ..
            }
        ),
        "{error}"
    );
}

async fn a_token_of_no_known_key_is_refused(database: Database) {
    let home = Home::on(database).await;
    let other = Home::new().await;
    let client = other.client(false).await;
    let token = other.token(&client).await.unwrap();
    assert_refused(home.auth.authenticate(token).await, "another service's key");
}
