//! Vectors.

use fathom_proto::ErrorCode;
use fathom_proto::inference::{EmbedInput, EmbedRequest, Embeddings, Inference};
use serde_json::json;

use super::server::{Server, answer};
use super::{context, worker};

fn two() -> EmbedRequest {
    EmbedRequest {
        model: "ours".into(),
        inputs: ["a", "b"]
            .map(|text| EmbedInput::Text(text.to_owned()))
            .to_vec(),
        dimensions: Some(2),
        extra: None,
    }
}

#[tokio::test]
async fn they_come_in_the_order_of_the_inputs() {
    let body = r#"{"object":"list","data":[{"index":1,"embedding":[3,4e-1]},
        {"index":0,"embedding":[1.5,2]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let json = "content-type: application/json\r\n";
    let mut server = Server::start(vec![answer("200 OK", json, body)]).await;
    let embeddings = worker(&server.url()).await.embed(two(), context()).await;
    let expected = Embeddings {
        vectors: vec![vec![1.5, 2.0], vec![3.0, 0.4]],
        prompt_tokens: 5,
    };
    assert_eq!(embeddings.unwrap(), expected);
    let received = server.requests.recv().await.unwrap();
    assert!(
        received
            .head
            .starts_with("POST /v1/embeddings HTTP/1.1\r\n")
    );
    assert_eq!(
        received.body,
        json!({"model": "theirs", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2})
    );
}

#[tokio::test]
async fn too_few_or_uneven_ones_are_a_failure() {
    for body in [
        r#"{"data":[{"index":0,"embedding":[1,2]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1]}]}"#,
        r#"{"data":[{"embedding":[]},{"embedding":[]}]}"#,
        "{}",
    ] {
        let server = Server::start(vec![answer("200 OK", "", body)]).await;
        let embeddings = worker(&server.url()).await.embed(two(), context()).await;
        assert_eq!(
            embeddings.unwrap_err().code,
            ErrorCode::WorkerFailed,
            "{body}"
        );
    }
}
