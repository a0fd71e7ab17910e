//! The log lines of sockets and of the requests on them.

use super::lanes::{self, create, next};
use super::memory::connect;
use super::*;

/// The time that a client takes between handshake and request is none of the request's.
#[tokio::test(start_paused = true)]
async fn a_request_begins_when_it_is_heard() {
    let one_shot = json!({"type": "request", "model": "m", "prompt": "hi"});
    for (request, messages) in [(one_shot, 2), (create("a", chat_body()), 4)] {
        let (gateway, mut asked) = fakes::steered();
        let logged = logs::capture();
        let mut socket = connect(&gateway, ALL_SCOPES).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        say(&mut socket, request).await;
        let call = asked.recv().await.unwrap();
        for event in [
            fakes::started(3),
            fakes::delta("hi", 1),
            fakes::finished(3, 1),
        ] {
            call.tell(event).await;
        }
        for _ in 0..messages {
            assert_ne!(next(&mut socket).await, Value::Null);
        }
        drop(socket);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let lines = logged.lines();
        let [handshake, line] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!(handshake["request.route"], "GET /v1/stream");
        assert_eq!(line["request.route"], "WS /v1/stream");
        assert_eq!(line["request.outcome"], "ok");
        for time in ["duration_ms", "first_token_ms"] {
            let millis = line[time].as_f64().unwrap();
            assert!(millis < 1000.0, "{time}: {millis}");
        }
    }
}

/// A line for what is refused, and none for a socket on which nothing was asked.
#[tokio::test(start_paused = true)]
async fn what_is_refused_before_there_is_a_request_leaves_a_line() {
    let wrong = json!({"type": "auth", "token": "Bearer wrong"});
    for (said, outcomes) in [
        (Some(wrong), vec!["invalid_api_key"]),
        (Some(json!({"type": "dance"})), vec!["invalid_request"]),
        (None, vec![]),
    ] {
        let logged = logs::capture();
        let gateway = fakes::hanging();
        let mut request = "ws://server/v1/stream".into_client_request().unwrap();
        request
            .headers_mut()
            .insert("x-client-request-id", "mine".parse().unwrap());
        let (mut socket, _) = client_async(request, memory::pipe(&gateway)).await.unwrap();
        if let Some(said) = said {
            say(&mut socket, said).await;
            assert_eq!(lanes::next(&mut socket).await["type"], "error");
        }
        socket.close(None).await.unwrap();
        while socket.next().await.is_some() {}
        drop(socket);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let lines = logged.lines();
        let told = lines
            .iter()
            .filter(|it| it["request.route"] == "WS /v1/stream");
        let told: Vec<_> = told.collect();
        let found: Vec<_> = told
            .iter()
            .map(|it| it["request.outcome"].as_str().unwrap())
            .collect();
        assert_eq!(found, outcomes);
        for line in told {
            assert_eq!(line["client.request_id"], "mine");
            if outcomes == ["invalid_api_key"] {
                assert_eq!(line["refusal"], "unknown to auth");
            }
        }
    }
}

/// A bug is told to the client, and the record calls it one.
#[tokio::test(start_paused = true)]
async fn a_bug_in_the_only_request_of_a_socket_is_told() {
    let logged = logs::capture();
    let mut socket = connect(&fakes::panicking(), ALL_SCOPES).await;
    let request = json!({"type": "request", "model": "goes on", "prompt": "hi"});
    say(&mut socket, request).await;
    assert_eq!(ending(&mut socket).await.1, 1011);
    drop(socket);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let lines = logged.lines();
    let line = lines.last().unwrap();
    assert_eq!(line["request.outcome"], "internal_error");
}
