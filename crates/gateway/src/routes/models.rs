//! `GET /v1/models` and `GET /v1/models/{id}`

use axum::extract::{Path, State};
use axum::{Extension, Json};
use fathom_api::models::{Backing, Model, ModelList};
use fathom_proto::catalog;
use fathom_proto::identity::Scope;

use crate::Gateway;
use crate::error::{ApiError, model_not_found};
use crate::identity::Session;

/// Every model that the caller may know of, with what really stands behind its name.
pub async fn list(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
) -> Result<Json<ModelList>, ApiError> {
    let models = gateway.call(gateway.catalog.list_models()).await?;
    let allowed = &session.principal().models;
    let data = models
        .into_iter()
        .filter(|model| allowed.allows(&model.id))
        .map(describe);
    Ok(Json(ModelList {
        object: "list".into(),
        data: data.collect(),
    }))
}

/// One model.
pub async fn retrieve(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<Json<Model>, ApiError> {
    let id = id.into();
    session.check(Scope::ModelsRead, Some(&id))?;
    let models = gateway.call(gateway.catalog.list_models()).await?;
    let model = models.into_iter().find(|model| model.id == id);
    model
        .map(|model| Json(describe(model)))
        .ok_or_else(|| model_not_found(&id).into())
}

fn describe(model: catalog::Model) -> Model {
    let context_length = model.effective_context_length();
    let (backend, weights, weights_context_length) = match model.deployment {
        Some(deployment) => (
            Some(deployment.backend),
            Some(deployment.weights),
            Some(deployment.context_length),
        ),
        None => (None, None, None),
    };
    Model {
        id: model.id.to_string(),
        object: "model".into(),
        created: model.created,
        owned_by: model.owned_by,
        fathom: Backing {
            backend,
            weights,
            context_length,
            registered_context_length: model.context_length,
            weights_context_length,
        },
    }
}
