//! The record of a call over gRPC, whose end is in its trailers.

use axum::body::Body;
use axum::response::Response;
use fathom_kit::server::Peer;
use fathom_proto::{Error, ErrorCode};
use http::{Extensions, HeaderValue, StatusCode};
use tonic::{Code, Status};

use super::{Ending, Record, RecordedBody, X_REQUEST_ID, route};
use crate::error::ErrorNote;

/// Begins the record of a call; `method` is one of a few names, so that the label is bounded.
pub fn begin(method: &str, request: &Extensions) -> Ending {
    let peer = request.get::<Peer>().and_then(|peer| peer.address);
    let peer = peer.map(|address| address.to_string());
    Ending {
        record: Record::begin(format!("GRPC {method}"), peer, None),
        complete: false,
    }
}

/// The answer of a call, which ends its record with its last byte.
pub fn answer(mut ending: Ending, mut response: Response) -> Response {
    let mut details = ending.record.details();
    if let Some(ErrorNote(error)) = response.extensions_mut().remove::<ErrorNote>() {
        details.error = Some(error.code);
        error.log_cause(Some(ending.record.id()));
    } else if details.error.is_none()
        && let Some(error) = refusal(&response)
    {
        details.error = Some(error.code);
        // What cannot be read is told as everything else that is wrong.
        if error.code != ErrorCode::MethodNotAllowed {
            response = Status::from(error).into_http();
        }
    }
    if details.error.is_none() {
        details.status = Some(StatusCode::OK.as_u16());
    }
    if let Some(route) = &details.route {
        route::tell(route, response.headers_mut());
    }
    drop(details);
    if let Ok(id) = HeaderValue::from_str(ending.record.id().as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    ending.complete = http_body::Body::is_end_stream(response.body());
    response.map(|body| Body::new(RecordedBody { body, ending }))
}

/// Why tonic refused the call before the service saw it.
fn refusal(response: &Response) -> Option<Error> {
    let status = Status::from_header_map(response.headers())?;
    let (code, message) = match status.code() {
        Code::Ok => return None,
        Code::OutOfRange | Code::ResourceExhausted => (
            ErrorCode::PayloadTooLarge,
            "the message is larger than this server accepts; send a smaller one".to_owned(),
        ),
        // The codec speaks of fields, and never of what is in them.
        Code::Internal | Code::InvalidArgument => (
            ErrorCode::InvalidRequest,
            format!("the message cannot be read: {}", status.message()),
        ),
        Code::Unimplemented => (ErrorCode::MethodNotAllowed, status.message().to_owned()),
        Code::Cancelled => (ErrorCode::Cancelled, "the call was cancelled".to_owned()),
        _ => (ErrorCode::Internal, "internal error".to_owned()),
    };
    Some(Error::new(code, message))
}
