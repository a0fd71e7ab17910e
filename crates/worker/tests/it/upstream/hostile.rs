//! Servers that do what none should; LIFE-8 and LIFE-7.

use std::time::Duration;

use fathom_proto::ErrorCode;
use fathom_proto::inference::{Inference, RequestContext};
use fathom_worker::UpstreamConfig;
use tokio::time::Instant;

use super::server::{DONE, Server, Step, answer, chunk, chunked_head, head, send, text};
use super::{Outcome, config, context, hello, outcome, read, start, told};

const LIMIT: Duration = Duration::from_millis(150);

/// What comes of a request to a server that does this.
async fn ask(steps: Vec<Step>) -> (Server, Outcome) {
    let server = Server::start(steps).await;
    let worker = start(config(&server.url())).await;
    let outcome = outcome(&worker, hello()).await;
    assert_eq!(worker.load().running, 0, "an error frees the place");
    (server, outcome)
}

/// The code of the error, and what the operator learns.
async fn error_of(steps: Vec<Step>) -> (ErrorCode, String) {
    let error = ask(steps).await.1.end.unwrap_err();
    (error.code, told(&error))
}

async fn fails(steps: Vec<Step>, cause: &str) {
    let (code, told) = error_of(steps).await;
    assert_eq!(code, ErrorCode::WorkerFailed, "{told}");
    assert!(told.contains(cause), "{told}");
}

#[tokio::test]
async fn a_stream_that_is_cut_within_an_event_fails_after_what_came() {
    let steps = vec![
        head(),
        send(text("Hel")),
        send("data: {\"choi"),
        Step::Close,
    ];
    let outcome = ask(steps).await.1;
    assert_eq!(outcome.text, "Hel");
    assert_eq!(outcome.end.unwrap_err().code, ErrorCode::WorkerFailed);
}

#[tokio::test]
async fn a_stream_that_ends_without_its_mark_fails() {
    fails(
        vec![head(), send(text("Hel")), Step::Close],
        "ended before the answer",
    )
    .await;
    fails(vec![head(), Step::Close], "ended before the answer").await;
}

#[tokio::test]
async fn a_connection_that_breaks_within_a_body_fails() {
    let steps = vec![
        chunked_head(),
        chunk(&text("Hel")),
        send("ff\r\ndata"),
        Step::Close,
    ];
    fails(steps, "the connection broke").await;
}

#[tokio::test]
async fn a_body_of_another_length_than_it_says_fails() {
    let body = format!("{}{DONE}", text("Hello"));
    let head = |length: usize| {
        send(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n"
        ))
    };
    let half = body.len() / 2;
    fails(
        vec![head(half), send(&*body), Step::Close],
        "ended before the answer",
    )
    .await;
    let longer = vec![head(body.len() * 2), send(&body[..half]), Step::Close];
    fails(longer, "the connection broke").await;
}

#[tokio::test]
async fn garbage_fails_after_what_came() {
    for garbage in [
        "data: <html>\n\n",
        "data: {\"choices\":7}\n\n",
        "data: [1]\n\n",
    ] {
        let outcome = ask(vec![head(), send(text("Hel") + garbage), Step::Hang])
            .await
            .1;
        let error = outcome.end.unwrap_err();
        assert_eq!(
            (outcome.text.as_str(), error.code),
            ("Hel", ErrorCode::WorkerFailed)
        );
        assert!(
            !told(&error).contains("html"),
            "what was sent may be a prompt"
        );
    }
    let mut broken = b"data: {\"choices\":[{\"delta\":{\"content\":\"".to_vec();
    broken.extend_from_slice(b"\xff\"}}]}\n\n");
    fails(
        vec![head(), send(broken), Step::Hang],
        "what the API does not know",
    )
    .await;
}

