//! Event streams that a client may take up again.

use std::sync::Arc;

use axum::body::BodyDataStream;
use fathom_api::sse::Decoder;
use fathom_proto::ErrorCode;
use fathom_proto::identity::{Change, Scope};
use futures::StreamExt;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Duration, Instant};

use super::fakes::{Call, delta, finished, gateway_of, gateway_with, started, steered};
use super::*;
use crate::config::Resume;
use crate::identity::fake::FakeAuth;
use crate::{Config, Gateway};

const CHAT: &str = "/v1/chat/completions";
/// What streams, and the field for their longest answer.
const ROUTES: [&str; 6] = [
    CHAT,
    "/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/anthropic/v1/messages",
];

fn body_for(path: &str) -> Value {
    let mut body = match path {
        "/v1/completions" => json!({"model": "m", "prompt": "hi"}),
        "/v1/responses" => json!({"model": "m", "input": "hi"}),
        _ => chat_body(),
    };
    if path.ends_with("messages") {
        body["max_tokens"] = 10.into();
    }
    body["stream"] = true.into();
    body
}

fn resumable(path: &str) -> Request<Body> {
    let mut request = post(path, body_for(path));
    let wanted = "true".parse().unwrap();
    request.headers_mut().insert("x-fathom-resume", wanted);
    request
}

fn again(path: &str, last: &str, bearer: &str) -> Request<Body> {
    let mut request = request(Method::POST, path, Some(bearer), body_for(path).to_string());
    let last = last.parse().unwrap();
    request.headers_mut().insert("last-event-id", last);
    request
}

