//! `/admin/v1/signing-keys`

use axum::Json;
use axum::extract::State;
use fathom_proto::administration::SigningKey;
use http::StatusCode;

use super::answer::{Created, List};
use super::request::{Bearer, Ids};
use crate::Gateway;
use crate::error::ApiError;

pub async fn list(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
) -> Result<Json<List<SigningKey>>, ApiError> {
    let call = gateway.administration.signing_keys(&caller);
    Ok(List::whole(gateway.call(call).await?))
}

pub async fn rotate(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
) -> Result<Created<SigningKey>, ApiError> {
    let call = gateway.administration.rotate_signing_key(&caller);
    let key = gateway.call(call).await?;
    Ok(Created::at(&format!("signing-keys/{}", key.kid), key))
}

pub async fn retire(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids(kid): Ids<String>,
) -> Result<StatusCode, ApiError> {
    let call = gateway.administration.retire_signing_key(&caller, &kid);
    gateway.call(call).await?;
    Ok(StatusCode::NO_CONTENT)
}
