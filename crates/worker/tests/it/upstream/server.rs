//! A server that is as hostile as its script, on a socket of its own.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::interval;

/// What a server does with a request, in order; then it waits for the next one.
#[derive(Clone)]
pub enum Step {
    Send(Vec<u8>),
    /// Sends again and again, as fast as they are taken.
    Flood(Vec<u8>),
    /// Sends once a millisecond.
    Talk(Vec<u8>),
    /// Says nothing until the client goes away.
    Hang,
    Close,
}

/// A request as it arrived.
pub struct Received {
    pub head: String,
    pub body: Value,
}

pub struct Server {
    pub address: SocketAddr,
    pub requests: mpsc::Receiver<Received>,
    /// How many bytes a connection took until the client went away.
    pub gone: mpsc::Receiver<usize>,
    /// One for each connection.
    pub connections: mpsc::Receiver<()>,
    _task: JoinSet<()>,
}

pub fn send(text: impl Into<Vec<u8>>) -> Step {
    Step::Send(text.into())
}

/// A whole answer.
pub fn answer(status: &str, headers: &str, body: &str) -> Step {
    let length = body.len();
    send(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}"
    ))
}

/// The head of an event stream that ends with its connection.
pub fn head() -> Step {
    send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n")
}

/// The head of an event stream that comes in chunks.
pub fn chunked_head() -> Step {
    send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
}

/// A chunk of such a stream.
pub fn chunk(text: &str) -> Step {
    send(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// The event of a piece of text.
pub fn text(piece: &str) -> String {
    let json = serde_json::json!({"choices": [{"index": 0, "delta": {"content": piece}}]});
    format!("data: {json}\n\n")
}

pub const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";
pub const DONE: &str = "data: [DONE]\n\n";

/// A stream as it should be: `Hello`.
pub fn good() -> Vec<Step> {
    let (hel, lo) = (text("Hel"), text("lo"));
    vec![
        head(),
        send(format!("{hel}{lo}{STOP}{USAGE}{DONE}")),
        Step::Close,
    ]
}

impl Server {
    /// Does the same with each request.
    pub async fn start(steps: Vec<Step>) -> Self {
        Self::script(vec![steps]).await
    }

    /// Does with each request on a connection what its place says; the last stands for the rest.
    pub async fn script(script: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (request, requests) = mpsc::channel(10_000);
        let (went, gone) = mpsc::channel(10_000);
        let (connected, connections) = mpsc::channel(10_000);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connected.try_send(()).unwrap();
                let (script, request, went) = (script.clone(), request.clone(), went.clone());
                serving.spawn(async move {
                    let sent = serve(socket, script, request).await;
                    let _ = went.try_send(sent);
                });
            }
        });
        Self {
            address,
            requests,
            gone,
            connections,
            _task: task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

/// Serves a connection to its end; how many bytes were sent.
async fn serve(
    mut socket: TcpStream,
    script: Vec<Vec<Step>>,
    requests: mpsc::Sender<Received>,
) -> usize {
    let mut sent = 0;
    let mut steps = script.iter();
    let mut last = &script[0];
    while let Some(request) = receive(&mut socket).await {
        let _ = requests.try_send(request);
        last = steps.next().unwrap_or(last);
        for step in last {
            let (bytes, pause) = match step {
                Step::Close => return sent,
                Step::Hang => {
                    let _ = socket.read(&mut [0]).await;
                    return sent;
                }
                Step::Send(bytes) => {
                    if socket.write_all(bytes).await.is_err() {
                        return sent;
                    }
                    sent += bytes.len();
                    continue;
                }
                Step::Flood(bytes) => (bytes, None),
                Step::Talk(bytes) => (bytes, Some(Duration::from_millis(1))),
            };
            let mut beat = pause.map(interval);
            while socket.write_all(bytes).await.is_ok() {
                sent += bytes.len();
                if let Some(beat) = &mut beat {
                    beat.tick().await;
                }
            }
            return sent;
        }
    }
    sent
}

async fn receive(socket: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap().parse().unwrap();
    while bytes.len() < end + length {
        socket.read_buf(&mut bytes).await.ok()?;
    }
    let body = serde_json::from_slice(&bytes[end..]).unwrap();
    Some(Received { head, body })
}
