//! How lanes and their sockets end: with their caller's rights, with the server, or with a bug.

use std::time::SystemTime;

use fathom_proto::identity::ModelAccess;

use super::lanes::{answered, create, lane, next};
use super::memory::{Socket, connect};
use super::*;
use crate::identity::fake::principal;

/// What is said until the close, and its code.
async fn to_the_end(socket: &mut Socket) -> (Vec<Value>, u16) {
    let (mut messages, mut code) = (Vec::new(), None);
    // Reading on is what answers the close.
    let read = async {
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Text(text) => messages.push(serde_json::from_str(&text).unwrap()),
                Message::Close(close) => code = Some(u16::from(close.unwrap().code)),
                _ => {}
            }
        }
    };
    let closed = timeout(Duration::from_secs(10), read).await;
    closed.expect("the socket is closed");
    (messages, code.expect("a close frame"))
}

/// WS-6: with lanes and without.
#[tokio::test(start_paused = true)]
async fn a_caller_that_is_shut_out_loses_lanes_and_socket() {
    for running in [true, false] {
        let auth = FakeAuth::new();
        auth.key(KEY, "key", &[Scope::Inference]);
        let (gateway, mut asked) = fakes::steered_watching(&auth).await;
        let mut socket = connect(&gateway, KEY).await;
        say(&mut socket, create("a", chat_body())).await;
        let call = asked.recv().await.unwrap();
        if running {
            call.tell(fakes::started(1)).await;
            next(&mut socket).await;
        } else {
            answered(&call).await;
            lane(&mut socket, "a").await;
        }
        revoke(&auth);
        let (messages, code) = to_the_end(&mut socket).await;
        assert_eq!(code, 1008);
        let codes = messages
            .iter()
            .map(|it| (&it["stream_id"], &it["error"]["code"]));
        let (a, none, refused) = (json!("a"), Value::Null, json!("invalid_api_key"));
        let expected = match running {
            true => vec![(&a, &refused), (&none, &refused)],
            false => vec![(&none, &refused)],
        };
        assert_eq!(codes.collect::<Vec<_>>(), expected);
        call.dropped().await;
    }
}

/// WS-6: in real time, since it is the clock that ends a credential.
#[tokio::test]
async fn a_credential_that_ends_takes_its_socket_with_it() {
    for running in [true, false] {
        let auth = FakeAuth::new();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap().as_secs().cast_signed();
        let mut ending = principal("key", &[Scope::Inference]);
        ending.expires_at = Some(now + 2);
        auth.state().credentials.insert(KEY.to_owned(), ending);
        let (gateway, mut asked) = fakes::steered_watching(&auth).await;
        let mut socket = connect(&gateway, KEY).await;
        say(&mut socket, create("a", chat_body())).await;
        let call = asked.recv().await.unwrap();
        if running {
            call.tell(fakes::started(1)).await;
        } else {
            answered(&call).await;
        }
        let (messages, code) = to_the_end(&mut socket).await;
        assert_eq!(code, 1008);
        assert_eq!(messages.last().unwrap()["error"]["code"], "invalid_api_key");
        call.dropped().await;
    }
}

