//! EDGE-2: bodies that are larger than they may be, or never end.

use std::time::Duration;

use fathom_e2e::{Cluster, Wiring};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

const LIMIT: Duration = Duration::from_secs(20);

async fn begin(cluster: &Cluster, framing: &str) -> TcpStream {
    let address = cluster.base_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let key = cluster.demo.api_key.expose_secret();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn answer(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    // A reset is an end, too.
    let _ = timeout(LIMIT, read).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn assert_too_large(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains(r#""code":"payload_too_large""#), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

/// How long a refusal may take that needs nothing but a header, on a machine that has other things
/// to do.
const AT_ONCE: Duration = Duration::from_secs(2);
/// More than what both kernels hold of a body that nobody reads, and one of the largest size.
const MOST_SENT: usize = 24 * 1024 * 1024;

/// EDGE-2: a body that says that it is too large is refused before any of it comes, so that it
/// costs no memory.
#[tokio::test]
async fn edge_2_a_body_that_is_too_large_is_refused_at_once() {
    let cluster = Cluster::builder(Wiring::InProcess).start().await.unwrap();
    for bytes in [4 * 1024 * 1024 + 1, 100 * 1024 * 1024, u64::MAX / 2] {
        let asked = Instant::now();
        let framing = format!("content-length: {bytes}");
        let mut stream = begin(&cluster, &framing).await;
        let mut beginning = [0; 12];
        timeout(LIMIT, stream.read_exact(&mut beginning))
            .await
            .unwrap()
            .unwrap();
        let refused_after = asked.elapsed();
        assert!(refused_after < AT_ONCE, "{refused_after:?}");
        let rest = answer(&mut stream).await;
        assert_too_large(&(String::from_utf8_lossy(&beginning).into_owned() + &rest));
    }
}

/// EDGE-2: one that does not say so is refused where it becomes so; what is held of it cannot be
/// more than what is taken.
#[tokio::test]
async fn edge_2_a_body_without_end_is_refused() {
    let cluster = Cluster::builder(Wiring::InProcess).start().await.unwrap();
    let mut stream = begin(&cluster, "transfer-encoding: chunked").await;
    let (mut reader, mut writer) = stream.split();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    let endless = async {
        while writer.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = answer(&mut reader) => answer,
        () = endless => String::new(),
    };
    assert_too_large(&answer);
    assert!(sent < MOST_SENT, "{sent} bytes were sent");
}

/// EDGE-5: a body that stops coming is told so in the one form.
#[tokio::test]
async fn edge_5_a_body_that_stops_is_told_so() {
    let short = |config: &mut fathom::Config| {
        config.gateway.limits.body_timeout = Some(Duration::from_millis(300));
    };
    let cluster = Cluster::builder(Wiring::InProcess)
        .config(short)
        .start()
        .await
        .unwrap();
    let mut stream = begin(&cluster, "content-length: 1000").await;
    stream.write_all(b"{\"model\":").await.unwrap();
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains(r#""code":"request_timeout""#), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}
