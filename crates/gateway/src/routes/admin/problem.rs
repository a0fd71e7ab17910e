//! Errors of administration as problem details (RFC 9457).

use fathom_proto::Error;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

/// The members of RFC 9457, and three more.
#[derive(Serialize, JsonSchema)]
pub struct Problem<'a> {
    /// `urn:fathom:error:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The name of the status.
    title: &'a str,
    /// The status.
    status: u16,
    /// What is wrong and what would be right.
    detail: &'a str,
    /// As in every other error of Fathom.
    code: &'a str,
    /// The member or parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    /// As in the header `x-request-id` and in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl<'a> Problem<'a> {
    /// An error that is answered with `status`, of the request `id`.
    pub fn new(error: &'a Error, status: u16, id: Option<&'a str>) -> Self {
        let code = error.code.row().name;
        let reason = StatusCode::from_u16(status).ok();
        let reason = reason.and_then(|status| status.canonical_reason());
        Self {
            kind: format!("urn:fathom:error:{code}"),
            title: reason.unwrap_or(code),
            status,
            detail: &error.message,
            code,
            param: error.param.as_deref(),
            request_id: id,
        }
    }
}
