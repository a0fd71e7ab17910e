use std::num::NonZeroUsize;
use std::time::Duration;

use fathom_proto::inference::{
    ChatMessage, ChatRole, Defaults, Delta, EmbedInput, Event, FinishReason, Json, Piece, Prompt,
    Sampling, Usage,
};
use fathom_proto::{Error as PublicError, ErrorCode};
use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::*;

fn sim(config: SimConfig) -> Sim {
    Sim::new(&config)
}

fn request(prompt: Prompt) -> GenerateRequest {
    GenerateRequest::new("words".into(), prompt)
}

fn text(prompt: &str) -> GenerateRequest {
    request(Prompt::Text(prompt.to_owned()))
}

fn context() -> RequestContext {
    RequestContext {
        request_id: "r".into(),
        tenant: "t".into(),
        user: "user".into(),
        deadline: None,
    }
}

fn said(delta: &Delta) -> &str {
    match &delta.piece {
        Piece::Text(text) => text,
        other => panic!("no text: {other:?}"),
    }
}

/// Text, tokens of all deltas, and how it ended.
async fn run(sim: &Sim, request: GenerateRequest) -> (String, u32, FinishReason, Usage) {
    let stream = sim.generate(request, context()).await.unwrap();
    let (mut text, mut sum, mut end) = (String::new(), 0, None);
    for event in stream.collect::<Vec<_>>().await {
        match event.unwrap() {
            Event::Started { .. } => assert!(text.is_empty()),
            Event::Delta(delta) => {
                text.push_str(said(&delta));
                sum += delta.tokens;
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

/// A worker that takes a broken generation over says the rest of it, word for word.
#[tokio::test]
async fn a_text_that_is_cut_anywhere_continues_the_same() {
    let sim = sim(SimConfig::default());
    for seed in 0..8 {
        let asked = |prompt: String, max_tokens| GenerateRequest {
            sampling: Sampling {
                seed: Some(seed),
                ..Sampling::default()
            },
            max_tokens: Some(max_tokens),
            ..request(Prompt::Text(prompt))
        };
        let (whole, ..) = run(&sim, asked("once upon".to_owned(), 32)).await;
        for (k, cut) in cuts(&whole) {
            let prompt = format!("once upon{}", &whole[..cut]);
            let (rest, ..) = run(&sim, asked(prompt, 32 - k)).await;
            assert_eq!(rest, whole[cut..], "seed {seed}, {k} tokens before");
        }
    }
}

#[tokio::test]
async fn a_chat_whose_last_turn_is_the_assistants_is_continued_to_the_same_end() {
    let sim = sim(SimConfig::default());
    for seed in 0..8 {
        let asked = |begun: Option<&str>| {
            let user = ChatMessage::new(ChatRole::User, "tell me");
            let begun = begun.map(|begun| ChatMessage::new(ChatRole::Assistant, begun));
            GenerateRequest {
                sampling: Sampling {
                    seed: Some(seed),
                    ..Sampling::default()
                },
                ..request(Prompt::Chat([user].into_iter().chain(begun).collect()))
            }
        };
        let (whole, ..) = run(&sim, asked(None)).await;
        for (k, cut) in [(0, 0)].into_iter().chain(cuts(&whole)) {
            let (rest, _, reason, usage) = run(&sim, asked(Some(&whole[..cut]))).await;
            assert_eq!(rest, whole[cut..], "seed {seed}, {k} tokens before");
            assert_eq!(
                (reason, usage.completion_tokens),
                (FinishReason::Stop, 32 - k)
            );
        }
    }
}

/// After each token but the last: how many they are, and where the text is cut.
fn cuts(text: &str) -> impl Iterator<Item = (u32, usize)> {
    let text = text.to_owned();
    let ends: Vec<_> = text
        .char_indices()
        .skip(1)
        .filter(|(_, c)| *c == ' ')
        .map(|(at, _)| at)
        .collect();
    (1..).zip(ends)
}

/// Batched and alone, the text is the same exactly.
#[tokio::test]
async fn fifty_at_a_time_say_what_each_says_alone() {
    let sim = sim(SimConfig {
        capacity: 8,
        ..SimConfig::default()
    });
    let asked = |seed| GenerateRequest {
        sampling: Sampling {
            seed: Some(seed),
            ..Sampling::default()
        },
        ..text("all at once")
    };
    let together = join_all((0..50).map(|seed| run(&sim, asked(seed)))).await;
    for (seed, answer) in (0..50).zip(together) {
        assert_eq!(answer, run(&sim, asked(seed)).await);
    }
}

#[tokio::test]
async fn usage_counts_words() {
    let sim = sim(SimConfig {
        tokens: 5,
        ..SimConfig::default()
    });
    let turn = |content| ChatMessage::new(ChatRole::User, content);
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
                completion_tokens: 5,
                ..Usage::default()
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
    for (max_tokens, default, context_length, completion_tokens) in [
        (Some(3), None, None, 3),
        (Some(0), None, None, 0),
        (Some(99), None, None, 6),
        (None, None, Some(4), 2),
        (None, Some(3), None, 3),
        (None, Some(99), None, 6),
        (Some(4), Some(3), None, 4),
    ] {
        let request = GenerateRequest {
            max_tokens,
            defaults: Defaults {
                max_tokens: default,
                ..Defaults::default()
            },
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
    assert_eq!((text.as_str(), reason), (before, FinishReason::StopText(0)));
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
            Some(Ok(Event::Delta(Delta { tokens: 1, .. })))
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

#[tokio::test]
async fn each_token_tells_its_made_up_probability() {
    let sim = sim(SimConfig::default());
    let request = GenerateRequest {
        logprobs: Some(3),
        max_tokens: Some(4),
        ..text("go")
    };
    let stream = sim.generate(request, context()).await.unwrap();
    let mut tokens = 0;
    for event in stream.collect::<Vec<_>>().await {
        if let Event::Delta(delta) = event.unwrap() {
            tokens += delta.tokens;
            assert_eq!(delta.logprobs.len(), delta.tokens as usize);
            let [told] = &delta.logprobs[..] else {
                panic!("one token at a time");
            };
            assert_eq!(told.token, said(&delta).as_bytes());
            assert_eq!(told.top.len(), 3);
            assert_eq!(told.top[0].token, told.token);
            assert!(
                told.top
                    .is_sorted_by(|one, next| one.logprob > next.logprob)
            );
        }
    }
    assert_eq!(tokens, 4);
}

#[tokio::test]
async fn an_echoed_prompt_comes_first_and_may_be_all() {
    let sim = sim(SimConfig::default());
    for (max_tokens, words) in [(0, 3), (2, 5)] {
        let request = GenerateRequest {
            echo: true,
            logprobs: Some(0),
            max_tokens: Some(max_tokens),
            ..text(" once  upon a ")
        };
        let stream = sim.generate(request, context()).await.unwrap();
        let events: Vec<_> = stream.map(Result::unwrap).collect().await;
        let Event::Delta(echo) = &events[1] else {
            panic!("{events:?}");
        };
        assert_eq!((said(echo), echo.tokens), (" once  upon a ", 0));
        let tokens: Vec<u8> = echo
            .logprobs
            .iter()
            .flat_map(|told| told.token.clone())
            .collect();
        assert_eq!(tokens, b" once  upon a ");
        assert_eq!(echo.logprobs[0].logprob, None);
        assert!(echo.logprobs[1..].iter().all(|told| told.logprob.is_some()));
        let text: String = events
            .iter()
            .filter_map(|event| match event {
                Event::Delta(delta) => Some(said(delta)),
                _ => None,
            })
            .collect();
        assert_eq!(text.split_whitespace().count(), words);
        assert!(matches!(
            events.last(),
            Some(Event::Finished { reason: FinishReason::Length, usage }) if usage.completion_tokens == max_tokens
        ));
    }
}

#[tokio::test]
async fn vectors_have_length_one_and_follow_from_the_text() {
    let sim = sim(SimConfig {
        embedding_dimensions: NonZeroUsize::new(16),
        ..SimConfig::default()
    });
    let embed = async |text: &str, dimensions| {
        let request = EmbedRequest {
            model: "words".into(),
            inputs: vec![EmbedInput::Text(text.to_owned())],
            dimensions,
            extra: None,
        };
        sim.embed(request, context()).await
    };
    let embeddings = embed("two words", None).await.unwrap();
    assert_eq!(embeddings.prompt_tokens, 2);
    let vector = &embeddings.vectors[0];
    assert_eq!(vector.len(), 16);
    let length: f32 = vector.iter().map(|part| part * part).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    assert_eq!(embeddings, embed("two words", None).await.unwrap());
    assert_ne!(
        *vector,
        embed("other words", None).await.unwrap().vectors[0]
    );
    assert_eq!(
        embed("two words", Some(4)).await.unwrap().vectors[0].len(),
        4
    );
    for dimensions in [0, 17] {
        let error = PublicError::from(embed("two", Some(dimensions)).await.unwrap_err());
        assert_eq!(error.param.as_deref(), Some("dimensions"));
    }
    let none = Sim::new(&SimConfig::default());
    let request = EmbedRequest {
        model: "words".into(),
        inputs: Vec::new(),
        dimensions: None,
        extra: None,
    };
    let error = none.embed(request, context()).await.unwrap_err();
    assert!(matches!(error, Error::NoEmbeddings { .. }));
}

#[tokio::test]
async fn what_a_formula_cannot_honour_is_refused_by_name() {
    let sim = sim(SimConfig::default());
    let chat = Prompt::Chat(vec![ChatMessage::new(ChatRole::User, "hi")]);
    for (request, param) in [
        (
            GenerateRequest {
                format: Format::JsonObject,
                ..text("hi")
            },
            "response_format",
        ),
        (
            GenerateRequest {
                echo: true,
                ..request(chat)
            },
            "echo",
        ),
        (
            GenerateRequest {
                extra: Some(Json(r#"{"audio": {}}"#.to_owned())),
                ..text("hi")
            },
            "audio",
        ),
    ] {
        let error = PublicError::from(sim.generate(request, context()).await.err().unwrap());
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some(param));
    }
}

mod continued;
