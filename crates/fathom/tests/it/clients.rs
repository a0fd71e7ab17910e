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
const CLIENTS: [(&str, &str); 4] = [
    ("openai_client.py", "openai-python"),
    ("langchain_client.py", "langchain"),
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
    // Each has left while an answer was written, and one that was not begun.
    eventually("nothing runs", Duration::from_secs(5), async || {
        let (_, metrics) = server.admin("run/worker-0.admin.sock", "/metrics").await?;
        let mut running = metrics
            .lines()
            .filter(|line| line.starts_with("fathom_worker_running"));
        running.all(|line| line.ends_with(" 0")).then_some(())
    })
    .await;
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

/// A server with three models for all clients, and two for each: one that is full for every second
/// request, and one that has a single place and takes a minute for a word. It neither retries nor
/// waits itself, so that clients see what fails.
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
        let (flaky, slow) = (format!("flaky-{client}"), format!("slow-{client}"));
        engines.push(format!(
            r#"kind="sim", serves=["{flaky}"], faults=[{{kind="full", every=2}}]"#
        ));
        engines.push(format!(
            r#"kind="sim", serves=["{slow}"], capacity=1, max_queue_age="5s", inter_token="1m""#
        ));
        models.extend([flaky, slow]);
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
