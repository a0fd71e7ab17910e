//! Token counts of servers that give none.

use std::path::Path;

use fathom_engine::{ChatMessage, Weights};
use fathom_proto::inference::{
    ChatMessage as Turn, ChatRole, Event, Function, GenerateRequest, Inference, Json, Prompt,
    ToolChoice, Tools, Usage,
};
use fathom_worker::UpstreamConfig;
use futures::StreamExt;

use super::server::{DONE, STOP, Server, Step, head, send, text};
use super::{Running, config, context, hello, outcome, start};

/// A question with a function: 7 + 12 + 17 bytes of it, and `hello`.
fn with_function() -> GenerateRequest {
    let function = Function {
        name: "weather".to_owned(),
        description: Some("of any place".to_owned()),
        parameters: Some(Json(r#"{"type":"object"}"#.to_owned())),
        strict: None,
    };
    GenerateRequest {
        tools: Some(Tools {
            functions: vec![function],
            choice: ToolChoice::Auto,
            parallel: true,
        }),
        ..hello()
    }
}

/// What the beginning of an answer says of the prompt.
async fn begun(worker: &Running, request: GenerateRequest) -> Option<u32> {
    let mut stream = worker.generate(request, context()).await.unwrap();
    match stream.next().await {
        Some(Ok(Event::Started { prompt_tokens, .. })) => Some(prompt_tokens),
        _ => None,
    }
}

/// Whoever goes away, and whatever breaks, the prompt was read.
#[tokio::test]
async fn a_prompt_is_estimated_before_its_answer_ends() {
    let silent = Server::start(vec![head(), send(text("Hel")), Step::Hang]).await;
    let worker = start(config(&silent.url())).await;
    let counted = worker.count_tokens(with_function(), context()).await;
    assert_eq!(counted.unwrap(), 11, "and the server is not asked");
    assert_eq!(begun(&worker, hello()).await, Some(2));
    assert_eq!(begun(&worker, with_function()).await, Some(11));
    let called = Turn {
        tool_calls: vec![fathom_proto::inference::ToolCall {
            id: "c".to_owned(),
            name: "weather".to_owned(),
            arguments: "{}".to_owned(),
        }],
        ..Turn::new(ChatRole::Assistant, "")
    };
    for (prompt, tokens) in [
        (Prompt::Text("12345".to_owned()), 2),
        (Prompt::Tokens(vec![1, 2, 3]), 3),
        (Prompt::Chat(vec![called]), 3),
    ] {
        let request = GenerateRequest::new("ours".into(), prompt);
        assert_eq!(begun(&worker, request).await, Some(tokens));
    }
}

async fn usage(tokenizer: Option<&Path>) -> Usage {
    usage_of(hello(), tokenizer).await
}

async fn usage_of(request: GenerateRequest, tokenizer: Option<&Path>) -> Usage {
    let stream = format!(
        "{}{}{STOP}{DONE}",
        text("Hello, "),
        text("world of tokens!")
    );
    let server = Server::start(vec![head(), send(stream), Step::Close]).await;
    let config = UpstreamConfig {
        tokenizer: tokenizer.map(Path::to_owned),
        ..config(&server.url())
    };
    outcome(&start(config).await, request).await.end.unwrap().1
}

#[tokio::test]
async fn they_are_estimated_without_a_tokenizer() {
    let Usage {
        prompt_tokens,
        completion_tokens,
        ..
    } = usage(None).await;
    assert_eq!((prompt_tokens, completion_tokens), (2, 2));
    assert_eq!(usage_of(with_function(), None).await.prompt_tokens, 11);
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the path of the model is no configuration"
)]
async fn they_are_counted_with_a_tokenizer() {
    let path = std::env::var_os("FATHOM_TEST_MODEL").expect("make test sets FATHOM_TEST_MODEL");
    let path = Path::new(&path);
    let counted = usage(Some(path)).await;
    let weights = Weights::load(path).unwrap();
    let turn = ChatMessage::new("user", "hello".to_owned());
    let prompt = weights.render_chat(&[turn], &[]).unwrap().len() as u32;
    let completion = weights.tokenize("Hello, world of tokens!").unwrap().len() as u32;
    assert_eq!(
        (counted.prompt_tokens, counted.completion_tokens),
        (prompt, completion)
    );
    assert!(completion > 2, "more than there were pieces");
    // These weights have no form for functions, so that those are estimated: 36 bytes.
    let counted = usage_of(with_function(), Some(path)).await;
    assert_eq!(
        (counted.prompt_tokens, counted.completion_tokens),
        (prompt + 9, completion)
    );
}
