use std::time::Duration;

use fathom_proto::ErrorCode;
use fathom_proto::inference::{GenerateRequest, Json, Prompt, RequestContext};
use futures::FutureExt;
use tokio::time::Instant;

use super::*;
use crate::SimConfig;
use crate::engine::Engine;
use crate::engine::sim::Sim;

/// A prompt for an answer of 32 words, with what goes wrong.
fn asked(fault: &str) -> GenerateRequest {
    GenerateRequest {
        extra: Some(Json(format!(r#"{{"sim": {fault}}}"#))),
        ..GenerateRequest::new("words".into(), Prompt::Text("hi".to_owned()))
    }
}

fn context() -> RequestContext {
    RequestContext {
        request_id: "r".into(),
        tenant: "t".into(),
        user: "user".into(),
        deadline: None,
    }
}

async fn events(fault: &str) -> Vec<Result<Event, PublicError>> {
    let sim = Sim::new(&SimConfig::default());
    let stream = sim.generate(asked(fault), context()).await.unwrap();
    stream.collect().await
}

fn tokens(events: &[Result<Event, PublicError>]) -> u32 {
    let tokens = events.iter().map(|event| match event {
        Ok(Event::Delta(delta)) => delta.tokens,
        _ => 0,
    });
    tokens.sum()
}

#[tokio::test]
async fn it_fails_with_the_code_that_was_asked_for_after_so_many_tokens() {
    for after in [0, 1, 5] {
        let fault = format!(
            r#"{{"kind": "fail", "after": {after}, "code": "overloaded", "retry_after": "7s"}}"#
        );
        let mut events = events(&fault).await;
        assert_eq!(tokens(&events), after);
        let error = events.pop().unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn it_is_cut_in_silence() {
    let events = events(r#"{"kind": "cut", "after": 3}"#).await;
    assert_eq!(tokens(&events), 3);
    assert!(matches!(events.last(), Some(Ok(Event::Delta(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_sends_nothing_and_keeps_its_slot() {
    let sim = Sim::new(&SimConfig::default());
    let request = asked(r#"{"kind": "stall", "after": 1}"#);
    let mut stream = sim.generate(request, context()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    let longer = tokio::time::timeout(Duration::from_secs(3600), stream.next());
    assert!(longer.await.is_err());
    assert_eq!(sim.load().running, 1);
    drop(stream);
    assert_eq!(sim.load().running, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_late_and_whole() {
    let begun = Instant::now();
    let events = events(r#"{"kind": "slow", "ttft": "2s", "inter_token": "100ms"}"#).await;
    assert_eq!(tokens(&events), 32);
    assert_eq!(begun.elapsed(), Duration::from_millis(2000 + 31 * 100));
}

#[tokio::test]
async fn garbage_is_noise_in_place_of_words_and_a_restart_a_second_beginning() {
    let noisy = events(r#"{"kind": "garbage", "after": 30}"#).await;
    let noise = noisy.iter().filter(|event| {
        matches!(event, Ok(Event::Delta(delta)) if delta.piece == Piece::Text(NOISE.to_owned()))
    });
    assert_eq!((noise.count(), tokens(&noisy)), (2, 32));
    let restarted = events(r#"{"kind": "restart", "after": 2}"#).await;
    assert!(matches!(restarted[3], Ok(Event::Started { .. })));
    assert_eq!(tokens(&restarted), 32);
}

#[tokio::test]
async fn it_is_full_when_it_is_told_so() {
    let sim = Sim::new(&SimConfig::default());
    let refused = sim.generate(asked(r#"{"kind": "full"}"#), context()).await;
    assert!(matches!(refused.err(), Some(Error::QueueFull { .. })));
}

#[tokio::test]
async fn a_fault_that_cannot_be_read_is_told_by_its_field() {
    let sim = Sim::new(&SimConfig::default());
    for (fault, problem) in [
        (r#"{"kind": "explode"}"#, "explode"),
        (r#"{"kind": "fail", "aftre": 1}"#, "aftre"),
        (r#"{"kind": "fail", "code": "nope"}"#, "worker_failed"),
        ("3", "SimFault"),
    ] {
        let error = sim.generate(asked(fault), context()).await.err().unwrap();
        let error = PublicError::from(error);
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some("sim"));
        assert!(error.message.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn a_configured_fault_meets_its_share_of_the_requests() {
    let fault = SimFault {
        every: std::num::NonZeroU64::new(3).unwrap(),
        ..SimFault::new(SimFaultKind::Full)
    };
    let sim = Sim::new(&SimConfig {
        faults: vec![fault],
        ..SimConfig::default()
    });
    let request = GenerateRequest::new("words".into(), Prompt::Text("hi".to_owned()));
    let refused: Vec<bool> = (0..9)
        .map(|_| {
            let started = sim.generate(request.clone(), context());
            started.now_or_never().unwrap().is_err()
        })
        .collect();
    assert_eq!(refused, [false, false, true].repeat(3));
}
