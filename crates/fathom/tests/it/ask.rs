//! Requests, and answers read to their end.

use fathom_api::chat::{ChatChunk, ChatCompletion, ChatRequest};
use fathom_api::stream::{ClientMessage, StreamRequest};
use fathom_api::usage::{FinishReason, Usage};
use fathom_client::{Client, Error, EventStream};
use futures::SinkExt;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::Server;

/// A question to `deepseek-chat` at temperature 0.
pub fn chat(content: impl Into<String>, max_tokens: u32) -> ChatRequest {
    let request = json!({
        "model": "deepseek-chat",
        "messages": [{"role": "user", "content": content.into()}],
        "max_tokens": max_tokens,
        "temperature": 0.0,
    });
    serde_json::from_value(request).unwrap()
}

/// A question whose answer is still being written when a test is done with it.
pub fn long_chat() -> ChatRequest {
    chat("Tell me a very long story about the sea.", 4000)
}

/// What came of a request that was answered in full.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub text: String,
    pub reason: FinishReason,
    pub usage: Usage,
}

/// The answer at once.
pub async fn whole(client: &Client, request: &ChatRequest) -> Answer {
    let ChatCompletion { choices, usage, .. } = client.chat(request).await.unwrap();
    let [choice] = &choices[..] else {
        panic!("{} answers", choices.len());
    };
    Answer {
        text: choice.message.content.as_deref().unwrap().to_owned(),
        reason: choice.finish_reason.clone(),
        usage,
    }
}

/// The answer piece by piece; `[DONE]` was there.
pub async fn streamed(client: &Client, request: &ChatRequest) -> Answer {
    let mut stream = client.chat_stream(request.clone()).await.unwrap();
    rest(&mut stream).await.unwrap()
}

/// What is left of a stream.
pub async fn rest(stream: &mut EventStream<ChatChunk<'static>>) -> Result<Answer, Error> {
    let (mut text, mut reason, mut usage) = (String::new(), None, None);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        for choice in chunk.choices {
            text.push_str(choice.delta.content.as_deref().unwrap_or_default());
            reason = reason.or(choice.finish_reason);
        }
        usage = usage.or(chunk.usage.flatten());
    }
    Ok(Answer {
        text,
        reason: reason.unwrap(),
        usage: usage.unwrap(),
    })
}

/// Starts a stream and reads the first text of it.
pub async fn begin(client: &Client, request: ChatRequest) -> EventStream<ChatChunk<'static>> {
    let mut stream = client.chat_stream(request).await.unwrap();
    let mut has_text = false;
    while !has_text {
        let chunk = stream.next().await.unwrap().unwrap();
        has_text = chunk
            .choices
            .iter()
            .filter_map(|choice| choice.delta.content.as_deref())
            .any(|text| !text.is_empty());
    }
    stream
}

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A WebSocket, and the id that its handshake was given.
pub async fn socket(server: &Server) -> (Socket, String) {
    let url = format!("ws://{}/v1/stream", server.address());
    let (socket, answer) = connect_async(url).await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    (socket, id.to_owned())
}

/// Sends a credential and a question over a WebSocket.
pub async fn ask(socket: &mut Socket, key: &str, prompt: &str, max_tokens: u32) {
    let token = format!("Bearer {key}");
    let request: StreamRequest = serde_json::from_value(json!({
        "model": "deepseek-chat",
        "prompt": prompt,
        "max_tokens": max_tokens,
    }))
    .unwrap();
    for message in [
        ClientMessage::Auth { token },
        ClientMessage::Request(Box::new(request)),
    ] {
        let text = serde_json::to_string(&message).unwrap();
        socket.send(Frame::Text(text.into())).await.unwrap();
    }
}
