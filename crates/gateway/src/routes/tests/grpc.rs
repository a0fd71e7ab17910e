//! The port for gRPC, byte for byte: what a client that speaks it well or badly gets.

use std::convert::Infallible;
use std::time::Duration;

use async_compression::tokio::bufread::GzipEncoder;
use fathom_kit::readiness::Readiness;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::Error;
use fathom_proto::pb::inference as pb;
use http::HeaderMap;
use prost::Message;
use secrecy::ExposeSecret;
use tokio::io::AsyncReadExt;
use tonic::{Code, Status};

use super::fakes::{delta, finished, hanging, started};
use super::protobuf::garbage;
use super::*;
use crate::grpc;
use crate::identity::fake::{AUTH_PANICS, NO_SCOPES, claims, token};

const COMPLETION: &str = "/fathom.inference.v1.CompletionService/CreateCompletion";
const EMBEDDING: &str = "/fathom.inference.v1.CompletionService/CreateEmbedding";

/// What comes back of a call.
struct Reply {
    metadata: HeaderMap,
    status: Status,
    messages: Vec<u8>,
}

impl Reply {
    /// The error as another service of ours reads it.
    fn error(self) -> Error {
        self.status.into()
    }
}

async fn call(
    gateway: crate::Gateway,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Reply {
    let (router, _) = grpc::routes(gateway, true).unwrap();
    let mut request = Request::post(path).header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::from(body)).unwrap());
    let (parts, body) = response.await.unwrap().into_parts();
    assert_eq!(parts.status, 200);
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let status = Status::from_header_map(&trailers);
    Reply {
        status: status
            .or_else(|| Status::from_header_map(&parts.headers))
            .unwrap(),
        metadata: parts.headers,
        messages: body.to_bytes().to_vec(),
    }
}

/// Behind its length, as gRPC has it.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], message].concat()
}

fn bearer() -> (&'static str, String) {
    ("authorization", format!("Bearer {ALL_SCOPES}"))
}

async fn chat(gateway: crate::Gateway, headers: &[(&str, &str)], message: &[u8]) -> Reply {
    let (name, value) = bearer();
    let headers = [&[(name, value.as_str())], headers].concat();
    call(gateway, COMPLETION, &headers, framed(message)).await
}

fn message() -> pb::CreateCompletionRequest {
    pb::CreateCompletionRequest {
        model: "m".to_owned(),
        messages: vec![pb::ChatMessage {
            role: pb::ChatRole::User.into(),
            content: "hi".to_owned(),
            ..pb::ChatMessage::default()
        }],
        ..pb::CreateCompletionRequest::default()
    }
}

fn hello() -> crate::Gateway {
    gateway_with(vec![started(3), delta("Hello", 1), finished(3, 1)])
}

/// GRPC-5, what holds without certificates: nobody gets past the guard, and nothing of a message is
/// read before.
#[tokio::test]
async fn who_does_not_say_who_it_is_gets_nothing() {
    let mut expired = claims("1");
    (expired.iat, expired.exp) = (1, 2);
    let expired = format!("Bearer {}", token("a", &expired).expose_secret());
    for (value, code) in [
        (None, Code::Unauthenticated),
        (Some("Bearer unknown"), Code::Unauthenticated),
        (Some("Basic unknown"), Code::Unauthenticated),
        (Some(expired.as_str()), Code::Unauthenticated),
        (
            Some(&*format!("Bearer {NO_SCOPES}")),
            Code::PermissionDenied,
        ),
    ] {
        let headers: Vec<_> = value
            .map(|value| ("authorization", value))
            .into_iter()
            .collect();
        for path in [
            COMPLETION,
            EMBEDDING,
            "/fathom.inference.v1.InferenceService/Generate",
        ] {
            let reply = call(gateway(), path, &headers, vec![0xff; 64]).await;
            assert!(reply.metadata.contains_key("x-request-id"));
            assert_eq!(reply.status.code(), code, "{value:?} {path}");
            assert!(
                ["invalid_api_key", "permission_denied"].contains(&reply.error().code.row().name)
            );
        }
    }
}

#[tokio::test]
async fn an_answer_has_the_id_of_its_request() {
    let reply = chat(hello(), &[], &message().encode_to_vec()).await;
    assert_eq!(reply.status.code(), Code::Ok);
    let id = reply.metadata["x-request-id"].to_str().unwrap().to_owned();
    let answer = pb::CreateCompletionResponse::decode(&reply.messages[5..]).unwrap();
    assert_eq!(answer.id, format!("chatcmpl-{id}"));
    assert_eq!(answer.choices[0].text, "Hello");
}

#[tokio::test]
async fn what_is_wrong_is_told_as_between_the_services() {
    let wrong = pb::CreateCompletionRequest {
        temperature: Some(3.0),
        ..message()
    };
    let reply = chat(gateway(), &[], &wrong.encode_to_vec()).await;
    assert_eq!(reply.status.code(), Code::InvalidArgument);
    let error = reply.error();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(error.param.as_deref(), Some("temperature"));
    let other = pb::CreateCompletionRequest {
        model: "unknown".to_owned(),
        ..message()
    };
    let error = chat(hanging(), &[], &other.encode_to_vec()).await.error();
    assert_eq!(error.code, ErrorCode::ModelNotFound);
}

