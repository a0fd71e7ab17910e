//! A server that knows nothing of this project: `@dwmkerr/mock-llm`.

use std::process::Stdio;

use fathom_proto::ErrorCode;
use fathom_proto::inference::{FinishReason, GenerateRequest, Prompt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{hello, outcome, worker};

/// It answers with the last message, four characters at a time, or with an error.
const PROGRAM: &str = r#"
const { createServer } = require("@dwmkerr/mock-llm/dist/server.js");
const log = console.log;
console.log = () => {};
const echo = "{{jmes request body.messages[-1].content}}";
const message = { role: "assistant", content: echo };
const content = JSON.stringify({
  id: "chatcmpl-1", object: "chat.completion", model: "{{jmes request body.model}}",
  choices: [{ index: 0, message, finish_reason: "stop" }],
});
const error = JSON.stringify({ error: { message: "secret", type: "server_error" } });
const path = "/v1/chat/completions";
const fails = "contains(body.messages[-1].content, 'fail')";
const config = {
  streaming: { chunkSize: 4, chunkIntervalMs: 1 },
  rules: [
    { path, match: "body.model == 'theirs'", response: { status: 200, content } },
    { path, match: fails, response: { status: 500, content: error } },
  ],
};
const server = createServer(config, "127.0.0.1", 0).listen(0, "127.0.0.1", () => {
  log(server.address().port);
});
"#;

#[expect(
    clippy::disallowed_methods,
    reason = "the paths of programs are no configuration"
)]
fn test_path(name: &str) -> std::ffi::OsString {
    let path = std::env::var_os(name);
    assert!(path.is_some(), "{name} is not set: run `make test`");
    path.unwrap()
}

/// The server, and where it is.
async fn start() -> (Child, String) {
    let mut node = Command::new(test_path("FATHOM_TEST_NODE"));
    node.args(["-e", PROGRAM])
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    node.env_clear()
        .env("NODE_PATH", test_path("FATHOM_TEST_NODE_MODULES"));
    let mut node = node.spawn().unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().unwrap();
    (node, format!("http://127.0.0.1:{port}/v1"))
}

fn say(text: &str) -> GenerateRequest {
    let mut request = hello();
    if let Prompt::Chat(turns) = &mut request.prompt {
        turns[0].content = text.to_owned();
    }
    request
}

#[tokio::test]
async fn it_streams_fails_and_refuses() {
    let (_node, url) = start().await;
    let worker = worker(&url).await;
    let said = "what is said comes back, piece by piece";
    let answer = outcome(&worker, say(said)).await;
    let (reason, usage) = answer.end.unwrap();
    assert_eq!((answer.text.as_str(), reason), (said, FinishReason::Stop));
    assert_eq!(
        usage.completion_tokens, 10,
        "it counts none: one for each piece"
    );

    let error = outcome(&worker, say("fail")).await.end.unwrap_err();
    assert_eq!(error.code, ErrorCode::WorkerFailed);

    let prompt = Prompt::Text("there is no such route there".to_owned());
    let request = GenerateRequest::new("ours".into(), prompt);
    let error = outcome(&worker, request).await.end.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
}
