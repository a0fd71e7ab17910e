//! WebSockets whose caller is refused, or changes while they are open; on real sockets.

use fathom_proto::identity::{Change, Scope};
use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

use super::*;
use crate::identity::fake::FakeAuth;

const KEY: &str = "sk-key";

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A gateway whose engine begins and never goes on, and a client that has connected with `bearer`
/// in its handshake.
async fn connect(auth: &std::sync::Arc<FakeAuth>, bearer: Option<&str>) -> Socket {
    auth.key(KEY, "key", &[Scope::Inference]);
    let gateway = fakes::watching(auth).await;
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

async fn say(socket: &mut Socket, message: Value) {
    let text = Message::text(message.to_string());
    socket.send(text).await.unwrap();
}

/// Everything until the close: the codes of errors, and the close code.
async fn ending(socket: &mut Socket) -> (Vec<String>, u16) {
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
