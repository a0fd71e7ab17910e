//! `GET /v1/models` and `GET /v1/models/{id}`

use axum::Json;
use axum::extract::{Path, State};
use fathom_api::models::{Backing, Model, ModelList};
use fathom_proto::ErrorCode;
use fathom_proto::catalog;

use crate::Gateway;
use crate::error::ApiError;

/// Every model, with what really stands behind its name.
pub async fn list(State(gateway): State<Gateway>) -> Result<Json<ModelList>, ApiError> {
    let models = gateway.call(gateway.catalog.list_models()).await?;
    let data = models.into_iter().map(describe).collect();
    Ok(Json(ModelList {
        object: "list".into(),
        data,
    }))
}

/// One model.
pub async fn retrieve(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<Model>, ApiError> {
    let models = gateway.call(gateway.catalog.list_models()).await?;
    let model = models.into_iter().find(|model| model.id.as_str() == id);
    model.map(|model| Json(describe(model))).ok_or_else(|| {
        let mut error = ApiError::new(
            ErrorCode::ModelNotFound,
            "there is no such model; `GET /v1/models` lists the names",
        );
        error.0.param = Some("model".into());
        error
    })
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
