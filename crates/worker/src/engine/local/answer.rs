//! The engine's events as the port's.

use std::hash::{BuildHasher, RandomState};

use fathom_engine::{
    Alternative as EngineAlternative, AnswerParser, AnswerPiece, AnswerStyle, Event as EngineEvent,
    FinishReason as EngineFinish, Generation, TokenLogprob as EngineLogprob,
};
use fathom_proto::inference::{
    Alternative, Delta, Event, FinishReason, Piece, TokenIds, TokenLogprob, TokenStream,
    ToolCallPiece, Usage,
};
use futures::{StreamExt, stream};

use crate::Error;
use crate::admission::StreamEnd;

/// An answer on its way.
pub(super) struct Answer {
    parser: AnswerParser,
    /// Tokens of text that is held back, and how probable they were.
    tokens: u32,
    logprobs: Vec<TokenLogprob>,
    reasoning_tokens: u32,
}

impl Answer {
    /// An answer of this style.
    pub fn new(style: AnswerStyle) -> Self {
        Self {
            parser: AnswerParser::new(style),
            tokens: 0,
            logprobs: Vec::new(),
            reasoning_tokens: 0,
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
            } => vec![Event::Started {
                prompt_tokens,
                cached_tokens,
                fingerprint: None,
                route: None,
            }],
            EngineEvent::Text {
                text,
                tokens,
                logprobs,
            } => {
                self.tokens += tokens;
                self.logprobs.extend(logprobs.into_iter().map(logprob));
                let thought = self.parser.thinks();
                let pieces = self.parser.push(&text);
                if thought || self.parser.thinks() {
                    self.reasoning_tokens += tokens;
                }
                self.deltas(pieces)
            }
            EngineEvent::Finished {
                reason,
                prompt_tokens,
                cached_tokens,
                completion_tokens,
            } => {
                let rest = self.parser.finish();
                let mut events = self.deltas(rest);
                if self.tokens > 0 {
                    // The last tokens were markers.
                    events.push(self.delta(Piece::Text(String::new())));
                }
                events.push(Event::Finished {
                    reason: match reason {
                        EngineFinish::Stop if self.parser.called() => FinishReason::ToolCalls,
                        EngineFinish::Stop => FinishReason::Stop,
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

    fn deltas(&mut self, pieces: Vec<AnswerPiece>) -> Vec<Event> {
        let deltas = pieces.into_iter().map(|piece| self.delta(convert(piece)));
        deltas.collect()
    }

    /// The piece, and with it all tokens that no delta stands for yet.
    fn delta(&mut self, piece: Piece) -> Event {
        Event::Delta(Delta {
            piece,
            tokens: std::mem::take(&mut self.tokens),
            logprobs: std::mem::take(&mut self.logprobs),
            ids: TokenIds::new(),
        })
    }
}

fn convert(piece: AnswerPiece) -> Piece {
    match piece {
        AnswerPiece::Text(text) => Piece::Text(text),
        AnswerPiece::Reasoning(text) => Piece::Reasoning(text),
        AnswerPiece::Call { index, name } => Piece::ToolCall(ToolCallPiece {
            index,
            id: Some(call_id()),
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

/// A name for a call, unlike any other.
fn call_id() -> String {
    let random = || RandomState::new().hash_one(());
    format!("call_{:016x}{:08x}", random(), random() as u32)
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
