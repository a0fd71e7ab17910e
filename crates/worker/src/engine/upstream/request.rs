//! What is sent to another server: OpenAI's requests, written in one pass from what the port
//! holds.

mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use fathom_proto::inference::{
    EmbedInput, EmbedRequest, Format, GenerateRequest, Json, Prompt, ToolChoice, Tools,
};
use serde::Serialize;
use serde_json::value::RawValue;

use self::message::Message;
use crate::{Error, MaxTokensField};

/// Fields that this version writes itself or fans out, so that the caller's unknown fields cannot
/// change them.
const OURS: [&str; 29] = [
    "model",
    "messages",
    "prompt",
    "suffix",
    "input",
    "dimensions",
    "encoding_format",
    "stream",
    "stream_options",
    "n",
    "best_of",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "stop",
    "logprobs",
    "top_logprobs",
    "echo",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
];

/// Unknown fields, as they came.
type Extra<'a> = BTreeMap<String, &'a RawValue>;

/// `POST /chat/completions` and `POST /completions`; always streaming, so that whole answers are
/// cancelled, timed and counted like others.
#[derive(Serialize)]
struct Generate<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Message<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Input<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<&'a str>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// As OpenAI has it: with a sign.
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    logit_bias: BTreeMap<u32, f32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Logprobs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Vec<Tool<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// A text, or tokens of the model's own vocabulary.
#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(&'a str),
    Tokens(&'a [u32]),
}

/// Chats say whether and how many in two fields, completions in one.
#[derive(Serialize)]
#[serde(untagged)]
enum Logprobs {
    Chat(bool),
    Completion(u32),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: JsonSchema<'a> },
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// What a model may call.
#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// Whether it must.
#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Mode(&'static str),
    Named {
        r#type: &'static str,
        function: Named<'a>,
    },
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

/// The body of a generation; `model` is the server's name for the model, `field` its name for the
/// most tokens of a chat's answer.
pub(super) fn generate(
    request: &GenerateRequest,
    model: &str,
    field: MaxTokensField,
) -> Result<Vec<u8>, Error> {
    let sampling = &request.sampling;
    let (messages, prompt, suffix) = match &request.prompt {
        Prompt::Chat(turns) => {
            let messages = turns.iter().map(Message::new).collect::<Result<_, _>>()?;
            (Some(messages), None, None)
        }
        Prompt::Text(text) => (None, Some(Input::Text(text)), None),
        Prompt::Tokens(tokens) => (None, Some(Input::Tokens(tokens)), None),
        Prompt::Infill { before, after } => (None, Some(Input::Text(before)), Some(&**after)),
    };
    let chat = messages.is_some();
    let tools = request.tools.as_ref();
    let (max_tokens, max_completion_tokens) = match field {
        // Completions know the older name alone, everywhere.
        MaxTokensField::MaxCompletionTokens if chat => (None, max_tokens(request)),
        _ => (max_tokens(request), None),
    };
    write(&Generate {
        model,
        messages,
        prompt,
        suffix,
        stream: true,
        stream_options: StreamOptions {
            include_usage: true,
        },
        max_tokens,
        max_completion_tokens,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        seed: sampling.seed.map(u64::cast_signed),
        frequency_penalty: sampling.frequency_penalty,
        presence_penalty: sampling.presence_penalty,
        logit_bias: sampling
            .logit_bias
            .iter()
            .map(|bias| (bias.token, bias.bias))
            .collect(),
        stop: &request.stop,
        logprobs: request.logprobs.map(|top| match chat {
            true => Logprobs::Chat(true),
            false => Logprobs::Completion(top),
        }),
        top_logprobs: request.logprobs.filter(|&top| chat && top > 0),
        echo: request.echo.then_some(true),
        response_format: response_format(&request.format)?,
        tools: tools.map(functions).transpose()?,
        tool_choice: tools.and_then(choice),
        parallel_tool_calls: tools.and_then(|tools| (!tools.parallel).then_some(false)),
        extra: extra(request.extra.as_ref())?,
    })
}

/// `POST /embeddings`
#[derive(Serialize)]
struct Embed<'a> {
    model: &'a str,
    input: Vec<Input<'a>>,
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// The body of a request for vectors; `model` is the server's name for the model.
pub(super) fn embed(request: &EmbedRequest, model: &str) -> Result<Vec<u8>, Error> {
    let inputs = request.inputs.iter().map(|input| match input {
        EmbedInput::Text(text) => Input::Text(text),
        EmbedInput::Tokens(tokens) => Input::Tokens(tokens),
    });
    write(&Embed {
        model,
        input: inputs.collect(),
        encoding_format: "float",
        dimensions: request.dimensions,
        extra: extra(request.extra.as_ref())?,
    })
}

/// What the request asks for, cut to what the operator's table of models allows. The server cuts
/// it to what its weights can do, and has its own default where nothing is asked for: some refuse
/// the field.
fn max_tokens(request: &GenerateRequest) -> Option<u32> {
    let asked = request.max_tokens?;
    Some(
        request
            .context_length
            .map_or(asked, |limit| asked.min(limit)),
    )
}

fn response_format(format: &Format) -> Result<Option<ResponseFormat<'_>>, Error> {
    Ok(match format {
        Format::Text => None,
        Format::JsonObject => Some(ResponseFormat::JsonObject),
        Format::JsonSchema {
            name,
            schema,
            strict,
        } => Some(ResponseFormat::JsonSchema {
            json_schema: JsonSchema {
                name,
                schema: parse(schema, "response_format")?,
                strict: *strict,
            },
        }),
    })
}

fn functions(tools: &Tools) -> Result<Vec<Tool<'_>>, Error> {
    let functions = tools.functions.iter();
    functions
        .map(|function| {
            let parameters = function.parameters.as_ref();
            let function = Function {
                name: &function.name,
                description: function.description.as_deref(),
                parameters: parameters
                    .map(|schema| parse(schema, "tools"))
                    .transpose()?,
                strict: function.strict,
            };
            Ok(Tool {
                r#type: "function",
                function,
            })
        })
        .collect()
}

/// `auto` is what servers do when there are functions.
fn choice(tools: &Tools) -> Option<Choice<'_>> {
    match &tools.choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(Choice::Mode("none")),
        ToolChoice::Required => Some(Choice::Mode("required")),
        ToolChoice::Named(name) => Some(Choice::Named {
            r#type: "function",
            function: Named { name },
        }),
    }
}

/// The unknown fields of a request that are not ours to write.
fn extra(json: Option<&Json>) -> Result<Extra<'_>, Error> {
    let mut extra: Extra<'_> = json.map_or(Ok(Extra::new()), |json| parse(json, "extra"))?;
    if extra.contains_key("sim") {
        return Err(Error::Unsupported {
            param: "sim".to_owned(),
            problem: "only the simulator takes it; leave it out".to_owned(),
        });
    }
    extra.retain(|name, _| !OURS.contains(&name.as_str()));
    Ok(extra)
}

/// Looks through JSON once, so that it cannot end the field that it is in.
fn parse<'a, T: serde::Deserialize<'a>>(json: &'a Json, param: &str) -> Result<T, Error> {
    serde_json::from_str(&json.0).map_err(|error| Error::Unsupported {
        param: param.to_owned(),
        problem: format!("it is no JSON of the right kind: {error}"),
    })
}

fn write(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    // Only a type that cannot be written fails, and each test writes all of these.
    serde_json::to_vec(body).map_err(|error| Error::Unsupported {
        param: "extra".to_owned(),
        problem: error.to_string(),
    })
}
