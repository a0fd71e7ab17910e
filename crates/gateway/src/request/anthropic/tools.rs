//! Functions that the model may call.

use fathom_api::sampling::Extra;
use fathom_api::tools::FunctionDefinition;
use fathom_proto::inference::{ToolChoice, Tools};
use serde_json::json;

use crate::error::ApiError;
use crate::request::object::Object;
use crate::request::tools::{At, functions, offered};

/// Where a tool has its parts.
const AT: At = At {
    name: "name",
    parameters: "input_schema",
};

/// The domain's form of `tools` and `tool_choice`.
pub fn check(tools: Option<Vec<Extra>>, choice: Option<Extra>) -> Result<Option<Tools>, ApiError> {
    let tools = tools.unwrap_or_default().into_iter().enumerate();
    let tools = tools
        .map(|(index, members)| definition(Object::new(format!("tools[{index}]"), members)))
        .collect::<Result<_, _>>()?;
    let (choice, parallel) = match choice {
        Some(choice) => self::choice(choice)?,
        None => (None, None),
    };
    offered(functions(tools, &AT)?, choice, parallel)
}

fn definition(mut tool: Object) -> Result<FunctionDefinition, ApiError> {
    // What may be kept, and how soon arguments are told, are the same for all.
    tool.ignore(&["cache_control", "eager_input_streaming"]);
    if tool.text("type")?.is_some_and(|kind| kind != "custom") {
        return Err(tool.invalid(
            "type",
            "is a tool of Anthropic's own, which is not here; describe it as a `custom` one",
        ));
    }
    tool.nothing_but("defer_loading", &[json!(false)])?;
    tool.nothing_but("allowed_callers", &[json!(["direct"])])?;
    tool.nothing_but("input_examples", &[json!([])])?;
    let definition = FunctionDefinition {
        name: tool.required_text("name")?,
        description: tool.text("description")?,
        parameters: tool.value("input_schema"),
        strict: tool.flag("strict")?,
    };
    if definition.parameters.is_none() {
        return Err(tool.invalid("input_schema", "is missing"));
    }
    tool.end()?;
    Ok(definition)
}

/// Whether the model must call one, and whether it may call several.
fn choice(choice: Extra) -> Result<(Option<ToolChoice>, Option<bool>), ApiError> {
    let mut choice = Object::new("tool_choice", choice);
    let kind = choice.required_text("type")?;
    let chosen = match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_text("name")?),
        _ => return Err(choice.invalid("type", "must be `auto`, `any`, `tool` or `none`")),
    };
    let one_at_a_time = choice.flag("disable_parallel_tool_use")?;
    choice.end()?;
    Ok((Some(chosen), one_at_a_time.map(|it| !it)))
}
