//! EDGE-6 where it would matter most: behind the gateway, at a server of somebody else.

use std::sync::OnceLock;
use std::time::Duration;

use fathom::Config;
use fathom_e2e::{Cluster, Wiring};
use fathom_worker::{EngineConfig, UpstreamConfig};
use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);
/// Where the upstream of the one test here is.
static UPSTREAM: OnceLock<String> = OnceLock::new();

const ANSWER: &str = concat!(
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
    r#"data: {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "#,
    r#""choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": null}]}"#,
    "\n\n",
    r#"data: {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "#,
    r#""choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "#,
    r#""usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}"#,
    "\n\ndata: [DONE]\n\n",
);

/// Answers each request of a connection of its own, and tells its header.
async fn upstream(listener: TcpListener, asked: mpsc::Sender<String>) {
    loop {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap() == 0 {
                break;
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.unwrap();
        asked.send(head).await.unwrap();
        stream.write_all(ANSWER.as_bytes()).await.unwrap();
    }
}

/// EDGE-6: however a request is framed, an upstream sees exactly one for it, and none of its
/// headers, whether they are named in `connection` or not.
#[tokio::test]
async fn edge_6_an_upstream_sees_one_request_and_no_header_of_the_caller() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    UPSTREAM.set(url).unwrap();
    let (asked, mut heads) = mpsc::channel(16);
    let mut servers = JoinSet::new();
    servers.spawn(upstream(listener, asked));
    let leads_there = |config: &mut Config| {
        config.worker.engines = vec![EngineConfig::Upstream(UpstreamConfig {
            serves: vec!["deepseek-chat".to_owned()],
            base_url: UPSTREAM.get().unwrap().clone(),
            ..UpstreamConfig::default()
        })];
    };
    let builder = Cluster::builder(Wiring::InProcess).config(leads_there);
    let cluster = builder.start().await.unwrap();
    let key = cluster.demo.api_key.expose_secret();
    let body = r#"{"model": "deepseek-chat", "messages": [{"role": "user", "content": "hi"}]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\n"
    );
    let hidden = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let hop = "connection: close, x-secret, authorization\r\nx-secret: hop\r\nx-mine: caller\r\n\
        keep-alive: timeout=5\r\nte: trailers\r\nproxy-authorization: Basic eA==\r\n";
    for (framing, body) in [
        (format!("content-length: {}", body.len()), body.to_owned()),
        ("transfer-encoding: chunked".to_owned(), chunks.clone()),
        (
            format!(
                "content-length: {}\r\ntransfer-encoding: chunked",
                chunks.len() + hidden.len()
            ),
            chunks.clone(),
        ),
    ] {
        let mut stream = TcpStream::connect(cluster.base_url.trim_start_matches("http://"))
            .await
            .unwrap();
        let request = format!("{head}{hop}{framing}\r\n\r\n{body}{hidden}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // A reset is an end, too.
        let _ = timeout(LIMIT, read).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200"), "{framing}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{framing}: {answer}"
        );
        let seen = heads.try_recv().unwrap();
        for name in ["x-secret", "x-mine", "authorization", "keep-alive", "te: "] {
            assert!(!seen.contains(name), "{framing}: {seen}");
        }
        assert!(!seen.contains(&key.to_ascii_lowercase()));
        assert!(heads.try_recv().is_err(), "{framing}: there are two");
    }
}