/// GRPC-1
#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let mut gateway = hello();
    let limit = gateway.config.max_body_bytes;
    let mut large = message();
    large.messages[0].content = "x".repeat(limit - large.encoded_len() - 20);
    assert!(large.encoded_len() <= limit);
    let reply = chat(gateway.clone(), &[], &large.encode_to_vec()).await;
    assert_eq!(reply.status.code(), Code::Ok);
    gateway = hello();
    large.messages[0].content.push_str(&"x".repeat(64));
    let reply = chat(gateway, &[], &large.encode_to_vec()).await;
    assert_eq!(reply.status.code(), Code::ResourceExhausted);
    assert_eq!(reply.error().code, ErrorCode::PayloadTooLarge);
}

/// GRPC-2
#[tokio::test]
async fn a_compressed_message_is_inflated_up_to_the_limit() {
    let compressed = async |message: &[u8]| {
        let mut out = Vec::new();
        let mut encoder = GzipEncoder::new(message);
        encoder.read_to_end(&mut out).await.unwrap();
        let mut frame = framed(&out);
        frame[0] = 1;
        frame
    };
    let (name, value) = bearer();
    let headers = [(name, value.as_str()), ("grpc-encoding", "gzip")];
    let small = compressed(&message().encode_to_vec()).await;
    let reply = call(hello(), COMPLETION, &headers, small).await;
    assert_eq!(reply.status.code(), Code::Ok);
    let bomb = compressed(&vec![0; 16 * 1024 * 1024]).await;
    let reply = call(hello(), COMPLETION, &headers, bomb).await;
    assert_eq!(reply.error().code, ErrorCode::PayloadTooLarge);
    let headers = [(name, value.as_str()), ("grpc-encoding", "snappy")];
    let reply = call(hello(), COMPLETION, &headers, framed(&[])).await;
    assert_eq!(reply.status.code(), Code::Unimplemented);
    assert_eq!(reply.metadata["grpc-accept-encoding"], "gzip,identity");
}

/// GRPC-3
#[tokio::test]
async fn garbage_is_refused_and_breaks_nothing() {
    for (what, bytes) in garbage() {
        let reply = chat(gateway(), &[], &bytes).await;
        assert_eq!(reply.status.code(), Code::InvalidArgument, "{what}");
        assert_eq!(reply.error().code, ErrorCode::InvalidRequest, "{what}");
    }
    let (name, value) = bearer();
    let headers = [(name, value.as_str())];
    for frame in [
        Vec::new(),
        vec![0],
        vec![2, 0, 0, 0, 0],
        vec![1, 0, 0, 0, 1, 0],
        vec![0, 0, 0, 0, 9, 1],
    ] {
        let reply = call(gateway(), COMPLETION, &headers, frame.clone()).await;
        assert_eq!(reply.error().code, ErrorCode::InvalidRequest, "{frame:?}");
    }
    // 4 GiB, the most that a frame can say.
    let reply = call(
        gateway(),
        COMPLETION,
        &headers,
        vec![0, 0xff, 0xff, 0xff, 0xff],
    )
    .await;
    assert_eq!(reply.error().code, ErrorCode::PayloadTooLarge);
}

/// GRPC-3: two bytes on the wire are an empty turn, which takes hundreds in memory.
#[tokio::test]
async fn a_message_of_too_many_parts_is_refused() {
    for parts in [40_000, 2_000_000] {
        let reply = chat(gateway(), &[], &[0x12, 0].repeat(parts)).await;
        let error = reply.error();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert!(error.message.contains("more than"), "{}", error.message);
    }
}

/// GRPC-4: the caller's deadline ends the call, and never later than the server's own.
#[tokio::test(start_paused = true)]
async fn the_deadline_is_the_callers_or_the_servers() {
    for (timeout, seconds) in [("1500m", 1.5), ("99999999H", 600.0)] {
        let begun = tokio::time::Instant::now();
        let headers = [("grpc-timeout", timeout)];
        let reply = chat(hanging(), &headers, &message().encode_to_vec()).await;
        let error = reply.error();
        assert_eq!(error.code, ErrorCode::DeadlineExceeded);
        let took = begun.elapsed().as_secs_f64();
        assert!((seconds..seconds + 0.1).contains(&took), "{took}");
    }
}

