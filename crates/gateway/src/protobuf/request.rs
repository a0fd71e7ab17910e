//! Messages as the requests that their JSON would be.

mod conversation;
mod texts;

use fathom_api::chat::ChatRequest;
use fathom_api::completions::CompletionRequest;
use fathom_api::embeddings::EmbeddingRequest;
use fathom_api::sampling::{Extra, LogitBias, OneOrMany, StreamOptions};
use fathom_proto::pb::inference as pb;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::conversation::{format, tool, tool_choice, turn};
use super::FromMessage;
use crate::error::ApiError;
use crate::json::{parse, shortened};

/// Either of the two things that a completion is asked for.
pub enum Completion {
    /// A conversation to continue.
    Chat(Box<ChatRequest>),
    /// Texts to continue.
    Text(Box<CompletionRequest>),
}

/// The request of a message that says by itself what it asks for.
pub fn completion(message: pb::CreateCompletionRequest) -> Result<Completion, ApiError> {
    if message.prompt.is_empty() {
        Ok(Completion::Chat(Box::new(ChatRequest::from_message(
            message,
        )?)))
    } else {
        let request = CompletionRequest::from_message(message)?;
        Ok(Completion::Text(Box::new(request)))
    }
}

/// Fills the fields that a chat and a completion have both.
macro_rules! fill_sampling {
    ($request:ident, $message:ident) => {
        fill_sampling!(
            $request,
            $message,
            max_tokens,
            temperature,
            top_p,
            top_k,
            min_p,
            seed,
            frequency_penalty,
            presence_penalty,
            n
        );
        let biases = logit_bias($message.logit_bias)?;
        set("logit_bias", &mut $request.logit_bias, biases)?;
        set("stop", &mut $request.stop, stop($message.stop))?;
        let stream = $message.stream.then_some(true);
        set("stream", &mut $request.stream, stream)?;
    };
    ($request:ident, $message:ident, $($field:ident),+) => {
        $(set(stringify!($field), &mut $request.$field, $message.$field)?;)+
    };
}

impl FromMessage for ChatRequest {
    type Message = pb::CreateCompletionRequest;
    const NAME: &str = "CreateCompletionRequest";

    fn from_message(message: pb::CreateCompletionRequest) -> Result<Self, ApiError> {
        absent("prompt", message.prompt.is_empty(), CHAT)?;
        absent("echo", !message.echo, CHAT)?;
        absent("suffix", message.suffix.is_empty(), CHAT)?;
        let messages = message.messages.into_iter().enumerate();
        let messages: Vec<_> = messages.map(turn).collect::<Result<_, _>>()?;
        let mut request: Self = with_extra(
            &message.extra_json,
            &[("model", message.model.into()), ("messages", json!([]))],
            &message.user,
        )?;
        request.messages = messages;
        fill_sampling!(request, message);
        let told = message.logprobs.map(|_| true);
        set("logprobs", &mut request.logprobs, told)?;
        set("top_logprobs", &mut request.top_logprobs, message.logprobs)?;
        let format = message.response_format.map(format).transpose()?;
        set("response_format", &mut request.response_format, format)?;
        let choice = tool_choice(message.tool_choice, message.tool_choice_name)?;
        set("tool_choice", &mut request.tool_choice, choice)?;
        let tools = message.tools.into_iter().enumerate();
        let tools: Vec<_> = tools.map(tool).collect::<Result<_, _>>()?;
        let tools = Some(tools).filter(|tools| !tools.is_empty());
        set("tools", &mut request.tools, tools)?;
        set(
            "parallel_tool_calls",
            &mut request.parallel_tool_calls,
            message.parallel_tool_calls,
        )?;
        unpadded(request.stream_options)?;
        Ok(request)
    }
}

impl FromMessage for CompletionRequest {
    type Message = pb::CreateCompletionRequest;
    const NAME: &str = "CreateCompletionRequest";

