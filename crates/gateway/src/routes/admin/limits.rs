//! `/admin/v1/limits`. A limit has no id: its target is its name.

use axum::Json;
use axum::extract::State;
use fathom_proto::identity::{Limit, LimitTarget};
use http::StatusCode;

use super::answer::List;
use super::request::{Bearer, OfTenant, Query};
use crate::Gateway;
use crate::error::ApiError;
use crate::json;

pub async fn list(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Query(query): Query<OfTenant>,
) -> Result<Json<List<Limit>>, ApiError> {
    let call = gateway.administration.limits(&caller, query.tenant);
    Ok(List::whole(gateway.call(call).await?))
}

pub async fn set(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    json::Json(limit): json::Json<Limit>,
) -> Result<Json<Limit>, ApiError> {
    let call = gateway.administration.set_limit(&caller, limit);
    Ok(Json(gateway.call(call).await?))
}

pub async fn remove(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Query(target): Query<LimitTarget>,
) -> Result<StatusCode, ApiError> {
    let call = gateway.administration.remove_limit(&caller, target);
    gateway.call(call).await?;
    Ok(StatusCode::NO_CONTENT)
}
