//! Clients whose connection is memory, so that time can be paused and buffers have a size.

use fathom_kit::shutdown::Shutdown;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio_tungstenite::WebSocketStream;

use super::*;

pub type Socket = WebSocketStream<DuplexStream>;

/// What the network between client and server holds.
pub const NETWORK: usize = 64 * 1024;

/// A client's end of a connection to `gateway`.
pub fn pipe(gateway: &Gateway) -> DuplexStream {
    let (client, server) = duplex(NETWORK);
    let service = TowerToHyperService::new(routes(gateway.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(server), service)
        .with_upgrades();
    let shutdown: &Shutdown = &gateway.shutdown;
    shutdown.spawn(async move {
        // Clients of these tests break off in every way.
        let _ = connection.await;
    });
    client
}

/// A client whose handshake has a bearer.
pub async fn connect(gateway: &Gateway, bearer: &str) -> Socket {
    let mut request = "ws://server/v1/stream".into_client_request().unwrap();
    let value = format!("Bearer {bearer}").parse().unwrap();
    request.headers_mut().insert("authorization", value);
    client_async(request, pipe(gateway)).await.unwrap().0
}

/// The head of the answer to a handshake with these lines besides, and the connection.
pub async fn handshake(gateway: &Gateway, target: &str, lines: &[&str]) -> (String, DuplexStream) {
    let mut connection = pipe(gateway);
    let mut request = format!("GET {target} HTTP/1.1\r\nhost: llm.example.com\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    (String::from_utf8(head).unwrap(), connection)
}

/// What every handshake has.
pub const UPGRADE: [&str; 4] = [
    "connection: keep-alive, Upgrade",
    "upgrade: WebSocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// A connection after its handshake, on which a client of the test's own makes may write anything.
pub async fn raw(gateway: &Gateway) -> DuplexStream {
    let bearer = format!("authorization: Bearer {ALL_SCOPES}");
    let mut lines = UPGRADE.to_vec();
    lines.push(&bearer);
    let (head, connection) = handshake(gateway, "/v1/stream", &lines).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    connection
}

/// A frame, masked with nothing.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ ..126 => frame.push(0x80 | short as u8),
        middle @ ..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Writes these bytes, if they are taken, and gives the code with which the server closes.
pub async fn closed_after(connection: DuplexStream, bytes: &[u8]) -> u16 {
    let (mut reader, mut writer) = split(connection);
    let write = async {
        // A server that has closed takes no more.
        let _ = writer.write_all(bytes).await;
    };
    let read = async {
        loop {
            let first = reader.read_u8().await.expect("a close frame");
            let length = match reader.read_u8().await.unwrap() {
                126 => reader.read_u16().await.unwrap().into(),
                127 => reader.read_u64().await.unwrap(),
                short => short.into(),
            };
            let mut payload = vec![0; length as usize];
            reader.read_exact(&mut payload).await.unwrap();
            if first == 0x88 {
                let mut rest = Vec::new();
                reader.read_to_end(&mut rest).await.unwrap();
                assert!(rest.is_empty(), "something after the close");
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    };
    tokio::join!(write, read).1
}
