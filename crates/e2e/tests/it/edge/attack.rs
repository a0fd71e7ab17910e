//! EDGE-5 and EDGE-8 to EDGE-10: programs of others against the gateway. Whatever they do, somebody
//! else is served meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fathom::Config;
use fathom_e2e::{Cluster, Wiring};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout};

/// One attack at a time: what each proves is how long somebody else waits.
static TURN: Mutex<()> = Mutex::const_new(());

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long somebody else may wait for an answer, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(3);

/// A gateway whose times are short, so that tests are.
async fn cluster(adjust: fn(&mut Config)) -> (Cluster, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    let builder = Cluster::builder(Wiring::InProcess).config(adjust);
    (builder.start().await.unwrap(), turn)
}

fn short(config: &mut Config) {
    let limits = &mut config.gateway.limits;
    limits.header_timeout = Duration::from_secs(2);
    limits.body_timeout = Some(Duration::from_secs(2));
    limits.idle_timeout = Some(Duration::from_secs(2));
    limits.write_timeout = Some(Duration::from_secs(2));
}

/// Runs a program, and asks the gateway something twice a second until it ends.
async fn withstands(cluster: &Cluster, command: &mut Command) -> (i32, String) {
    let what = format!("{command:?}");
    let mut running = std::pin::pin!(command.kill_on_drop(true).output());
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    let output = loop {
        tokio::select! {
            output = running.as_mut() => break output.unwrap(),
            () = sleep(Duration::from_millis(500)) => {}
        }
        let asked = Instant::now();
        assert!(begun.elapsed() < LIMIT, "still running: {what}");
        answers(cluster).await;
        slowest = slowest.max(asked.elapsed());
    };
    answers(cluster).await;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let took = begun.elapsed();
    println!("it took {took:?}, and the slowest answer to others {slowest:?}");
    (output.status.code().unwrap_or(-1), text)
}

/// Somebody else, over a connection of their own, is served.
async fn answers(cluster: &Cluster) {
    let url = format!("{}/v1/models", cluster.base_url);
    let key = cluster.demo.api_key.expose_secret();
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    let answer = client.get(url).bearer_auth(key).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

fn slowhttptest(cluster: &Cluster, path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("slowhttptest");
    command.args(["-c", "200", "-r", "200", "-l", "15", "-p", "3", "-u"]);
    command
        .arg(format!("{}{path}", cluster.base_url))
        .args(arguments);
    command
}

/// EDGE-5: in each of its three modes slowhttptest finds the service available, and its connections
/// closed before its time is over.
#[tokio::test]
async fn edge_5_slowhttptest_holds_nothing() {
    let (cluster, _turn) = cluster(short).await;
    for (path, mode) in [
        ("/v1/models", &["-H", "-i", "3"][..]),
        ("/oauth/token", &["-B", "-i", "3", "-s", "8192"]),
    ] {
        // It sees that a connection is closed once it has read what came before.
        let mut attack = slowhttptest(&cluster, path, mode);
        let (_, text) = withstands(&cluster, &mut attack).await;
        let text = without_colours(&text);
        assert!(
            text.contains("No open connections left"),
            "{mode:?}: {text}"
        );
        assert_available(&text);
    }
    // More than the kernel's buffers take. Here it does not notice that it was closed.
    let slow_read = &["-X", "-w", "64", "-y", "256", "-n", "1", "-z", "32"];
    let mut attack = slowhttptest(&cluster, "/openapi.json", slow_read);
    let port = cluster
        .base_url
        .rsplit_once(':')
        .unwrap()
        .1
        .parse()
        .unwrap();
    let let_go = async {
        eventually("it is connected", || open_connections(port) > 150).await;
        eventually("it is let go", || open_connections(port) < 10).await;
        Instant::now()
    };
    let ((_, text), let_go) = tokio::join!(withstands(&cluster, &mut attack), let_go);
    assert_available(&without_colours(&text));
    assert!(let_go.elapsed() > Duration::from_secs(3), "{text}");
}

fn assert_available(text: &str) {
    assert!(!text.contains("service available:   NO"), "{text}");
}

/// Waits until `condition` holds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = timeout(Duration::from_secs(15), wait).await;
    assert!(waited.is_ok(), "{what}");
}

/// How many connections to a port of this machine are established, as the kernel knows them.
fn open_connections(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let lines = table.lines().skip(1);
    let fields = lines.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    fields
        .filter(|fields| fields[1].ends_with(&local) && fields[3] == "01")
        .count()
}

/// What a terminal would show.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        shown
            + part
                .split_once(|c: char| c.is_ascii_alphabetic())
                .map_or("", |(_, rest)| rest)
    })
}

