//! Many requests on one socket.

use fathom_proto::ErrorCode;
use fathom_proto::inference::Prompt;

use super::memory::{Socket, connect};
use super::*;
use crate::Config;

pub fn create(stream_id: &str, request: Value) -> Value {
    json!({"type": "response.create", "stream_id": stream_id, "request": request})
}

fn cancel(stream_id: &str) -> Value {
    json!({"type": "cancel", "stream_id": stream_id})
}

/// The next message; `null` after the close.
pub async fn next(socket: &mut Socket) -> Value {
    let read = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_))) => {}
                _ => return Value::Null,
            }
        }
    };
    timeout(Duration::from_secs(5), read)
        .await
        .expect("a message")
}

/// The messages of a lane up to its last; nothing else may come.
pub async fn lane(socket: &mut Socket, stream_id: &str) -> Vec<Value> {
    let mut messages = Vec::new();
    loop {
        let message = next(socket).await;
        assert_eq!(message["stream_id"], stream_id, "{message}");
        assert_eq!(message["seq"], messages.len(), "{message}");
        let last = message["type"] != "chunk";
        messages.push(message);
        if last {
            return messages;
        }
    }
}

pub async fn answered(call: &fakes::Call) {
    for event in [
        fakes::started(3),
        fakes::delta("hi", 1),
        fakes::finished(3, 1),
    ] {
        call.tell(event).await;
    }
}

