//! `/admin/v1/keys`

use axum::Json;
use axum::extract::State;
use fathom_proto::administration::{ApiKey, ApiKeyPatch, NewApiKey, NewlyMade};

use super::answer::{Created, List};
use super::request::{Bearer, Ids, PageOfTenant, Query};
use crate::Gateway;
use crate::error::ApiError;
use crate::json::{self, MergePatch};

pub async fn create(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    json::Json(key): json::Json<NewApiKey>,
) -> Result<Created<NewlyMade<ApiKey>>, ApiError> {
    let call = gateway.administration.create_key(&caller, key);
    let key = gateway.call(call).await?;
    Ok(Created::at(&format!("keys/{}", key.made.id), key))
}

pub async fn list(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Query(query): Query<PageOfTenant>,
) -> Result<Json<List<ApiKey>>, ApiError> {
    let page = query.page();
    let limit = page.limit();
    let call = gateway.administration.keys(&caller, query.tenant, page);
    Ok(List::part(gateway.call(call).await?, limit))
}

pub async fn retrieve(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids(id): Ids<String>,
) -> Result<Json<ApiKey>, ApiError> {
    let call = gateway.administration.key(&caller, &id);
    Ok(Json(gateway.call(call).await?))
}

pub async fn update(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids(id): Ids<String>,
    MergePatch(patch): MergePatch<ApiKeyPatch>,
) -> Result<Json<ApiKey>, ApiError> {
    let call = gateway.administration.update_key(&caller, &id, patch);
    Ok(Json(gateway.call(call).await?))
}
