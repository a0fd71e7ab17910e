//! Functions that the model may call.

use fathom_api::sampling::Extra;
use fathom_api::tools::FunctionDefinition;
use fathom_proto::inference::{ToolChoice, Tools};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::request::object::Object;
use crate::request::tools::{At, functions, offered};

/// Where a tool has its parts.
const AT: At = At {
    name: "name",
    parameters: "parameters",
};

/// The domain's form of `tools`, `tool_choice` and `parallel_tool_calls`.
pub fn check(
    tools: Option<Vec<Extra>>,
    choice: Option<Value>,
    parallel: Option<bool>,
) -> Result<Option<Tools>, ApiError> {
    let tools = tools.unwrap_or_default().into_iter().enumerate();
    let tools = tools
        .map(|(index, members)| definition(Object::new(format!("tools[{index}]"), members)))
        .collect::<Result<Vec<_>, _>>()?;
    let choice = match choice {
        // What servers do where there is a tool, and where there is none.
        Some(Value::String(word)) if word == "auto" && tools.is_empty() => None,
        choice => choice
            .filter(|choice| !choice.is_null())
            .map(self::choice)
            .transpose()?,
    };
    offered(functions(tools, &AT)?, choice, parallel)
}

fn definition(mut tool: Object) -> Result<FunctionDefinition, ApiError> {
    if tool.required_text("type")? != "function" {
        return Err(tool.invalid(
            "type",
            "must be `function`: there are no tools of the server's own",
        ));
    }
    tool.nothing_but("async", &[json!(false)])?;
    tool.nothing_but("defer_loading", &[json!(false)])?;
    tool.nothing_but("allowed_callers", &[json!(["direct"])])?;
    let definition = FunctionDefinition {
        name: tool.required_text("name")?,
        description: tool.text("description")?,
        parameters: tool.value("parameters"),
        strict: tool.flag("strict")?,
    };
    tool.end()?;
    Ok(definition)
}

fn choice(choice: Value) -> Result<ToolChoice, ApiError> {
    let mut object = match choice {
        Value::String(word) => {
            return match word.as_str() {
                "auto" => Ok(ToolChoice::Auto),
                "none" => Ok(ToolChoice::None),
                "required" => Ok(ToolChoice::Required),
                _ => Err(unknown()),
            };
        }
        Value::Object(members) => Object::new("tool_choice", members),
        _ => return Err(unknown()),
    };
    if object.required_text("type")? != "function" {
        return Err(object.invalid("type", "must be `function`"));
    }
    let name = object.required_text("name")?;
    object.end()?;
    Ok(ToolChoice::Named(name))
}

fn unknown() -> ApiError {
    ApiError::invalid(
        "tool_choice",
        "`tool_choice` must be `auto`, `none`, `required` or an object that names a function",
    )
}
