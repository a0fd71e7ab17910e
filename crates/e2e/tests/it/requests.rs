//! Requests that the tests send.

use fathom_api::chat::ChatRequest;
use fathom_api::completions::{CompletionRequest, Prompt};
use serde_json::{Value, json};

/// A chat of one turn.
pub fn chat(content: &str) -> ChatRequest {
    serde_json::from_value(chat_json(content)).unwrap()
}

/// A text to continue.
pub fn completion(prompt: &str) -> CompletionRequest {
    let mut request: CompletionRequest =
        serde_json::from_value(json!({"model": "deepseek-chat", "prompt": ""})).unwrap();
    request.prompt = Prompt::Text(prompt.to_owned());
    request
}

/// The same chat as JSON, for requests that no typed client would send.
pub fn chat_json(content: &str) -> Value {
    json!({"model": "deepseek-chat", "messages": [{"role": "user", "content": content}]})
}
