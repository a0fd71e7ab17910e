//! Lanes that are taken up again on another socket.

use tokio::time::Instant;

use super::lanes::next;
use super::memory::{Socket, connect};
use super::*;
use crate::config::Resume;
use crate::identity::fake::FakeAuth;

fn create(stream_id: &str) -> Value {
    json!({"type": "response.create", "stream_id": stream_id, "request": chat_body(), "resume": true})
}

fn resume(stream_id: &str, id: &str, seq: Option<u64>) -> Value {
    let mut from = json!({"id": id});
    if let Some(seq) = seq {
        from["seq"] = seq.into();
    }
    json!({"type": "response.resume", "stream_id": stream_id, "resume_from": from})
}

/// A lane with this name, and the id of its request.
async fn begun(socket: &mut Socket, stream_id: &str) -> String {
    say(socket, create(stream_id)).await;
    let created = next(socket).await;
    assert_eq!(created["type"], "created");
    assert_eq!(
        (&created["stream_id"], &created["resume"]),
        (&json!(stream_id), &json!(true))
    );
    assert!(created["seq"].is_null());
    created["id"].as_str().unwrap().to_owned()
}

async fn said(call: &fakes::Call) {
    call.tell(fakes::started(3)).await;
    for text in ["a", "b", "c", "d"] {
        call.tell(fakes::delta(text, 1)).await;
    }
    call.tell(fakes::finished(3, 4)).await;
}

/// For every message after which the socket may break.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_lane_comes_on_another_socket() {
    // The opening, four texts, the finish, and `done`.
    const COUNT: u64 = 7;
    for cut in 0..COUNT {
        let (gateway, mut asked) = fakes::steered();
        let mut socket = connect(&gateway, ALL_SCOPES).await;
        let id = begun(&mut socket, "a").await;
        let call = asked.recv().await.unwrap();
        said(&call).await;
        let mut messages = Vec::new();
        for _ in 0..cut {
            messages.push(next(&mut socket).await);
        }
        drop(socket);
        let mut socket = connect(&gateway, ALL_SCOPES).await;
        let seq = cut.checked_sub(1);
        say(&mut socket, resume("a", &id, seq)).await;
        while messages.len() < COUNT as usize {
            messages.push(next(&mut socket).await);
        }
        for (seq, message) in messages.iter().enumerate() {
            assert_eq!(
                (&message["seq"], &message["stream_id"]),
                (&json!(seq), &json!("a"))
            );
        }
        let texts = messages
            .iter()
            .map(|it| &it["data"]["choices"][0]["delta"]["content"]);
        let text: String = texts.filter_map(Value::as_str).collect();
        assert_eq!(text, "abcd");
        let done = &messages[6];
        assert_eq!((&done["type"], &done["id"]), (&json!("done"), &json!(id)));
        assert_eq!(done["usage"]["total_tokens"], 7);
        // The name is free again, and the socket there for others.
        say(&mut socket, lanes::create("a", chat_body())).await;
        let call = asked.recv().await.unwrap();
        call.tell(fakes::started(3)).await;
        assert_eq!(next(&mut socket).await["seq"], 0);
    }
}

