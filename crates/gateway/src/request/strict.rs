//! Strict functions, as DeepSeek's beta has them: all or none, and schemas that leave nothing open.

use std::collections::HashSet;
use std::fmt;

use fathom_api::tools::Tool;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::json::shortened;

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
            let problem = closed(schema, &Path::Of(index)).err();
            if let Some((path, message)) = problem {
                return Err(ApiError::invalid(shortened(path), message));
            }
        }
    }
    Ok(())
}

/// Where a part of a schema is. Only the path of an error is written out: a schema of many parts
/// below a long name would have that name copied for each.
enum Path<'a> {
    /// The parameters of this function.
    Of(usize),
    Item(&'a Path<'a>, usize),
    Member(&'a Path<'a>, &'a str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(index) => write!(f, "tools[{index}].function.parameters"),
            Self::Item(list, index) => write!(f, "{list}[{index}]"),
            Self::Member(object, name) => write!(f, "{object}.{name}"),
        }
    }
}

/// Checks that each object in a schema requires all of its properties and allows no others; tells
/// where one does not. JSON that was read is at most 128 deep.
fn closed(schema: &Value, path: &Path<'_>) -> Result<(), (String, &'static str)> {
    match schema {
        Value::Array(schemas) => {
            for (index, schema) in schemas.iter().enumerate() {
                closed(schema, &Path::Item(path, index))?;
            }
        }
        Value::Object(members) => {
            if is_of_objects(members) {
                object(schema)
                    .map_err(|(name, message)| (Path::Member(path, name).to_string(), message))?;
            }
            for (name, member) in members {
                let path = Path::Member(path, name);
                match name.as_str() {
                    // These hold values, and not schemas.
                    "enum" | "const" | "default" | "examples" => {}
                    // And these schemas by names of the caller's, which may be any.
                    "properties" | "patternProperties" | "$defs" | "definitions"
                    | "dependentSchemas" => {
                        for (name, schema) in member.as_object().into_iter().flatten() {
                            closed(schema, &Path::Member(&path, name))?;
                        }
                    }
                    _ => closed(member, &path)?,
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether what the schema allows may be an object that it says something of.
fn is_of_objects(schema: &Map<String, Value>) -> bool {
    schema.contains_key("properties")
        || match schema.get("type") {
            Some(Value::String(kind)) => kind == "object",
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
            _ => false,
        }
}

/// Checks one object; tells which member is wrong.
fn object(schema: &Value) -> Result<(), (&'static str, &'static str)> {
    if schema["additionalProperties"] != false {
        return Err((
            "additionalProperties",
            "a strict function needs `\"additionalProperties\": false` in every object",
        ));
    }
    let names = schema["required"].as_array().into_iter().flatten();
    let required: HashSet<_> = names.filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object();
    let mut properties = properties.into_iter().flat_map(|it| it.keys());
    if properties.all(|name| required.contains(name.as_str())) {
        return Ok(());
    }
    Err((
        "required",
        "a strict function needs every property in `required`",
    ))
}
