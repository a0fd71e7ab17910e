//! Functions that the model may call.

use std::collections::HashSet;

use fathom_api::bounds::FUNCTIONS as MAX_FUNCTIONS;
use fathom_api::tools::{Tool, ToolChoice as ApiToolChoice};
use fathom_proto::inference::{Function, ToolChoice, Tools};

use super::json;
use crate::error::ApiError;

/// OpenAI's limit.
const MAX_NAME_BYTES: usize = 64;

/// The domain's form of `tools`, `tool_choice` and `parallel_tool_calls`.
pub fn check(
    tools: Option<Vec<Tool>>,
    choice: Option<ApiToolChoice>,
    parallel: Option<bool>,
) -> Result<Option<Tools>, ApiError> {
    let tools = tools.unwrap_or_default();
    if tools.len() > MAX_FUNCTIONS {
        let message = format!(
            "`tools` holds {} functions; at most {MAX_FUNCTIONS} are allowed",
            tools.len()
        );
        return Err(ApiError::invalid("tools", message));
    }
    let tools = tools.into_iter().enumerate();
    let functions = tools
        .map(|(index, tool)| function(index, tool))
        .collect::<Result<Vec<_>, _>>()?;
    let mut names = HashSet::new();
    if let Some(i) = functions.iter().position(|it| !names.insert(&it.name)) {
        return Err(ApiError::invalid(
            format!("tools[{i}].function.name"),
            "an earlier function has this name already",
        ));
    }
    let choice = choice
        .map(|choice| self::choice(choice, &names))
        .transpose()?;
    match choice {
        // What asks for nothing passes.
        None | Some(ToolChoice::None) if functions.is_empty() => Ok(None),
        Some(_) if functions.is_empty() => Err(ApiError::invalid(
            "tool_choice",
            "`tool_choice` without `tools`; list the functions in `tools`",
        )),
        choice => Ok(Some(Tools {
            functions,
            choice: choice.unwrap_or(ToolChoice::Auto),
            parallel: parallel.unwrap_or(true),
        })),
    }
}

fn function(index: usize, tool: Tool) -> Result<Function, ApiError> {
    let field = |name: &str| format!("tools[{index}].{name}");
    if tool.kind != "function" {
        return Err(ApiError::invalid(
            field("type"),
            "the type of a tool must be `function`",
        ));
    }
    let function = tool.function;
    if !is_name(&function.name) {
        let message = format!(
            "the name of a function is 1 to {MAX_NAME_BYTES} of the characters a-z, A-Z, 0-9, `_` \
             and `-`"
        );
        return Err(ApiError::invalid(field("function.name"), message));
    }
    if function
        .parameters
        .as_ref()
        .is_some_and(|it| !it.is_object())
    {
        return Err(ApiError::invalid(
            field("function.parameters"),
            "the parameters of a function are a JSON Schema, which is an object",
        ));
    }
    Ok(Function {
        name: function.name,
        description: function.description,
        parameters: function.parameters.as_ref().map(json),
        strict: function.strict,
    })
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

fn choice(choice: ApiToolChoice, names: &HashSet<&String>) -> Result<ToolChoice, ApiError> {
    let invalid = |message| Err(ApiError::invalid("tool_choice", message));
    match choice {
        ApiToolChoice::Mode(mode) => match mode.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => invalid(
                "`tool_choice` must be `auto`, `none`, `required` or an object that names a \
                 function",
            ),
        },
        ApiToolChoice::Function { kind, .. } if kind != "function" => {
            invalid("the type of `tool_choice` must be `function`")
        }
        ApiToolChoice::Function { function, .. } if !names.contains(&function.name) => {
            invalid("`tool_choice` names a function that `tools` does not list")
        }
        ApiToolChoice::Function { function, .. } => Ok(ToolChoice::Named(function.name)),
    }
}
