use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use fathom_api::usage::FinishReason;
use futures::future::join_all;
use tokio::time::Instant;

use crate::ask::{begin, chat, long_chat, rest, whole};
use crate::engines::engines;
use crate::harness::{REAL, Server, home, real};
use crate::process::{eventually, is_alive, signal};

const SOON: Duration = Duration::from_secs(5);

/// The real model, one generation at a time.
const ONE_SLOT: &str =
    r#"worker.engines=[{kind="local", serves=["deepseek-chat"], threads=1, slots=1}]"#;

/// LIFE-6, for a single worker: its stream pauses until it is back, and goes on.
#[tokio::test]
async fn an_engine_that_is_killed_comes_back_and_goes_on_with_its_stream() {
    let mut server = real(&home(), &["--set", REAL]).await;
    let client = server.client();
    let story = chat("Tell me a very long story about the sea.", 200);
    let mut stream = begin(&client, story).await;
    let engine = server.engine_pid().unwrap();
    signal(engine, "KILL");
    let killed = Instant::now();
    eventually("the model is served again", 2 * SOON, async || {
        client.chat(&chat("Hello", 1)).await.ok()
    })
    .await;
    println!("served again after {:?}", killed.elapsed());
    assert!(!server.has_ended());
    assert_ne!(server.engine_pid(), Some(engine));
    assert_eq!(server.admin("admin.sock", "/readyz").await.unwrap().0, 200);
    let answer = rest(&mut stream).await.unwrap();
    assert_eq!(answer.reason, FinishReason::Length);
    // Those of the engine that died count once.
    assert_eq!(answer.usage.completion_tokens, 200);
}

/// DRAIN-4: nothing is left to compute for nobody.
#[tokio::test]
async fn an_engine_does_not_outlive_a_server_that_is_killed() {
    let server = real(&home(), &["--set", REAL]).await;
    let stream = begin(&server.client(), long_chat()).await;
    let engine = server.engine_pid().unwrap();
    signal(server.pid(), "KILL");
    let killed = Instant::now();
    eventually("the engine is gone", SOON, async || {
        (!is_alive(engine)).then_some(())
    })
    .await;
    println!("the engine is gone after {:?}", killed.elapsed());
    drop(stream);
}

/// Fetching weights takes minutes on a slow network.
#[tokio::test]
async fn a_download_does_not_outlive_a_server_that_is_told_to_stop() {
    assert_no_download_after("TERM").await;
}

/// DRAIN-4: the same, when the server cannot stop anything itself.
#[tokio::test]
async fn a_download_does_not_outlive_a_server_that_is_killed() {
    assert_no_download_after("KILL").await;
}

/// Stops a server that fetches weights, and waits until none of its processes is left.
async fn assert_no_download_after(name: &str) {
    let home = home();
    let (python, pid_file) = (home.path().join("python"), home.path().join("python.pid"));
    let script = format!(
        "#!/bin/sh\necho $$ > {}\nexec sleep 600\n",
        pid_file.display()
    );
    fs::write(&python, script).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let models = format!("worker.model_dir={}", home.path().join("models").display());
    let python = format!("worker.python={}", python.display());
    let server = Server::launch(&home, &["--set", &models, "--set", &python]);
    let download = eventually("the download runs", 2 * SOON, async || {
        fs::read_to_string(&pid_file).ok()?.trim().parse().ok()
    })
    .await;
    let processes = [
        ("server", server.pid()),
        ("engine", server.engine_pid().unwrap()),
        ("download", download),
    ];
    signal(server.pid(), name);
    let told = Instant::now();
    let left = eventually("the end of the wait", 3 * SOON, async || {
        let left: Vec<_> = processes
            .into_iter()
            .filter(|(_, pid)| is_alive(*pid))
            .collect();
        (left.is_empty() || told.elapsed() > 2 * SOON).then_some(left)
    })
    .await;
    // A failed test must not leave them behind either.
    left.iter().for_each(|(_, pid)| signal(*pid, "KILL"));
    assert!(
        left.is_empty(),
        "alive {:?} after {name}: {left:?}",
        told.elapsed()
    );
}

/// LIFE-6: nobody notices more than a pause, with a token or without.
#[tokio::test]
async fn requests_that_wait_when_the_engine_is_killed_are_answered_when_it_is_back() {
    let server = real(&home(), &["--set", ONE_SLOT]).await;
    let client = server.client();
    let story = chat("Tell me a very long story about the sea.", 200);
    let mut running = begin(&client, story).await;
    let request = chat("Hello", 1);
    let waiting = join_all((0..3).map(async |_| client.chat(&request).await));
    let kill = async {
        eventually("three wait", SOON, async || {
            (queued(&server).await == Some(3)).then_some(())
        })
        .await;
        signal(server.engine_pid().unwrap(), "KILL");
        let killed = Instant::now();
        let answer = rest(&mut running).await.unwrap();
        assert_eq!(answer.usage.completion_tokens, 200);
        killed
    };
    let (answers, killed) = tokio::join!(waiting, kill);
    println!("answered {:?} after the death", killed.elapsed());
    for answer in answers {
        assert_eq!(answer.unwrap().usage.completion_tokens, 1);
    }
}

/// A request that comes while the engine is down waits for the next one, which takes no longer
/// than its weights take to load, and two seconds.
#[tokio::test]
async fn a_request_during_a_restart_of_the_engine_waits_for_it() {
    let mut server = real(&home(), &["--set", REAL]).await;
    let client = server.client();
    whole(&client, &chat("Hello", 1)).await;
    for _ in 0..2 {
        signal(server.engine_pid().unwrap(), "KILL");
        let killed = Instant::now();
        whole(&client, &chat("Hello", 1)).await;
        let back = killed.elapsed();
        println!("answered {back:?} after the death");
        assert!(
            back < server.ready_after + Duration::from_secs(2),
            "{back:?}"
        );
    }
    assert!(!server.has_ended());
}

/// Requests that wait in the engine.
async fn queued(server: &Server) -> Option<u64> {
    let engines = engines(server, &["list", "--json"]).await.ok()?;
    engines[0]["queued"].as_u64()
}
