//! Many requests on one WebSocket, over all services; and what a socket costs who misuses it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use fathom_client::fetch_token;
use fathom_e2e::{Cluster, eventually};
use futures::future::join_all;
use futures::{SinkExt, StreamExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::in_both_wirings;
use crate::requests::{chat, chat_json};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(cluster: &Cluster, bearer: &SecretString) -> Socket {
    connect_to(&cluster.base_url, bearer).await
}

pub async fn connect_to(base_url: &str, bearer: &SecretString) -> Socket {
    let url = format!("{}/v1/stream", base_url.replacen("http", "ws", 1));
    let mut handshake = url.into_client_request().unwrap();
    let bearer = format!("Bearer {}", bearer.expose_secret());
    let headers = handshake.headers_mut();
    headers.insert("authorization", bearer.parse().unwrap());
    connect_async(handshake).await.unwrap().0
}

async fn create(socket: &mut Socket, stream_id: &str) {
    let message =
        json!({"type": "response.create", "stream_id": stream_id, "request": chat_json("hi")});
    socket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
}

/// What is said of each lane, until every one of `lanes` has ended or the socket is closed; and
/// the code of the close.
pub async fn listen(
    socket: &mut Socket,
    lanes: usize,
) -> (HashMap<String, Vec<Value>>, Option<u16>) {
    let (mut heard, mut ended) = (HashMap::<String, Vec<Value>>::new(), 0);
    let mut code = None;
    while ended < lanes {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                let lane = message["stream_id"].as_str().unwrap_or_default().to_owned();
                ended += usize::from(message["type"] != "chunk" && message["seq"].is_u64());
                heard.entry(lane).or_default().push(message);
            }
            // Reading on is what answers the close.
            Some(Ok(Message::Close(close))) => code = Some(close.unwrap().code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break,
        }
    }
    (heard, code)
}

/// Reads until each of `lanes` has said something.
async fn begun(socket: &mut Socket, lanes: &[&str]) {
    let mut silent: Vec<_> = lanes.to_vec();
    while !silent.is_empty() {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            let message: Value = serde_json::from_str(&text).unwrap();
            silent.retain(|lane| message["stream_id"] != **lane);
        }
    }
}

fn text(lane: &[Value]) -> String {
    let deltas = lane
        .iter()
        .map(|it| &it["data"]["choices"][0]["delta"]["content"]);
    deltas.filter_map(Value::as_str).collect()
}