    fn from_message(message: pb::CreateCompletionRequest) -> Result<Self, ApiError> {
        absent("messages", message.messages.is_empty(), TEXT)?;
        absent("response_format", message.response_format.is_none(), TEXT)?;
        absent("tools", message.tools.is_empty(), TEXT)?;
        absent("tool_choice", message.tool_choice == 0, TEXT)?;
        absent("tool_choice", message.tool_choice_name.is_empty(), TEXT)?;
        let parallel = message.parallel_tool_calls;
        absent("parallel_tool_calls", parallel.is_none(), TEXT)?;
        let prompt = texts::prompt(message.prompt)?;
        let mut request: Self = with_extra(
            &message.extra_json,
            &[("model", message.model.into()), ("prompt", json!(""))],
            &message.user,
        )?;
        request.prompt = prompt;
        fill_sampling!(request, message);
        set("logprobs", &mut request.logprobs, message.logprobs)?;
        set("echo", &mut request.echo, message.echo.then_some(true))?;
        let suffix = Some(message.suffix).filter(|suffix| !suffix.is_empty());
        set("suffix", &mut request.suffix, suffix)?;
        unpadded(request.stream_options)?;
        Ok(request)
    }
}

impl FromMessage for EmbeddingRequest {
    type Message = pb::CreateEmbeddingRequest;
    const NAME: &str = "CreateEmbeddingRequest";

    fn from_message(message: pb::CreateEmbeddingRequest) -> Result<Self, ApiError> {
        let input = texts::input(message.input)?;
        let mut request: Self = with_extra(
            &message.extra_json,
            &[("model", message.model.into()), ("input", json!(""))],
            &message.user,
        )?;
        request.input = input;
        set("dimensions", &mut request.dimensions, message.dimensions)?;
        Ok(request)
    }
}

const CHAT: &str = "a chat, which has `messages`";
const TEXT: &str = "texts to continue, which come in `prompt`";

/// Refuses what is said of events alone. Messages always have the counts.
fn unpadded(options: Option<StreamOptions>) -> Result<(), ApiError> {
    match options {
        Some(options) if options.include_obfuscation => Err(ApiError::invalid(
            "stream_options.include_obfuscation",
            "`include_obfuscation` is for event streams; messages have no place for it",
        )),
        _ => Ok(()),
    }
}

/// Refuses a field of the other kind of request.
fn absent(name: &str, is_absent: bool, kind: &str) -> Result<(), ApiError> {
    if is_absent {
        return Ok(());
    }
    let message = format!("`{name}` is not supported here: this is a request for {kind}");
    Err(ApiError::invalid(name, message))
}

/// The request of `extra_json` with the fields that every one has.
fn with_extra<T: DeserializeOwned>(
    extra_json: &str,
    fields: &[(&str, Value)],
    user: &str,
) -> Result<T, ApiError> {
    let mut all: Extra = match extra_json {
        "" => Extra::new(),
        text => parse(text.as_bytes()).map_err(|error| inside("extra_json", error))?,
    };
    let user = ("user", Value::from(user));
    let named = (user.1 != "").then_some(&user);
    for (name, value) in fields.iter().chain(named) {
        if all.insert((*name).to_owned(), value.clone()).is_some() {
            return Err(twice(name));
        }
    }
    serde_path_to_error::deserialize(Value::Object(all)).map_err(|error| {
        let path = shortened(error.path().to_string());
        let message = format!("`{path}` in `extra_json` is not what it must be");
        ApiError::invalid(path, message)
    })
}

/// Fills a field that `extra_json` may hold already.
fn set<T>(name: &str, field: &mut Option<T>, value: Option<T>) -> Result<(), ApiError> {
    match (&field, value) {
        (_, None) => Ok(()),
        (Some(_), Some(_)) => Err(twice(name)),
        (None, value) => {
            *field = value;
            Ok(())
        }
    }
}

fn twice(name: &str) -> ApiError {
    let message = format!("`{name}` is a field of the message and is in `extra_json` too");
    ApiError::invalid(name, message)
}

/// An error in the JSON that a field of the message holds.
fn inside(field: &str, ApiError(error): ApiError) -> ApiError {
    let text = error.message.replace("the body", &format!("`{field}`"));
    ApiError::invalid(field, text)
}

fn object(field: &str, text: &str) -> Result<Value, ApiError> {
    parse(text.as_bytes()).map_err(|error| inside(field, error))
}

fn logit_bias(biases: Vec<pb::LogitBias>) -> Result<Option<LogitBias>, ApiError> {
    let mut all = LogitBias::new();
    for pb::LogitBias { token, bias } in biases {
        if all.insert(token.to_string(), bias).is_some() {
            let message = format!("`logit_bias` has the token {token} twice");
            return Err(ApiError::invalid("logit_bias", message));
        }
    }
    Ok(Some(all).filter(|all| !all.is_empty()))
}

fn stop(texts: Vec<String>) -> Option<OneOrMany> {
    (!texts.is_empty()).then_some(OneOrMany::Many(texts))
}
