//! Signing keys change under load, and nobody notices.

use std::time::Duration;

use fathom_client::{Client, Error, fetch_token};
use fathom_e2e::{Cluster, Wiring};
use fathom_token::SigningAlgorithm;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::operator::Operator;
use crate::requests::chat;

/// Starts two gateways over an auth service whose new keys sign after a second.
async fn cluster() -> Cluster {
    Cluster::builder(Wiring::Grpc)
        .gateways(2)
        .config(|config| config.auth.signing_key_publication = Duration::from_secs(1))
        .start()
        .await
        .unwrap()
}

async fn token(cluster: &Cluster) -> SecretString {
    let (id, secret) = (&cluster.demo.client_id, &cluster.demo.client_secret);
    let token = fetch_token(&cluster.base_url, id, secret).await.unwrap();
    token.access_token.into()
}

async fn status(base_url: &str, bearer: &SecretString) -> u16 {
    let client = Client::new(base_url, bearer.clone());
    match client.chat(&chat("hi")).await {
        Ok(_) => 200,
        Err(Error::Refused { status, .. }) => status,
        Err(other) => panic!("{other:?}"),
    }
}

async fn signing(operator: &Operator) -> String {
    let (_, keys) = operator.send(Method::GET, "signing-keys", None).await;
    let keys = keys["data"].as_array().unwrap();
    let key = keys.iter().find(|key| key["state"] == "signing").unwrap();
    key["kid"].as_str().unwrap().to_owned()
}

/// SEC-11: every token holds at every gateway while one key after the other takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_is_not_noticed() {
    let cluster = cluster().await;
    let operator = Operator::of(&cluster);
    let first = token(&cluster).await;
    let mut former = signing(&operator).await;
    for _ in 0..3 {
        let (status_code, made) = operator.send(Method::POST, "signing-keys", None).await;
        assert_eq!(status_code, 201, "{made}");
        let begun = Instant::now();
        loop {
            let fresh = token(&cluster).await;
            for base_url in &cluster.base_urls {
                assert_eq!(status(base_url, &fresh).await, 200);
                assert_eq!(status(base_url, &first).await, 200);
            }
            let now = signing(&operator).await;
            if now != former {
                assert_eq!(Value::from(now.as_str()), made["kid"]);
                former = now;
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "it never signs");
        }
    }
}

/// SEC-11: tokens of every algorithm are verified at the edge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_algorithm_is_verified_at_the_edge() {
    let es256 = Cluster::builder(Wiring::Grpc)
        .config(|config| config.auth.signing_algorithm = SigningAlgorithm::ES256);
    let rs256 = Cluster::builder(Wiring::Grpc)
        .config(|config| config.auth.signing_algorithm = SigningAlgorithm::RS256);
    for (name, builder) in [("ES256", es256), ("RS256", rs256)] {
        let cluster = builder.start().await.unwrap();
        let token = token(&cluster).await;
        assert_eq!(status(&cluster.base_url, &token).await, 200, "{name}");
        let keys = format!("{}/.well-known/jwks.json", cluster.base_url);
        let keys: Value = reqwest::get(keys).await.unwrap().json().await.unwrap();
        assert_eq!(keys["keys"][0]["alg"], name);
    }
}

/// SEC-11: a key that is retired at once ends its tokens at every gateway, and others are made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_key_ends_its_tokens() {
    let cluster = cluster().await;
    let operator = Operator::of(&cluster);
    let old = token(&cluster).await;
    for base_url in &cluster.base_urls {
        assert_eq!(status(base_url, &old).await, 200);
    }
    let path = format!("signing-keys/{}", signing(&operator).await);
    let (status_code, retired) = operator.send(Method::DELETE, &path, None).await;
    assert!((200..300).contains(&status_code), "{retired}");
    let begun = Instant::now();
    for base_url in &cluster.base_urls {
        while status(base_url, &old).await != 401 {
            assert!(begun.elapsed() < Duration::from_secs(5), "still accepted");
            sleep(Duration::from_millis(20)).await;
        }
    }
    let new = token(&cluster).await;
    for base_url in &cluster.base_urls {
        assert_eq!(status(base_url, &new).await, 200);
    }
}
