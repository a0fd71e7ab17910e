//! `fathom engine`: what a worker serves changes while it runs.

use std::time::Duration;

use fathom_client::Error;
use serde_json::Value;

use crate::ask::{begin, chat, long_chat, rest, whole};
use crate::harness::{REAL, Server, home, real};
use crate::process::{fathom, run};

const LIMIT: Duration = Duration::from_secs(30);
const WEIGHTS: &str = "SmolLM2-135M-Instruct-Q4_1.gguf";

/// Runs `fathom engine` on the server's worker: what it printed as JSON, or what it said of its
/// failure.
pub async fn engines(server: &Server, arguments: &[&str]) -> Result<Value, String> {
    let socket = server.home.path().join("run/worker-0.sock");
    let worker = format!("unix:{}", socket.display());
    let mut all = vec!["engine", "--worker", &worker];
    all.extend(arguments);
    let output = run(fathom(server.home.path(), &all), LIMIT).await;
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test]
async fn weights_are_swapped_under_a_running_stream_and_names_come_and_go() {
    let server = real(&home(), &["--set", REAL]).await;
    let client = server.client();
    let mut running = begin(&client, chat("Count to a hundred.", 60)).await;
    let load = ["load", WEIGHTS, "--serves", "deepseek-chat", "--json"];
    let loaded = engines(
        &server,
        &[&load[..], &["--context-length", "2048"]].concat(),
    )
    .await;
    let loaded = loaded.unwrap();
    assert_eq!(loaded["serves"][0], "deepseek-chat");
    assert_eq!(loaded["context_length"], 2048);
    rest(&mut running).await.unwrap();
    whole(&client, &chat("Hello", 1)).await;
    let listed = engines(&server, &["list", "--json"]).await.unwrap();
    let contexts = listed.as_array().unwrap().iter();
    let contexts: Vec<_> = contexts
        .map(|engine| engine["context_length"].clone())
        .collect();
    assert_eq!(contexts, [8192, 2048]);

    engines(&server, &["unload", "deepseek-code"])
        .await
        .unwrap();
    let mut code = chat("Hello", 1);
    code.model = "deepseek-code".to_owned();
    let refused = client.chat(&code).await.unwrap_err();
    assert!(
        matches!(refused, Error::Refused { status: 503, .. }),
        "{refused:?}"
    );
    let unknown = engines(&server, &["unload", "deepseek-code"]).await;
    assert!(unknown.unwrap_err().contains("deepseek-code"));
    for file in ["../secrets.gguf", "absent.gguf"] {
        let refused = engines(&server, &["load", file, "--serves", "deepseek-chat"]).await;
        assert!(refused.unwrap_err().contains(file));
    }
    drop(begin(&client, long_chat()).await);
}