/// WS-9
#[tokio::test(start_paused = true)]
async fn a_server_that_drains_finishes_lanes_and_begins_none() {
    let (gateway, mut asked) = fakes::steered();
    let mut idle = connect(&gateway, ALL_SCOPES).await;
    say(&mut idle, create("a", chat_body())).await;
    answered(&asked.recv().await.unwrap()).await;
    lane(&mut idle, "a").await;
    let mut busy = connect(&gateway, ALL_SCOPES).await;
    say(&mut busy, create("a", chat_body())).await;
    let call = asked.recv().await.unwrap();
    call.tell(fakes::started(3)).await;
    next(&mut busy).await;
    let begun = tokio::time::Instant::now();
    let clients = async {
        let (messages, code) = to_the_end(&mut idle).await;
        assert_eq!((messages.len(), code), (0, 1001));
        say(&mut busy, create("b", chat_body())).await;
        let refused = next(&mut busy).await;
        assert_eq!(refused["error"]["code"], "server_shutdown");
        assert_eq!(
            (&refused["stream_id"], refused.get("seq")),
            (&json!("b"), None)
        );
        call.tell(fakes::delta("hi", 1)).await;
        call.tell(fakes::finished(3, 1)).await;
        let (messages, code) = to_the_end(&mut busy).await;
        assert_eq!(messages.last().unwrap()["type"], "done");
        assert_eq!(code, 1001);
    };
    tokio::join!(gateway.shutdown.drain(), clients);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// WS-9, DRAIN-2
#[tokio::test(start_paused = true)]
async fn lanes_that_outlive_the_deadline_are_told_so() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    let mut calls = Vec::new();
    for id in ["a", "b"] {
        say(&mut socket, create(id, chat_body())).await;
        calls.push(asked.recv().await.unwrap());
    }
    // The other one has not begun.
    calls[0].tell(fakes::started(1)).await;
    next(&mut socket).await;
    let ((), (messages, code)) = tokio::join!(gateway.shutdown.drain(), to_the_end(&mut socket));
    assert_eq!(code, 1001);
    for id in ["a", "b"] {
        let last = messages.iter().find(|it| it["stream_id"] == id).unwrap();
        assert_eq!(last["error"]["code"], "server_shutdown", "{last}");
        assert_eq!(last["retry_after_ms"], 1000, "{last}");
        assert!(last.get("seq").is_some(), "{last}");
    }
}

/// What a caller gains or loses while it is connected counts for the lanes that it begins then.
#[tokio::test(start_paused = true)]
async fn lanes_are_begun_with_the_rights_of_now() {
    let auth = FakeAuth::new();
    let narrow = || {
        let mut narrow = principal("key", &[Scope::Inference]);
        narrow.models = ModelAccess::Only(["other".into()].into());
        narrow
    };
    auth.state().credentials.insert(KEY.to_owned(), narrow());
    let (gateway, mut asked) = fakes::steered_watching(&auth).await;
    let mut socket = connect(&gateway, KEY).await;
    say(&mut socket, create("a", chat_body())).await;
    assert_eq!(next(&mut socket).await["status"], 404);

    auth.key(KEY, "key", &[Scope::Inference]);
    auth.tell(Change::Subject("key".into()));
    let mut call = None;
    // A change takes a moment.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        say(&mut socket, create("a", chat_body())).await;
        tokio::select! {
            asked = asked.recv() => {
                call = asked;
                break;
            }
            refused = next(&mut socket) => assert_eq!(refused["status"], 404),
        }
    }
    let call = call.expect("the model may be asked by now");
    answered(&call).await;
    assert_eq!(lane(&mut socket, "a").await.len(), 4);

    auth.state().credentials.insert(KEY.to_owned(), narrow());
    auth.tell(Change::Subject("key".into()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    say(&mut socket, create("a", chat_body())).await;
    assert_eq!(next(&mut socket).await["status"], 404);
}

/// A bug ends the lane that has it.
#[tokio::test(start_paused = true)]
async fn a_lane_that_panics_leaves_the_others_and_the_socket() {
    for resume in [false, true] {
        let mut socket = connect(&fakes::panicking(), ALL_SCOPES).await;
        for model in ["begins", "goes on"] {
            let mut request = create("bug", chat_body());
            request["request"]["model"] = model.into();
            request["resume"] = resume.into();
            say(&mut socket, create("sound", chat_body())).await;
            say(&mut socket, request).await;
            let (mut failed, mut done) = (false, false);
            while !(failed && done) {
                let message = next(&mut socket).await;
                match (&message["type"], &message["stream_id"]) {
                    (kind, id) if kind == "error" => {
                        assert_eq!((id, &message["status"]), (&json!("bug"), &json!(500)));
                        assert_eq!(message["error"]["message"], "internal error");
                        failed = true;
                    }
                    (kind, id) if kind == "done" => {
                        assert_eq!(id, "sound");
                        done = true;
                    }
                    (kind, _) => assert!(kind == "chunk" || kind == "created", "{message}"),
                }
            }
        }
    }
}