/// EDGE-8, with 20,000 of its 100,000 requests: none fails, on either protocol.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edge_8_a_load_of_requests_is_served_without_an_error() {
    let (cluster, _turn) = cluster(|_| {}).await;
    let key = format!(
        "authorization: Bearer {}",
        cluster.demo.api_key.expose_secret()
    );
    let folder = tempfile::tempdir().unwrap();
    let chat = folder.path().join("chat.json");
    let body = r#"{"model": "deepseek-chat", "messages": [{"role": "user", "content": "hi"}]}"#;
    std::fs::write(&chat, body).unwrap();
    let chat = [
        "-d",
        chat.to_str().unwrap(),
        "-H",
        "content-type: application/json",
    ];
    for (path, count, more) in [
        ("/v1/models", 14_000, &["-m", "10"][..]),
        ("/v1/models", 5_000, &["--h1"]),
        ("/v1/chat/completions", 1_000, &chat),
    ] {
        let mut load = Command::new("h2load");
        load.args(["-c", "20", "-n", &count.to_string(), "-H", &key])
            .args(more);
        load.arg(format!("{}{path}", cluster.base_url));
        let (_, text) = withstands(&cluster, &mut load).await;
        let done = format!("{count} total, {count} started, {count} done, {count} succeeded");
        assert!(text.contains(&done), "{text}");
        assert!(
            text.contains(&format!("status codes: {count} 2xx")),
            "{text}"
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the test run knows where Python is"
)]
pub fn python() -> PathBuf {
    let python = std::env::var_os("FATHOM_TEST_PYTHON");
    let python = python.unwrap_or_else(|| panic!("FATHOM_TEST_PYTHON is not set: run `make test`"));
    python.into()
}

/// The ports that speak HTTP/2 to clients.
#[derive(Clone, Copy, Debug)]
enum Port {
    Public,
    Grpc,
}

fn h2_flood(cluster: &Cluster, port: Port, way: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/h2_flood.py");
    let (url, form) = match port {
        Port::Public => (&cluster.base_url, "/oauth/token"),
        Port::Grpc => (&cluster.grpc_url, "/grpc.health.v1.Health/Check"),
    };
    let address = url.trim_start_matches("http://");
    let (host, port) = address.rsplit_once(':').unwrap();
    let mut command = Command::new(python());
    command.arg(script).args([host, port, form, way]);
    command
}

/// What the server says before it ends a connection on which somebody floods it this way.
async fn last_word(cluster: &Cluster, port: Port, way: &str, goaway: &str) {
    // The reset of a connection on which more has come may overtake its last word.
    for _ in 0..5 {
        let (status, text) = withstands(cluster, &mut h2_flood(cluster, port, way)).await;
        println!("{port:?} {way}: {text}");
        assert_eq!(status, 0, "{port:?} {way}: {text}");
        if text.contains(goaway) {
            return;
        }
        assert!(text.contains("closed"), "{port:?} {way}: {text}");
    }
    panic!("{port:?} {way} ends without {goaway}");
}

/// EDGE-4, EDGE-9 and EDGE-10: a client of HTTP/2 that only makes work loses its connection, with
/// a word, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edge_9_and_10_floods_of_http_2_end_their_connection_alone() {
    let (cluster, _turn) = cluster(|_| {}).await;
    let before = resident();
    for (way, goaway) in [
        ("rapid_reset", "goaway 11"),
        ("settings", CALM),
        ("ping", CALM),
        ("priority", CALM),
        ("continuation", "goaway 11"),
        ("empty_continuation", "goaway 11"),
        ("header_bomb", "goaway"),
        ("empty_data", "goaway 11"),
        ("window_update", CALM),
        ("window_overflow", "goaway 3"),
        ("half_closed", "goaway"),
        ("too_large_frame", "goaway 6"),
    ] {
        last_word(&cluster, Port::Public, way, goaway).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
}

/// `ENHANCE_YOUR_CALM`, in words that clients of gRPC know.
const CALM: &str = "goaway 11 too_many_pings";

/// EDGE-9, EDGE-10 and GRPC-7: nor on the port for gRPC.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_7_floods_of_the_port_for_grpc_end_their_connection_alone() {
    let (cluster, _turn) = cluster(|_| {}).await;
    for (way, goaway) in [
        ("rapid_reset", "goaway 11"),
        ("ping", CALM),
        ("window_update", CALM),
        ("continuation", "goaway 11"),
        ("header_bomb", "goaway"),
        ("empty_data", "goaway 11"),
    ] {
        last_word(&cluster, Port::Grpc, way, goaway).await;
    }
}

/// EDGE-10: streams beyond the number that a client was told are refused, and the others are not.
#[tokio::test]
async fn edge_10_streams_beyond_the_number_are_refused() {
    let (cluster, _turn) = cluster(|_| {}).await;
    let mut attack = h2_flood(&cluster, Port::Public, "too_many_streams");
    let run = timeout(LIMIT, withstands(&cluster, &mut attack)).await;
    let (status, text) = run.unwrap();
    assert_eq!(status, 0, "{text}");
}

/// Memory of this process, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// EDGE-5 on the port of gRPC: a message that does not come whole holds nothing, and nothing is
/// needed to send one.
#[tokio::test]
async fn edge_5_half_a_message_holds_nothing() {
    let (cluster, _turn) = cluster(short).await;
    let address = cluster.grpc_url.trim_start_matches("http://");
    for method in [
        "grpc.health.v1.Health/Check",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "fathom.inference.v1.CompletionService/CreateCompletion",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let key = cluster.demo.api_key.expose_secret();
        let head = format!(
            "POST /{method} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\n\
             te: trailers\r\ncontent-type: application/grpc\r\ncontent-length: 100\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[0, 0, 0, 0, 95, 10]).await.unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let ended = timeout(Duration::from_secs(10), end).await;
        assert!(ended.is_ok(), "{method} stays open");
    }
}
