//! What is switched off stops: new requests within a second, open streams and sockets soon after,
//! at every gateway.

use std::time::Duration;

use fathom_api::chat::ChatChunk;
use fathom_auth::Actor;
use fathom_client::{Client, Error, EventStream, fetch_token};
use fathom_e2e::{Builder, Cluster, Wiring};
use fathom_proto::administration::ApiKeyPatch;
use fathom_test_database::TestDatabase;
use futures::{SinkExt, StreamExt};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::in_both_wirings;
use crate::operator::Operator;
use crate::requests::chat;

/// New requests are refused within this time, the promise of this project.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// Open streams end within this time.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// Gateways in front of an engine that never ends by itself.
async fn endless(wiring: Wiring) -> Cluster {
    endless_engine(Cluster::builder(wiring)).await
}

async fn endless_engine(builder: Builder) -> Cluster {
    builder
        .gateways(2)
        .sim(|sim| {
            sim.capacity = 64;
            sim.inter_token = Duration::from_millis(50);
            sim.tokens = 1_000;
        })
        .start()
        .await
        .unwrap()
}

/// A stream that has begun, at each gateway.
async fn streams(cluster: &Cluster, bearer: &SecretString) -> Vec<EventStream<ChatChunk<'static>>> {
    let mut streams = Vec::new();
    for base_url in &cluster.base_urls {
        let client = Client::new(base_url.as_str(), bearer.clone());
        let mut stream = client.chat_stream(chat("hi")).await.unwrap();
        stream.next().await.unwrap().unwrap();
        streams.push(stream);
    }
    streams
}

/// Asserts that new requests are refused with `status` and open streams end with an error.
async fn assert_stopped(
    cluster: &Cluster,
    bearer: &SecretString,
    streams: Vec<EventStream<ChatChunk<'static>>>,
    status: u16,
) {
    let begun = Instant::now();
    for base_url in &cluster.base_urls {
        loop {
            let client = Client::new(base_url.as_str(), bearer.clone());
            match client.chat_stream(chat("hi")).await.err() {
                None => {}
                Some(Error::Refused { status: seen, .. }) => {
                    assert_eq!(seen, status);
                    break;
                }
                Some(other) => panic!("{other:?}"),
            }
            assert!(begun.elapsed() < REFUSED_WITHIN, "still accepted");
            sleep(Duration::from_millis(10)).await;
        }
    }
    for mut stream in streams {
        let ended = async {
            loop {
                match stream.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error,
                    None => panic!("a stream ended as if it were complete"),
                }
            }
        };
        let error = timeout(ENDED_WITHIN, ended).await.unwrap();
        assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    }
}