/// GRPC-7: the service says what `/readyz` says, and lets those go who watch it when the server
/// goes down.
#[tokio::test]
async fn health_follows_readiness_and_draining() {
    use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
    use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

    let (router, health) = grpc::routes(gateway(), false).unwrap();
    let (readiness, shutdown) = (Readiness::default(), Shutdown::new(Duration::from_secs(1)));
    readiness.set("router", false);
    shutdown.spawn(health.follow(readiness.clone(), shutdown.clone()));
    // It says something from its first step on, which comes before the next one of this task.
    tokio::task::yield_now().await;
    let ask = HealthCheckRequest {
        service: "fathom.inference.v1.CompletionService".to_owned(),
    };
    let request = Request::post("/grpc.health.v1.Health/Watch")
        .header("content-type", "application/grpc")
        .body(Body::from(framed(&ask.encode_to_vec())))
        .unwrap();
    let mut body = router.oneshot(request).await.unwrap().into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap();
        let bytes = frame.into_data().ok()?;
        Some(HealthCheckResponse::decode(&bytes[5..]).unwrap().status())
    };
    let mut first = next().await;
    if first == Some(Serving) {
        // It was asked before it had looked.
        first = next().await;
    }
    assert_eq!(first, Some(NotServing));
    readiness.set("router", true);
    assert_eq!(next().await, Some(Serving));
    shutdown.drain().await;
    assert_eq!(next().await, Some(NotServing));
    assert_eq!(next().await, None, "the watch goes on");
}

/// GRPC-7
#[tokio::test]
async fn reflection_is_there_where_it_is_wanted() {
    for wanted in [true, false] {
        let (router, _) = grpc::routes(gateway(), wanted).unwrap();
        let request = Request::post("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
            .header("content-type", "application/grpc")
            // `list_services`
            .body(Body::from(framed(&[0x3a, 0x00])))
            .unwrap();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert_eq!(
            text.contains("fathom.inference.v1.CompletionService"),
            wanted
        );
        assert!(!text.contains("InferenceService"));
        let status = Status::from_header_map(&parts.headers).map(|status| status.code());
        assert_eq!(status == Some(Code::Unimplemented), !wanted);
    }
}

/// A bug is told to the client, with the id of its call, and the record calls it one.
#[tokio::test]
async fn a_bug_is_told_and_recorded() {
    for (bearer, model) in [(AUTH_PANICS, "m"), (ALL_SCOPES, "begins")] {
        let logged = logs::capture();
        let ask = pb::CreateCompletionRequest {
            model: model.to_owned(),
            ..message()
        };
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", bearer.as_str())];
        let asked = framed(&ask.encode_to_vec());
        let reply = call(fakes::panicking(), COMPLETION, &headers, asked).await;
        assert_eq!(reply.status.code(), Code::Internal);
        let id = reply.metadata["x-request-id"].to_str().unwrap().to_owned();
        assert!(!reply.error().message.contains("secret"));
        let lines = logged.lines();
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(line["request.outcome"], "internal_error");
        assert_eq!(line["request.status"], 500);
        assert_eq!(line["request.id"], id.as_str());
    }
}

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// A call that goes on: its client has said this, and may say more where the method takes more.
async fn opened(router: &Router, path: &str, message: &[u8]) -> Response {
    use futures::StreamExt;

    let said = framed(message);
    let body = if path == REFLECTION {
        let said = futures::stream::iter([Ok::<_, Infallible>(said)]);
        Body::from_stream(said.chain(futures::stream::pending()))
    } else {
        Body::from(said)
    };
    let request = Request::post(path)
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    router.clone().oneshot(request).await.unwrap()
}

/// DRAIN-1: whoever reads the description holds no shutdown.
#[tokio::test]
async fn reflection_ends_when_draining_begins() {
    let gateway = gateway();
    let (router, _) = grpc::routes(gateway.clone(), true).unwrap();
    let mut body = opened(&router, REFLECTION, &[0x3a, 0x00]).await.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert!(first.is_data());
    assert!(futures::poll!(std::pin::pin!(body.frame())).is_pending());
    gateway.shutdown.drain().await;
    let last = body.frame().await.unwrap().unwrap();
    let status = Status::from_header_map(last.trailers_ref().unwrap()).unwrap();
    assert_eq!(Error::from(status).code, ErrorCode::ShuttingDown);
    assert!(body.frame().await.is_none());
}

/// What needs no credential is small, and of what may run for long there is a number.
#[tokio::test]
async fn whoever_calls_without_a_credential_cannot_hold_much() {
    let (router, _) = grpc::routes(gateway(), true).unwrap();
    let status = |response: &Response| Status::from_header_map(response.headers());
    let large = [&[0x0a, 0xff, 0xff, 0x03][..], &[b'x'; 0xffff]].concat();
    let check = "/grpc.health.v1.Health/Check";
    let reply = call(gateway(), check, &[], framed(&large)).await;
    assert_eq!(reply.status.code(), Code::OutOfRange);
    let mut body = opened(&router, REFLECTION, &large).await.into_body();
    // It ends without an answer: the library says no more.
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    drop(body);

    let mut watching = Vec::new();
    let watch = "/grpc.health.v1.Health/Watch";
    for _ in 0..1_000 {
        let answer = opened(&router, watch, &[]).await;
        assert!(status(&answer).is_none());
        watching.push(answer);
    }
    for path in [watch, REFLECTION] {
        let refused = status(&opened(&router, path, &[]).await).unwrap();
        assert_eq!(Error::from(refused).code, ErrorCode::Overloaded, "{path}");
    }
    // What is said once is said all the same, and who goes makes room.
    let reply = call(gateway(), check, &[], framed(&[])).await;
    assert_eq!(reply.status.code(), Code::Ok);
    watching.pop();
    assert!(status(&opened(&router, watch, &[]).await).is_none());
}
