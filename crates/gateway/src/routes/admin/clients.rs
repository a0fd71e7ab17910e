//! `/admin/v1/clients`, and their secrets.

use axum::Json;
use axum::extract::State;
use fathom_proto::administration::{
    Client, ClientPatch, ClientSecret, NewClient, NewClientSecret, NewlyMade,
};
use http::StatusCode;

use super::answer::{Created, List};
use super::request::{Bearer, Ids, PageOfTenant, Query};
use crate::Gateway;
use crate::error::ApiError;
use crate::json::{self, MergePatch};

pub async fn create(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    json::Json(client): json::Json<NewClient>,
) -> Result<Created<NewlyMade<Client>>, ApiError> {
    let call = gateway.administration.create_client(&caller, client);
    let client = gateway.call(call).await?;
    Ok(Created::at(&format!("clients/{}", client.made.id), client))
}

pub async fn list(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Query(query): Query<PageOfTenant>,
) -> Result<Json<List<Client>>, ApiError> {
    let page = query.page();
    let limit = page.limit();
    let call = gateway.administration.clients(&caller, query.tenant, page);
    Ok(List::part(gateway.call(call).await?, limit))
}

pub async fn retrieve(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids(id): Ids<String>,
) -> Result<Json<Client>, ApiError> {
    let call = gateway.administration.client(&caller, &id);
    Ok(Json(gateway.call(call).await?))
}

pub async fn update(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids(id): Ids<String>,
    MergePatch(patch): MergePatch<ClientPatch>,
) -> Result<Json<Client>, ApiError> {
    let call = gateway.administration.update_client(&caller, &id, patch);
    Ok(Json(gateway.call(call).await?))
}

pub async fn add_secret(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids(id): Ids<String>,
    json::Json(secret): json::Json<NewClientSecret>,
) -> Result<Created<NewlyMade<ClientSecret>>, ApiError> {
    let call = gateway
        .administration
        .add_client_secret(&caller, &id, secret);
    let secret = gateway.call(call).await?;
    let path = format!("clients/{id}/secrets/{}", secret.made.id);
    Ok(Created::at(&path, secret))
}

pub async fn remove_secret(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids((id, secret)): Ids<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let call = gateway
        .administration
        .remove_client_secret(&caller, &id, &secret);
    gateway.call(call).await?;
    Ok(StatusCode::NO_CONTENT)
}
