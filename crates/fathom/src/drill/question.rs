//! A request whose answer is known in advance.

use fathom_api::chat::ChatRequest;
use fathom_proto::inference::{ChatMessage, ChatRole, Prompt};
use fathom_worker::sim_script;
use serde_json::json;

/// The model that a fleet serves.
pub const MODEL: &str = "deepseek-chat";

/// A chat that no other has, for an answer of exactly `tokens` tokens by a simulated engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// Names it in a ledger.
    pub id: u32,
    /// Chooses the words.
    pub seed: u32,
    /// Length of the answer.
    pub tokens: u32,
}

impl Question {
    /// What is sent.
    ///
    /// # Errors
    /// None; the API's type is only made of JSON.
    pub fn request(&self) -> serde_json::Result<ChatRequest> {
        serde_json::from_value(json!({
            "model": MODEL,
            "messages": [{"role": "user", "content": self.text()}],
            "max_tokens": self.tokens,
            "seed": self.seed,
            "temperature": 0.0,
        }))
    }

    /// The tokens of the answer, and how many the prompt has.
    #[must_use]
    pub fn answer(&self) -> (Vec<String>, u32) {
        let prompt = Prompt::Chat(vec![ChatMessage::new(ChatRole::User, self.text())]);
        sim_script(&prompt, Some(self.seed.into()), self.tokens)
    }

    fn text(&self) -> String {
        format!("question {} of {}", self.id, self.seed)
    }
}
