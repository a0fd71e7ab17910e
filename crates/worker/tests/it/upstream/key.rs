//! The key of the server; SEC-30 and SEC-40.

use std::fs;
use std::time::Duration;

use fathom_worker::{KeySource, UpstreamConfig};
use tempfile::TempDir;
use tokio::time::timeout;

use super::server::{Server, Step, answer, good, head, send};
use super::{config, hello, outcome, start, told};

const CANARY: &str = "sk-canary-7f3a";

/// A key in a file, and a configuration that names it.
fn with_key(base_url: &str) -> (TempDir, UpstreamConfig) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, format!("{CANARY}\n")).unwrap();
    let config = UpstreamConfig {
        api_key: Some(KeySource::File(path)),
        ..config(base_url)
    };
    (folder, config)
}

#[tokio::test]
async fn the_key_is_sent_and_a_new_one_is_read_from_its_file() {
    let mut server = Server::start(good()).await;
    let (folder, config) = with_key(&server.url());
    let worker = start(config).await;
    let mut asked = async || {
        outcome(&worker, hello()).await.end.unwrap();
        server.requests.recv().await.unwrap().head
    };
    assert!(
        asked()
            .await
            .contains(&format!("authorization: Bearer {CANARY}\r\n"))
    );
    fs::write(folder.path().join("key"), "sk-new").unwrap();
    let rotated = async { while !asked().await.contains("authorization: Bearer sk-new\r\n") {} };
    timeout(Duration::from_secs(10), rotated).await.unwrap();
}

#[tokio::test]
async fn the_key_is_in_no_error_even_if_the_server_sends_it_back() {
    let said = format!(r#"{{"error":{{"message":"bad key: {CANARY}","type":"t"}}}}"#);
    let event = send(format!("data: {said}\n\n"));
    let json = "content-type: application/json\r\n";
    for steps in [
        vec![answer("400 Bad", "", &said)],
        vec![answer("401 Bad", "", &said)],
        vec![answer("429 Slow", "", &said)],
        vec![answer("500 Oops", "", &said)],
        vec![answer("302 Found", "", &said)],
        vec![answer("200 OK", json, &said)],
        vec![answer("200 OK", &format!("content-type: {CANARY}\r\n"), "")],
        vec![head(), event, Step::Close],
        vec![head(), send(format!("data: {CANARY}\n\n")), Step::Close],
        vec![send(format!("{CANARY}\r\n\r\n")), Step::Close],
        vec![Step::Close],
    ] {
        let mut server = Server::start(steps).await;
        let (_folder, config) = with_key(&server.url());
        assert!(!format!("{config:?}").contains(CANARY));
        let error = outcome(&start(config).await, hello())
            .await
            .end
            .unwrap_err();
        assert!(
            server.requests.recv().await.unwrap().head.contains(CANARY),
            "it was sent"
        );
        assert!(!told(&error).contains(CANARY), "{}", told(&error));
    }
}
