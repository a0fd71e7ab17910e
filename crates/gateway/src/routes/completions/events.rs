//! Completions as events.

use fathom_api::completions::{Choice, Completion};
use fathom_api::sampling::StreamOptions;
use fathom_api::usage;
use fathom_proto::Error;
use fathom_proto::id::RequestId;
use fathom_proto::inference::{Delta, FinishReason, Piece, Usage};

use crate::answer::{self, choice_index, logprobs, obfuscation};
use crate::dialect::Dialect;
use crate::event_stream::{EventWriter, Events};
use crate::generation::Generation;

/// Writes `text_completion`s.
#[derive(Clone)]
pub struct CompletionEvents {
    id: String,
    options: StreamOptions,
    dialect: Dialect,
    /// Where the next token of each choice begins, in characters.
    offsets: Vec<u32>,
}

impl CompletionEvents {
    /// Events of so many choices of the request with this id.
    pub fn new(
        request: &RequestId,
        choices: usize,
        options: StreamOptions,
        dialect: Dialect,
    ) -> Self {
        Self {
            id: format!("cmpl-{request}"),
            options,
            dialect,
            offsets: vec![0; choices],
        }
    }

    fn write(
        &self,
        generation: &Generation,
        choice: Option<Choice<'_>>,
        usage: Option<usage::Usage>,
        noise: Option<String>,
        out: &mut impl EventWriter,
    ) {
        out.event(&Completion {
            id: self.id.as_str().into(),
            object: "text_completion".into(),
            created: generation.created,
            model: generation.model.as_str().into(),
            system_fingerprint: generation.fingerprint.as_deref().map(Into::into),
            choices: choice.into_iter().collect(),
            usage: self.options.include_usage.then_some(usage),
            obfuscation: noise.map(Into::into),
        });
    }
}

impl Events for CompletionEvents {
    fn opening(&mut self, _: &Generation, _: &mut impl EventWriter) {}

    fn delta(
        &mut self,
        generation: &Generation,
        index: usize,
        delta: Delta,
        out: &mut impl EventWriter,
    ) -> Result<(), Error> {
        let offset = self.offsets.get_mut(index);
        let logprobs = offset
            .filter(|_| !delta.logprobs.is_empty())
            .map(|offset| logprobs::of_completion(delta.logprobs, offset));
        let noise = obfuscation(self.options, &delta.piece);
        let text = match delta.piece {
            // A text has no thoughts; what an upstream takes for some is part of it.
            Piece::Text(text) | Piece::Reasoning(text) => text,
            Piece::ToolCall(_) => String::new(),
        };
        let choice = Choice {
            index: choice_index(index),
            text: text.into(),
            logprobs,
            finish_reason: None,
        };
        self.write(generation, Some(choice), None, noise, out);
        Ok(())
    }

    fn finish(
        &mut self,
        generation: &Generation,
        index: usize,
        reason: FinishReason,
        usage: Option<Usage>,
        out: &mut impl EventWriter,
    ) -> Result<(), Error> {
        let choice = Choice {
            index: choice_index(index),
            text: "".into(),
            logprobs: None,
            finish_reason: Some(answer::finish_reason(reason)),
        };
        self.write(generation, Some(choice), None, None, out);
        if let Some(usage) = usage {
            if self.options.include_usage {
                self.write(generation, None, Some(answer::usage(usage)), None, out);
            }
            out.done();
        }
        Ok(())
    }

    /// Without `[DONE]`, which says that a stream is complete.
    fn error(&mut self, error: &Error, out: &mut impl EventWriter) {
        out.event(&self.dialect.body(error));
    }
}
