//! Strict functions, as DeepSeek's beta has them: all or none, and schemas that leave nothing open.

use fathom_api::tools::Tool;
use serde_json::Value;

use crate::error::ApiError;

/// Checks functions of which one is strict.
pub fn check(tools: &[Tool]) -> Result<(), ApiError> {
    for (index, tool) in tools.iter().enumerate() {
        if tool.function.strict != Some(true) {
            return Err(ApiError::invalid(
                format!("tools[{index}].function.strict"),
                "either all functions are strict or none",
            ));
        }
        if let Some(schema) = &tool.function.parameters {
            closed(schema, &format!("tools[{index}].function.parameters"))?;
        }
    }
    Ok(())
}

/// Checks that each object in a schema requires all of its properties and allows no others. JSON
/// that was read is at most 128 deep.
fn closed(schema: &Value, path: &str) -> Result<(), ApiError> {
    match schema {
        Value::Array(schemas) => {
            for (i, schema) in schemas.iter().enumerate() {
                closed(schema, &format!("{path}[{i}]"))?;
            }
        }
        Value::Object(members) => {
            if members.get("type").is_some_and(|kind| kind == "object") {
                object(schema, path)?;
            }
            for (name, member) in members {
                // These hold values, and not schemas.
                if !matches!(name.as_str(), "enum" | "const" | "default" | "examples") {
                    closed(member, &format!("{path}.{name}"))?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn object(schema: &Value, path: &str) -> Result<(), ApiError> {
    if schema["additionalProperties"] != false {
        return Err(ApiError::invalid(
            format!("{path}.additionalProperties"),
            "a strict function needs `\"additionalProperties\": false` in every object",
        ));
    }
    let required = |name: &String| {
        let required = schema["required"].as_array();
        required.is_some_and(|names| names.iter().any(|it| it == name))
    };
    let properties = schema["properties"].as_object();
    match properties.and_then(|it| it.keys().find(|name| !required(name))) {
        Some(_) => Err(ApiError::invalid(
            format!("{path}.required"),
            "a strict function needs every property in `required`",
        )),
        None => Ok(()),
    }
}
