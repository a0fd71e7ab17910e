//! What goes on without the auth service, and what does not.

use std::time::Duration;

use fathom_client::{Client, Error, fetch_token};
use fathom_e2e::{Cluster, Wiring};
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use crate::requests::chat;

async fn ask(cluster: &Cluster, bearer: SecretString) -> Result<(), Error> {
    let client = Client::new(cluster.base_url.clone(), bearer);
    client.chat(&chat("hi")).await.map(drop)
}

fn status(result: &Result<(), Error>) -> u16 {
    match result {
        Ok(()) => 200,
        Err(Error::Refused { status, .. }) => *status,
        Err(other) => panic!("{other:?}"),
    }
}

/// SEC-20: who is known goes on, with a token that the gateway has never seen too; who is not is
/// told to come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_known_goes_on_without_auth() {
    let cluster = Cluster::builder(Wiring::Grpc).start().await.unwrap();
    let (id, secret) = (&cluster.demo.client_id, &cluster.demo.client_secret);
    let token = async || {
        let token = fetch_token(&cluster.base_url, id, secret).await.unwrap();
        SecretString::from(token.access_token)
    };
    let (seen, unseen) = (token().await, token().await);
    ask(&cluster, seen.clone()).await.unwrap();
    ask(&cluster, cluster.demo.api_key.clone()).await.unwrap();

    cluster.stop_auth().await;

    ask(&cluster, seen).await.unwrap();
    ask(&cluster, unseen).await.unwrap();
    ask(&cluster, cluster.demo.api_key.clone()).await.unwrap();
    let keys = format!("{}/.well-known/jwks.json", cluster.base_url);
    assert_eq!(reqwest::get(keys).await.unwrap().status(), 200);

    assert_eq!(
        status(&ask(&cluster, cluster.demo.admin_key.clone()).await),
        503
    );
    let error = fetch_token(&cluster.base_url, id, secret).await.err();
    assert!(
        matches!(error, Some(Error::Refused { status: 503, .. })),
        "{error:?}"
    );
    let url = format!("{}/v1/models", cluster.base_url);
    let unknown = reqwest::Client::new().get(url).bearer_auth("sk-unknown");
    let answer = unknown.send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
}

/// SEC-20: the grace has an end, and a gateway that may have missed a revocation trusts nobody
/// after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_grace_has_an_end() {
    let cluster = Cluster::builder(Wiring::Grpc)
        .config(|config| config.gateway.identity_grace = Duration::from_secs(1))
        .start()
        .await
        .unwrap();
    ask(&cluster, cluster.demo.api_key.clone()).await.unwrap();
    cluster.stop_auth().await;
    let stopped = Instant::now();
    loop {
        let status = status(&ask(&cluster, cluster.demo.api_key.clone()).await);
        if status == 503 {
            break;
        }
        assert_eq!(status, 200);
        assert!(stopped.elapsed() < Duration::from_secs(10), "still trusted");
        sleep(Duration::from_millis(50)).await;
    }
    // Three seconds without a sign, of which the last heartbeat may have used one, and the grace.
    assert!(stopped.elapsed() > Duration::from_secs(1));
}
