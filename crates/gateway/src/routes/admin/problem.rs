//! Errors of administration as problem details (RFC 9457).

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use fathom_proto::Error;
use fathom_proto::id::RequestId;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use super::PREFIX;
use crate::error::{ErrorNote, replace_body};
use crate::event_stream::to_json;
use crate::record::Record;

/// The layer that gives the errors of `/admin/v1` their form, whichever handler or layer inside
/// of it they come from. No answer of `/admin/v1` may be stored: some hold a secret.
pub async fn layer(request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(PREFIX) {
        return next.run(request).await;
    }
    let record = request.extensions().get::<Record>().cloned();
    let mut response = next.run(request).await;
    if let Some(ErrorNote(error)) = response.extensions().get() {
        let status = response.status();
        let id = record.as_ref().map(Record::id);
        let problem = to_json(&Problem::new(error, status, id));
        replace_body(&mut response, "application/problem+json", problem);
    }
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

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
    fn new(error: &'a Error, status: StatusCode, id: Option<&'a RequestId>) -> Self {
        let code = error.code.row().name;
        Self {
            kind: format!("urn:fathom:error:{code}"),
            title: status.canonical_reason().unwrap_or(code),
            status: status.as_u16(),
            detail: &error.message,
            code,
            param: error.param.as_deref(),
            request_id: id.map(RequestId::as_str),
        }
    }
}
