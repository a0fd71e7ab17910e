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

/// Answers that say this in every place that an error has.
fn saying(said: &str) -> Vec<Vec<Step>> {
    let error = format!(r#"{{"error":{{"message":"bad: {said}","type":"t","param":"{said}"}}}}"#);
    let event = send(format!("data: {error}\n\n"));
    let json = "content-type: application/json\r\n";
    let late = format!(r#"{{"error":"{}{said}"}}"#, "x".repeat(995));
    vec![
        vec![answer("400 Bad", "", &error)],
        vec![answer("400 Bad", "", &late)],
        vec![answer("401 Bad", "", &error)],
        vec![answer("429 Slow", "", &error)],
        vec![answer("500 Oops", "", &error)],
        vec![answer("302 Found", "", &error)],
        vec![answer("200 OK", json, &error)],
        vec![answer("200 OK", &format!("content-type: {said}\r\n"), "")],
        vec![head(), event, Step::Close],
        vec![head(), send(format!("data: {said}\n\n")), Step::Close],
        vec![send(format!("{said}\r\n\r\n")), Step::Close],
        vec![Step::Close],
    ]
}

/// Asks each of such servers, and looks whether the error has what was sent, or its beginning.
async fn is_in_no_error(configured: impl Fn(&str) -> UpstreamConfig) {
    for steps in saying(CANARY) {
        let mut server = Server::start(steps).await;
        let error = outcome(&start(configured(&server.url())).await, hello())
            .await
            .end
            .unwrap_err();
        assert!(
            server.requests.recv().await.unwrap().head.contains(CANARY),
            "it was sent"
        );
        assert!(!told(&error).contains("sk-"), "{}", told(&error));
    }
}

#[tokio::test]
async fn the_key_is_in_no_error_even_if_the_server_sends_it_back() {
    let (_folder, key) = with_key("replaced");
    assert!(!format!("{key:?}").contains(CANARY));
    is_in_no_error(|base_url| UpstreamConfig {
        base_url: base_url.to_owned(),
        ..key.clone()
    })
    .await;
}

/// Some servers want their key in a header of their own.
#[tokio::test]
async fn what_a_configured_header_holds_is_in_no_error_either() {
    for value in [CANARY.to_owned(), format!("Key {CANARY}")] {
        is_in_no_error(|base_url| UpstreamConfig {
            headers: [("x-api-key".to_owned(), value.clone())].into(),
            ..config(base_url)
        })
        .await;
    }
}
