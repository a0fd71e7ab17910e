//! What the answer must be.

use fathom_api::format::{JsonSchema, ResponseFormat};
use fathom_proto::inference::{Format, Json};
use serde_json::Value;

use super::json;
use crate::error::ApiError;

/// The domain's form of `response_format`.
pub fn check(format: Option<ResponseFormat>) -> Result<Format, ApiError> {
    match format {
        None | Some(ResponseFormat::Text) => Ok(Format::Text),
        Some(ResponseFormat::JsonObject) => Ok(Format::JsonObject),
        Some(ResponseFormat::JsonSchema { json_schema }) => {
            let JsonSchema {
                name,
                description,
                mut schema,
                strict,
            } = json_schema;
            // The same is said within a schema, which goes wherever the schema does.
            if let (Some(description), Some(Value::Object(schema))) = (description, &mut schema) {
                schema
                    .entry("description")
                    .or_insert_with(|| description.into());
            }
            let schema = match schema {
                // The schema that allows everything.
                None => Json("{}".to_owned()),
                Some(schema @ (Value::Object(_) | Value::Bool(_))) => json(&schema),
                Some(_) => {
                    return Err(ApiError::invalid(
                        "response_format.json_schema.schema",
                        "a JSON Schema is an object",
                    ));
                }
            };
            Ok(Format::JsonSchema {
                name,
                schema,
                strict,
            })
        }
    }
}
