//! What is said in a turn, put together from parts.

use fathom_api::chat::Part;
use fathom_api::sampling::Extra;
use fathom_proto::inference::{ChatMessage, ChatRole};
use serde_json::{Value, json};

use super::json as text_of;

/// Text, or parts where there is more than text.
#[derive(Default)]
pub struct Speech {
    parts: Vec<Part>,
    has_more_than_text: bool,
}

impl Speech {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Says more.
    pub fn text(&mut self, text: String) {
        self.parts.push(Part {
            kind: "text".to_owned(),
            text: Some(text),
            extra: Extra::new(),
        });
    }

    /// Shows an image, which may be in its own address.
    pub fn image(&mut self, url: &str, detail: Option<String>) {
        let mut image = Extra::new();
        image.insert("url".to_owned(), json!(url));
        if let Some(detail) = detail {
            image.insert("detail".to_owned(), json!(detail));
        }
        let mut extra = Extra::new();
        extra.insert("image_url".to_owned(), Value::Object(image));
        self.has_more_than_text = true;
        self.parts.push(Part {
            kind: "image_url".to_owned(),
            text: None,
            extra,
        });
    }

    /// The turn in which it is said. An image goes to the engine in the form that a chat has.
    pub fn turn(self, role: ChatRole) -> ChatMessage {
        let mut turn = ChatMessage::new(role, "");
        if self.has_more_than_text {
            turn.parts = Some(text_of(&self.parts));
        } else {
            let texts = self.parts.into_iter().filter_map(|part| part.text);
            turn.content = texts.collect();
        }
        turn
    }
}