/// LIFE-1
#[tokio::test(start_paused = true)]
async fn a_lane_whose_client_does_not_come_back_ends_after_the_grace() {
    let (gateway, mut asked) = fakes::steered();
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    let id = begun(&mut socket, "a").await;
    let call = asked.recv().await.unwrap();
    call.tell(fakes::started(3)).await;
    next(&mut socket).await;
    drop(socket);
    let left = Instant::now();
    call.dropped_within(Duration::from_secs(31)).await;
    assert!(left.elapsed() >= Duration::from_secs(30));
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    say(&mut socket, resume("a", &id, Some(0))).await;
    let error = next(&mut socket).await;
    assert_eq!(
        (&error["status"], &error["stream_id"]),
        (&json!(404), &json!("a"))
    );
    assert_eq!(error["error"]["param"], "resume_from");
    assert!(error["seq"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_taken_over_ends_on_its_old_socket_and_can_be_cancelled_on_the_new() {
    let (gateway, mut asked) = fakes::steered();
    let mut old = connect(&gateway, ALL_SCOPES).await;
    let id = begun(&mut old, "a").await;
    let call = asked.recv().await.unwrap();
    call.tell(fakes::started(3)).await;
    assert_eq!(next(&mut old).await["seq"], 0);
    let mut new = connect(&gateway, ALL_SCOPES).await;
    say(&mut new, resume("a", &id, None)).await;
    assert_eq!(next(&mut new).await["seq"], 0);
    let ended = next(&mut old).await;
    assert_eq!(
        (&ended["type"], &ended["status"]),
        (&json!("error"), &json!(409))
    );
    assert_eq!((&ended["seq"], &ended["id"]), (&json!(1), &json!(id)));
    say(&mut new, json!({"type": "cancel", "stream_id": "a"})).await;
    let cancelled = next(&mut new).await;
    assert_eq!(
        (&cancelled["type"], &cancelled["seq"]),
        (&json!("cancelled"), &json!(1))
    );
    call.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_is_taken_up_by_its_caller_under_its_name_alone() {
    let auth = FakeAuth::new();
    auth.key("another", "another", &fathom_proto::identity::Scope::ALL);
    let (gateway, mut asked) = fakes::steered_watching(&auth).await;
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    let id = begun(&mut socket, "a").await;
    let call = asked.recv().await.unwrap();
    said(&call).await;
    for (bearer, stream_id, seq, status) in [
        ("another", "a", None, 404),
        (ALL_SCOPES, "b", None, 404),
        (ALL_SCOPES, "a", Some(99), 400),
    ] {
        let mut socket = connect(&gateway, bearer).await;
        say(&mut socket, resume(stream_id, &id, seq)).await;
        assert_eq!(next(&mut socket).await["status"], status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_for_which_there_is_no_place_runs_all_the_same() {
    let (mut gateway, mut asked) = fakes::steered();
    let none = Resume {
        max_streams: 0,
        ..Resume::default()
    };
    gateway.streams = crate::resume::Streams::new(&none);
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    say(&mut socket, create("a")).await;
    let created = next(&mut socket).await;
    assert_eq!(
        (&created["type"], &created["resume"]),
        (&json!("created"), &json!(false))
    );
    let call = asked.recv().await.unwrap();
    said(&call).await;
    for seq in 0..7 {
        assert_eq!(next(&mut socket).await["seq"], seq);
    }
}

/// A request that is refused has nothing to come back for, and takes no place for the grace.
#[tokio::test(start_paused = true)]
async fn a_lane_that_is_refused_takes_no_place() {
    let (mut gateway, mut asked) = fakes::steered();
    let one = Resume {
        max_streams: 1,
        ..Resume::default()
    };
    gateway.streams = crate::resume::Streams::new(&one);
    let mut socket = connect(&gateway, ALL_SCOPES).await;
    // One that cannot be read, and one that cannot be asked.
    for (field, value) in [
        ("messages", json!("hi")),
        ("n", json!(0)),
        ("model", json!("")),
    ] {
        let mut refused = create("a");
        refused["request"][field] = value;
        say(&mut socket, refused).await;
        assert_eq!(next(&mut socket).await["type"], "created");
        let error = next(&mut socket).await;
        assert_eq!(
            (&error["status"], &error["seq"]),
            (&json!(400), &json!(0)),
            "{field}"
        );
        tokio::task::yield_now().await;
    }
    say(&mut socket, create("a")).await;
    assert_eq!(next(&mut socket).await["resume"], true);
    asked.recv().await.unwrap();
}

/// WS-6: whichever credential it is that does not hold any more.
#[tokio::test(start_paused = true)]
async fn a_caller_that_is_shut_out_loses_lanes_that_were_taken_up() {
    for revoked in ["first", "second"] {
        let auth = FakeAuth::new();
        auth.key("first", "key", &[Scope::Inference]);
        auth.key("second", "key", &[Scope::Inference]);
        let (gateway, mut asked) = fakes::steered_watching(&auth).await;
        let mut socket = connect(&gateway, "first").await;
        let id = begun(&mut socket, "a").await;
        let call = asked.recv().await.unwrap();
        call.tell(fakes::started(3)).await;
        next(&mut socket).await;
        drop(socket);
        let mut socket = connect(&gateway, "second").await;
        say(&mut socket, resume("a", &id, Some(0))).await;
        call.tell(fakes::delta("a", 1)).await;
        assert_eq!(next(&mut socket).await["seq"], 1);
        auth.state().credentials.remove(revoked);
        auth.tell(Change::Subject("key".into()));
        let error = next(&mut socket).await;
        assert_eq!(
            (&error["type"], &error["seq"]),
            (&json!("error"), &json!(2)),
            "{revoked}"
        );
        assert_eq!(error["error"]["code"], "invalid_api_key");
        if revoked == "first" {
            // What ended is the lane. The caller of this socket may begin others.
            call.dropped().await;
            say(&mut socket, lanes::create("a", chat_body())).await;
            asked.recv().await.unwrap();
        } else {
            assert_eq!(
                ending(&mut socket).await,
                (vec!["invalid_api_key".to_owned()], 1008)
            );
            // It waits for a caller whose credential holds.
            assert!(!call.is_dropped());
        }
    }
}
