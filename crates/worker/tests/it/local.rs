use std::time::{Duration, Instant};

use fathom_proto::ErrorCode;
use fathom_proto::inference::{Event, FinishReason, GenerateRequest, Inference, Prompt};
use futures::StreamExt;

use crate::harness::{answer, chat, context, request, start_local};

#[tokio::test]
async fn temperature_zero_says_the_same_twice_with_exact_usage() {
    let (worker, _turn) = start_local().await;
    let asked = GenerateRequest {
        max_tokens: Some(24),
        ..chat("Name three rivers.")
    };
    let first = answer(&worker, asked.clone()).await;
    assert_eq!(first, answer(&worker, asked).await);
    assert_eq!(first.usage.completion_tokens, first.tokens);
    assert!(!first.text.is_empty());
    let cut = GenerateRequest {
        max_tokens: Some(5),
        ..chat("Name three rivers.")
    };
    let cut = answer(&worker, cut).await;
    assert_eq!(
        (cut.usage.completion_tokens, cut.reason),
        (5, FinishReason::Length)
    );
    assert!(first.text.starts_with(&cut.text));
    assert_eq!(worker.load().running, 0);
}

#[tokio::test]
async fn the_context_of_the_registry_cuts_the_answer() {
    let (worker, _turn) = start_local().await;
    let ids = Prompt::Tokens(vec![100; 12]);
    let asked = GenerateRequest {
        context_length: Some(16),
        ..request(ids)
    };
    let answer = answer(&worker, asked).await;
    assert_eq!(answer.usage.prompt_tokens, 12);
    assert!(answer.usage.completion_tokens <= 4);
}

#[tokio::test]
async fn a_prompt_too_long_is_told_both_limits() {
    let (worker, _turn) = start_local().await;
    for (prompt, param) in [
        (chat(&"river ".repeat(9000)), "messages"),
        (request(Prompt::Tokens(vec![100; 8192])), "prompt"),
    ] {
        let asked = GenerateRequest {
            context_length: Some(32_768),
            ..prompt
        };
        let error = worker.generate(asked, context()).await.err().unwrap();
        assert_eq!(error.code, ErrorCode::ContextLengthExceeded);
        assert_eq!(error.param.as_deref(), Some(param));
        for part in [
            "deepseek-chat",
            "8192",
            "32768",
            "SmolLM2-135M-Instruct-Q4_1",
        ] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
    }
    assert_eq!(worker.load().running, 0);
}

#[tokio::test]
async fn prompts_that_cannot_be_read_are_invalid() {
    let (worker, _turn) = start_local().await;
    for ids in [vec![], vec![1, u32::MAX], vec![1, 1_000_000]] {
        let error = worker
            .generate(request(Prompt::Tokens(ids)), context())
            .await
            .err()
            .unwrap();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some("prompt"));
    }
}

#[tokio::test]
async fn dropping_the_stream_frees_the_engine_for_the_next() {
    let (worker, _turn) = start_local().await;
    let mut stream = worker
        .generate(chat("Tell a long story."), context())
        .await
        .unwrap();
    while !matches!(stream.next().await, Some(Ok(Event::Delta { .. }))) {}
    assert_eq!(worker.load().running, 1);
    drop(stream);
    assert_eq!(worker.load().running, 0);
    let dropped = Instant::now();
    let mut next = worker.generate(chat("Hello"), context()).await.unwrap();
    assert!(matches!(next.next().await, Some(Ok(Event::Started { .. }))));
    // A decode step takes a hundredth of this, the whole story many times as long.
    assert!(
        dropped.elapsed() < Duration::from_secs(2),
        "{:?}",
        dropped.elapsed()
    );
}

#[tokio::test]
async fn a_burst_of_callers_who_leave_holds_nobody_up() {
    let (worker, _turn) = start_local().await;
    for _ in 0..20 {
        drop(
            worker
                .generate(chat("Tell a long story."), context())
                .await
                .unwrap(),
        );
    }
    let asked = GenerateRequest {
        max_tokens: Some(1),
        ..chat("Hello")
    };
    assert_eq!(answer(&worker, asked).await.usage.completion_tokens, 1);
}
