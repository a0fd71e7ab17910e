//! `/admin/v1/tenants`

use axum::Json;
use axum::extract::State;
use fathom_proto::administration::{NewTenant, Page, Tenant, TenantPatch};

use super::answer::{Created, List};
use super::request::{Bearer, Ids, Query};
use crate::Gateway;
use crate::error::ApiError;
use crate::json::{self, MergePatch};

pub async fn create(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    json::Json(tenant): json::Json<NewTenant>,
) -> Result<Created<Tenant>, ApiError> {
    let call = gateway.administration.create_tenant(&caller, tenant);
    let tenant = gateway.call(call).await?;
    Ok(Created::at(&format!("tenants/{}", tenant.id), tenant))
}

pub async fn list(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Query(page): Query<Page>,
) -> Result<Json<List<Tenant>>, ApiError> {
    let limit = page.limit();
    let call = gateway.administration.tenants(&caller, page);
    Ok(List::part(gateway.call(call).await?, limit))
}

pub async fn retrieve(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids(id): Ids<String>,
) -> Result<Json<Tenant>, ApiError> {
    let call = gateway.administration.tenant(&caller, &id);
    Ok(Json(gateway.call(call).await?))
}

pub async fn update(
    State(gateway): State<Gateway>,
    Bearer(caller): Bearer,
    Ids(id): Ids<String>,
    MergePatch(patch): MergePatch<TenantPatch>,
) -> Result<Json<Tenant>, ApiError> {
    let call = gateway.administration.update_tenant(&caller, &id, patch);
    Ok(Json(gateway.call(call).await?))
}
