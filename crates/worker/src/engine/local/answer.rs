//! The engine's events as the port's.

use fathom_engine::{
    Alternative as EngineAlternative, AnswerParser, AnswerPiece, AnswerStyle, Event as EngineEvent,
    FinishReason as EngineFinish, Generation, TokenLogprob as EngineLogprob,
};
use fathom_proto::id::RequestId;
use fathom_proto::inference::{
    Alternative, Delta, Event, FinishReason, Piece, TokenIds, TokenLogprob, TokenStream,
    ToolCallPiece, Usage,
};
use futures::{StreamExt, stream};

use crate::Error;
use crate::admission::StreamEnd;
use crate::engine::local::call_ids::CallIds;

/// An answer on its way.
pub(super) struct Answer {
    parser: AnswerParser,
    /// Absent where nothing can be called.
    calls: Option<CallIds>,
    /// Tokens of text that is held back, and how probable they were.
    ids: TokenIds,
    logprobs: Vec<TokenLogprob>,
    reasoning_tokens: u32,
    /// Tokens that another worker has told, and that no piece was made of here yet.
    told: usize,
}

impl Answer {
    /// An answer of this style, of which another worker has told so many tokens.
    pub fn new(style: AnswerStyle, request: &RequestId, told: usize) -> Self {
        Self {
            parser: AnswerParser::new(style),
            calls: style.calls.map(|_| CallIds::of(request)),
            ids: TokenIds::new(),
            logprobs: Vec::new(),
            reasoning_tokens: 0,
            told,
        }
    }

    /// The events from `started` on; `end` goes with them.
    pub fn stream(
        mut self,
        started: EngineEvent,
        generation: Generation,
        end: StreamEnd,
    ) -> TokenStream {
        let events = stream::iter([Ok(started)]).chain(generation);
        Box::pin(events.flat_map(move |event| {
            let _held = &end;
            stream::iter(match event {
                Ok(event) => self.read(event).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(Error::from(error).into())],
            })
        }))
    }

    fn read(&mut self, event: EngineEvent) -> Vec<Event> {
        match event {
            EngineEvent::Started {
                prompt_tokens,
                cached_tokens,
                replayed,
            } => {
                let mut events = vec![Event::Started {
                    prompt_tokens,
                    cached_tokens,
                    fingerprint: None,
                    route: None,
                }];
                events.extend(replayed.into_iter().flat_map(|event| self.read(event)));
                events
            }
            EngineEvent::Text {
                text,
                tokens,
                logprobs,
            } => {
                if let Some(calls) = &mut self.calls {
                    calls.follow(&tokens);
                }
                self.ids
                    .extend(tokens.iter().map(|token| token.0.cast_unsigned()));
                self.logprobs.extend(logprobs.into_iter().map(logprob));
                let thought = self.parser.thinks();
                let pieces = self.parser.push(&text);
                if thought || self.parser.thinks() {
                    self.reasoning_tokens += count(&tokens);
                }
                self.deltas(pieces)
            }
            EngineEvent::Finished {
                reason,
                prompt_tokens,
                cached_tokens,
                completion_tokens,
            } => {
                let mut rest = self.parser.finish();
                if rest.is_empty() && !self.ids.is_empty() {
                    // The last tokens were markers.
                    rest.push(AnswerPiece::Text(String::new()));
                }
                let mut events = self.deltas(rest);
                events.push(Event::Finished {
                    reason: match reason {
                        EngineFinish::Stop | EngineFinish::StopString(_)
                            if self.parser.called() =>
                        {
                            FinishReason::ToolCalls
                        }
                        EngineFinish::Stop => FinishReason::Stop,
                        EngineFinish::StopString(index) => FinishReason::stop_text(index),
                        EngineFinish::Length => FinishReason::Length,
                    },
                    usage: Usage {
                        prompt_tokens,
                        completion_tokens,
                        cached_tokens,
                        reasoning_tokens: self.reasoning_tokens,
                    },
                });
                events
            }
        }
    }

    /// The pieces, and with the last one all tokens that no delta stands for yet: whoever has that
    /// one has them all. None if another worker has told them.
    fn deltas(&mut self, pieces: Vec<AnswerPiece>) -> Vec<Event> {
        if pieces.is_empty() {
            return Vec::new();
        }
        let mut ids = std::mem::take(&mut self.ids);
        let mut logprobs = std::mem::take(&mut self.logprobs);
        let told = ids.len().min(self.told);
        self.told -= told;
        if told > 0 && told == ids.len() {
            return Vec::new();
        }
        ids.drain(..told);
        let last = pieces.len() - 1;
        let deltas = pieces.into_iter().enumerate().map(|(index, piece)| {
            let (ids, logprobs) = match index == last {
                true => (std::mem::take(&mut ids), std::mem::take(&mut logprobs)),
                false => Default::default(),
            };
            Event::Delta(Delta {
                piece: self.convert(piece),
                tokens: count(&ids),
                logprobs,
                ids,
            })
        });
        deltas.collect()
    }

    fn convert(&self, piece: AnswerPiece) -> Piece {
        match piece {
            AnswerPiece::Text(text) => Piece::Text(text),
            AnswerPiece::Reasoning(text) => Piece::Reasoning(text),
            AnswerPiece::Call { index, name } => Piece::ToolCall(ToolCallPiece {
                index,
                id: self.calls.as_ref().map(|calls| calls.name(index)),
                name: Some(name),
                arguments: String::new(),
            }),
            AnswerPiece::Arguments { index, text } => Piece::ToolCall(ToolCallPiece {
                index,
                id: None,
                name: None,
                arguments: text,
            }),
        }
    }
}

fn count<T>(tokens: &[T]) -> u32 {
    u32::try_from(tokens.len()).unwrap_or(u32::MAX)
}

fn logprob(logprob: EngineLogprob) -> TokenLogprob {
    let alternative = |alternative: EngineAlternative| Alternative {
        token: alternative.bytes,
        logprob: alternative.logprob,
    };
    TokenLogprob {
        token: logprob.bytes,
        logprob: logprob.logprob,
        top: logprob.top.into_iter().map(alternative).collect(),
    }
}

#[cfg(test)]
mod tests;
