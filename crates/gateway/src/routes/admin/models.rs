//! `/admin/v1/models`: the port `Models` over HTTP. The router believes who the gateway says it is,
//! so the route's policy is what guards it.

use axum::extract::State;
use axum::{Extension, Json};
use fathom_proto::administration::AuditPage;
use fathom_proto::id::ModelId;
use fathom_proto::models::{
    Deploy, ManagedModel, ModelChange, ModelPatch, ModelVersion, NewModel, RollBack, Step,
};

use super::answer::{Created, List};
use super::request::{Ids, Query};
use crate::Gateway;
use crate::error::ApiError;
use crate::identity::Session;
use crate::json::{self, MergePatch};

type Answer = Result<Json<ManagedModel>, ApiError>;

pub async fn list(State(gateway): State<Gateway>) -> Result<Json<List<ManagedModel>>, ApiError> {
    let call = gateway.models.models();
    Ok(List::whole(gateway.call(call).await?))
}

pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    json::Json(model): json::Json<NewModel>,
) -> Result<Created<ManagedModel>, ApiError> {
    let actor = actor(&session);
    let call = gateway.models.create(&actor, model);
    let model = gateway.call(call).await?;
    Ok(Created::at(&format!("models/{}", model.id), model))
}

pub async fn retrieve(State(gateway): State<Gateway>, Ids(id): Ids<ModelId>) -> Answer {
    let call = gateway.models.model(&id);
    Ok(Json(gateway.call(call).await?))
}

pub async fn update(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Ids(id): Ids<ModelId>,
    MergePatch(patch): MergePatch<ModelPatch>,
) -> Answer {
    let actor = actor(&session);
    let call = gateway.models.update(&actor, &id, patch);
    Ok(Json(gateway.call(call).await?))
}

pub async fn deploy(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Ids(id): Ids<ModelId>,
    json::Json(deploy): json::Json<Deploy>,
) -> Answer {
    let actor = actor(&session);
    let call = gateway.models.deploy(&actor, &id, deploy);
    Ok(Json(gateway.call(call).await?))
}

pub async fn promote(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Ids(id): Ids<ModelId>,
    json::Json(promote): json::Json<Step>,
) -> Answer {
    let actor = actor(&session);
    let call = gateway.models.promote(&actor, &id, promote);
    Ok(Json(gateway.call(call).await?))
}

pub async fn roll_back(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Ids(id): Ids<ModelId>,
    json::Json(roll_back): json::Json<RollBack>,
) -> Answer {
    let actor = actor(&session);
    let call = gateway.models.roll_back(&actor, &id, roll_back);
    Ok(Json(gateway.call(call).await?))
}

pub async fn abort(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Ids(id): Ids<ModelId>,
    json::Json(abort): json::Json<Step>,
) -> Answer {
    let actor = actor(&session);
    let call = gateway.models.abort(&actor, &id, abort);
    Ok(Json(gateway.call(call).await?))
}

pub async fn versions(
    State(gateway): State<Gateway>,
    Ids(id): Ids<ModelId>,
) -> Result<Json<List<ModelVersion>>, ApiError> {
    let call = gateway.models.versions(&id);
    Ok(List::whole(gateway.call(call).await?))
}

pub async fn history(
    State(gateway): State<Gateway>,
    Ids(id): Ids<ModelId>,
    Query(page): Query<AuditPage>,
) -> Result<Json<List<ModelChange>>, ApiError> {
    let call = gateway.models.history(&id, page);
    Ok(List::part(gateway.call(call).await?, page.limit()))
}

/// Who changes something, as the record of changes names it.
fn actor(session: &Session) -> String {
    let principal = session.principal();
    format!("{}/{}", principal.tenant, principal.subject)
}
