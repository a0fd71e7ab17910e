//! `POST /v1/embeddings`

use super::fakes::{embedding, hanging};
use super::*;

fn two() -> Gateway {
    embedding(vec![vec![1.0, -0.5], vec![0.1, 3.5e-10]])
}

#[tokio::test]
async fn vectors_are_as_the_sdks_read_them() {
    let ask = async |encoding: Value| {
        let body = json!({"model": "m", "input": ["a", "b"], "encoding_format": encoding});
        send(routes(two()), post("/v1/embeddings", body)).await.body
    };
    let floats = ask("float".into()).await;
    let expected = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-0.5]},{"object":"embedding","index":1,"embedding":[0.1,3.5e-10]}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    assert_eq!(floats, expected);
    assert_eq!(ask(Value::Null).await, floats);
    // As `struct.pack("<2f", …)` of Python has them.
    let base64 = expected
        .replace("[1.0,-0.5]", "\"AACAPwAAAL8=\"")
        .replace("[0.1,3.5e-10]", "\"zczMPR9qwC8=\"");
    assert_eq!(ask("base64".into()).await, base64);
}

#[tokio::test]
async fn an_input_of_any_form_passes() {
    for input in [json!("a"), json!(["a"]), json!([1, 2]), json!([[1, 2]])] {
        let one = embedding(vec![vec![1.0]]);
        let body = json!({"model": "m", "input": input, "dimensions": 1, "user": "u"});
        let answer = send(routes(one), post("/embeddings", body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{input}");
    }
}

#[tokio::test]
async fn a_bad_embedding_request_is_refused_by_name() {
    let many = vec!["a"; 2049];
    for (field, value) in [
        ("input", json!([])),
        ("input", json!("")),
        ("input", json!(["a", ""])),
        ("input", json!([[1], []])),
        ("input", json!(many)),
        ("input", json!(5)),
        ("input", Value::Null),
        ("encoding_format", json!("int8")),
        ("dimensions", json!(0)),
        ("model", json!("")),
    ] {
        let mut body = json!({"model": "m", "input": "a"});
        body[field] = value.clone();
        let answer = send(routes(two()), post("/v1/embeddings", body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{field} {value}");
        assert_eq!(answer.json()["error"]["param"], field, "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn embeddings_fail_as_chats_do() {
    let body = json!({"model": "m", "input": "a"});
    // Two vectors for one text.
    let answer = send(routes(two()), post("/v1/embeddings", body.clone())).await;
    assert_eq!(answer.error_code(), "worker_failed");
    let answer = send(routes(hanging()), post("/v1/embeddings", body.clone())).await;
    assert_eq!(answer.error_code(), "deadline_exceeded");
    let unknown = json!({"model": "unknown", "input": "a"});
    let answer = send(routes(two()), post("/v1/embeddings", unknown)).await;
    assert_eq!(answer.error_code(), "model_not_found");
    assert_eq!(answer.json()["error"]["param"], "model");
    let anonymous = request(Method::POST, "/v1/embeddings", None, body.to_string());
    assert_eq!(
        send(routes(two()), anonymous).await.status,
        StatusCode::UNAUTHORIZED
    );
}
