//! Turns, tools and formats.

use fathom_api::chat::{Content, Message};
use fathom_api::format::{JsonSchema, ResponseFormat};
use fathom_api::sampling::Extra;
use fathom_api::tools::{
    FunctionCall, FunctionDefinition, FunctionName, Tool, ToolCall, ToolChoice,
};
use fathom_proto::pb::inference as pb;
use pb::output_format::Format;

use super::{inside, object, twice};
use crate::error::ApiError;
use crate::json::{parse, parse_list};

/// The only type of tools.
const FUNCTION: &str = "function";

/// A turn of a conversation.
pub fn turn((index, message): (usize, pb::ChatMessage)) -> Result<Message, ApiError> {
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
            Content::Parts(parse_list(parts.as_bytes()).map_err(|error| inside(&name, error))?)
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
        "prefix",
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
        prefix: message.prefix.then_some(true),
        extra,
    })
}

/// A tool of the type `function`.
pub fn tool((index, function): (usize, pb::Function)) -> Result<Tool, ApiError> {
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

/// Which tools the answer may call.
pub fn tool_choice(choice: i32, name: String) -> Result<Option<ToolChoice>, ApiError> {
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

/// What form the answer must have.
pub fn format(format: pb::OutputFormat) -> Result<ResponseFormat, ApiError> {
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
