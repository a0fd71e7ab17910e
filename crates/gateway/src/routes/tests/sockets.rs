//! WebSockets whose caller is refused, or changes while they are open; on real sockets.

mod endings;
mod handshakes;
mod lanes;
mod memory;
mod protocol;
mod records;
mod resume;

use std::sync::Arc;

use fathom_proto::identity::{Change, Scope};
use fathom_proto::inference::{Assignment, Event, FinishReason, Piece, Route, Usage};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;
use crate::Config;
use crate::identity::fake::FakeAuth;

const KEY: &str = "sk-key";

type Socket = WebSocketStream<TcpStream>;

/// A gateway whose engine begins and never goes on, and a client that has connected with `bearer`
/// in its handshake.
async fn connect(auth: &Arc<FakeAuth>, bearer: Option<&str>) -> Socket {
    auth.key(KEY, "key", &[Scope::Inference]);
    connect_to(fakes::watching(auth).await, bearer).await
}

async fn connect_to(gateway: Gateway, bearer: Option<&str>) -> Socket {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = routes(gateway.clone());
    gateway.shutdown.spawn(async move {
        axum::serve(listener, routes).await.unwrap();
    });
    let url = format!("ws://{address}/v1/stream");
    let mut request = url.into_client_request().unwrap();
    if let Some(bearer) = bearer {
        let value = format!("Bearer {bearer}").parse().unwrap();
        request.headers_mut().insert("authorization", value);
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let (socket, _) = client_async(request, stream).await.unwrap();
    socket
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, message: Value) {
    let text = Message::text(message.to_string());
    socket.send(text).await.unwrap();
}

/// Everything until the close: the codes of errors, and the close code.
async fn ending<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
) -> (Vec<String>, u16) {
    let mut errors = Vec::new();
    let read = async {
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] == "error" {
                        errors.push(message["error"]["code"].as_str().unwrap().to_owned());
                    }
                }
                Message::Close(frame) => return u16::from(frame.unwrap().code),
                _ => {}
            }
        }
    };
    let code = timeout(Duration::from_secs(5), read).await;
    let code = code.expect("the socket is closed");
    (errors, code)
}

/// Everything that is said until the close.
async fn said(socket: &mut Socket) -> Vec<Value> {
    let mut messages = Vec::new();
    let read = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                messages.push(serde_json::from_str(&text).unwrap());
            }
        }
    };
    let closed = timeout(Duration::from_secs(5), read).await;
    closed.expect("the socket is closed");
    messages
}

