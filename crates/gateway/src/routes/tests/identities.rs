//! Requests whose caller changes while they run.

use fathom_proto::identity::{Change, Scope};
use http_body_util::BodyExt;
use tokio::time::{Duration, timeout};

use super::*;
use crate::identity::fake::FakeAuth;

const KEY: &str = "sk-key";

async fn watched() -> (std::sync::Arc<FakeAuth>, crate::Gateway) {
    let auth = FakeAuth::new();
    auth.key(KEY, "key", &[Scope::Inference]);
    let gateway = fakes::watching(&auth).await;
    (auth, gateway)
}

fn revoke(auth: &FakeAuth) {
    auth.state().credentials.remove(KEY);
    auth.tell(Change::Subject("key".into()));
}

fn chat(stream: bool) -> Request<Body> {
    let mut body = chat_body();
    body["stream"] = stream.into();
    request(
        Method::POST,
        "/v1/chat/completions",
        Some(KEY),
        body.to_string(),
    )
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_of_a_revoked_key_ends_with_an_error_and_without_done() {
    let (auth, gateway) = watched().await;
    let response = routes(gateway).oneshot(chat(true)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    revoke(&auth);
    let body = timeout(Duration::from_secs(1), response.into_body().collect()).await;
    let body = body.expect("the stream ends").unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let last = body.trim_end().rsplit("\n\n").next().unwrap();
    let error: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "invalid_api_key");
    assert!(!body.contains("[DONE]"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_whole_answer_ends_with_401() {
    let (auth, gateway) = watched().await;
    let ask = send(routes(gateway), chat(false));
    let revoke = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        revoke(&auth);
    };
    let (answer, ()) = tokio::join!(timeout(Duration::from_secs(1), ask), revoke);
    let answer = answer.expect("the request ends");
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.error_code(), "invalid_api_key");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_leaves_the_key_its_rights_disturbs_nobody() {
    let (auth, gateway) = watched().await;
    let response = routes(gateway).oneshot(chat(true)).await.unwrap();
    auth.tell(Change::Everything);
    let body = timeout(Duration::from_secs(60), response.into_body().collect()).await;
    assert!(body.is_err(), "the stream goes on");
}
