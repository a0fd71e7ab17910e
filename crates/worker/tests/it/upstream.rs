//! Engines of `kind = "upstream"`, each with a server of its own.

mod cancel;
mod embedding;
mod hostile;
mod http2;
mod independent;
mod key;
mod request;
mod server;
mod stream;
mod tls;
mod usage;

use std::ops::Deref;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::Error;
use fathom_proto::inference::{
    ChatMessage, ChatRole, Event, FinishReason, GenerateRequest, Inference, Piece, Prompt,
    RequestContext, TokenStream, Usage,
};
use fathom_worker::{EngineConfig, UpstreamConfig, Worker};
use futures::StreamExt;

use crate::harness;

/// A worker whose `ours` is the model `theirs` of a server.
async fn worker(base_url: &str) -> Running {
    start(config(base_url)).await
}

fn config(base_url: &str) -> UpstreamConfig {
    UpstreamConfig {
        serves: vec!["ours".to_owned()],
        models: [("ours".to_owned(), "theirs".to_owned())].into(),
        base_url: base_url.to_owned(),
        ..UpstreamConfig::default()
    }
}

async fn start(config: UpstreamConfig) -> Running {
    let (worker, shutdown) = harness::start(EngineConfig::Upstream(config)).await;
    Running(worker, shutdown)
}

/// A worker, for as long as its process is not told to end.
struct Running(Worker, #[expect(dead_code, reason = "held")] Shutdown);

impl Deref for Running {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.0
    }
}

fn hello() -> GenerateRequest {
    let turn = ChatMessage::new(ChatRole::User, "hello");
    GenerateRequest::new("ours".into(), Prompt::Chat(vec![turn]))
}

fn context() -> RequestContext {
    RequestContext {
        request_id: "req-7".into(),
        tenant: "tenant".into(),
        user: "user".into(),
        deadline: None,
    }
}

/// What came of a request: the text up to the end, and the end.
#[derive(Debug)]
struct Outcome {
    text: String,
    end: Result<(FinishReason, Usage), Error>,
}

async fn outcome(worker: &Running, request: GenerateRequest) -> Outcome {
    match worker.generate(request, context()).await {
        Ok(stream) => read(stream).await,
        Err(error) => Outcome {
            text: String::new(),
            end: Err(error),
        },
    }
}

/// Reads a stream to its end, which is an end or an error, and never silent.
async fn read(mut stream: TokenStream) -> Outcome {
    let mut text = String::new();
    loop {
        // A stream that just ends is the one thing that must not be.
        let event = stream.next().await.unwrap();
        let end = match event {
            Ok(Event::Started { .. }) => continue,
            Ok(Event::Delta(delta)) => {
                match delta.piece {
                    Piece::Text(new) | Piece::Reasoning(new) => text.push_str(&new),
                    Piece::ToolCall(call) => text.push_str(&call.arguments),
                }
                continue;
            }
            Ok(Event::Finished { reason, usage }) => Ok((reason, usage)),
            Err(error) => Err(error),
        };
        assert!(stream.next().await.is_none(), "nothing follows the end");
        return Outcome { text, end };
    }
}

/// An error with all that a log line would say of it.
fn told(error: &Error) -> String {
    let mut told = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        told.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    told
}
