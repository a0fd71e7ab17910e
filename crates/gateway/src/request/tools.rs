//! Functions that the model may call.

use std::collections::HashSet;

use fathom_api::bounds::FUNCTIONS as MAX_FUNCTIONS;
use fathom_api::tools::{FunctionDefinition, Tool, ToolChoice as ApiToolChoice};
use fathom_proto::inference::{Function, ToolChoice, Tools};

use super::json;
use crate::error::ApiError;

/// OpenAI's limit.
const MAX_NAME_BYTES: usize = 64;

/// Where a dialect has the parts of a tool, below the tool itself.
pub struct At {
    /// The function's name.
    pub name: &'static str,
    /// The schema of its arguments.
    pub parameters: &'static str,
}

/// Where a chat has them.
const CHAT: At = At {
    name: "function.name",
    parameters: "function.parameters",
};

/// The domain's form of `tools`, `tool_choice` and `parallel_tool_calls`.
pub fn check(
    tools: Option<Vec<Tool>>,
    choice: Option<ApiToolChoice>,
    parallel: Option<bool>,
) -> Result<Option<Tools>, ApiError> {
    let tools = tools.unwrap_or_default();
    if let Some(i) = tools.iter().position(|tool| tool.kind != "function") {
        return Err(ApiError::invalid(
            format!("tools[{i}].type"),
            "the type of a tool must be `function`",
        ));
    }
    let tools = tools.into_iter().map(|tool| tool.function).collect();
    let choice = choice.map(self::choice).transpose()?;
    offered(functions(tools, &CHAT)?, choice, parallel)
}

/// The functions of a dialect, whose names differ.
pub fn functions(tools: Vec<FunctionDefinition>, at: &At) -> Result<Vec<Function>, ApiError> {
    if tools.len() > MAX_FUNCTIONS {
        let message = format!(
            "`tools` holds {} functions; at most {MAX_FUNCTIONS} are allowed",
            tools.len()
        );
        return Err(ApiError::invalid("tools", message));
    }
    let tools = tools.into_iter().enumerate();
    let functions = tools
        .map(|(index, tool)| function(index, tool, at))
        .collect::<Result<Vec<_>, _>>()?;
    let mut names = HashSet::new();
    if let Some(i) = functions.iter().position(|it| !names.insert(&it.name)) {
        return Err(ApiError::invalid(
            format!("tools[{i}].{}", at.name),
            "an earlier function has this name already",
        ));
    }
    Ok(functions)
}

/// What the model may call, and whether it must.
pub fn offered(
    functions: Vec<Function>,
    choice: Option<ToolChoice>,
    parallel: Option<bool>,
) -> Result<Option<Tools>, ApiError> {
    match choice {
        // What asks for nothing passes.
        None | Some(ToolChoice::None) if functions.is_empty() => Ok(None),
        Some(_) if functions.is_empty() => Err(ApiError::invalid(
            "tool_choice",
            "`tool_choice` without `tools`; list the functions in `tools`",
        )),
        Some(ToolChoice::Named(name)) if !functions.iter().any(|it| it.name == name) => {
            Err(ApiError::invalid(
                "tool_choice",
                "`tool_choice` names a function that `tools` does not list",
            ))
        }
        choice => Ok(Some(Tools {
            functions,
            choice: choice.unwrap_or(ToolChoice::Auto),
            parallel: parallel.unwrap_or(true),
        })),
    }
}

fn function(index: usize, tool: FunctionDefinition, at: &At) -> Result<Function, ApiError> {
    let field = |name: &str| format!("tools[{index}].{name}");
    if !is_name(&tool.name) {
        let message = format!(
            "the name of a function is 1 to {MAX_NAME_BYTES} of the characters a-z, A-Z, 0-9, `_` \
             and `-`"
        );
        return Err(ApiError::invalid(field(at.name), message));
    }
    if tool.parameters.as_ref().is_some_and(|it| !it.is_object()) {
        return Err(ApiError::invalid(
            field(at.parameters),
            "the parameters of a function are a JSON Schema, which is an object",
        ));
    }
    Ok(Function {
        name: tool.name,
        description: tool.description,
        parameters: tool.parameters.as_ref().map(json),
        strict: tool.strict,
    })
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

fn choice(choice: ApiToolChoice) -> Result<ToolChoice, ApiError> {
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
        ApiToolChoice::Function { function, .. } => Ok(ToolChoice::Named(function.name)),
    }
}
