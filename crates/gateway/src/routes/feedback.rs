//! `POST /v1/feedback`

use axum::Extension;
use axum::extract::State;
use fathom_api::feedback::FeedbackRequest;
use fathom_proto::feedback::Score;
use http::StatusCode;

use crate::Gateway;
use crate::error::ApiError;
use crate::identity::Session;
use crate::json::Json;

/// What the ids of answers have before that of the request.
const PREFIXES: [&str; 4] = ["chatcmpl-", "cmpl-", "msg_", "resp_"];

/// Takes the score of a request that was part of an experiment.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Json(FeedbackRequest { id, score }): Json<FeedbackRequest>,
) -> Result<StatusCode, ApiError> {
    let score = Score::new(score.value()).ok_or_else(|| {
        ApiError::invalid(
            "score",
            "`score` must be from -1 to 1, or `true` or `false`",
        )
    })?;
    let mut prefixes = PREFIXES.iter();
    let request = prefixes.find_map(|prefix| id.strip_prefix(prefix));
    let request = request.unwrap_or(&id).into();
    let tenant = &session.principal().tenant;
    gateway
        .call(gateway.feedback.score(tenant, &request, score))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