/// A frame of a client, masked with nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// Floods the server over a socket of its own, again and again, as fast as it is let.
async fn flood(cluster: &Cluster, frames: &[u8]) {
    loop {
        let mut connection = dial(cluster).await;
        let bearer = cluster.demo.api_key.expose_secret();
        let head = format!(
            "GET /v1/stream HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             authorization: Bearer {bearer}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // It is closed when there was too much of it.
        while connection.write_all(frames).await.is_ok() {}
        // A new socket each time is a flood of another kind.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

in_both_wirings! {
    /// WS-4: what one socket is flooded with does not slow another one.
    async fn a_flood_on_one_socket_is_nothing_to_the_others(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let pings = frame(0x89, b"").repeat(1000);
        let resume = br#"{"type":"response.resume","stream_id":"a","resume_from":{"id":"x"}}"#;
        let cancel = frame(0x81, br#"{"type":"cancel","stream_id":"a"}"#).repeat(1000);
        let cancels = [frame(0x81, resume), cancel].concat();
        let mut socket = connect(&cluster, &cluster.demo.api_key).await;
        let measured = async {
            let mut times = Vec::new();
            for number in 0..60 {
                let begun = Instant::now();
                create(&mut socket, &number.to_string()).await;
                let id = number.to_string();
                self::begun(&mut socket, &[id.as_str()]).await;
                times.push(begun.elapsed());
                let cancel = json!({"type": "cancel", "stream_id": id});
                socket.send(Message::text(cancel.to_string())).await.unwrap();
                // Lanes end in their turn; so many at a time are few.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            times.sort_unstable();
            times
        };
        let times = tokio::select! {
            times = measured => times,
            () = flood(&cluster, &pings) => unreachable!("it never ends"),
            () = flood(&cluster, &cancels) => unreachable!("it never ends"),
        };
        // Other tests take their share of the machine now and then.
        assert!(times[times.len() * 9 / 10] < Duration::from_millis(250), "{times:?}");
        assert!(times[times.len() - 1] < Duration::from_secs(2), "{times:?}");
    }

    async fn lanes_answer_as_rest_does(wiring: Wiring) {
        let cluster = Cluster::builder(wiring).start().await.unwrap();
        let whole = cluster.client().chat(&chat("hi")).await.unwrap();
        let mut socket = connect(&cluster, &cluster.demo.api_key).await;
        for id in ["a", "b", "c"] {
            create(&mut socket, id).await;
        }
        let (heard, _) = listen(&mut socket, 3).await;
        assert_eq!(heard.len(), 3);
        for lane in heard.values() {
            let (done, chunks) = lane.split_last().unwrap();
            assert_eq!(whole.choices[0].message.content, Some(text(chunks).into()));
            assert_eq!(done["type"], "done");
            assert_eq!(done["usage"], serde_json::to_value(whole.usage).unwrap());
            for (position, message) in lane.iter().enumerate() {
                assert_eq!(message["seq"], position);
            }
        }
    }

    /// LIFE-1, WS-8
    async fn cancelling_a_lane_frees_its_slot_and_leaving_frees_all(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_secs(60))
            .start()
            .await
            .unwrap();
        let soon = Duration::from_millis(250);
        for politely in [true, false] {
            let mut socket = connect(&cluster, &cluster.demo.api_key).await;
            for id in ["a", "b", "c"] {
                create(&mut socket, id).await;
            }
            eventually("three run", Duration::from_secs(5), || cluster.load().running == 3).await;
            let cancel = json!({"type": "cancel", "stream_id": "b"});
            socket.send(Message::text(cancel.to_string())).await.unwrap();
            eventually("two run", soon, || cluster.load().running == 2).await;
            if politely {
                socket.close(None).await.unwrap();
            }
            drop(socket);
            eventually("none runs", soon, || cluster.load().running == 0).await;
        }
    }

    /// DRAIN-1, WS-9: 50 sockets, with two lanes each.
    async fn a_server_that_drains_cuts_no_lane(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_millis(20))
            .start()
            .await
            .unwrap();
        let sockets = join_all((0..50).map(async |_| {
            let mut socket = connect(&cluster, &cluster.demo.api_key).await;
            create(&mut socket, "a").await;
            create(&mut socket, "b").await;
            begun(&mut socket, &["a", "b"]).await;
            socket
        }))
        .await;
        let rest = join_all(sockets.into_iter().map(async |mut socket| {
            let (heard, code) = listen(&mut socket, usize::MAX).await;
            assert_eq!(code, Some(1001));
            for id in ["a", "b"] {
                let last = heard[id].last().unwrap();
                assert_eq!(last["type"], "done", "{last}");
            }
        }));
        tokio::join!(cluster.drain(), rest);
    }

    /// WS-6: an access token that ends takes a running lane with it.
    async fn a_token_that_ends_takes_its_socket_with_it(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| sim.inter_token = Duration::from_secs(60))
            .config(|config| config.auth.token_lifetime = Duration::from_secs(2))
            .start()
            .await
            .unwrap();
        let (id, secret) = (&cluster.demo.client_id, &cluster.demo.client_secret);
        let token = fetch_token(&cluster.base_url, id, secret).await.unwrap();
        let mut socket = connect(&cluster, &token.access_token.into()).await;
        create(&mut socket, "a").await;
        let begun = Instant::now();
        let listened = timeout(Duration::from_secs(7), listen(&mut socket, usize::MAX));
        let (heard, code) = listened.await.unwrap();
        assert_eq!(code, Some(1008), "after {:?}", begun.elapsed());
        for lane in ["a", ""] {
            let last = heard[lane].last().unwrap();
            assert_eq!(last["error"]["code"], "invalid_api_key", "{last}");
        }
        let soon = Duration::from_millis(250);
        eventually("nothing runs", soon, || cluster.load().running == 0).await;
    }

    /// The package `websockets`, which nobody here has written.
    async fn a_client_of_another_make_uses_lanes(wiring: Wiring) {
        let cluster = Cluster::builder(wiring)
            .sim(|sim| {
                sim.inter_token = Duration::from_millis(10);
                sim.tokens = 100;
            })
            .start()
            .await
            .unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/websocket_client.py");
        let run = Command::new(python())
            .arg(program)
            .env_clear()
            .env("FATHOM_BASE_URL", &cluster.base_url)
            .env("FATHOM_API_KEY", cluster.demo.api_key.expose_secret())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .kill_on_drop(true)
            .output();
        let output = timeout(Duration::from_secs(30), run).await.unwrap().unwrap();
        assert!(output.status.success(), "{output:?}");
        let steps = String::from_utf8_lossy(&output.stdout);
        assert!(steps.contains("a_cancelled_answer: cancelled after"), "{steps}");
    }
}

/// Where `make test` has put Python.
#[expect(
    clippy::disallowed_methods,
    reason = "only the test run knows where it is"
)]
fn python() -> std::ffi::OsString {
    std::env::var_os("FATHOM_TEST_PYTHON").unwrap()
}

async fn dial(cluster: &Cluster) -> TcpStream {
    let address = cluster.base_url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// WS-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_of_a_megabyte_is_refused() {
    let cluster = Cluster::builder(fathom_e2e::Wiring::InProcess)
        .start()
        .await
        .unwrap();
    let mut connection = dial(&cluster).await;
    let long = "x".repeat(1024 * 1024);
    let head = format!("GET /v1/stream HTTP/1.1\r\nhost: a\r\nx-long: {long}\r\n\r\n");
    let (mut reader, mut writer) = connection.split();
    // The server does not read all of it.
    let write = async { drop(writer.write_all(head.as_bytes()).await) };
    let mut status = [0; 12];
    let (read, ()) = tokio::join!(reader.read_exact(&mut status), write);
    read.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
}

/// WS-7: WebSockets over HTTP/2 (RFC 8441) are off, and the server says so: its settings do not
/// have `SETTINGS_ENABLE_CONNECT_PROTOCOL`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_websocket_is_offered_over_http2() {
    let cluster = Cluster::builder(fathom_e2e::Wiring::InProcess)
        .start()
        .await
        .unwrap();
    let mut connection = dial(&cluster).await;
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    connection
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    connection.write_all(&empty_settings).await.unwrap();
    let mut header = [0; 9];
    connection.read_exact(&mut header).await.unwrap();
    assert_eq!(
        header[3..5],
        [4, 0],
        "not the server's settings: {header:?}"
    );
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let mut settings = vec![0; length as usize];
    connection.read_exact(&mut settings).await.unwrap();
    let ids = settings
        .chunks(6)
        .map(|it| u16::from_be_bytes([it[0], it[1]]));
    let ids: Vec<_> = ids.collect();
    assert!(!ids.is_empty() && !ids.contains(&8), "{ids:?}");
}
