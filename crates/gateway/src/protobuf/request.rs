//! Messages as the requests that their JSON would be.

use fathom_api::chat::{ChatRequest, Content, Message};
use fathom_api::completions::{CompletionRequest, Prompt};
use fathom_api::embeddings::{EmbeddingRequest, Input};
use fathom_api::format::{JsonSchema, ResponseFormat};
use fathom_api::sampling::{Extra, LogitBias, OneOrMany};
use fathom_api::tools::{
    FunctionCall, FunctionDefinition, FunctionName, Tool, ToolCall, ToolChoice,
};
use fathom_proto::ErrorCode;
use fathom_proto::pb::inference as pb;
use pb::output_format::Format;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::FromMessage;
use crate::error::ApiError;
use crate::json::parse;

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
        set("max_tokens", &mut request.max_tokens, message.max_tokens)?;
        set("temperature", &mut request.temperature, message.temperature)?;
        set("top_p", &mut request.top_p, message.top_p)?;
        set("top_k", &mut request.top_k, message.top_k)?;
        set("min_p", &mut request.min_p, message.min_p)?;
        set("seed", &mut request.seed, message.seed)?;
        set(
            "frequency_penalty",
            &mut request.frequency_penalty,
            message.frequency_penalty,
        )?;
        set(
            "presence_penalty",
            &mut request.presence_penalty,
            message.presence_penalty,
        )?;
        let biases = logit_bias(message.logit_bias)?;
        set("logit_bias", &mut request.logit_bias, biases)?;
        set("stop", &mut request.stop, stop(message.stop))?;
        set("n", &mut request.n, message.n)?;
        let told = message.logprobs.map(|_| true);
        set("logprobs", &mut request.logprobs, told)?;
        set("top_logprobs", &mut request.top_logprobs, message.logprobs)?;
        let stream = message.stream.then_some(true);
        set("stream", &mut request.stream, stream)?;
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
        let prompt = prompt(message.prompt)?;
        let mut request: Self = with_extra(
            &message.extra_json,
            &[("model", message.model.into()), ("prompt", json!(""))],
            &message.user,
        )?;
        request.prompt = prompt;
        set("max_tokens", &mut request.max_tokens, message.max_tokens)?;
        set("temperature", &mut request.temperature, message.temperature)?;
        set("top_p", &mut request.top_p, message.top_p)?;
        set("top_k", &mut request.top_k, message.top_k)?;
        set("min_p", &mut request.min_p, message.min_p)?;
        set("seed", &mut request.seed, message.seed)?;
        set(
            "frequency_penalty",
            &mut request.frequency_penalty,
            message.frequency_penalty,
        )?;
        set(
            "presence_penalty",
            &mut request.presence_penalty,
            message.presence_penalty,
        )?;
        let biases = logit_bias(message.logit_bias)?;
        set("logit_bias", &mut request.logit_bias, biases)?;
        set("stop", &mut request.stop, stop(message.stop))?;
        set("n", &mut request.n, message.n)?;
        set("logprobs", &mut request.logprobs, message.logprobs)?;
        let stream = message.stream.then_some(true);
        set("stream", &mut request.stream, stream)?;
        set("echo", &mut request.echo, message.echo.then_some(true))?;
        let suffix = Some(message.suffix).filter(|suffix| !suffix.is_empty());
        set("suffix", &mut request.suffix, suffix)?;
        Ok(request)
    }
}

impl FromMessage for EmbeddingRequest {
    type Message = pb::CreateEmbeddingRequest;
    const NAME: &str = "CreateEmbeddingRequest";

