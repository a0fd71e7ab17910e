//! `fathom.inference.v1`

use super::missing;
use crate::id::RequestId;
use crate::inference as domain;
use crate::pb::inference as pb;
use crate::pb::inference::generate_response::Event as PbEvent;
use crate::{Error, ErrorCode};

/// The wire form of a request; the deadline travels as `grpc-timeout`.
pub(crate) fn encode_request(
    request: domain::GenerateRequest,
    context: &domain::RequestContext,
) -> pb::GenerateRequest {
    pb::GenerateRequest {
        context: Some(pb::RequestContext {
            request_id: context.request_id.to_string(),
            tenant_id: context.tenant.to_string(),
        }),
        model: request.model.to_string(),
        prompt: Some(request.prompt.into()),
        sampling: Some(request.sampling.into()),
        max_tokens: request.max_tokens,
        stop: request.stop,
        context_length: request.context_length,
    }
}

/// The domain form of a request; its context has no deadline yet.
pub(crate) fn decode_request(
    message: pb::GenerateRequest,
) -> Result<(domain::GenerateRequest, domain::RequestContext), Error> {
    let context = message.context.ok_or_else(|| missing("context"))?;
    let request = domain::GenerateRequest {
        model: message.model.into(),
        prompt: message
            .prompt
            .ok_or_else(|| missing("prompt"))?
            .try_into()?,
        sampling: message.sampling.ok_or_else(|| missing("sampling"))?.into(),
        max_tokens: message.max_tokens,
        stop: message.stop,
        context_length: message.context_length,
    };
    let context = domain::RequestContext {
        request_id: RequestId::from(context.request_id),
        tenant: context.tenant_id.into(),
        deadline: None,
    };
    Ok((request, context))
}

impl From<domain::Prompt> for pb::generate_request::Prompt {
    fn from(prompt: domain::Prompt) -> Self {
        match prompt {
            domain::Prompt::Text(text) => Self::Text(text),
            domain::Prompt::Tokens(ids) => Self::Tokens(pb::TokenPrompt { ids }),
            domain::Prompt::Chat(messages) => Self::Chat(pb::ChatPrompt {
                messages: messages.into_iter().map(Into::into).collect(),
            }),
        }
    }
}

impl TryFrom<pb::generate_request::Prompt> for domain::Prompt {
    type Error = Error;

    fn try_from(prompt: pb::generate_request::Prompt) -> Result<Self, Error> {
        use pb::generate_request::Prompt;
        Ok(match prompt {
            Prompt::Text(text) => Self::Text(text),
            Prompt::Tokens(tokens) => Self::Tokens(tokens.ids),
            Prompt::Chat(chat) => Self::Chat(
                chat.messages
                    .into_iter()
                    .map(TryInto::try_into)
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

impl From<domain::ChatMessage> for pb::ChatMessage {
    fn from(message: domain::ChatMessage) -> Self {
        let role = match message.role {
            domain::ChatRole::System => pb::ChatRole::System,
            domain::ChatRole::User => pb::ChatRole::User,
            domain::ChatRole::Assistant => pb::ChatRole::Assistant,
            domain::ChatRole::Tool => pb::ChatRole::Tool,
        };
        Self {
            role: role.into(),
            content: message.content,
            name: message.name,
        }
    }
}

impl TryFrom<pb::ChatMessage> for domain::ChatMessage {
    type Error = Error;

    fn try_from(message: pb::ChatMessage) -> Result<Self, Error> {
        let role = match message.role() {
            pb::ChatRole::System => domain::ChatRole::System,
            pb::ChatRole::User => domain::ChatRole::User,
            pb::ChatRole::Assistant => domain::ChatRole::Assistant,
            pb::ChatRole::Tool => domain::ChatRole::Tool,
            pb::ChatRole::Unspecified => return Err(missing("prompt.chat.messages.role")),
        };
        Ok(Self {
            role,
            content: message.content,
            name: message.name,
        })
    }
}

impl From<domain::Sampling> for pb::Sampling {
    fn from(sampling: domain::Sampling) -> Self {
        let domain::Sampling {
            temperature,
            top_p,
            seed,
            frequency_penalty,
            presence_penalty,
        } = sampling;
        Self {
            temperature,
            top_p,
            seed,
            frequency_penalty,
            presence_penalty,
        }
    }
}

impl From<pb::Sampling> for domain::Sampling {
    fn from(sampling: pb::Sampling) -> Self {
        let pb::Sampling {
            temperature,
            top_p,
            seed,
            frequency_penalty,
            presence_penalty,
        } = sampling;
        Self {
            temperature,
            top_p,
            seed,
            frequency_penalty,
            presence_penalty,
        }
    }
}

impl From<domain::Event> for pb::GenerateResponse {
    fn from(event: domain::Event) -> Self {
        let event = match event {
            domain::Event::Started { prompt_tokens } => {
                PbEvent::Started(pb::Started { prompt_tokens })
            }
            domain::Event::Delta { text, tokens } => PbEvent::Delta(pb::Delta { text, tokens }),
            domain::Event::Finished { reason, usage } => {
                let reason = match reason {
                    domain::FinishReason::Stop => pb::FinishReason::Stop,
                    domain::FinishReason::Length => pb::FinishReason::Length,
                };
                let domain::Usage {
                    prompt_tokens,
                    completion_tokens,
                } = usage;
                let usage = Some(pb::Usage {
                    prompt_tokens,
                    completion_tokens,
                });
                PbEvent::Finished(pb::Finished {
                    reason: reason.into(),
                    usage,
                })
            }
        };
        Self { event: Some(event) }
    }
}

impl TryFrom<pb::GenerateResponse> for domain::Event {
    type Error = Error;

    fn try_from(message: pb::GenerateResponse) -> Result<Self, Error> {
        // A worker that speaks wrongly has failed, whatever it meant.
        let garbled = || {
            Error::new(
                ErrorCode::WorkerFailed,
                "the worker sent an event that is not whole",
            )
        };
        Ok(match message.event.ok_or_else(garbled)? {
            PbEvent::Started(pb::Started { prompt_tokens }) => Self::Started { prompt_tokens },
            PbEvent::Delta(pb::Delta { text, tokens }) => Self::Delta { text, tokens },
            PbEvent::Finished(finished) => {
                let reason = match finished.reason() {
                    pb::FinishReason::Stop => domain::FinishReason::Stop,
                    pb::FinishReason::Length => domain::FinishReason::Length,
                    pb::FinishReason::Unspecified => return Err(garbled()),
                };
                let pb::Usage {
                    prompt_tokens,
                    completion_tokens,
                } = finished.usage.ok_or_else(garbled)?;
                let usage = domain::Usage {
                    prompt_tokens,
                    completion_tokens,
                };
                Self::Finished { reason, usage }
            }
        })
    }
}
