//! What another server has said so far, as events of the port.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use fathom_api::sse::DONE;
use fathom_proto::inference::{
    Delta, Event, FinishReason, Piece, TokenIds, TokenLogprob, ToolCallPiece, Usage,
};

use super::chunk::{Choice, Chunk, First, Message, ToolCall};
use super::error::{Failure, UpstreamError};
use super::logprobs::Of;
use super::refusal::of_event;

/// The events of one answer, up to its end.
#[derive(Default)]
pub(super) struct Transcript {
    /// Events that are read and not taken yet; bounded by what one read of the network brings.
    events: VecDeque<Event>,
    started: bool,
    /// What the prompt counts for as long as the server has not counted it.
    prompt_tokens: u32,
    /// A token has come.
    pub begun: bool,
    /// Why the answer ended. It is complete then, whatever comes after.
    pub reason: Option<FinishReason>,
    /// The server's counts.
    pub usage: Option<Usage>,
    /// Nothing more is expected.
    pub done: bool,
    /// Tokens that the deltas stand for.
    pub tokens: u32,
    /// What was generated, if somebody wants to count its tokens.
    pub text: Option<String>,
}

impl Transcript {
    /// Nothing so far of the answer to a prompt of about `prompt_tokens`; `keeps_text` if the
    /// tokens of what is generated may have to be counted.
    pub fn new(prompt_tokens: u32, keeps_text: bool) -> Self {
        Self {
            prompt_tokens,
            text: keeps_text.then(String::new),
            ..Self::default()
        }
    }

    /// Takes the data of one event of a stream.
    pub fn event(&mut self, data: &[u8]) -> Result<(), UpstreamError> {
        if self.done {
            return Ok(());
        }
        if data == DONE.as_bytes() {
            if !self.begun && self.reason.is_none() {
                return Err(Failure::Incomplete("its stream holds no answer").into());
            }
            self.reason.get_or_insert(FinishReason::Stop);
            self.done = true;
            return Ok(());
        }
        // Some servers keep a connection alive with events of nothing.
        if data.is_empty() {
            return Ok(());
        }
        self.read(data)
    }

    /// Takes a whole answer.
    pub fn whole(&mut self, body: &[u8]) -> Result<(), UpstreamError> {
        self.read(body)?;
        if !self.begun && self.reason.is_none() {
            return Err(Failure::Incomplete("its answer has no choices").into());
        }
        self.reason.get_or_insert(FinishReason::Stop);
        self.done = true;
        Ok(())
    }

    /// The next event.
    pub fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn read(&mut self, json: &[u8]) -> Result<(), UpstreamError> {
        let chunk: Chunk<'_> = serde_json::from_slice(json).map_err(Failure::garbled)?;
        if let Some(said) = chunk.error {
            return Err(of_event(said));
        }
        self.start(chunk.system_fingerprint.map(|text| text.0.into_owned()));
        if let Some(First(Some(choice))) = chunk.choices {
            self.choice(choice);
        }
        if let Some(usage) = chunk.usage.and_then(|usage| usage.counts()) {
            self.usage = Some(usage);
        }
        Ok(())
    }

    fn start(&mut self, fingerprint: Option<String>) {
        if !self.started {
            self.started = true;
            self.events.push_back(Event::Started {
                prompt_tokens: self.prompt_tokens,
                cached_tokens: 0,
                fingerprint,
                route: None,
            });
        }
    }

    fn choice(&mut self, choice: Choice<'_>) {
        let mut logprobs = choice.logprobs;
        let mut take = |of| {
            logprobs
                .as_mut()
                .map(|logprobs| logprobs.take(of))
                .unwrap_or_default()
        };
        let message = choice.delta.or(choice.message).unwrap_or_default();
        let Message {
            content,
            reasoning_content,
            reasoning,
            tool_calls,
        } = message;
        if let Some(text) = reasoning_content.or(reasoning) {
            self.text(text, take(Of::Reasoning), Piece::Reasoning);
        }
        if let Some(text) = content.or(choice.text) {
            self.text(text, take(Of::Answer), Piece::Text);
        }
        for (position, call) in (0..).zip(tool_calls.into_iter().flatten()) {
            self.call(position, call);
        }
        if let Some(reason) = choice
            .finish_reason
            .and_then(|reason| reason.finish_reason())
        {
            self.reason = Some(reason);
        }
    }

    fn text(&mut self, text: String, logprobs: Vec<TokenLogprob>, piece: fn(String) -> Piece) {
        if text.is_empty() && logprobs.is_empty() {
            return;
        }
        self.keep(&text);
        // Servers send one token at a time, mostly; with probabilities it is known.
        let tokens = u32::try_from(logprobs.len()).unwrap_or(u32::MAX).max(1);
        self.delta(piece(text), tokens, logprobs);
    }

    fn call(&mut self, position: u32, call: ToolCall) {
        let function = call.function.unwrap_or_default();
        let arguments = function.arguments.unwrap_or_default();
        self.keep(&arguments);
        let piece = ToolCallPiece {
            index: call.index.unwrap_or(position),
            id: call.id.filter(|id| !id.is_empty()),
            name: function.name.filter(|name| !name.is_empty()),
            arguments,
        };
        self.delta(Piece::ToolCall(piece), 1, Vec::new());
    }

    fn delta(&mut self, piece: Piece, tokens: u32, logprobs: Vec<TokenLogprob>) {
        self.begun = true;
        self.tokens = self.tokens.saturating_add(tokens);
        self.events.push_back(Event::Delta(Delta {
            piece,
            tokens,
            logprobs,
            ids: TokenIds::new(),
        }));
    }

    fn keep(&mut self, new: &str) {
        if let Some(text) = &mut self.text {
            text.push_str(new);
        }
    }
}