/// The answer's id and body.
async fn begun(router: &Router, path: &str) -> (String, BodyDataStream) {
    let response = router.clone().oneshot(resumable(path)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-fathom-resume"], "true");
    let id = response.headers()["x-request-id"].to_str().unwrap();
    (id.to_owned(), response.into_body().into_data_stream())
}

/// A stream of a worker that the test steers.
async fn steering(
    gateway: Gateway,
    mut asked: tokio::sync::mpsc::Receiver<Call>,
) -> (Router, String, BodyDataStream, Call) {
    let router = routes(gateway);
    let (call, (id, body)) = {
        let asks = begun(&router, CHAT);
        let told = async {
            let call = asked.recv().await.unwrap();
            call.tell(started(1)).await;
            call
        };
        tokio::join!(told, asks)
    };
    (router, id, body, call)
}

async fn next(body: &mut BodyDataStream) -> String {
    let frame = body.next().await.expect("it goes on").unwrap();
    String::from_utf8(frame.to_vec()).unwrap()
}

async fn rest(mut body: BodyDataStream) -> Vec<String> {
    let mut events = Vec::new();
    while let Some(frame) = body.next().await {
        events.push(String::from_utf8(frame.unwrap().to_vec()).unwrap());
    }
    events
}

fn script() -> Vec<Result<fathom_proto::inference::Event, ErrorCode>> {
    vec![
        started(1),
        delta("Hel", 1),
        delta("lo ", 1),
        delta("you\n\n", 1),
        finished(1, 3),
    ]
}

/// The id of an event.
fn id_of(event: &str) -> &str {
    event
        .strip_prefix("id: ")
        .unwrap()
        .split_once('\n')
        .unwrap()
        .0
}

/// Every dialect, every event after which the connection may break.
#[tokio::test]
async fn the_rest_of_a_stream_is_what_it_would_have_been() {
    for path in ROUTES {
        let whole = {
            let (_, body) = begun(&routes(gateway_with(script())), path).await;
            rest(body).await
        };
        assert!(whole.len() > 4, "{whole:?}");
        for cut in 0..=whole.len() {
            let router = routes(gateway_with(script()));
            let (id, mut body) = begun(&router, path).await;
            let mut events = Vec::new();
            for _ in 0..cut {
                events.push(next(&mut body).await);
            }
            drop(body);
            let last = events
                .last()
                .map_or(id.as_str(), |event| id_of(event))
                .to_owned();
            let response = router
                .clone()
                .oneshot(again(path, &last, ALL_SCOPES))
                .await
                .unwrap();
            assert_eq!(response.status(), 200);
            assert_ne!(response.headers()["x-request-id"], id.as_str());
            events.extend(rest(response.into_body().into_data_stream()).await);
            assert_eq!(events.len(), whole.len(), "{path} cut at {cut}");
            for (number, (event, expected)) in events.iter().zip(&whole).enumerate() {
                assert_eq!(id_of(event), format!("{id}-{number}"));
                assert_eq!(normal(event), normal(expected), "{path} cut at {cut}");
            }
            let text = events.concat();
            let read = Decoder::default().push(text.as_bytes()).unwrap();
            assert_eq!(read.len(), whole.len());
        }
    }
}

/// An event without what differs from one request to the next: the id of the request, in all that
/// is named after it, times, and noise.
fn normal(event: &str) -> String {
    let id = id_of(event).split_once('-').unwrap().0;
    let event = event.replace(id, "ID");
    let mut normal = String::new();
    let mut rest = event.as_str();
    for time in ["\"created\":", "\"created_at\":", "\"completed_at\":"] {
        if let Some((before, after)) = rest.split_once(time) {
            normal.push_str(before);
            normal.push_str(time);
            rest = after.trim_start_matches(|it: char| it.is_ascii_digit());
        }
    }
    normal + rest
}

/// The same bytes as without, but for the ids.
#[tokio::test]
async fn a_stream_that_is_not_asked_to_be_kept_is_as_ever() {
    for path in ROUTES {
        let answer = send(routes(gateway_with(script())), post(path, body_for(path))).await;
        assert!(!answer.headers.contains_key("x-fathom-resume"));
        assert!(!answer.body.contains("\nid:") && !answer.body.starts_with("id:"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_generation_goes_on_while_the_client_is_away() {
    let (gateway, asked) = steered();
    let (router, id, mut body, call) = steering(gateway, asked).await;
    assert!(next(&mut body).await.contains("assistant"));
    drop(body);
    tokio::time::advance(Duration::from_secs(29)).await;
    call.tell(delta("Hi", 1)).await;
    call.read().await;
    let last = format!("{id}-0");
    let mut answer = JoinSet::new();
    answer.spawn(router.clone().oneshot(again(CHAT, &last, ALL_SCOPES)));
    let response = answer.join_next().await.unwrap().unwrap().unwrap();
    let mut body = response.into_body().into_data_stream();
    assert!(next(&mut body).await.contains("\"Hi\""));
    // Live from here on, for longer than the grace.
    tokio::time::advance(Duration::from_secs(60)).await;
    call.tell(delta("you", 1)).await;
    call.tell(finished(1, 2)).await;
    let events = rest(body).await;
    let events: Vec<_> = events.iter().filter(|it| !it.starts_with(':')).collect();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(*events[2], format!("id: {id}-4\ndata: [DONE]\n\n"));
}

/// LIFE-1: the grace is over, and with it the generation.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_come_back_frees_its_slot_after_the_grace() {
    let (gateway, asked) = steered();
    let (router, id, mut body, call) = steering(gateway, asked).await;
    next(&mut body).await;
    let left = Instant::now();
    drop(body);
    call.dropped_within(Duration::from_secs(31)).await;
    assert_eq!(left.elapsed(), Duration::from_secs(30));
    yield_now().await;
    let answer = send(router, again(CHAT, &format!("{id}-0"), ALL_SCOPES)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (404, "not_found")
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_connection_takes_over_from_one_that_is_half_open() {
    let (gateway, asked) = steered();
    let (router, id, mut old, call) = steering(gateway, asked).await;
    next(&mut old).await;
    call.tell(delta("a", 1)).await;
    next(&mut old).await;
    let response = router
        .clone()
        .oneshot(again(CHAT, &format!("{id}-0"), ALL_SCOPES))
        .await;
    let mut new = response.unwrap().into_body().into_data_stream();
    assert!(old.next().await.unwrap().is_err(), "its connection breaks");
    drop(old);
    assert!(next(&mut new).await.contains("\"a\""));
    call.tell(delta("b", 1)).await;
    assert!(next(&mut new).await.contains("\"b\""));
}

/// Once an `id:` has come, a blank line behind a comment is an empty event for OpenAI's decoder.
#[tokio::test(start_paused = true)]
async fn signs_of_life_are_bare_comments_and_are_not_kept() {
    let (gateway, mut asked) = steered();
    let router = routes(gateway);
    // The head comes with the first sign.
    let (id, mut body) = begun(&router, CHAT).await;
    let call = asked.recv().await.unwrap();
    assert_eq!(next(&mut body).await, ": keep-alive\n");
    call.tell(started(1)).await;
    assert!(
        next(&mut body)
            .await
            .starts_with(&format!("id: {id}-0\ndata: "))
    );
    let silent = Instant::now();
    assert_eq!(next(&mut body).await, ": keep-alive\n");
    assert_eq!(silent.elapsed(), Duration::from_secs(10));
    drop(body);
    tokio::time::advance(Duration::from_secs(25)).await;
    yield_now().await;
    let response = router
        .clone()
        .oneshot(again(CHAT, &id, ALL_SCOPES))
        .await
        .unwrap();
    let mut body = response.into_body().into_data_stream();
    assert!(next(&mut body).await.starts_with("id: "));
    assert_eq!(next(&mut body).await, ": keep-alive\n");
}

/// An error is an event as others are.
#[tokio::test(start_paused = true)]
async fn an_error_is_there_to_be_taken_up_too() {
    let (gateway, asked) = steered();
    let (router, id, body, call) = steering(gateway, asked).await;
    drop(body);
    call.tell(Err(ErrorCode::WorkerFailed)).await;
    call.dropped().await;
    let answer = send(router, again(CHAT, &format!("{id}-0"), ALL_SCOPES)).await;
    assert!(
        answer
            .body
            .starts_with(&format!("id: {id}-1\ndata: {{\"error\"")),
        "{}",
        answer.body
    );
    assert!(answer.body.contains("worker_failed") && !answer.body.contains("[DONE]"));
}

#[tokio::test]
async fn what_cannot_be_taken_up_is_told_apart() {
    let auth = FakeAuth::new();
    auth.key("another", "another", &Scope::ALL);
    let router = routes(gateway_of(auth, script()));
    let (id, body) = begun(&router, CHAT).await;
    rest(body).await;
    for (path, last, bearer, status, code) in [
        (CHAT, format!("{id}-9"), ALL_SCOPES, 400, "invalid_request"),
        (CHAT, format!("{id}-x"), ALL_SCOPES, 400, "invalid_request"),
        (CHAT, format!("{id}-"), ALL_SCOPES, 400, "invalid_request"),
        (CHAT, "nothing-1".to_owned(), ALL_SCOPES, 404, "not_found"),
        (
            "/v1/completions",
            format!("{id}-0"),
            ALL_SCOPES,
            404,
            "not_found",
        ),
        (CHAT, format!("{id}-0"), "another", 404, "not_found"),
        (CHAT, format!("{id}-0"), "wrong", 401, "invalid_api_key"),
    ] {
        let answer = send(router.clone(), again(path, &last, bearer)).await;
        let told = (answer.status.as_u16(), answer.error_code());
        assert_eq!(told, (status, code.to_owned()), "{last}");
        if status == 400 {
            assert_eq!(answer.json()["error"]["param"], "last-event-id");
        }
    }
    let answer = send(router, again(CHAT, &format!("{id}-0"), ALL_SCOPES)).await;
    assert!(answer.body.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn what_was_dropped_from_the_buffer_is_gone() {
    let mut events = vec![started(1)];
    events.extend((0..3000).map(|_| delta("twelve bytes", 1)));
    events.push(finished(1, 3000));
    let mut gateway = gateway_with(events);
    let config = Config {
        resume: Resume {
            buffer_bytes: 16 * 1024,
            ..Resume::default()
        },
        ..Config::default()
    };
    gateway.streams = crate::resume::Streams::new(&config.resume);
    gateway.config = Arc::new(config);
    let router = routes(gateway);
    let (id, body) = begun(&router, CHAT).await;
    assert_eq!(rest(body).await.len(), 3003);
    let answer = send(router.clone(), again(CHAT, &format!("{id}-10"), ALL_SCOPES)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (410, "gone")
    );
    let answer = send(router, again(CHAT, &format!("{id}-3000"), ALL_SCOPES)).await;
    assert!(answer.body.starts_with(&format!("id: {id}-3001\n")));
}

#[tokio::test]
async fn a_stream_that_cannot_be_kept_is_an_ordinary_one_and_says_so() {
    let mut gateway = gateway_with(script());
    let none = Resume {
        max_streams: 0,
        ..Resume::default()
    };
    gateway.streams = crate::resume::Streams::new(&none);
    let answer = send(routes(gateway), resumable(CHAT)).await;
    assert_eq!(answer.headers["x-fathom-resume"], "false");
    assert!(answer.body.starts_with("data: "));

    let mut whole = post(CHAT, chat_body());
    let wanted = "true".parse().unwrap();
    whole.headers_mut().insert("x-fathom-resume", wanted);
    let answer = send(routes(gateway_with(script())), whole).await;
    assert_eq!(answer.headers["x-fathom-resume"], "false");

    let mut strange = post(CHAT, chat_body());
    let wanted = "yes".parse().unwrap();
    strange.headers_mut().insert("x-fathom-resume", wanted);
    let answer = send(routes(gateway_with(script())), strange).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["param"], "x-fathom-resume");
}

/// A stream whose first credential is `first`, taken up with `second`; both are of one caller.
async fn with_two_credentials() -> (Arc<FakeAuth>, String, BodyDataStream, Call, Router) {
    let auth = FakeAuth::new();
    for bearer in [ALL_SCOPES, "second"] {
        auth.key(bearer, "caller", &Scope::ALL);
    }
    let (gateway, asked) = super::fakes::steered_watching(&auth).await;
    let (router, id, mut body, call) = steering(gateway, asked).await;
    next(&mut body).await;
    drop(body);
    let again = again(CHAT, &format!("{id}-0"), "second");
    let response = router.clone().oneshot(again).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body().into_data_stream();
    call.tell(delta("a", 1)).await;
    assert!(next(&mut body).await.contains("\"a\""));
    (auth, id, body, call, router)
}

fn revoke(auth: &FakeAuth, bearer: &str) {
    auth.state().credentials.remove(bearer);
    auth.tell(Change::Subject("caller".into()));
}

/// WS-6 for event streams: the generation ends, and whoever reads is told.
#[tokio::test(start_paused = true)]
async fn the_credential_that_began_a_stream_ends_it_for_whoever_reads() {
    let (auth, id, mut body, call, _) = with_two_credentials().await;
    revoke(&auth, ALL_SCOPES);
    let told = next(&mut body).await;
    assert!(
        told.starts_with(&format!("id: {id}-2\ndata: {{\"error\"")),
        "{told}"
    );
    assert!(told.contains("invalid_api_key"), "{told}");
    assert!(body.next().await.is_none());
    call.dropped().await;
}

/// The connection of another credential ends with that one. What is there is handed over.
#[tokio::test(start_paused = true)]
async fn the_credential_that_reads_a_stream_ends_its_connection_alone() {
    let (auth, id, mut body, call, router) = with_two_credentials().await;
    let logged = logs::capture();
    let shut_out = Instant::now();
    revoke(&auth, "second");
    assert!(body.next().await.unwrap().is_err(), "the connection breaks");
    assert!(
        shut_out.elapsed() <= Duration::from_secs(2),
        "{:?}",
        shut_out.elapsed()
    );
    drop(body);
    let lines = logged.lines();
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(line["request.outcome"], "invalid_api_key");
    assert_eq!(line["request.resumed"], id);
    assert!(!call.is_dropped());
    let again = again(CHAT, &format!("{id}-1"), ALL_SCOPES);
    let response = router.oneshot(again).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    call.tell(delta("b", 1)).await;
    assert!(next(&mut body).await.contains("\"b\""));
}

/// The same credential began the stream and reads it: both ends come together, and the event that
/// says why is not lost.
#[tokio::test(start_paused = true)]
async fn a_caller_that_is_shut_out_of_a_stream_that_it_took_up_is_told_why() {
    let auth = FakeAuth::new();
    auth.key(ALL_SCOPES, "caller", &Scope::ALL);
    let (gateway, asked) = super::fakes::steered_watching(&auth).await;
    let (router, id, body, call) = steering(gateway, asked).await;
    drop(body);
    let again = again(CHAT, &id, ALL_SCOPES);
    let response = router.clone().oneshot(again).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    next(&mut body).await;
    revoke(&auth, ALL_SCOPES);
    let events = rest(body).await;
    assert!(
        events.last().unwrap().contains("invalid_api_key"),
        "{events:?}"
    );
    call.dropped().await;
}

fn cancel(id: &str, bearer: &str) -> Request<Body> {
    let path = format!("/v1/streams/{id}");
    request(Method::DELETE, &path, Some(bearer), Body::empty())
}

/// LIFE-1: leaving does not end such a stream, but saying so does.
#[tokio::test(start_paused = true)]
async fn a_stream_is_cancelled_by_name() {
    let auth = FakeAuth::new();
    auth.key("another", "another", &Scope::ALL);
    let (gateway, asked) = super::fakes::steered_watching(&auth).await;
    let (router, id, mut body, call) = steering(gateway, asked).await;
    next(&mut body).await;
    for (id, bearer) in [(id.as_str(), "another"), ("nothing", ALL_SCOPES)] {
        let answer = send(router.clone(), cancel(id, bearer)).await;
        let told = (answer.status.as_u16(), answer.error_code());
        assert_eq!(told, (404, "not_found".to_owned()));
    }
    assert!(!call.is_dropped());
    let logged = logs::capture();
    let answer = send(router.clone(), cancel(&id, ALL_SCOPES)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    call.dropped().await;
    assert!(
        body.next().await.unwrap().is_err(),
        "an end without `[DONE]`"
    );
    let lines = logged.lines();
    let of_stream = lines.iter().find(|it| it["request.id"] == id).unwrap();
    assert_eq!(of_stream["request.outcome"], "cancelled");
    let answer = send(router.clone(), again(CHAT, &id, ALL_SCOPES)).await;
    assert_eq!(answer.status, 404);
}

/// As without: the status says what is wrong with the body, and not that it is too large.
#[tokio::test(start_paused = true)]
async fn a_repeated_body_that_breaks_off_is_told_so() {
    let router = routes(gateway_with(script()));
    let (id, _body) = begun(&router, CHAT).await;
    for (body, status) in [
        (vec![Ok("{"), Err(std::io::Error::other("broken"))], 400),
        (vec![Ok("{}")], 200),
    ] {
        let body = Body::from_stream(futures::stream::iter(body));
        let mut request = request(Method::POST, CHAT, Some(ALL_SCOPES), body);
        let last = id.parse().unwrap();
        request.headers_mut().insert("last-event-id", last);
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
    }
    let large = Body::from(vec![b' '; 5 * 1024 * 1024]);
    let mut request = request(Method::POST, CHAT, Some(ALL_SCOPES), large);
    request
        .headers_mut()
        .insert("last-event-id", id.parse().unwrap());
    assert_eq!(send(router, request).await.status, 413);
}
