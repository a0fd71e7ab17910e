//! `fathom.inference.v1`: what is asked for.

use super::missing;
use crate::Error;
use crate::id::RequestId;
use crate::inference::{
    Defaults, Format, Function, GenerateRequest, Json, LogitBias, Prompt, RequestContext, Sampling,
    ToolChoice, Tools,
};
use crate::pb::inference as pb;
use crate::pb::inference::output_format::Format as PbFormat;

/// The wire form of a request; the deadline travels as `grpc-timeout`.
pub(crate) fn encode_request(
    request: GenerateRequest,
    context: &RequestContext,
) -> pb::GenerateRequest {
    pb::GenerateRequest {
        context: Some(encode_context(context)),
        model: request.model.to_string(),
        prompt: Some(request.prompt.into()),
        sampling: Some(request.sampling.into()),
        max_tokens: request.max_tokens,
        defaults: Some(request.defaults.into()),
        stop: request.stop,
        context_length: request.context_length,
        logprobs: request.logprobs,
        echo: request.echo,
        format: encode_format(request.format),
        tools: request.tools.map(Into::into),
        extra_json: encode_json(request.extra),
        generated: request.generated,
    }
}

/// The domain form of a request; its context has no deadline yet.
pub(crate) fn decode_request(
    message: pb::GenerateRequest,
) -> Result<(GenerateRequest, RequestContext), Error> {
    let context = decode_context(message.context)?;
    let request = GenerateRequest {
        model: message.model.into(),
        prompt: message
            .prompt
            .ok_or_else(|| missing("prompt"))?
            .try_into()?,
        sampling: message.sampling.ok_or_else(|| missing("sampling"))?.into(),
        max_tokens: message.max_tokens,
        defaults: message.defaults.map(Into::into).unwrap_or_default(),
        stop: message.stop,
        logprobs: message.logprobs,
        echo: message.echo,
        format: decode_format(message.format)?,
        tools: message.tools.map(TryInto::try_into).transpose()?,
        extra: decode_json(message.extra_json),
        context_length: message.context_length,
        generated: message.generated,
    };
    Ok((request, context))
}

/// The wire form of a context, without its deadline.
pub(super) fn encode_context(context: &RequestContext) -> pb::RequestContext {
    pb::RequestContext {
        request_id: context.request_id.to_string(),
        tenant_id: context.tenant.to_string(),
        user_id: context.user.to_string(),
    }
}

/// The domain form of a context, which has no deadline yet.
pub(super) fn decode_context(message: Option<pb::RequestContext>) -> Result<RequestContext, Error> {
    let message = message.ok_or_else(|| missing("context"))?;
    Ok(RequestContext {
        request_id: RequestId::from(message.request_id),
        tenant: message.tenant_id.into(),
        user: message.user_id.into(),
        deadline: None,
    })
}

/// JSON that may be absent, which the empty text stands for on the wire.
pub(super) fn encode_json(json: Option<Json>) -> String {
    json.map(|Json(text)| text).unwrap_or_default()
}

pub(super) fn decode_json(text: String) -> Option<Json> {
    (!text.is_empty()).then_some(Json(text))
}

impl From<Prompt> for pb::generate_request::Prompt {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Text(text) => Self::Text(text),
            Prompt::Tokens(ids) => Self::Tokens(pb::TokenPrompt { ids }),
            Prompt::Chat(messages) => Self::Chat(pb::ChatPrompt {
                messages: messages.into_iter().map(Into::into).collect(),
            }),
            Prompt::Infill { before, after } => Self::Infill(pb::InfillPrompt { before, after }),
        }
    }
}

impl TryFrom<pb::generate_request::Prompt> for Prompt {
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
            Prompt::Infill(pb::InfillPrompt { before, after }) => Self::Infill { before, after },
        })
    }
}

impl From<Sampling> for pb::Sampling {
    fn from(sampling: Sampling) -> Self {
        let biases = sampling.logit_bias.into_iter();
        Self {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            seed: sampling.seed,
            frequency_penalty: sampling.frequency_penalty,
            presence_penalty: sampling.presence_penalty,
            top_k: sampling.top_k,
            min_p: sampling.min_p,
            logit_bias: biases
                .map(|LogitBias { token, bias }| pb::LogitBias { token, bias })
                .collect(),
        }
    }
}

impl From<pb::Sampling> for Sampling {
    fn from(message: pb::Sampling) -> Self {
        let biases = message.logit_bias.into_iter();
        Self {
            temperature: message.temperature,
            top_p: message.top_p,
            seed: message.seed,
            frequency_penalty: message.frequency_penalty,
            presence_penalty: message.presence_penalty,
            top_k: message.top_k,
            min_p: message.min_p,
            logit_bias: biases
                .map(|pb::LogitBias { token, bias }| LogitBias { token, bias })
                .collect(),
        }
    }
}

