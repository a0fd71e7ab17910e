use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use fathom_proto::ErrorCode;
use fathom_proto::inference::{
    Defaults, EmbedInput, EmbedRequest, Event, FinishReason, Format, Function, GenerateRequest,
    Inference, Json, Piece, Prompt, Sampling, ToolChoice, Tools,
};
use fathom_worker::{EngineConfig, LocalConfig, Worker};
use futures::StreamExt;
use tokio::sync::MutexGuard;

use crate::harness::{answer, chat, context, request, start, start_local, start_local_with};

#[tokio::test]
async fn temperature_zero_says_the_same_twice_with_exact_usage() {
    let (worker, _turn) = start_local().await;
    let asked = GenerateRequest {
        max_tokens: Some(24),
        ..chat("Name three rivers.")
    };
    let first = answer(&worker, asked.clone()).await;
    let second = answer(&worker, asked).await;
    assert_eq!(first.text, second.text);
    assert!(second.usage.cached_tokens > 0);
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
async fn the_defaults_of_a_request_hold_where_it_does_not_say() {
    let (worker, _turn) = start_local().await;
    let said = GenerateRequest {
        max_tokens: Some(24),
        ..chat("Name three rivers.")
    };
    let unsaid = GenerateRequest {
        sampling: Sampling::default(),
        max_tokens: None,
        defaults: Defaults {
            temperature: 0.0,
            max_tokens: Some(24),
        },
        ..said.clone()
    };
    let (said, unsaid) = (answer(&worker, said).await, answer(&worker, unsaid).await);
    assert_eq!(unsaid.text, said.text);
    assert_eq!(unsaid.usage.completion_tokens, said.usage.completion_tokens);
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
async fn a_prompt_that_fits_no_context_is_refused_unread_as_any_that_is_too_long() {
    let (worker, _turn) = start_local().await;
    let error = worker
        .generate(chat(&"river ".repeat(500_000)), context())
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::ContextLengthExceeded);
    assert_eq!(error.param.as_deref(), Some("messages"));
    for part in ["has at least ", "takes at most 8192"] {
        assert!(error.message.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_prompt_that_never_breaks_is_told_to() {
    let (worker, _turn) = start_local().await;
    let error = worker
        .generate(chat(&"a".repeat(300_000)), context())
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(error.param.as_deref(), Some("messages"));
    assert!(error.message.contains("262144"), "{error}");
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

/// A caller who does not read, and holds on to the stream, takes nobody's place.
#[tokio::test]
async fn an_answer_that_is_complete_gives_its_place_back_unread() {
    let (worker, _turn) = start_local_with(LocalConfig {
        slots: NonZeroUsize::MIN,
        max_queue: 1,
        ..LocalConfig::default()
    })
    .await;
    let asked = GenerateRequest {
        max_tokens: Some(3),
        ..chat("Name three rivers.")
    };
    let unread = worker.generate(asked.clone(), context()).await.unwrap();
    // With one slot, its turn comes when the one before is complete.
    let next = worker.generate(asked.clone(), context()).await.unwrap();
    assert_eq!(answer(&worker, asked).await.usage.completion_tokens, 3);
    let load = worker.load();
    assert_eq!((load.running, load.queued), (0, 0));
    for stream in [unread, next] {
        let events: Vec<_> = stream.collect().await;
        assert!(matches!(events.last(), Some(Ok(Event::Finished { .. }))));
    }
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

async fn refused(asked: GenerateRequest) -> fathom_proto::Error {
    let (worker, _turn) = start_local().await;
    worker.generate(asked, context()).await.err().unwrap()
}

#[tokio::test]
async fn what_the_model_cannot_do_is_refused_by_name() {
    let infill = Prompt::Infill {
        before: "a".into(),
        after: "b".into(),
    };
    let mut parts = chat("Hello");
    if let Prompt::Chat(messages) = &mut parts.prompt {
        messages[0].parts = Some(Json("[{}]".into()));
    }
    let function = Function {
        name: "get".into(),
        description: None,
        parameters: None,
        strict: None,
    };
    let tools = Tools {
        functions: vec![function],
        choice: ToolChoice::Auto,
        parallel: true,
    };
    let schema = Format::JsonSchema {
        name: "answer".into(),
        schema: Json(r#"{"not": {}}"#.into()),
        strict: None,
    };
    for (asked, param) in [
        (request(infill), "suffix"),
        (parts, "messages[0].content"),
        (
            GenerateRequest {
                tools: Some(tools),
                ..chat("Hello")
            },
            "tools",
        ),
        (
            GenerateRequest {
                format: schema,
                ..chat("Hello")
            },
            "response_format",
        ),
        (
            GenerateRequest {
                extra: Some(Json(r#"{"audio": {}}"#.into())),
                ..chat("Hello")
            },
            "audio",
        ),
    ] {
        let error = refused(asked).await;
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
        assert_eq!(error.param.as_deref(), Some(param), "{error}");
    }
}

#[tokio::test]
async fn a_json_object_comes_back_as_one() {
    let (worker, _turn) = start_local().await;
    let asked = GenerateRequest {
        format: Format::JsonSchema {
            name: "answer".into(),
            schema: Json(r#"{"enum": ["yes", "no"]}"#.into()),
            strict: Some(true),
        },
        max_tokens: Some(16),
        ..chat("Is water wet?")
    };
    let answer = answer(&worker, asked).await;
    assert_eq!(answer.reason, FinishReason::Stop);
    assert!(["\"yes\"", "\"no\""].contains(&answer.text.as_str()));
}

#[tokio::test]
async fn every_token_has_its_logprob() {
    let (worker, _turn) = start_local().await;
    let asked = GenerateRequest {
        logprobs: Some(2),
        max_tokens: Some(6),
        ..chat("Name three rivers.")
    };
    let stream = worker.generate(asked, context()).await.unwrap();
    let events: Vec<Event> = stream.map(Result::unwrap).collect().await;
    let logprobs: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Delta(delta) => Some(&delta.logprobs),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(logprobs.len(), 6);
    assert!(logprobs.iter().all(|logprob| logprob.top.len() == 2));
}

#[tokio::test]
async fn weights_without_vectors_say_so() {
    let (worker, _turn) = start_local().await;
    let asked = EmbedRequest {
        model: "deepseek-chat".into(),
        inputs: vec![EmbedInput::Text("Hello".into())],
        dimensions: None,
        extra: None,
    };
    let error = worker.embed(asked, context()).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(error.param.as_deref(), Some("model"));
}

/// A worker whose model has a template of the engine's tests.
#[expect(
    clippy::disallowed_methods,
    reason = "the path of the model is no configuration"
)]
async fn with_template(name: &str) -> (Worker, MutexGuard<'static, ()>) {
    let (_, turn) = start_local().await;
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/it/fixtures");
    let engine = EngineConfig::Local(LocalConfig {
        serves: vec!["deepseek-chat".to_owned()],
        path: std::env::var_os("FATHOM_TEST_MODEL").map(Into::into),
        chat_template: Some(fixtures.join(name)),
        ..LocalConfig::default()
    });
    (start(engine).await.0, turn)
}

async fn events(worker: &Worker, asked: GenerateRequest) -> Vec<Event> {
    let stream = worker.generate(asked, context()).await.unwrap();
    stream.map(Result::unwrap).collect().await
}

/// With what the template adds, and with the functions that it shows.
#[tokio::test]
async fn the_tokens_of_a_prompt_are_counted_as_its_answer_counts_them() {
    let (worker, _turn) = with_template("hermes.jinja").await;
    let function = Function {
        name: "get_time".into(),
        description: None,
        parameters: Some(Json(r#"{"type": "object", "properties": {}}"#.into())),
        strict: None,
    };
    let tools = |choice| Tools {
        functions: vec![function.clone()],
        choice,
        parallel: true,
    };
    let mut counts = Vec::new();
    for tools in [
        None,
        Some(tools(ToolChoice::None)),
        Some(tools(ToolChoice::Auto)),
    ] {
        let asked = GenerateRequest {
            tools,
            max_tokens: Some(1),
            ..chat("What time is it?")
        };
        let counted = worker.count_tokens(asked.clone(), context()).await.unwrap();
        assert_eq!(counted, answer(&worker, asked).await.usage.prompt_tokens);
        counts.push(counted);
    }
    assert!(
        counts[0] == counts[1] && counts[1] < counts[2],
        "{counts:?}"
    );
}

#[tokio::test]
async fn a_required_call_comes_with_an_id_and_its_name_first() {
    let (worker, _turn) = with_template("hermes.jinja").await;
    let function = Function {
        name: "get_time".into(),
        description: None,
        parameters: Some(Json(
            r#"{"type": "object", "properties": {"utc": {"type": "boolean"}},
                "required": ["utc"], "additionalProperties": false}"#
                .into(),
        )),
        strict: None,
    };
    let asked = GenerateRequest {
        tools: Some(Tools {
            functions: vec![function],
            choice: ToolChoice::Named("get_time".into()),
            parallel: false,
        }),
        max_tokens: Some(64),
        ..chat("What time is it?")
    };
    let (mut calls, mut arguments) = (Vec::new(), String::new());
    let events = events(&worker, asked).await;
    for event in &events {
        if let Event::Delta(delta) = event
            && let Piece::ToolCall(call) = &delta.piece
        {
            arguments.push_str(&call.arguments);
            calls.push(call.clone());
        }
    }
    assert!(calls[0].id.as_deref().unwrap().starts_with("call_"));
    assert_eq!(calls[0].name.as_deref(), Some("get_time"));
    assert!(calls[1..].iter().all(|call| call.id.is_none()));
    let arguments: serde_json::Value = serde_json::from_str(&arguments).unwrap();
    assert!(arguments["utc"].is_boolean());
    let Some(Event::Finished { reason, usage }) = events.last() else {
        panic!("not finished");
    };
    assert_eq!(*reason, FinishReason::ToolCalls);
    let told: u32 = events.iter().map(tokens).sum();
    assert_eq!(told, usage.completion_tokens);
}

/// What a worker says that goes on after so many tokens of `whole`.
async fn rest(
    worker: &Worker,
    asked: &GenerateRequest,
    whole: &[Event],
    generated: usize,
) -> Vec<Event> {
    let asked = GenerateRequest {
        generated: ids(whole)[..generated].to_vec(),
        ..asked.clone()
    };
    events(worker, asked).await
}

fn ids(events: &[Event]) -> Vec<u32> {
    let ids = events.iter().map(|event| match event {
        Event::Delta(delta) => {
            assert_eq!(delta.ids.len(), delta.tokens as usize);
            delta.ids.to_vec()
        }
        _ => Vec::new(),
    });
    ids.collect::<Vec<_>>().concat()
}

/// Names and arguments of what is called.
fn called(events: &[Event]) -> (Vec<String>, String) {
    let (mut names, mut arguments) = (Vec::new(), String::new());
    for event in events {
        if let Event::Delta(delta) = event
            && let Piece::ToolCall(call) = &delta.piece
        {
            names.extend(call.id.clone());
            arguments.push_str(&call.arguments);
        }
    }
    (names, arguments)
}

/// There is next to no other way to answer, so rounding does not matter.
#[tokio::test]
async fn a_call_that_another_worker_began_goes_on_with_its_name_and_arguments() {
    let (worker, _turn) = with_template("hermes.jinja").await;
    let function = Function {
        name: "get_time".into(),
        description: None,
        parameters: Some(Json(
            r#"{"type": "object", "properties": {"zone": {"const": "Europe/Berlin"}},
                "required": ["zone"], "additionalProperties": false}"#
                .into(),
        )),
        strict: None,
    };
    let asked = GenerateRequest {
        tools: Some(Tools {
            functions: vec![function],
            choice: ToolChoice::Named("get_time".into()),
            parallel: false,
        }),
        max_tokens: Some(64),
        ..chat("What time is it?")
    };
    let whole = events(&worker, asked.clone()).await;
    // Before its name is complete, and within its arguments.
    let early = rest(&worker, &asked, &whole, 2).await;
    assert_eq!(called(&early), called(&whole));
    let begun = whole.iter().take(4).map(tokens).sum::<u32>() as usize;
    let rest = rest(&worker, &asked, &whole, begun).await;
    let (names, arguments) = called(&rest);
    assert!(names.is_empty());
    assert!(called(&whole).1.ends_with(&arguments) && !arguments.is_empty());
    assert_eq!(ids(&rest), ids(&whole)[begun..]);
    let (
        Some(Event::Finished { reason, usage }),
        Some(Event::Finished {
            usage: of_whole, ..
        }),
    ) = (rest.last(), whole.last())
    else {
        panic!("not finished");
    };
    assert_eq!(*reason, FinishReason::ToolCalls);
    assert_eq!(usage.completion_tokens, of_whole.completion_tokens);
    assert_eq!(usage.prompt_tokens, of_whole.prompt_tokens);
}

#[tokio::test]
async fn thoughts_of_another_worker_count() {
    let (worker, _turn) = with_template("thinking.jinja").await;
    let asked = GenerateRequest {
        max_tokens: Some(8),
        ..chat("Think.")
    };
    let whole = events(&worker, asked.clone()).await;
    for begun in [3, 8] {
        let rest = rest(&worker, &asked, &whole, begun).await;
        assert_eq!(rest.iter().map(tokens).sum::<u32>() as usize, 8 - begun);
        assert!(matches!(
            rest.last(),
            Some(Event::Finished { usage, reason: FinishReason::Length })
                if usage.reasoning_tokens == 8 && usage.completion_tokens == 8
        ));
    }
}

#[tokio::test]
async fn tokens_that_cannot_be_of_the_answer_are_refused() {
    let (worker, _turn) = start_local().await;
    let schema = Format::JsonSchema {
        name: "answer".into(),
        schema: Json(r#"{"enum": ["yes", "no"]}"#.into()),
        strict: None,
    };
    for (generated, format) in [
        (vec![100; 9], Format::Text),
        (vec![u32::MAX], Format::Text),
        (vec![1_000_000], Format::Text),
        (vec![100], schema),
    ] {
        let asked = GenerateRequest {
            generated,
            format,
            max_tokens: Some(8),
            ..chat("Is water wet?")
        };
        let error = worker.generate(asked, context()).await.err().unwrap();
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
        assert_eq!(error.param.as_deref(), Some("generated"), "{error}");
    }
    assert_eq!(worker.load().running, 0);
}

fn tokens(event: &Event) -> u32 {
    match event {
        Event::Delta(delta) => delta.tokens,
        _ => 0,
    }
}

#[tokio::test]
async fn thoughts_are_told_apart_and_counted() {
    let (worker, _turn) = with_template("thinking.jinja").await;
    let asked = GenerateRequest {
        max_tokens: Some(8),
        ..chat("Think.")
    };
    let events = events(&worker, asked).await;
    let is_reasoning = |event: &Event| match event {
        Event::Delta(delta) => matches!(delta.piece, Piece::Reasoning(_)),
        _ => false,
    };
    assert!(events.iter().any(is_reasoning));
    assert!(matches!(
        events.last(),
        Some(Event::Finished { usage, .. }) if usage.reasoning_tokens == 8
    ));
}