    fn from_message(message: pb::CreateEmbeddingRequest) -> Result<Self, ApiError> {
        let inputs = message.input.into_iter().map(|input| match input.input {
            Some(pb::embed_input::Input::Text(text)) => Some(Piece::Text(text)),
            Some(pb::embed_input::Input::Tokens(tokens)) => Some(Piece::Tokens(tokens.ids)),
            None => None,
        });
        let input = match pieces("input", inputs)? {
            Pieces::Texts(texts) => Input::Texts(texts),
            Pieces::Tokens(lists) => Input::TokenLists(lists),
        };
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
        let path = error.path().to_string();
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

fn turn((index, message): (usize, pb::ChatMessage)) -> Result<Message, ApiError> {
    let field = |name: &str| format!("messages[{index}].{name}");
    let role = match message.role() {
        // The name of the role that no message has, so that it is refused as any other.
        pb::ChatRole::Unspecified => "",
        pb::ChatRole::System => "system",
        pb::ChatRole::User => "user",
        pb::ChatRole::Assistant => "assistant",
        pb::ChatRole::Tool => "tool",
    };
    let content = match message.parts_json.as_str() {
        "" => Content::Text(message.content),
        _ if !message.content.is_empty() => {
            return Err(ApiError::invalid(
                field("content"),
                "`content` stands beside `parts_json`; send one of them",
            ));
        }
        parts => {
            let name = field("parts_json");
            Content::Parts(parse(parts.as_bytes()).map_err(|error| inside(&name, error))?)
        }
    };
    let calls = message.tool_calls.into_iter().map(|call| ToolCall {
        id: call.id,
        kind: FUNCTION.to_owned(),
        function: FunctionCall {
            name: call.name,
            arguments: call.arguments,
        },
    });
    let calls: Vec<_> = calls.collect();
    let mut extra = Extra::new();
    if !message.extra_json.is_empty() {
        let name = field("extra_json");
        extra = parse(message.extra_json.as_bytes()).map_err(|error| inside(&name, error))?;
    }
    for name in [
        "role",
        "content",
        "name",
        "reasoning_content",
        "tool_calls",
        "tool_call_id",
    ] {
        if extra.contains_key(name) {
            return Err(twice(&field(name)));
        }
    }
    Ok(Message {
        role: role.to_owned(),
        content: Some(content),
        name: message.name,
        reasoning_content: message.reasoning,
        tool_calls: Some(calls).filter(|calls| !calls.is_empty()),
        tool_call_id: message.tool_call_id,
        // Only DeepSeek's paths know it.
        prefix: None,
        extra,
    })
}

const FUNCTION: &str = "function";

fn tool((index, function): (usize, pb::Function)) -> Result<Tool, ApiError> {
    let parameters = function.parameters_json.as_deref();
    let parameters = parameters
        .map(|text| object(&format!("tools[{index}].parameters_json"), text))
        .transpose()?;
    Ok(Tool {
        kind: FUNCTION.to_owned(),
        function: FunctionDefinition {
            name: function.name,
            description: function.description,
            parameters,
            strict: function.strict,
        },
    })
}

fn tool_choice(choice: i32, name: String) -> Result<Option<ToolChoice>, ApiError> {
    let choice = pb::ToolChoice::try_from(choice).map_err(|_| {
        let message = "`tool_choice` is a number that no choice has";
        ApiError::invalid("tool_choice", message)
    })?;
    if choice != pb::ToolChoice::Named && !name.is_empty() {
        let message = "`tool_choice_name` is only for `TOOL_CHOICE_NAMED`";
        return Err(ApiError::invalid("tool_choice_name", message));
    }
    let mode = |mode: &str| Some(ToolChoice::Mode(mode.to_owned()));
    Ok(match choice {
        pb::ToolChoice::Unspecified => None,
        pb::ToolChoice::Auto => mode("auto"),
        pb::ToolChoice::None => mode("none"),
        pb::ToolChoice::Required => mode("required"),
        pb::ToolChoice::Named => Some(ToolChoice::Function {
            kind: FUNCTION.to_owned(),
            function: FunctionName { name },
        }),
    })
}

fn format(format: pb::OutputFormat) -> Result<ResponseFormat, ApiError> {
    Ok(match format.format {
        None => ResponseFormat::Text,
        Some(Format::JsonObject(_)) => ResponseFormat::JsonObject,
        Some(Format::JsonSchema(schema)) => {
            let text = schema.schema_json;
            let value = (!text.is_empty())
                .then(|| object("response_format.json_schema.schema_json", &text))
                .transpose()?;
            ResponseFormat::JsonSchema {
                json_schema: JsonSchema {
                    name: schema.name,
                    description: None,
                    schema: value,
                    strict: schema.strict,
                },
            }
        }
    })
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

/// A text in one of its two forms.
enum Piece {
    Text(String),
    Tokens(Vec<u32>),
}

/// Texts that all have one form.
enum Pieces {
    Texts(Vec<String>),
    Tokens(Vec<Vec<u32>>),
}

fn prompt(prompts: Vec<pb::Prompt>) -> Result<Prompt, ApiError> {
    let prompts = prompts.into_iter().map(|prompt| match prompt.prompt {
        Some(pb::prompt::Prompt::Text(text)) => Some(Piece::Text(text)),
        Some(pb::prompt::Prompt::Tokens(tokens)) => Some(Piece::Tokens(tokens.ids)),
        None => None,
    });
    Ok(match pieces("prompt", prompts)? {
        Pieces::Texts(texts) => Prompt::Texts(texts),
        Pieces::Tokens(lists) => Prompt::TokenLists(lists),
    })
}

fn pieces(name: &str, all: impl Iterator<Item = Option<Piece>>) -> Result<Pieces, ApiError> {
    let (mut texts, mut lists) = (Vec::new(), Vec::new());
    for (index, piece) in all.enumerate() {
        match piece {
            Some(Piece::Text(text)) => texts.push(text),
            Some(Piece::Tokens(ids)) => lists.push(ids),
            None => {
                let message = format!("`{name}[{index}]` is neither text nor tokens");
                return Err(ApiError::invalid(name, message));
            }
        }
    }
    match (texts.is_empty(), lists.is_empty()) {
        (false, false) => Err(ApiError(fathom_proto::Error {
            param: Some(name.to_owned()),
            ..fathom_proto::Error::new(
                ErrorCode::InvalidRequest,
                format!("`{name}` mixes texts and tokens; send all of it in one form"),
            )
        })),
        (_, true) => Ok(Pieces::Texts(texts)),
        _ => Ok(Pieces::Tokens(lists)),
    }
}