impl From<Defaults> for pb::Defaults {
    fn from(defaults: Defaults) -> Self {
        Self {
            temperature: Some(defaults.temperature),
            max_tokens: defaults.max_tokens,
        }
    }
}

impl From<pb::Defaults> for Defaults {
    fn from(message: pb::Defaults) -> Self {
        Self {
            temperature: message.temperature.unwrap_or(Self::default().temperature),
            max_tokens: message.max_tokens,
        }
    }
}

fn encode_format(format: Format) -> Option<pb::OutputFormat> {
    let format = match format {
        Format::Text => return None,
        Format::JsonObject => PbFormat::JsonObject(pb::JsonObject {}),
        Format::JsonSchema {
            name,
            schema: Json(schema_json),
            strict,
        } => PbFormat::JsonSchema(pb::JsonSchema {
            name,
            schema_json,
            strict,
        }),
    };
    let format = Some(format);
    Some(pb::OutputFormat { format })
}

fn decode_format(message: Option<pb::OutputFormat>) -> Result<Format, Error> {
    let Some(message) = message else {
        return Ok(Format::Text);
    };
    Ok(
        match message.format.ok_or_else(|| missing("format.format"))? {
            PbFormat::JsonObject(pb::JsonObject {}) => Format::JsonObject,
            PbFormat::JsonSchema(schema) => Format::JsonSchema {
                name: schema.name,
                schema: Json(schema.schema_json),
                strict: schema.strict,
            },
        },
    )
}

impl From<Tools> for pb::Tools {
    fn from(tools: Tools) -> Self {
        let (choice, name) = match tools.choice {
            ToolChoice::Auto => (pb::ToolChoice::Auto, String::new()),
            ToolChoice::None => (pb::ToolChoice::None, String::new()),
            ToolChoice::Required => (pb::ToolChoice::Required, String::new()),
            ToolChoice::Named(name) => (pb::ToolChoice::Named, name),
        };
        let functions = tools.functions.into_iter().map(|function| pb::Function {
            name: function.name,
            description: function.description,
            parameters_json: function.parameters.map(|Json(text)| text),
            strict: function.strict,
        });
        Self {
            functions: functions.collect(),
            choice: choice.into(),
            name,
            parallel: tools.parallel,
        }
    }
}

impl TryFrom<pb::Tools> for Tools {
    type Error = Error;

    fn try_from(message: pb::Tools) -> Result<Self, Error> {
        let choice = match message.choice() {
            pb::ToolChoice::Auto => ToolChoice::Auto,
            pb::ToolChoice::None => ToolChoice::None,
            pb::ToolChoice::Required => ToolChoice::Required,
            pb::ToolChoice::Named if message.name.is_empty() => {
                return Err(missing("tools.name"));
            }
            pb::ToolChoice::Named => ToolChoice::Named(message.name),
            pb::ToolChoice::Unspecified => return Err(missing("tools.choice")),
        };
        let functions = message.functions.into_iter().map(|function| Function {
            name: function.name,
            description: function.description,
            parameters: function.parameters_json.map(Json),
            strict: function.strict,
        });
        Ok(Self {
            functions: functions.collect(),
            choice,
            parallel: message.parallel,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out at the other end of the wire.
    fn sent(request: GenerateRequest) -> GenerateRequest {
        let context = RequestContext {
            request_id: "request".into(),
            tenant: "tenant".into(),
            user: "user".into(),
            deadline: None,
        };
        let bytes = prost::Message::encode_to_vec(&encode_request(request, &context));
        let message: pb::GenerateRequest = prost::Message::decode(&*bytes).unwrap();
        decode_request(message).unwrap().0
    }

    #[test]
    fn what_was_not_asked_for_and_what_was_asked_to_be_zero_stay_apart() {
        let absent = GenerateRequest::new("m".into(), Prompt::Text("a".to_owned()));
        assert!(sent(absent.clone()) == absent);
        let zero = GenerateRequest {
            sampling: Sampling {
                temperature: Some(0.0),
                top_p: Some(0.0),
                top_k: Some(0),
                min_p: Some(0.0),
                seed: Some(0),
                frequency_penalty: Some(0.0),
                presence_penalty: Some(0.0),
                logit_bias: Vec::new(),
            },
            max_tokens: Some(0),
            defaults: Defaults {
                temperature: 0.0,
                max_tokens: Some(0),
            },
            ..absent.clone()
        };
        assert!(sent(zero.clone()) == zero && zero != absent);
    }
}