#[tokio::test]
async fn a_server_that_is_no_server_fails() {
    fails(
        vec![send("220 mail.example.com ESMTP\r\n\r\n"), Step::Close],
        "no HTTP",
    )
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let address = Server::start(Vec::new()).await.url();
    let error = outcome(&start(config(&address)).await, hello())
        .await
        .end
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{}", told(&error));
}

#[tokio::test]
async fn a_server_that_goes_away_with_the_request_has_failed() {
    fails(vec![Step::Close], "broke before the answer began").await;
    let head = vec![send("HTTP/1.1 200 OK\r\ncontent-"), Step::Close];
    fails(head, "broke before the answer began").await;
}

#[tokio::test]
async fn another_content_type_fails() {
    let html = answer("200 OK", "content-type: text/html\r\n", "<html>");
    fails(vec![html], "its content type is `text/html`").await;
    fails(vec![answer("200 OK", "", "{}")], "its content type is ``").await;
    let zipped = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    fails(vec![answer("200 OK", zipped, "x")], "is encoded").await;
}

#[tokio::test]
async fn a_whole_answer_without_one_fails() {
    for (body, cause) in [
        ("{}", "no choices"),
        ("", "does not know"),
        ("{", "does not know"),
    ] {
        let json = answer("200 OK", "content-type: application/json\r\n", body);
        fails(vec![json], cause).await;
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = elsewhere.local_addr().unwrap();
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let location = format!("location: http://{address}/v1/chat/completions\r\n");
        fails(vec![answer(status, &location, "")], "not followed").await;
    }
    let came = elsewhere.accept().unwrap_err();
    assert_eq!(
        came.kind(),
        std::io::ErrorKind::WouldBlock,
        "nobody connects"
    );
}

/// The flood ends because the client goes away; what it took is bounded by buffers of sockets.
#[tokio::test]
async fn what_has_no_end_is_refused() {
    let header = || {
        vec![
            send("HTTP/1.1 200 OK\r\nx: "),
            Step::Flood(vec![b'x'; 4096]),
        ]
    };
    let headers = || {
        vec![
            send("HTTP/1.1 200 OK\r\n"),
            Step::Flood(b"x-a: b\r\n".repeat(512)),
        ]
    };
    let line = || vec![head(), send("data: "), Step::Flood(vec![b'x'; 4096])];
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let whole = || vec![send(json), Step::Flood(vec![b' '; 4096])];
    for (steps, cause, most) in [
        (header(), "too long", 8),
        (headers(), "too long", 8),
        (line(), "more than 1048576 bytes", 8),
        (whole(), "more than 16777216 bytes", 32),
    ] {
        let (mut server, outcome) = ask(steps).await;
        let error = outcome.end.unwrap_err();
        assert_eq!(error.code, ErrorCode::WorkerFailed);
        assert!(told(&error).contains(cause), "{}", told(&error));
        let sent = server.gone.recv().await.unwrap();
        assert!(sent <= most << 20, "{cause}: {sent} bytes");
    }
}

#[tokio::test]
async fn each_status_is_an_error_of_its_own() {
    let said = r#"{"error":{"message":"said","type":"t","param":"top_p","code":null}}"#;
    for (status, code, public) in [
        (
            "400 Bad",
            ErrorCode::InvalidRequest,
            "refuses the request: said",
        ),
        (
            "401 No",
            ErrorCode::Unavailable,
            "does not serve this installation",
        ),
        (
            "402 Pay",
            ErrorCode::Unavailable,
            "does not serve this installation",
        ),
        (
            "403 No",
            ErrorCode::Unavailable,
            "does not serve this installation",
        ),
        (
            "404 No",
            ErrorCode::InvalidRequest,
            "refuses the request: said",
        ),
        (
            "422 Bad",
            ErrorCode::InvalidRequest,
            "refuses the request: said",
        ),
        ("429 Slow", ErrorCode::Overloaded, "is busy"),
        (
            "500 Oops",
            ErrorCode::WorkerFailed,
            "failed before the answer",
        ),
        ("503 Busy", ErrorCode::Overloaded, "is busy"),
    ] {
        let (_, outcome) = ask(vec![answer(status, "retry-after: 7\r\n", said)]).await;
        let error = outcome.end.unwrap_err();
        assert_eq!(error.code, code, "{status}");
        assert!(error.message.contains(public), "{status}: {error}");
        let busy = (code == ErrorCode::Overloaded).then_some(Duration::from_secs(7));
        assert_eq!(error.retry_after, busy, "{status}");
        let field = (code == ErrorCode::InvalidRequest).then_some("top_p");
        assert_eq!(error.param.as_deref(), field, "{status}");
        assert!(
            told(&error).contains("said"),
            "the operator learns why: {status}"
        );
    }
}

