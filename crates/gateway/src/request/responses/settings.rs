//! What is asked of the answer.

use fathom_api::bounds::{METADATA, METADATA_NAME, METADATA_VALUE};
use fathom_api::responses::Reasoning;
use fathom_api::sampling::Extra;
use fathom_proto::inference::Format;
use serde_json::{Value, json};

use super::Text;
use crate::error::ApiError;
use crate::request::object::Object;

/// The form of the text; how wordy it is, is passed on.
pub fn text(text: Extra, passed_on: &mut Extra) -> Result<Text, ApiError> {
    let mut told = text.clone();
    told.entry("format")
        .or_insert_with(|| json!({"type": "text"}));
    let mut text = Object::new("text", text);
    if let Some(verbosity) = text.word("verbosity", &["low", "medium", "high"])? {
        passed_on.insert("verbosity".to_owned(), verbosity.into());
    }
    let format = text.object("format")?;
    text.end()?;
    let format = format.map_or(Ok(Format::Text), self::format)?;
    Ok(Text { format, told })
}

fn format(mut format: Object) -> Result<Format, ApiError> {
    let read = match format.required_text("type")?.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let name = format.required_text("name")?;
            let strict = format.flag("strict")?;
            let mut schema = match format.value("schema") {
                Some(Value::Object(schema)) => schema,
                _ => {
                    let problem = "must be a JSON Schema, which is an object";
                    return Err(format.invalid("schema", problem));
                }
            };
            // A schema has a place for it, and the port has no other.
            if let Some(description) = format.text("description")? {
                schema
                    .entry("description")
                    .or_insert_with(|| description.into());
            }
            Format::JsonSchema {
                name,
                schema: crate::request::json(&schema),
                strict,
            }
        }
        _ => return Err(format.invalid("type", "must be `text`, `json_object` or `json_schema`")),
    };
    format.end()?;
    Ok(read)
}

/// How the model thinks, which is passed on, and how its thoughts are told.
pub fn reasoning(reasoning: Extra, passed_on: &mut Extra) -> Result<Reasoning, ApiError> {
    const SUMMARIES: [&str; 3] = ["auto", "concise", "detailed"];
    let mut reasoning = Object::new("reasoning", reasoning);
    let effort = reasoning.text("effort")?;
    if let Some(effort) = &effort {
        passed_on.insert("reasoning_effort".to_owned(), effort.as_str().into());
    }
    let older = reasoning.word("generate_summary", &SUMMARIES)?;
    let summary = reasoning.word("summary", &SUMMARIES)?.or(older);
    reasoning.nothing_but("context", &[json!("auto")])?;
    reasoning.nothing_but("mode", &[json!("standard")])?;
    reasoning.end()?;
    Ok(Reasoning { effort, summary })
}

/// Texts that come back with the answer.
pub fn metadata(metadata: Extra) -> Result<Extra, ApiError> {
    let fits = |(name, value): (&String, &Value)| {
        name.chars().count() <= METADATA_NAME
            && value
                .as_str()
                .is_some_and(|text| text.chars().count() <= METADATA_VALUE)
    };
    if metadata.len() > METADATA || !metadata.iter().all(fits) {
        let message = format!(
            "`metadata` holds at most {METADATA} texts of {METADATA_VALUE} characters, \
             with names of {METADATA_NAME}"
        );
        return Err(ApiError::invalid("metadata", message));
    }
    Ok(metadata)
}
