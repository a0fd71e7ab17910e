//! Functions that a model may call, in requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounds;

/// `{"type": "function", "function": …}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Always `function`.
    #[serde(rename = "type")]
    #[schemars(extend("const" = "function"))]
    pub kind: String,
    /// The function.
    pub function: FunctionDefinition,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionDefinition {
    /// Its name.
    #[schemars(regex(pattern = bounds::FUNCTION_NAME))]
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = ["object", "null"]))]
    pub parameters: Option<Value>,
    /// Whether the schema is enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// `"auto"`, `"none"`, `"required"`, or one function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "must be `auto`, `none`, `required` or an object that names a function"
)]
pub enum ToolChoice {
    /// `auto`, `none` or `required`.
    Mode(#[schemars(extend("enum" = ["auto", "none", "required"]))] String),
    /// `{"type": "function", "function": {"name": …}}`
    Function {
        /// Always `function`.
        #[serde(rename = "type")]
        #[schemars(extend("const" = "function"))]
        kind: String,
        /// Which one.
        function: FunctionName,
    },
}

/// The name of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionName {
    /// The name.
    pub name: String,
}

/// A call that the model made, in a turn of the conversation and in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCall {
    /// Names the call.
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type", default = "function")]
    #[schemars(extend("const" = "function"))]
    pub kind: String,
    /// What is called.
    pub function: FunctionCall,
}

/// A function and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionCall {
    /// Name of the function.
    pub name: String,
    /// Arguments, as JSON text; the model's own, so not always valid.
    pub arguments: String,
}

/// A part of a call, in an event of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCallDelta {
    /// Which call of this answer, from 0.
    pub index: u32,
    /// Names the call; in its first part only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`; in its first part only.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is new of it.
    pub function: FunctionDelta,
}

/// What is new of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionDelta {
    /// Name of the function; in the first part only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The next part of the arguments.
    #[serde(default)]
    pub arguments: String,
}

/// The only kind of tool that there is.
fn function() -> String {
    "function".to_owned()
}