#[tokio::test]
async fn a_socket_tells_thoughts_and_text_apart_and_at_its_end_what_answered() {
    let route = Route {
        model: "smaller".into(),
        version: None,
        config_version: 7,
        experiment: Some(Assignment {
            experiment: "try".to_owned(),
            arm: "cool".to_owned(),
        }),
    };
    let events = vec![
        Ok(Event::Started {
            prompt_tokens: 3,
            cached_tokens: 0,
            fingerprint: None,
            route: Some(Box::new(route)),
        }),
        fakes::piece(Piece::Reasoning("Hm".to_owned()), 1),
        fakes::delta("Hello", 1),
        Ok(Event::Finished {
            reason: FinishReason::Length,
            usage: Usage {
                prompt_tokens: 3,
                completion_tokens: 2,
                cached_tokens: 1,
                reasoning_tokens: 1,
            },
        }),
    ];
    let mut socket = connect_to(fakes::gateway_with(events), Some(ALL_SCOPES)).await;
    let request = json!({"type": "request", "model": "m", "prompt": "hi", "top_k": 5});
    say(&mut socket, request).await;
    let usage = json!({
        "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
        "prompt_cache_hit_tokens": 1, "prompt_cache_miss_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    });
    let expected = [
        json!({"type": "reasoning", "content": "Hm"}),
        json!({"type": "response", "content": "Hello"}),
        json!({
            "type": "done", "usage": usage, "finish_reason": "length",
            "fathom": {"model": "smaller", "config_version": 7, "experiment": "try/cool"},
        }),
    ];
    let mut said = said(&mut socket).await;
    let id = said[2].as_object_mut().unwrap().remove("id").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 32);
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_socket_refuses_by_name_what_is_more_than_text() {
    let mut socket = connect_to(fakes::gateway(), Some(ALL_SCOPES)).await;
    let request = json!({"type": "request", "model": "m", "prompt": "hi", "n": 2});
    say(&mut socket, request).await;
    let said = said(&mut socket).await;
    assert_eq!(
        (&said[0]["status"], &said[0]["error"]["param"]),
        (&json!(400), &json!("n"))
    );
}

fn revoke(auth: &FakeAuth) {
    auth.state().credentials.remove(KEY);
    auth.tell(Change::Subject("key".into()));
}

#[tokio::test]
async fn a_socket_of_a_revoked_key_ends_while_it_generates() {
    let auth = FakeAuth::new();
    let mut socket = connect(&auth, None).await;
    let token = format!("Bearer {KEY}");
    say(&mut socket, json!({"type": "auth", "token": token})).await;
    let request = json!({"type": "request", "model": "m", "prompt": "hi"});
    say(&mut socket, request).await;
    // The key is asked for once the socket has said who it is.
    while auth.state().authenticated == 0 {
        tokio::task::yield_now().await;
    }
    revoke(&auth);
    let refused = vec!["invalid_api_key".to_owned()];
    assert_eq!(ending(&mut socket).await, (refused, 1008));
}

#[tokio::test]
async fn a_socket_of_a_revoked_key_ends_while_it_waits() {
    let auth = FakeAuth::new();
    let mut socket = connect(&auth, Some(KEY)).await;
    revoke(&auth);
    let refused = vec!["invalid_api_key".to_owned()];
    assert_eq!(ending(&mut socket).await, (refused, 1008));
}

#[tokio::test]
async fn a_socket_that_nobody_reads_ends_its_generation_at_the_deadline() {
    let (mut gateway, mut asked) = fakes::steered();
    gateway.config = Arc::new(Config {
        request_timeout: Duration::from_millis(500),
        ..Config::default()
    });
    let mut socket = connect_to(gateway, Some(ALL_SCOPES)).await;
    let request = json!({"type": "request", "model": "m", "prompt": "hi"});
    say(&mut socket, request).await;
    let call = asked.recv().await.unwrap();
    call.tell(fakes::started(1)).await;
    let flooded = timeout(Duration::from_secs(5), call.flood()).await;
    flooded.expect("the generation ends");
}

/// DRAIN-2
#[tokio::test]
async fn a_socket_whose_generation_outlives_the_deadline_is_told_when_to_come_again() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect_to(gateway.clone(), Some(ALL_SCOPES)).await;
    let request = json!({"type": "request", "model": "m", "prompt": "hi"});
    say(&mut socket, request).await;
    let call = asked.recv().await.unwrap();
    call.tell(fakes::started(1)).await;
    let (said, ()) = tokio::join!(said(&mut socket), gateway.shutdown.drain());
    let [error] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(error["error"]["code"], "server_shutdown");
    assert_eq!(error["retry_after_ms"], 1000);
}

#[tokio::test]
async fn a_socket_that_says_nothing_of_use_is_refused() {
    for token in ["Bearer unknown", "unknown", ""] {
        let mut socket = connect(&FakeAuth::new(), None).await;
        say(&mut socket, json!({"type": "auth", "token": token})).await;
        let refused = vec!["invalid_api_key".to_owned()];
        assert_eq!(ending(&mut socket).await, (refused, 1008), "{token}");
    }
}

/// Part of SEC-24: a header that does not hold is no invitation to try the other way.
#[tokio::test]
async fn a_handshake_with_a_credential_that_does_not_hold_is_refused() {
    let auth = FakeAuth::new();
    let gateway = fakes::watching(&auth).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = routes(gateway.clone());
    gateway.shutdown.spawn(async move {
        axum::serve(listener, serve).await.unwrap();
    });
    for header in ["Bearer unknown", "Basic Yzph", "Bearer"] {
        let url = format!("ws://{address}/v1/stream");
        let mut request = url.into_client_request().unwrap();
        let value = header.parse().unwrap();
        request.headers_mut().insert("authorization", value);
        let stream = TcpStream::connect(address).await.unwrap();
        let error = client_async(request, stream).await.unwrap_err();
        let tungstenite::Error::Http(response) = error else {
            panic!("{header}: {error}");
        };
        assert_eq!(response.status(), 401, "{header}");
    }
}
