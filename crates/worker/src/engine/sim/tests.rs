use std::time::Duration;

use fathom_proto::inference::{
    ChatMessage, ChatRole, Event, FinishReason, Prompt, Sampling, Usage,
};
use fathom_proto::{Error as PublicError, ErrorCode};
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::*;

fn sim(config: SimConfig) -> Sim {
    Sim::new(&config)
}

fn request(prompt: Prompt) -> GenerateRequest {
    GenerateRequest {
        model: "words".into(),
        prompt,
        sampling: Sampling::default(),
        max_tokens: None,
        stop: Vec::new(),
        context_length: None,
    }
}

fn text(prompt: &str) -> GenerateRequest {
    request(Prompt::Text(prompt.to_owned()))
}

fn context() -> RequestContext {
    RequestContext {
        request_id: "r".into(),
        tenant: "t".into(),
        deadline: None,
    }
}

/// Text, tokens of all deltas, and how it ended.
async fn run(sim: &Sim, request: GenerateRequest) -> (String, u32, FinishReason, Usage) {
    let stream = sim.generate(request, context()).await.unwrap();
    let (mut text, mut sum, mut end) = (String::new(), 0, None);
    for event in stream.collect::<Vec<_>>().await {
        match event.unwrap() {
            Event::Started { .. } => assert!(text.is_empty()),
            Event::Delta {
                text: piece,
                tokens,
            } => {
                text.push_str(&piece);
                sum += tokens;
            }
            Event::Finished { reason, usage } => end = Some((reason, usage)),
        }
    }
    let (reason, usage) = end.unwrap();
    (text, sum, reason, usage)
}

#[tokio::test]
async fn an_answer_is_a_function_of_prompt_and_seed() {
    let sim = sim(SimConfig::default());
    let seeded = |prompt, seed| {
        let sampling = Sampling {
            seed: Some(seed),
            ..Sampling::default()
        };
        GenerateRequest {
            sampling,
            ..text(prompt)
        }
    };
    let answer = run(&sim, seeded("tell me", 1)).await;
    assert_eq!(answer, run(&sim, seeded("tell me", 1)).await);
    assert_ne!(answer.0, run(&sim, seeded("tell me", 2)).await.0);
    assert_ne!(answer.0, run(&sim, seeded("tell them", 1)).await.0);
}

#[tokio::test]
async fn the_words_never_change_between_releases() {
    let request = GenerateRequest {
        max_tokens: Some(6),
        ..text("once upon a time")
    };
    let (text, ..) = run(&sim(SimConfig::default()), request).await;
    assert_eq!(text, " hills stones and slow river under");
}

#[tokio::test]
async fn a_text_that_is_cut_anywhere_continues_the_same() {
    let sim = sim(SimConfig::default());
    let (whole, ..) = run(&sim, text("once upon")).await;
    for cut in whole.match_indices(' ').map(|(at, _)| at).skip(1) {
        let (rest, ..) = run(&sim, text(&format!("once upon{}", &whole[..cut]))).await;
        assert!(rest.starts_with(&whole[cut..]), "cut at {cut}");
    }
}

#[tokio::test]
async fn usage_counts_words() {
    let sim = sim(SimConfig {
        tokens: 5,
        ..SimConfig::default()
    });
    let turn = |content: &str| ChatMessage {
        role: ChatRole::User,
        content: content.to_owned(),
        name: None,
    };
    let chat = Prompt::Chat(vec![turn("one two"), turn("three")]);
    for (prompt, prompt_tokens) in [
        (chat, 9),
        (Prompt::Tokens(vec![1, 2]), 2),
        (Prompt::Text(" a  b c".to_owned()), 3),
    ] {
        let (text, sum, reason, usage) = run(&sim, request(prompt)).await;
        assert_eq!(
            usage,
            Usage {
                prompt_tokens,
                completion_tokens: 5
            }
        );
        assert_eq!((sum, text.split_whitespace().count()), (5, 5));
        assert_eq!(reason, FinishReason::Stop);
    }
}

#[tokio::test]
async fn max_tokens_and_the_context_end_an_answer() {
    let sim = sim(SimConfig {
        context_length: 8,
        ..SimConfig::default()
    });
    for (max_tokens, context_length, completion_tokens) in [
        (Some(3), None, 3),
        (Some(0), None, 0),
        (Some(99), None, 6),
        (None, Some(4), 2),
    ] {
        let request = GenerateRequest {
            max_tokens,
            context_length,
            ..text("two words")
        };
        let (_, sum, reason, usage) = run(&sim, request).await;
        assert_eq!(
            (sum, usage.completion_tokens),
            (completion_tokens, completion_tokens)
        );
        assert_eq!(reason, FinishReason::Length);
    }
}

#[tokio::test]
async fn a_stop_text_ends_an_answer_and_is_no_part_of_it() {
    let sim = sim(SimConfig::default());
    let (whole, ..) = run(&sim, text("a prompt")).await;
    let words: Vec<_> = whole.split_whitespace().collect();
    let stop = format!("{} {}", words[4], words[5]);
    let before = &whole[..whole.find(&stop).unwrap()];
    let request = GenerateRequest {
        stop: vec![stop.clone()],
        ..text("a prompt")
    };
    let (text, sum, reason, usage) = run(&sim, request).await;
    assert_eq!((text.as_str(), reason), (before, FinishReason::Stop));
    assert!(sum <= usage.completion_tokens);
}

#[tokio::test]
async fn a_prompt_that_fills_the_context_is_refused_with_both_limits() {
    let sim = sim(SimConfig {
        context_length: 4,
        ..SimConfig::default()
    });
    let request = GenerateRequest {
        context_length: Some(100),
        ..text("a b c d")
    };
    let error = PublicError::from(sim.generate(request, context()).await.err().unwrap());
    assert_eq!(error.code, ErrorCode::ContextLengthExceeded);
    assert_eq!(error.param.as_deref(), Some("prompt"));
    assert_eq!(
        error.message,
        "the prompt has 4 tokens, but words takes at most 4 of prompt and answer (the registry \
         allows 100, the weights sim-words do 4); shorten it"
    );
    assert_eq!(sim.load().running, 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_come_at_the_configured_pace() {
    let (ttft, inter_token) = (Duration::from_millis(50), Duration::from_millis(10));
    let sim = sim(SimConfig {
        ttft,
        inter_token,
        tokens: 4,
        ..SimConfig::default()
    });
    let begun = Instant::now();
    let mut stream = sim.generate(text("go"), context()).await.unwrap();
    assert!(matches!(
        stream.next().await,
        Some(Ok(Event::Started { .. }))
    ));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for token in 0..4 {
        assert!(matches!(
            stream.next().await,
            Some(Ok(Event::Delta { tokens: 1, .. }))
        ));
        assert_eq!(begun.elapsed(), ttft + inter_token * token);
    }
}

#[tokio::test]
async fn dropping_the_stream_frees_its_place_for_the_next() {
    let config = SimConfig {
        capacity: 1,
        inter_token: Duration::from_secs(60),
        ..SimConfig::default()
    };
    let sim = sim(config);
    let running = sim.generate(text("first"), context()).await.unwrap();
    let mut waiting = sim.generate(text("second"), context());
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(running);
    let second = waiting.await.unwrap();
    assert_eq!(sim.load().running, 1);
    drop(second);
    assert_eq!(sim.load().running, 0);
}
