//! What arrives at the server.

use fathom_proto::ErrorCode;
use fathom_proto::inference::{GenerateRequest, Json, Prompt};
use fathom_worker::UpstreamConfig;
use serde_json::json;

use super::server::{Server, good};
use super::{config, hello, outcome, start};

#[tokio::test]
async fn unknown_fields_and_configured_headers_arrive_and_counts_are_asked_for() {
    let mut server = Server::start(good()).await;
    let config = UpstreamConfig {
        headers: [("X-Team".to_owned(), "blue".to_owned())].into(),
        ..config(&server.url())
    };
    let request = GenerateRequest {
        extra: Some(Json(
            r#"{"thinking":{"type":"disabled"},"stream":false}"#.to_owned(),
        )),
        ..hello()
    };
    outcome(&start(config).await, request).await.end.unwrap();
    let received = server.requests.recv().await.unwrap();
    assert_eq!(
        received.body,
        json!({
            "model": "theirs",
            "messages": [{"role": "user", "content": "hello"}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "thinking": {"type": "disabled"},
        })
    );
    let head = received.head;
    assert!(
        head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
        "{head}"
    );
    for header in [
        "x-team: blue\r\n",
        "x-request-id: req-7\r\n",
        "content-type: application/json\r\n",
    ] {
        assert!(head.contains(header), "{head}");
    }
    for header in ["authorization", "accept-encoding"] {
        assert!(!head.contains(header), "{head}");
    }
}

#[tokio::test]
async fn what_another_worker_generated_is_refused_unsent() {
    let mut server = Server::start(good()).await;
    let request = GenerateRequest {
        generated: vec![1],
        ..hello()
    };
    let worker = start(config(&server.url())).await;
    let error = outcome(&worker, request).await.end.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(error.param.as_deref(), Some("generated"));
    assert!(server.requests.try_recv().is_err());
}

/// What callers are told of a model is not where it runs.
#[tokio::test]
async fn a_model_is_announced_under_the_servers_own_name_for_it() {
    let config = UpstreamConfig {
        serves: vec!["ours".to_owned(), "same".to_owned()],
        ..config("http://10.0.0.7:8000/v1")
    };
    let models = start(config).await.models();
    let names = models
        .iter()
        .map(|served| (served.model.as_str(), served.deployment.weights.as_str()));
    let expected = [("ours", "theirs"), ("same", "same")];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_text_to_continue_is_sent_as_one() {
    let mut server = Server::start(good()).await;
    let prompt = Prompt::Infill {
        before: "a".to_owned(),
        after: "c".to_owned(),
    };
    let request = GenerateRequest::new("ours".into(), prompt);
    outcome(&start(config(&server.url())).await, request)
        .await
        .end
        .unwrap();
    let received = server.requests.recv().await.unwrap();
    assert!(
        received
            .head
            .starts_with("POST /v1/completions HTTP/1.1\r\n")
    );
    assert_eq!(
        (&received.body["prompt"], &received.body["suffix"]),
        (&json!("a"), &json!("c"))
    );
}
