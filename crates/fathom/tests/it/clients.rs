//! Clients that others wrote, each in a program of `tests/clients` that holds it to what it
//! promises its users: whole answers and streams, functions, schemas, errors, leaving.

use std::process::Stdio;
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::admin::prints;
use crate::harness::{Server, home, real};
use crate::process::{eventually, test_path};
use crate::programs::{file, runs};

/// The programs, and the names of their own models.
const CLIENTS: [(&str, &str); 7] = [
    ("openai_client.py", "openai-python"),
    ("langchain_client.py", "langchain"),
    ("anthropic_client.py", "anthropic"),
    ("websockets_client.py", "websockets"),
    ("grpcio_client.py", "grpcio"),
    ("openai_client.mjs", "openai-node"),
    ("ai_sdk_client.mjs", "ai-sdk"),
];

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn clients_that_others_wrote_work_unchanged() {
    let (_upstream, url) = upstream().await;
    let server = server(&url).await;
    let running = CLIENTS.map(|(program, _)| {
        let server = &server;
        async move {
            let program = file(&format!("crates/fathom/tests/clients/{program}"));
            runs(server, &program, LIMIT).await
        }
    });
    for printed in join_all(running).await {
        assert_eq!(printed, "ok\n");
    }
    // Each has left while an answer was written, and one that was not begun. The real weights have a
    // process of their own.
    for (socket, engine) in [
        ("admin.sock", "sim-words"),
        ("run/worker-0.admin.sock", "SmolLM2"),
    ] {
        let what = format!("nothing of {engine} runs or waits");
        eventually(&what, Duration::from_secs(5), async || {
            let (_, metrics) = server.admin(socket, "/metrics").await?;
            ["fathom_worker_running", "fathom_worker_queued"]
                .iter()
                .all(|gauge| is_zero(&metrics, gauge, engine))
                .then_some(())
        })
        .await;
    }
}

/// Whether a gauge of this engine is there, and 0.
fn is_zero(metrics: &str, gauge: &str, engine: &str) -> bool {
    let begin = format!("{gauge}{{engine=\"{engine}");
    let mut found = metrics
        .lines()
        .filter(|line| line.starts_with(&begin))
        .peekable();
    found.peek().is_some() && found.all(|line| line.ends_with(" 0"))
}

/// A server that thinks and calls functions, and where it is.
async fn upstream() -> (Child, String) {
    let mut python = Command::new(test_path("FATHOM_TEST_PYTHON"));
    python.arg(file("crates/fathom/tests/clients/deepseek_upstream.py"));
    python.stdout(Stdio::piped()).kill_on_drop(true);
    let mut python = python.spawn().unwrap();
    let mut lines = BufReader::new(python.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().unwrap();
    (python, format!("http://127.0.0.1:{port}/v1"))
}

/// A server with three models for all clients, and three for each: one that is full for every second
/// request, one that gives up after two words or, every second time, before the first, and one that
/// has a single place and takes a minute for a word. It neither retries nor waits itself, so that
/// clients see what fails.
async fn server(upstream: &str) -> Server {
    let home = home();
    let mut engines = vec![
        r#"kind="sim", serves=["deepseek-chat"], inter_token="2ms", embedding_dimensions=64"#
            .to_owned(),
        format!(r#"kind="upstream", serves=["deepseek-reasoner"], base_url="{upstream}""#),
        r#"kind="local", serves=["deepseek-code"], threads=1, context_length=1024"#.to_owned(),
    ];
    let mut models = vec!["deepseek-reasoner".to_owned()];
    for (_, client) in CLIENTS {
        let named = |kind: &str| format!("{kind}-{client}");
        let (flaky, broken, slow) = (named("flaky"), named("broken"), named("slow"));
        engines.push(format!(
            r#"kind="sim", serves=["{flaky}"], faults=[{{kind="full", every=2}}]"#
        ));
        engines.push(format!(
            r#"kind="sim", serves=["{broken}"], faults=[{{kind="fail", every=2}}, {{kind="fail", after=2}}]"#
        ));
        engines.push(format!(
            r#"kind="sim", serves=["{slow}"], capacity=1, max_queue_age="5s", inter_token="1m""#
        ));
        models.extend([flaky, broken, slow]);
    }
    for model in models {
        let create = "--owned-by tests --context-length 1024 --target";
        prints(
            home.path(),
            &format!("models create {model} {create} {model}"),
        )
        .await;
    }
    let engines = format!("worker.engines=[{{{}}}]", engines.join("}, {"));
    let set = [
        &engines,
        "router.retry.attempts=1",
        "router.retry.continuations=0",
        "router.queue.max_age=1ms",
    ];
    let arguments: Vec<_> = set.iter().flat_map(|set| ["--set", set]).collect();
    real(&home, &arguments).await
}
