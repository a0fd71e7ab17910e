//! JSON Schemas as the compiler of grammars takes them.

use serde_json::{Map, Value, json};

/// Most bytes of a schema; the largest public ones have about this many.
const LARGEST: usize = 256 * 1024;

/// Most entries of an object or a list in a schema, and most levels of them:
/// the compiler of grammars recurses over both.
const LONGEST: usize = 1000;
const DEEPEST: usize = 64;

/// The key under which the compiler of grammars finds its options.
const OPTIONS: &str = "x-guidance";

/// A schema that allows any object.
pub(super) fn any_object() -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    with_options(schema)
}

/// The schema in `text`.
pub(super) fn of_text(text: &str) -> Result<Value, String> {
    match parse(text)? {
        Value::Bool(true) => Ok(with_options(Map::new())),
        Value::Bool(false) => Err("it allows nothing".to_owned()),
        Value::Object(schema) => Ok(with_options(schema)),
        _ => Err("it is no JSON object".to_owned()),
    }
}

/// The schema of arguments in `text`, which are an object whatever it says.
pub(super) fn of_arguments(text: &str) -> Result<Value, String> {
    match parse(text)? {
        Value::Object(mut schema) => {
            schema.entry("type").or_insert_with(|| "object".into());
            Ok(with_options(schema))
        }
        _ => Err("it is no JSON object".to_owned()),
    }
}

fn parse(text: &str) -> Result<Value, String> {
    if text.len() > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    let schema = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    check(&schema, DEEPEST)?;
    Ok(schema)
}

/// Refuses a schema that is too long or has more than `levels`.
fn check(schema: &Value, levels: usize) -> Result<(), String> {
    let inner: Vec<&Value> = match schema {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => return Ok(()),
    };
    if inner.len() > LONGEST {
        return Err(format!("it has more than {LONGEST} entries in one place"));
    }
    let levels = levels
        .checked_sub(1)
        .ok_or_else(|| format!("it has more than {DEEPEST} levels"))?;
    inner
        .into_iter()
        .try_for_each(|schema| check(schema, levels))
}

/// `schema` with our options in place of those that a caller may have set.
///
/// A blank after each comma and colon at most: small models that may write more
/// of them write nothing else.
fn with_options(mut schema: Map<String, Value>) -> Value {
    let options = json!({
        "whitespace_flexible": false,
        "item_separator": ", ?",
        "key_separator": ": ?",
    });
    schema.insert(OPTIONS.to_owned(), options);
    Value::Object(schema)
}
