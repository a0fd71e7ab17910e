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
                schema,
                strict,
            } = json_schema;
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
