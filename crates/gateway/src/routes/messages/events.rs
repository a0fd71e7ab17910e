//! An answer as events: one block after the other, each begun and ended.

use std::mem::take;

use fathom_api::messages::events::{BlockDelta, Event, MessageDelta};
use fathom_api::messages::{ContentBlock, Message};
use fathom_proto::Error;
use fathom_proto::inference::{Delta, FinishReason, Piece, ToolCallPiece, Usage};
use serde_json::Value;

use super::{Form, error, unfit};
use crate::answer::{self, MIXED_CALLS};
use crate::event_stream::{EventWriter, Events};
use crate::generation::Generation;

/// Writes `message_start`, blocks, `message_delta` and `message_stop`.
#[derive(Clone)]
pub struct MessageEvents {
    id: String,
    model: String,
    request_id: String,
    form: Form,
    /// How many blocks have begun.
    begun: u32,
    /// How many calls have begun; each ends when the next one begins.
    calls: u32,
    open: Option<Open>,
}

/// The block that is not ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
    /// A call, by its number in the answer.
    Call(u32),
}

impl MessageEvents {
    /// Events of the answer `id`.
    pub fn new(id: String, model: String, request_id: String, form: Form) -> Self {
        Self {
            id,
            model,
            request_id,
            form,
            begun: 0,
            calls: 0,
            open: None,
        }
    }

    /// Begins a block, and ends the one before it.
    fn begin(&mut self, open: Open, content_block: ContentBlock<'_>, out: &mut impl EventWriter) {
        self.end(out);
        let index = self.begun;
        self.open = Some(open);
        self.begun += 1;
        write(
            &Event::ContentBlockStart {
                index,
                content_block,
            },
            out,
        );
    }

    /// Ends the block that is open.
    fn end(&mut self, out: &mut impl EventWriter) {
        let Some(open) = self.open.take() else { return };
        if open == Open::Thinking {
            let signature = take(&mut self.form.signature);
            let delta = BlockDelta::SignatureDelta {
                signature: signature.as_str().into(),
            };
            self.go_on(delta, out);
            self.form.signature = signature;
        }
        let index = self.index();
        write(&Event::ContentBlockStop { index }, out);
    }

    fn go_on(&self, delta: BlockDelta<'_>, out: &mut impl EventWriter) {
        let index = self.index();
        write(&Event::ContentBlockDelta { index, delta }, out);
    }

    /// The place of the block that began last.
    fn index(&self) -> u32 {
        self.begun.saturating_sub(1)
    }

    fn call(&mut self, piece: ToolCallPiece, out: &mut impl EventWriter) -> Result<(), Error> {
        let open = Open::Call(piece.index);
        if self.open != Some(open) {
            if piece.index < self.calls {
                return Err(unfit(MIXED_CALLS));
            }
            self.calls = piece.index.saturating_add(1);
            let block = ContentBlock::ToolUse {
                id: piece.id.unwrap_or_default().into(),
                name: piece.name.unwrap_or_default().into(),
                input: Value::Object(serde_json::Map::new()),
            };
            self.begin(open, block, out);
        }
        if !piece.arguments.is_empty() {
            let partial_json = piece.arguments.into();
            self.go_on(BlockDelta::InputJsonDelta { partial_json }, out);
        }
        Ok(())
    }
}

impl Events for MessageEvents {
    fn opening(&mut self, generation: &Generation, out: &mut impl EventWriter) {
        let message = Message {
            id: self.id.as_str().into(),
            kind: "message".into(),
            role: "assistant".into(),
            model: self.model.as_str().into(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: answer::messages::usage(generation.usage()),
        };
        write(&Event::MessageStart { message }, out);
    }

    fn delta(
        &mut self,
        _: &Generation,
        _: usize,
        delta: Delta,
        out: &mut impl EventWriter,
    ) -> Result<(), Error> {
        match delta.piece {
            Piece::Reasoning(text) => {
                if self.open != Some(Open::Thinking) {
                    let block = ContentBlock::Thinking {
                        thinking: "".into(),
                        signature: "".into(),
                    };
                    self.begin(Open::Thinking, block, out);
                }
                if !self.form.hides_thoughts {
                    let thinking = text.into();
                    self.go_on(BlockDelta::ThinkingDelta { thinking }, out);
                }
            }
            Piece::Text(text) => {
                if self.open != Some(Open::Text) {
                    let block = ContentBlock::Text { text: "".into() };
                    self.begin(Open::Text, block, out);
                }
                self.go_on(BlockDelta::TextDelta { text: text.into() }, out);
            }
            Piece::ToolCall(piece) => self.call(piece, out)?,
        }
        Ok(())
    }

    fn finish(
        &mut self,
        _: &Generation,
        _: usize,
        reason: FinishReason,
        usage: Option<Usage>,
        out: &mut impl EventWriter,
    ) -> Result<(), Error> {
        let stops = take(&mut self.form.stops);
        let (stop_reason, stop_sequence) = answer::messages::stop(reason, &stops)?;
        self.end(out);
        let delta = MessageDelta {
            stop_reason: Some(stop_reason),
            stop_sequence: stop_sequence.map(Into::into),
        };
        let usage = answer::messages::usage(usage.unwrap_or_default());
        write(&Event::MessageDelta { delta, usage }, out);
        write(&Event::MessageStop, out);
        Ok(())
    }

    fn error(&mut self, error: &Error, out: &mut impl EventWriter) {
        let event = Event::Error {
            error: error::object(error),
            request_id: Some(self.request_id.as_str().into()),
        };
        write(&event, out);
    }

    fn keep_alive(&self) -> &'static [u8] {
        b"event: ping\ndata: {\"type\":\"ping\"}\n\n"
    }
}

fn write(event: &Event<'_>, out: &mut impl EventWriter) {
    out.named(event.name(), event);
}
