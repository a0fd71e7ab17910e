//! `fathom.inference.v1`: what a generation yields.

use crate::inference::{
    Alternative, Assignment, Delta, Event, FinishReason, Piece, Route, TokenLogprob, ToolCallPiece,
    Usage,
};
use crate::pb::inference as pb;
use crate::pb::inference::delta::Piece as PbPiece;
use crate::pb::inference::generate_response::Event as PbEvent;
use crate::{Error, ErrorCode};

impl From<Event> for pb::GenerateResponse {
    fn from(event: Event) -> Self {
        let event = match event {
            Event::Started {
                prompt_tokens,
                cached_tokens,
                fingerprint,
                route,
            } => PbEvent::Started(pb::Started {
                prompt_tokens,
                cached_tokens,
                fingerprint,
                route: route.map(|route| (*route).into()),
            }),
            Event::Delta(delta) => PbEvent::Delta(delta.into()),
            Event::Finished { reason, usage } => {
                let stop = match reason {
                    FinishReason::StopText(index) => Some(index),
                    _ => None,
                };
                let (reason, other_reason): (pb::FinishReason, _) = reason.into();
                PbEvent::Finished(pb::Finished {
                    reason: reason.into(),
                    usage: Some(usage.into()),
                    other_reason,
                    stop,
                })
            }
        };
        Self { event: Some(event) }
    }
}

impl TryFrom<pb::GenerateResponse> for Event {
    type Error = Error;

    fn try_from(message: pb::GenerateResponse) -> Result<Self, Error> {
        Ok(match message.event.ok_or_else(garbled)? {
            PbEvent::Started(started) => Self::Started {
                prompt_tokens: started.prompt_tokens,
                cached_tokens: started.cached_tokens,
                fingerprint: started.fingerprint,
                route: started.route.map(|route| Box::new(route.into())),
            },
            PbEvent::Delta(delta) => Self::Delta(delta.into()),
            PbEvent::Finished(finished) => Self::Finished {
                reason: match (finished.reason(), finished.stop) {
                    (pb::FinishReason::Stop, Some(index)) => FinishReason::StopText(index),
                    (reason, _) => decode_reason(reason, finished.other_reason)?,
                },
                usage: finished.usage.ok_or_else(garbled)?.into(),
            },
        })
    }
}

/// A worker that speaks wrongly has failed, whatever it meant.
fn garbled() -> Error {
    Error::new(
        ErrorCode::WorkerFailed,
        "the worker sent an event that is not whole",
    )
}

impl From<FinishReason> for (pb::FinishReason, String) {
    /// The reason, and the upstream's own word for one that only it has.
    fn from(reason: FinishReason) -> Self {
        let reason = match reason {
            FinishReason::Stop | FinishReason::StopText(_) => pb::FinishReason::Stop,
            FinishReason::Length => pb::FinishReason::Length,
            FinishReason::ToolCalls => pb::FinishReason::ToolCalls,
            FinishReason::ContentFilter => pb::FinishReason::ContentFilter,
            FinishReason::InsufficientSystemResource => {
                pb::FinishReason::InsufficientSystemResource
            }
            FinishReason::Other(word) => return (pb::FinishReason::Other, word),
        };
        (reason, String::new())
    }
}

fn decode_reason(reason: pb::FinishReason, other: String) -> Result<FinishReason, Error> {
    Ok(match reason {
        pb::FinishReason::Stop => FinishReason::Stop,
        pb::FinishReason::Length => FinishReason::Length,
        pb::FinishReason::ToolCalls => FinishReason::ToolCalls,
        pb::FinishReason::ContentFilter => FinishReason::ContentFilter,
        pb::FinishReason::InsufficientSystemResource => FinishReason::InsufficientSystemResource,
        pb::FinishReason::Other => FinishReason::Other(other),
        pb::FinishReason::Unspecified => return Err(garbled()),
    })
}

impl From<Route> for pb::Route {
    fn from(route: Route) -> Self {
        let (experiment, arm) = route
            .experiment
            .map(|Assignment { experiment, arm }| (experiment, arm))
            .unzip();
        Self {
            model: route.model.to_string(),
            version: route.version,
            config_version: route.config_version,
            experiment,
            arm,
        }
    }
}

impl From<pb::Route> for Route {
    fn from(message: pb::Route) -> Self {
        let experiment = message.experiment.zip(message.arm);
        Self {
            model: message.model.into(),
            version: message.version,
            config_version: message.config_version,
            experiment: experiment.map(|(experiment, arm)| Assignment { experiment, arm }),
        }
    }
}

impl From<Delta> for pb::Delta {
    fn from(delta: Delta) -> Self {
        let piece = match delta.piece {
            Piece::Text(text) => PbPiece::Text(text),
            Piece::Reasoning(text) => PbPiece::Reasoning(text),
            Piece::ToolCall(call) => PbPiece::ToolCall(pb::ToolCallPiece {
                index: call.index,
                id: call.id,
                name: call.name,
                arguments: call.arguments,
            }),
        };
        Self {
            piece: Some(piece),
            tokens: delta.tokens,
            logprobs: delta.logprobs.into_iter().map(Into::into).collect(),
            ids: delta.ids.into_vec(),
        }
    }
}

impl From<pb::Delta> for Delta {
    fn from(message: pb::Delta) -> Self {
        let piece = match message.piece {
            None => Piece::Text(String::new()),
            Some(PbPiece::Text(text)) => Piece::Text(text),
            Some(PbPiece::Reasoning(text)) => Piece::Reasoning(text),
            Some(PbPiece::ToolCall(call)) => Piece::ToolCall(ToolCallPiece {
                index: call.index,
                id: call.id,
                name: call.name,
                arguments: call.arguments,
            }),
        };
        Self {
            piece,
            tokens: message.tokens,
            logprobs: message.logprobs.into_iter().map(Into::into).collect(),
            ids: message.ids.into(),
        }
    }
}

impl From<TokenLogprob> for pb::TokenLogprob {
    fn from(logprob: TokenLogprob) -> Self {
        let top = logprob.top.into_iter();
        Self {
            token: logprob.token,
            logprob: logprob.logprob,
            top: top
                .map(|Alternative { token, logprob }| pb::Alternative { token, logprob })
                .collect(),
        }
    }
}

impl From<pb::TokenLogprob> for TokenLogprob {
    fn from(message: pb::TokenLogprob) -> Self {
        let top = message.top.into_iter();
        Self {
            token: message.token,
            logprob: message.logprob,
            top: top
                .map(|pb::Alternative { token, logprob }| Alternative { token, logprob })
                .collect(),
        }
    }
}

impl From<Usage> for pb::Usage {
    fn from(usage: Usage) -> Self {
        let Usage {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            reasoning_tokens,
        } = usage;
        Self {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            reasoning_tokens,
        }
    }
}

impl From<pb::Usage> for Usage {
    fn from(message: pb::Usage) -> Self {
        let pb::Usage {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            reasoning_tokens,
        } = message;
        Self {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            reasoning_tokens,
        }
    }
}