in_both_wirings! {
    /// SEC-12
    async fn a_disabled_key_stops(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let operator = Operator::of(&cluster);
        let (id, key) = operator.tenant_with_key("acme").await;
        let open = streams(&cluster, &key).await;
        operator.change(&format!("keys/{id}"), json!({"disabled": true})).await;
        assert_stopped(&cluster, &key, open, 401).await;
        operator.change(&format!("keys/{id}"), json!({"disabled": false})).await;
        let begun = Instant::now();
        while cluster.client_with(&key).chat_stream(chat("hi")).await.is_err() {
            assert!(begun.elapsed() < REFUSED_WITHIN, "switched on again and still refused");
        }
    }

    /// SEC-12
    async fn a_disabled_tenant_stops(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let operator = Operator::of(&cluster);
        let (_, key) = operator.tenant_with_key("acme").await;
        let (_, other) = operator.tenant_with_key("other").await;
        let open = streams(&cluster, &key).await;
        let mut others = streams(&cluster, &other).await;
        operator.change("tenants/acme", json!({"disabled": true})).await;
        assert_stopped(&cluster, &key, open, 401).await;
        for stream in &mut others {
            stream.next().await.unwrap().unwrap();
        }
    }

    /// SEC-12
    async fn a_key_that_loses_its_scope_stops(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let operator = Operator::of(&cluster);
        let (id, key) = operator.tenant_with_key("acme").await;
        let open = streams(&cluster, &key).await;
        operator.change(&format!("keys/{id}"), json!({"scopes": ["models:read"]})).await;
        assert_stopped(&cluster, &key, open, 403).await;
    }

    /// A change that leaves an identity its rights is not noticed by its streams.
    async fn a_changed_limit_stops_nobody(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let operator = Operator::of(&cluster);
        let (id, key) = operator.tenant_with_key("acme").await;
        let mut open = streams(&cluster, &key).await;
        let limit = json!({
            "target": {"tenant": "acme", "subject": id},
            "limits": {"requests_per_minute": 60},
        });
        let (status, answer) = operator.send(Method::PUT, "limits", Some(limit)).await;
        assert_eq!(status, 200, "{answer}");
        for stream in &mut open {
            let begun = Instant::now();
            while begun.elapsed() < REFUSED_WITHIN {
                stream.next().await.unwrap().unwrap();
            }
        }
    }

    /// SEC-12: a token's client revokes it (RFC 7009).
    async fn a_revoked_token_stops_and_its_sister_does_not(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let (id, secret) = (&cluster.demo.client_id, &cluster.demo.client_secret);
        let token = async || {
            let token = fetch_token(&cluster.base_url, id, secret).await.unwrap();
            SecretString::from(token.access_token)
        };
        let (revoked, sister) = (token().await, token().await);
        let open = streams(&cluster, &revoked).await;
        let mut others = streams(&cluster, &sister).await;
        assert_eq!(introspect(&cluster, &revoked).await["active"], true);
        let answer = reqwest::Client::new()
            .post(format!("{}/oauth/revoke", cluster.base_url))
            .basic_auth(id, Some(secret.expose_secret()))
            .form(&[("token", revoked.expose_secret())])
            .send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_stopped(&cluster, &revoked, open, 401).await;
        assert_eq!(introspect(&cluster, &revoked).await, json!({"active": false}));
        for stream in &mut others {
            stream.next().await.unwrap().unwrap();
        }
    }

    /// SEC-12: of two secrets that live side by side the removed one ends alone, and with it the
    /// bearers that were signed with it.
    async fn a_removed_secret_stops(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let operator = Operator::of(&cluster);
        operator.make("tenants", json!({"id": "acme", "name": "Acme"})).await;
        let client = operator.make("clients", json!({
            "tenant": "acme", "name": "app", "scopes": ["inference"], "self_signed_bearer": true,
        })).await;
        let id = client["id"].as_str().unwrap();
        let old = client["secret"].as_str().unwrap();
        let added = operator.make(&format!("clients/{id}/secrets"), json!({})).await;
        let new = added["secret"].as_str().unwrap();
        let bearer = |secret: &str| crate::credentials::self_signed(id, secret, 600);
        let (by_old, by_new) = (bearer(old), bearer(new));
        let open = streams(&cluster, &by_old).await;
        let mut others = streams(&cluster, &by_new).await;
        let first = client["secrets"][0]["id"].as_str().unwrap();
        let path = format!("clients/{id}/secrets/{first}");
        let (status, answer) = operator.send(Method::DELETE, &path, None).await;
        assert_eq!(status, 204, "{answer}");
        assert_stopped(&cluster, &by_old, open, 401).await;
        for stream in &mut others {
            stream.next().await.unwrap().unwrap();
        }
        assert!(fetch_token(&cluster.base_url, id, &old.into()).await.is_err());
        fetch_token(&cluster.base_url, id, &new.into()).await.unwrap();
    }

    /// SEC-12, WS-6: an open socket ends with 1008.
    async fn a_socket_of_a_disabled_key_ends(wiring: Wiring) {
        let cluster = endless(wiring).await;
        let operator = Operator::of(&cluster);
        let (id, key) = operator.tenant_with_key("acme").await;
        let url = format!("{}/v1/stream", cluster.base_url.replacen("http", "ws", 1));
        let (mut socket, _) = connect_async(url).await.unwrap();
        for message in [
            json!({"type": "auth", "token": format!("Bearer {}", key.expose_secret())}),
            json!({"type": "request", "model": "deepseek-chat", "prompt": "hi"}),
        ] {
            socket.send(Message::text(message.to_string())).await.unwrap();
        }
        socket.next().await.unwrap().unwrap();
        operator.change(&format!("keys/{id}"), json!({"disabled": true})).await;
        let closed = async {
            loop {
                if let Message::Close(frame) = socket.next().await.unwrap().unwrap() {
                    return u16::from(frame.unwrap().code);
                }
            }
        };
        assert_eq!(timeout(ENDED_WITHIN, closed).await.unwrap(), 1008);
    }
}

/// SEC-12 on PostgreSQL, where a change is made by one auth service and told by another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_another_auth_service_disables_stops() {
    let database = TestDatabase::postgres().await;
    let builder = Cluster::builder(Wiring::Grpc).database(&database.url);
    let cluster = endless_engine(builder).await;
    let (id, key) = Operator::of(&cluster).tenant_with_key("acme").await;
    let open = streams(&cluster, &key).await;
    let off = ApiKeyPatch {
        disabled: Some(true),
        ..ApiKeyPatch::default()
    };
    let actor = Actor::Operator("somebody".to_owned());
    cluster.auth.update_key(&actor, &id, off).await.unwrap();
    assert_stopped(&cluster, &key, open, 401).await;
}

/// What the demo client is told of a token.
async fn introspect(cluster: &Cluster, token: &SecretString) -> Value {
    let answer = reqwest::Client::new()
        .post(format!("{}/oauth/introspect", cluster.base_url))
        .basic_auth(
            &cluster.demo.client_id,
            Some(cluster.demo.client_secret.expose_secret()),
        )
        .form(&[("token", token.expose_secret())])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}