#[tokio::test]
async fn an_error_within_a_stream_ends_it() {
    let error = "data: {\"error\":{\"message\":\"secret cause\",\"type\":\"server_error\"}}\n\n";
    let (_, outcome) = ask(vec![head(), send(text("Hel") + error + DONE), Step::Close]).await;
    let error = outcome.end.unwrap_err();
    assert_eq!(
        (outcome.text.as_str(), error.code),
        ("Hel", ErrorCode::WorkerFailed)
    );
    assert!(!error.message.contains("secret") && told(&error).contains("secret cause"));
}

/// What comes of a request to a server that does this, with short limits.
async fn ask_in_time(steps: Vec<Step>, limits: UpstreamConfig) -> Outcome {
    let server = Server::start(steps).await;
    let config = UpstreamConfig {
        base_url: server.url(),
        ..limits
    };
    outcome(&start(config).await, hello()).await
}

fn limits() -> UpstreamConfig {
    config("replaced")
}

/// LIFE-7
#[tokio::test]
async fn a_server_that_is_silent_before_the_first_token_is_late() {
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    for steps in [vec![], vec![head()], vec![head(), send(role)]] {
        let steps = [steps, vec![Step::Hang]].concat();
        let limits = UpstreamConfig {
            first_token_timeout: LIMIT,
            ..limits()
        };
        let error = ask_in_time(steps, limits).await.end.unwrap_err();
        assert_eq!(error.code, ErrorCode::DeadlineExceeded);
        assert!(error.message.ends_with("for the first token"), "{error}");
    }
}

/// LIFE-7
#[tokio::test]
async fn a_server_that_falls_silent_has_failed() {
    let comments = Step::Talk(b": keep-alive\n\n".to_vec());
    for silence in [Step::Hang, comments] {
        let limits = UpstreamConfig {
            idle_timeout: LIMIT,
            ..limits()
        };
        let outcome = ask_in_time(vec![head(), send(text("Hel")), silence], limits).await;
        let error = outcome.end.unwrap_err();
        assert_eq!(
            (outcome.text.as_str(), error.code),
            ("Hel", ErrorCode::WorkerFailed)
        );
        assert!(
            told(&error).contains("sent no token for 0.15 s"),
            "{}",
            told(&error)
        );
    }
}

#[tokio::test]
async fn an_answer_without_end_is_late() {
    let limits = UpstreamConfig {
        total_timeout: LIMIT,
        ..limits()
    };
    let steps = vec![head(), Step::Talk(text("x").into_bytes())];
    let error = ask_in_time(steps, limits).await.end.unwrap_err();
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    assert!(error.message.ends_with("for the whole answer"), "{error}");
}

#[tokio::test]
async fn the_deadline_of_the_request_holds_before_the_answer_and_within_it() {
    for steps in [vec![Step::Hang], vec![head(), send(text("x")), Step::Hang]] {
        let server = Server::start(steps).await;
        let worker = start(config(&server.url())).await;
        let context = RequestContext {
            deadline: Some(Instant::now() + LIMIT),
            ..context()
        };
        let error = match worker.generate(hello(), context).await {
            Ok(stream) => read(stream).await.end.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code, ErrorCode::DeadlineExceeded);
        assert_eq!(error.message, "the deadline of the request passed");
    }
}