/// WS-8
#[tokio::test(start_paused = true)]
async fn lanes_keep_their_order_and_one_is_cancelled_alone() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    let mut calls = Vec::new();
    for id in ["a", "b"] {
        say(&mut socket, create(id, chat_body())).await;
        let call = asked.recv().await.unwrap();
        call.tell(fakes::started(3)).await;
        for kind in ["assistant", ""] {
            let message = next(&mut socket).await;
            assert_eq!(message["stream_id"], id);
            let delta = &message["data"]["choices"][0]["delta"];
            assert_eq!(delta["role"].as_str().unwrap_or_default(), kind);
            if kind == "assistant" {
                call.tell(fakes::delta(id, 1)).await;
            } else {
                assert_eq!(delta["content"], id);
            }
        }
        calls.push(call);
    }
    assert_ne!(calls[0].context.request_id, calls[1].context.request_id);

    say(&mut socket, cancel("a")).await;
    calls[0].dropped().await;
    let cancelled = next(&mut socket).await;
    assert_eq!(cancelled["type"], "cancelled");
    assert_eq!(
        (&cancelled["stream_id"], &cancelled["seq"]),
        (&json!("a"), &json!(2))
    );
    assert_eq!(cancelled["id"], calls[0].context.request_id.as_str());
    assert_eq!(cancelled["usage"]["total_tokens"], 4);

    // What is not there any more needs no cancelling; the name is free.
    say(&mut socket, cancel("a")).await;
    say(&mut socket, create("a", chat_body())).await;
    let again = asked.recv().await.unwrap();
    answered(&again).await;
    assert_eq!(lane(&mut socket, "a").await.len(), 4);

    calls[1].tell(fakes::finished(3, 1)).await;
    let finish = next(&mut socket).await;
    assert_eq!(finish["data"]["choices"][0]["finish_reason"], "stop");
    assert_eq!(finish["data"]["object"], "chat.completion.chunk");
    let id = calls[1].context.request_id.as_str();
    assert_eq!(finish["data"]["id"], format!("chatcmpl-{id}"));
    let done = next(&mut socket).await;
    assert_eq!(
        (&done["type"], &done["stream_id"], &done["seq"], &done["id"]),
        (&json!("done"), &json!("b"), &json!(3), &json!(id))
    );
    assert_eq!(done["usage"]["total_tokens"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_lane_is_cancelled_before_a_worker_has_begun() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    say(&mut socket, create("a", chat_body())).await;
    let call = asked.recv().await.unwrap();
    say(&mut socket, cancel("a")).await;
    call.dropped().await;
    let cancelled = next(&mut socket).await;
    assert_eq!(
        (&cancelled["type"], &cancelled["seq"]),
        (&json!("cancelled"), &json!(0))
    );
    assert_eq!(cancelled.get("usage"), None);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_makes_a_completion_and_the_counts_come_as_asked() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    let request = json!({
        "model": "m", "prompt": "Once", "stream": true, "stream_options": {"include_usage": true},
    });
    say(&mut socket, create("text", request)).await;
    let call = asked.recv().await.unwrap();
    assert!(matches!(&call.request.prompt, Prompt::Text(text) if text == "Once"));
    answered(&call).await;
    let messages = lane(&mut socket, "text").await;
    let [text, finish, usage, done] = &messages[..] else {
        panic!("{messages:?}");
    };
    assert_eq!(text["data"]["object"], "text_completion");
    assert_eq!(text["data"]["choices"][0]["text"], "hi");
    assert_eq!(finish["data"]["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["data"]["usage"], done["usage"]);
}

/// The checks are those of REST, and the fields have the same names.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_is_a_lane_of_one_message() {
    let gateway = fakes::hanging();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    for (request, status, param) in [
        (json!({"model": "m"}), 400, None),
        (
            json!({"model": "m", "messages": messages, "n": 0}),
            400,
            Some("n"),
        ),
        (
            json!({"model": "m", "messages": [{"role": "x"}]}),
            400,
            Some("messages[0].role"),
        ),
        (
            json!({"model": "m", "messages": messages, "prompt": "x"}),
            400,
            Some("prompt"),
        ),
        (
            json!({"model": "m", "messages": messages, "stream": false}),
            400,
            Some("stream"),
        ),
        (
            json!({"model": "m", "prompt": "x", "best_of": 2}),
            400,
            Some("best_of"),
        ),
        (
            json!({"model": "unknown", "messages": messages}),
            404,
            Some("model"),
        ),
        (json!("no body"), 400, None),
    ] {
        say(&mut socket, create("a", request.clone())).await;
        let refused = next(&mut socket).await;
        assert_eq!(refused["type"], "error", "{request}: {refused}");
        assert_eq!(refused["status"], status, "{request}: {refused}");
        assert_eq!(
            (&refused["stream_id"], &refused["seq"]),
            (&json!("a"), &json!(0))
        );
        assert_eq!(refused["error"].as_object().unwrap().len(), 4);
        if param.is_some() {
            assert_eq!(refused["error"]["param"].as_str(), param, "{refused}");
        }
        assert_eq!(refused["id"].as_str().unwrap().len(), 32);
    }
}

/// WS-8: an error, and the socket lives.
#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_taken_is_an_error_and_nothing_more() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    say(&mut socket, create("a", chat_body())).await;
    let call = asked.recv().await.unwrap();
    let long = "x".repeat(257);
    let twice = r#"{"type": "cancel", "stream_id": "b", "x": {"y": 1, "y": 2}}"#;
    let body_twice = r#"{"type": "response.create", "stream_id": "b", "request": {"model": "m", "model": "n", "prompt": "x"}}"#;
    // With the lane that the answer names.
    let texts = [
        ("no JSON".to_owned(), None),
        (String::new(), None),
        ("[]".to_owned(), None),
        (json!({"type": "dance"}).to_string(), None),
        (
            json!({"type": "dance", "stream_id": "b"}).to_string(),
            Some("b"),
        ),
        (json!({"type": "dance", "stream_id": 7}).to_string(), None),
        (
            json!({"type": "dance", "stream_id": "with space"}).to_string(),
            None,
        ),
        (
            json!({"type": "auth", "token": "Bearer all-scopes"}).to_string(),
            None,
        ),
        (
            json!({"type": "response.create", "request": chat_body()}).to_string(),
            None,
        ),
        (
            json!({"type": "response.create", "stream_id": "b"}).to_string(),
            Some("b"),
        ),
        (
            json!({"type": "response.create", "stream_id": "b", "request": {}, "new": 1})
                .to_string(),
            Some("b"),
        ),
        (
            json!({"type": "response.resume", "stream_id": "b", "resume_from": 3}).to_string(),
            Some("b"),
        ),
        (json!({"type": "cancel"}).to_string(), None),
        (twice.to_owned(), Some("b")),
        (body_twice.to_owned(), Some("b")),
        (create("", chat_body()).to_string(), None),
        (create("with space", chat_body()).to_string(), None),
        (create(&long, chat_body()).to_string(), None),
        (create("a", chat_body()).to_string(), Some("a")),
    ];
    let texts = texts.map(|(text, named)| (Message::text(text), named));
    let binary = (Message::binary(vec![1, 2, 3]), None);
    for (message, named) in texts.into_iter().chain([binary]) {
        socket.send(message.clone()).await.unwrap();
        let refused = next(&mut socket).await;
        assert_eq!(
            (&refused["type"], &refused["status"]),
            (&json!("error"), &json!(400))
        );
        assert_eq!(refused.get("seq"), None, "{refused}");
        let names = refused.get("stream_id").and_then(Value::as_str);
        assert_eq!(names, named, "{message}: {refused}");
        let text = refused["error"]["message"].as_str().unwrap();
        assert!(!text.contains("with space"), "{text}");
    }
    answered(&call).await;
    assert_eq!(lane(&mut socket, "a").await.len(), 4);
}

/// WS-8
#[tokio::test(start_paused = true)]
async fn garbage_without_end_closes_the_socket() {
    for garbage in ["", "x", "{}"] {
        let mut socket = connect(&fakes::hanging(), ALL_SCOPES).await;
        say(&mut socket, create("a", chat_body())).await;
        for _ in 0..100 {
            if socket.send(Message::text(garbage)).await.is_err() {
                break;
            }
        }
        let (errors, code) = ending(&mut socket).await;
        assert_eq!((errors.len(), code), (50, 1008));
    }
}

#[tokio::test(start_paused = true)]
async fn one_lane_too_many_is_refused_and_the_others_go_on() {
    let (mut gateway, mut asked) = fakes::steered();
    let mut config = Config::default();
    config.websocket.max_streams = 2.try_into().unwrap();
    gateway.config = Arc::new(config);
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    say(&mut socket, create("a", chat_body())).await;
    say(&mut socket, create("b", chat_body())).await;
    let (a, b) = (asked.recv().await.unwrap(), asked.recv().await.unwrap());
    say(&mut socket, create("c", chat_body())).await;
    let refused = next(&mut socket).await;
    assert_eq!(
        (&refused["status"], &refused["stream_id"]),
        (&json!(429), &json!("c"))
    );
    assert_eq!(refused["error"]["code"], "websocket_stream_limit_reached");
    assert_eq!(refused["retry_after_ms"], 1000);
    assert_eq!(refused.get("seq"), None);
    answered(&a).await;
    lane(&mut socket, "a").await;
    say(&mut socket, create("c", chat_body())).await;
    let c = asked.recv().await.unwrap();
    for (call, id) in [(b, "b"), (c, "c")] {
        answered(&call).await;
        lane(&mut socket, id).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_fails_leaves_the_others_alone() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    say(&mut socket, create("a", chat_body())).await;
    let call = asked.recv().await.unwrap();
    call.tell(fakes::started(1)).await;
    call.tell(Err(ErrorCode::WorkerFailed)).await;
    let messages = lane(&mut socket, "a").await;
    let failed = messages.last().unwrap();
    assert_eq!(
        (&failed["type"], &failed["status"]),
        (&json!("error"), &json!(502))
    );
    say(&mut socket, create("b", chat_body())).await;
    let call = asked.recv().await.unwrap();
    call.tell(Err(ErrorCode::Overloaded)).await;
    let messages = lane(&mut socket, "b").await;
    assert_eq!(
        (&messages[0]["status"], &messages[0]["retry_after_ms"]),
        (&json!(503), &json!(1000))
    );
}

/// WS-8: what a client does not read stays where it is made.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_slows_its_lanes_and_nothing_is_heaped_up() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    let text = "x".repeat(32 * 1024);
    let mut taken = Vec::new();
    let mut calls = Vec::new();
    for id in ["a", "b"] {
        say(&mut socket, create(id, chat_body())).await;
        let call = asked.recv().await.unwrap();
        call.tell(fakes::started(1)).await;
        let mut pieces: usize = 0;
        // Nothing moves any more when a second of this clock passes.
        while timeout(Duration::from_secs(1), call.tell(fakes::delta(&text, 1)))
            .await
            .is_ok()
        {
            pieces += 1;
        }
        taken.push(pieces);
        calls.push(call);
    }
    // The fake's own line holds 64; the network and the writer hold a few more, once.
    assert!(taken.iter().sum::<usize>() <= 2 * 64 + 8, "{taken:?}");
    for call in &calls {
        assert!(call.is_waiting());
    }
    let mut next_seq = [0, 0];
    let all: usize = taken.iter().sum::<usize>() + 2;
    for _ in 0..all {
        let message = next(&mut socket).await;
        let lane = usize::from(message["stream_id"] == "b");
        assert_eq!(message["seq"], next_seq[lane]);
        next_seq[lane] += 1;
    }
}

/// WS-8
#[tokio::test(start_paused = true)]
async fn lanes_that_have_much_to_say_take_turns() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    let mut calls = Vec::new();
    for id in ["a", "b", "c"] {
        say(&mut socket, create(id, chat_body())).await;
        let call = asked.recv().await.unwrap();
        call.tell(fakes::started(1)).await;
        calls.push(call);
    }
    let read = async {
        let mut heard = [0_i32; 3];
        for _ in 0..300 {
            let message = next(&mut socket).await;
            let id = message["stream_id"].as_str().unwrap();
            heard[usize::from(id.as_bytes()[0] - b'a')] += 1;
        }
        drop(socket);
        heard
    };
    let floods = (calls[0].flood(), calls[1].flood(), calls[2].flood());
    let (heard, (), (), ()) = tokio::join!(read, floods.0, floods.1, floods.2);
    assert!(
        heard.iter().all(|count| (80..=120).contains(count)),
        "{heard:?}"
    );
}
