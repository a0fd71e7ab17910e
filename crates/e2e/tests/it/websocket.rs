//! The document's WebSocket: auth, request, responses, done, and a normal close.

use std::time::Duration;

use fathom_e2e::{Cluster, eventually};
use futures::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::in_both_wirings;
use crate::requests::chat;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn url(cluster: &Cluster) -> String {
    format!("{}/v1/stream", cluster.base_url.replacen("http", "ws", 1))
}

async fn connect(cluster: &Cluster) -> Socket {
    connect_async(url(cluster)).await.unwrap().0
}

async fn send(socket: &mut Socket, message: Value) {
    socket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
}

fn auth(cluster: &Cluster) -> Value {
    json!({"type": "auth", "token": format!("Bearer {}", cluster.demo.api_key.expose_secret())})
}

fn request() -> Value {
    json!({"type": "request", "model": "deepseek-chat", "prompt": "hi"})
}

/// All messages until the server closes, and its close code.
async fn read(socket: &mut Socket) -> (Vec<Value>, u16) {
    let mut messages = Vec::new();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => messages.push(serde_json::from_str(&text).unwrap()),
            Message::Close(frame) => return (messages, frame.unwrap().code.into()),
            _ => {}
        }
    }
}

in_both_wirings! {
    async fn the_documents_form_ends_by_itself(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let mut socket = connect(&cluster).await;
        send(&mut socket, auth(&cluster)).await;
        send(&mut socket, request()).await;
        let (messages, code) = read(&mut socket).await;
        let (done, responses) = messages.split_last().unwrap();
        let text: String =
            responses.iter().map(|message| message["content"].as_str().unwrap()).collect();
        let whole = cluster.client().chat(&chat("hi")).await.unwrap();
        assert_eq!(Some(text.as_str()), whole.choices[0].message.content.as_deref());
        assert_eq!(done["type"], "done");
        assert_eq!(done["finish_reason"], "stop");
        assert_eq!(done["usage"], serde_json::to_value(whole.usage).unwrap());
        assert_eq!(done["usage"]["total_tokens"], 36);
        assert_eq!(code, 1000);
        assert!(socket.next().await.is_none());
    }

    async fn a_bearer_in_the_header_needs_no_auth_message(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let mut handshake = url(&cluster).into_client_request().unwrap();
        let bearer = format!("Bearer {}", cluster.demo.api_key.expose_secret());
        handshake.headers_mut().insert("authorization", bearer.parse().unwrap());
        let (mut socket, answer) = connect_async(handshake).await.unwrap();
        assert!(answer.headers().contains_key("x-request-id"));
        send(&mut socket, request()).await;
        assert_eq!(read(&mut socket).await.1, 1000);

        let mut handshake = url(&cluster).into_client_request().unwrap();
        handshake.headers_mut().insert("authorization", "Bearer sk-wrong".parse().unwrap());
        let refused = connect_async(handshake).await.unwrap_err().to_string();
        assert!(refused.contains("401"), "{refused}");
    }

    /// Part of WS-6
    async fn a_refusal_is_told_before_the_close(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let wrong = json!({"type": "auth", "token": "Bearer sk-wrong"});
        for (first, second, status) in [
            (wrong, None, 401),
            (request(), None, 401),
            (json!({"type": "dance"}), None, 400),
            (auth(&cluster), Some(json!({"type": "request", "model": "nope", "prompt": "x"})), 404),
            (auth(&cluster), Some(json!({"type": "request", "model": "deepseek-chat"})), 400),
            (auth(&cluster), Some(auth(&cluster)), 400),
        ] {
            let mut socket = connect(&cluster).await;
            send(&mut socket, first.clone()).await;
            if let Some(second) = second {
                send(&mut socket, second).await;
            }
            let (messages, code) = read(&mut socket).await;
            assert_eq!(messages.len(), 1, "{messages:?}");
            assert_eq!(messages[0]["type"], "error");
            assert_eq!(messages[0]["status"], status, "{messages:?}");
            assert_eq!(messages[0]["error"].as_object().unwrap().len(), 4);
            assert_eq!(code, 1008);
        }
    }

    /// LIFE-1
    async fn leaving_a_socket_frees_the_slot(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_secs(60))
            .start()
            .await
            .unwrap();
        for politely in [true, false] {
            let mut socket = connect(&cluster).await;
            send(&mut socket, auth(&cluster)).await;
            send(&mut socket, request()).await;
            socket.next().await.unwrap().unwrap();
            assert_eq!(cluster.load().running, 1);
            if politely {
                socket.close(None).await.unwrap();
            }
            drop(socket);
            eventually("the slot is free", Duration::from_millis(250), || cluster.load().running == 0).await;
        }
    }

    /// WS-9
    async fn an_idle_socket_is_told_that_the_server_goes_down(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let mut socket = connect(&cluster).await;
        let ((), (messages, code)) = tokio::join!(cluster.drain(), read(&mut socket));
        assert_eq!((messages.len(), code), (0, 1001));
    }

    /// WS-9
    async fn a_running_socket_is_finished_while_draining(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_millis(20))
            .start()
            .await
            .unwrap();
        let mut socket = connect(&cluster).await;
        send(&mut socket, auth(&cluster)).await;
        send(&mut socket, request()).await;
        socket.next().await.unwrap().unwrap();
        let ((), (messages, code)) = tokio::join!(cluster.drain(), read(&mut socket));
        assert_eq!(messages.last().unwrap()["type"], "done");
        assert_eq!(code, 1000);
    }

    async fn a_socket_that_asks_for_nothing_is_closed(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .config(|config| config.gateway.websocket.request_timeout = Duration::from_millis(50))
            .start()
            .await
            .unwrap();
        let mut socket = connect(&cluster).await;
        let (messages, code) = read(&mut socket).await;
        assert_eq!(messages[0]["status"], 400);
        assert_eq!(code, 1008);
    }
}
