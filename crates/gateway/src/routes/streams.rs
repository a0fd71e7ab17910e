//! `DELETE /v1/streams/{id}`: closing its connection does not end a stream that may be taken up
//! again, so there is another way.

use axum::Extension;
use axum::extract::{Path, State};
use fathom_proto::Error;
use http::StatusCode;

use crate::Gateway;
use crate::error::ApiError;
use crate::identity::Session;

/// Ends the stream or the lane of the request with this id, and forgets it.
pub async fn cancel(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let cancelled = gateway.streams.cancel(&id, &session);
    cancelled.map_err(|error| Error {
        param: Some("id".to_owned()),
        ..error
    })?;
    Ok(StatusCode::NO_CONTENT)
}
