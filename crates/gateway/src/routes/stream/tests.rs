//! The connection apart from what is served over it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::Command;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use fathom_kit::shutdown::Shutdown;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::connection::{Connection, Heard, Limits, Outgoing};
use super::handshake::{Handshake, Refused};

/// Some of the cases have messages of 16 MiB.
const LIMITS: Limits = Limits {
    max_message_bytes: 16 * 1024 * 1024,
    ping_interval: Duration::from_secs(20),
};

/// Says what it heard.
#[derive(Default)]
struct Echo(VecDeque<Message>);

impl Outgoing for Echo {
    fn poll_message(&mut self, _: &mut Context<'_>) -> Poll<Option<Message>> {
        self.0
            .pop_front()
            .map_or(Poll::Pending, |it| Poll::Ready(Some(it)))
    }
}

async fn echo(State(shutdown): State<Shutdown>, request: Request) -> Result<Response, Refused> {
    let (mut parts, _) = request.into_parts();
    let (answer, upgrade) = Handshake::read(&mut parts)?.accept();
    shutdown.spawn(async move {
        let upgraded = TokioIo::new(upgrade.await.unwrap());
        let mut connection = Connection::new(upgraded, LIMITS).await;
        let mut echo = Echo::default();
        let end = loop {
            match connection.exchange(&mut echo).await {
                Ok(Some(Heard::Text(text))) => echo.0.push_back(Message::Text(text)),
                Ok(Some(Heard::Binary(bytes))) => echo.0.push_back(Message::Binary(bytes)),
                Ok(None) => panic!("an echo has no end"),
                Err(end) => break end,
            }
        };
        connection.close(end).await;
    });
    Ok(answer)
}

/// What a case of kosoku's report says.
#[derive(Debug, Deserialize)]
struct Case {
    behavior: String,
    #[serde(rename = "behaviorClose")]
    behavior_close: String,
}

/// WS-1: the cases of the Autobahn test suite, as kosoku runs them, all but groups 12 and 13: they
/// are about compression, which is declined.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_passes_the_cases_of_autobahn() {
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/echo", get(echo))
        .with_state(shutdown.clone());
    shutdown.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let report = tempfile::tempdir().unwrap();
    let mut kosoku = Command::new(python().with_file_name("kosoku"));
    kosoku
        .args(["-m", "fuzzingclient", "-p", "4", "-o"])
        .arg(report.path());
    kosoku.args(["-x", "12.*", "-x", "13.*"]);
    kosoku.arg(format!("ws://{address}/echo"));
    let output = tokio::task::spawn_blocking(move || kosoku.output());
    let output = output.await.unwrap().unwrap();
    let index = std::fs::read(report.path().join("index.json"));
    let index = index.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let agents: BTreeMap<String, BTreeMap<String, Case>> = serde_json::from_slice(&index).unwrap();
    let cases: BTreeMap<_, _> = agents.into_values().flatten().collect();
    assert!(cases.len() > 200, "{} cases", cases.len());
    let mut verdicts = BTreeMap::<_, usize>::new();
    for case in cases.values() {
        *verdicts
            .entry((&case.behavior, &case.behavior_close))
            .or_default() += 1;
    }
    println!("{} cases: {verdicts:?}", cases.len());
    let fails = |verdict: &str| !["OK", "NON-STRICT", "INFORMATIONAL"].contains(&verdict);
    let failed: Vec<_> = cases
        .iter()
        .filter(|(_, case)| fails(&case.behavior) || fails(&case.behavior_close))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Where `make test` has put Python and its programs.
#[expect(
    clippy::disallowed_methods,
    reason = "only the test run knows where it is"
)]
fn python() -> PathBuf {
    std::env::var_os("FATHOM_TEST_PYTHON")
        .expect("run `make test`")
        .into()
}
