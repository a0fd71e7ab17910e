use std::collections::BTreeSet;
use std::path::Path;

use fathom_proto::administration::SigningKeyState;
use secrecy::ExposeSecret as _;
use sqlx::AnyPool;

use super::*;
use crate::{Config, clock};

async fn open(folder: &Path, config: Config) -> Auth {
    let url = format!("sqlite://{}?mode=rwc", folder.join("fathom.db").display());
    let pool: AnyPool = fathom_kit::database::connect(&url).await.unwrap();
    let key_ring = folder.join("keyring.json").into();
    Auth::open(Config { key_ring, ..config }, pool)
        .await
        .unwrap()
}

fn claims(config: &Config) -> Claims {
    let now = clock::now();
    Claims {
        iss: config.issuer.clone(),
        sub: "c".to_owned(),
        aud: config.audience.clone(),
        client_id: "c".to_owned(),
        iat: now,
        exp: now + 3_600,
        nbf: None,
        jti: "j".to_owned(),
        scope: "inference".to_owned(),
        tenant: "t".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_are_looked_for_once_a_second() {
    let keys = SigningKeys::new(OpenKeys::none(&Config::default()).unwrap());
    assert!(keys.may_look());
    assert!((0..1_000).all(|_| !keys.may_look()));
    tokio::time::advance(RELOAD_INTERVAL).await;
    assert!(keys.may_look());
    assert!(!keys.may_look());
}

/// SEC-11: keys follow one another every second, and every token that two processes make is good
/// at both.
#[tokio::test]
async fn rotation_under_load_refuses_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        signing_key_lifetime: Duration::from_secs(1),
        signing_key_publication: Duration::from_secs(1),
        ..Config::default()
    };
    let services = [
        open(folder.path(), config.clone()).await,
        open(folder.path(), config.clone()).await,
    ];
    let (mut issued, mut kids) = (Vec::new(), BTreeSet::new());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        for service in &services {
            // As the service does in the background, and out of step.
            if issued.len() % 7 == 0 {
                service.maintain_signing_keys().await.unwrap();
            }
            let token = service.sign(&claims(&config), clock::now()).unwrap();
            for verifying in &services {
                let text = token.expose_secret();
                verifying
                    .verify_access_token(text, clock::now())
                    .await
                    .unwrap();
                kids.insert(jsonwebtoken::decode_header(text).unwrap().kid.unwrap());
            }
            issued.push(token);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(kids.len() >= 4, "{} keys signed", kids.len());
    let keys = services[0].signing_keys().await.unwrap();
    assert!(keys.len() <= 10, "one a second: {}", keys.len());
    for token in &issued {
        for service in &services {
            let text = token.expose_secret();
            service
                .verify_access_token(text, clock::now())
                .await
                .unwrap();
        }
    }
}

/// SEC-11: a key is retired when its last token has ended, once, and is refused then.
#[tokio::test]
async fn a_key_is_retired_after_the_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        token_lifetime: Duration::from_secs(1),
        ..Config::default()
    };
    let services = [
        open(folder.path(), config.clone()).await,
        open(folder.path(), config.clone()).await,
    ];
    let token = services[0].sign(&claims(&config), clock::now()).unwrap();
    let text = token.expose_secret();
    let first = services[0].signing_keys().await.unwrap().remove(0).kid;
    let second = services[0]
        .rotate_signing_key(&crate::Actor::System)
        .await
        .unwrap()
        .kid;
    let pool = &services[0].inner.store.pool;
    let overlap = 1 + 2 * fathom_token::times::SKEW;
    for (over, replaced) in [(false, overlap - 5), (true, overlap)] {
        let replaced_at = clock::now() - replaced;
        for (kid, begun) in [(&first, replaced_at - 100), (&second, replaced_at)] {
            let put_back =
                "UPDATE signing_keys SET created_at = $1, signs_from = $1 WHERE kid = $2";
            sqlx::query(put_back)
                .bind(begun)
                .bind(kid)
                .execute(pool)
                .await
                .unwrap();
        }
        for service in &services {
            service.maintain_signing_keys().await.unwrap();
        }
        let retired = services[1].signing_keys().await.unwrap();
        let retired = retired
            .iter()
            .filter(|key| key.state == SigningKeyState::Retired);
        assert_eq!(retired.count(), usize::from(over));
        for service in &services {
            let result = service.verify_access_token(text, clock::now()).await;
            assert_eq!(result.is_err(), over);
        }
    }
    let (rows,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM audit_log WHERE action = 'signing_key.retire'")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(rows, 1, "by one of the two");
}
