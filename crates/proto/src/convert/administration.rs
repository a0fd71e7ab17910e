//! The part of `fathom.auth.v1` that changes identities.

mod audit;
mod client;
mod key;
mod limit;
mod page;
mod signing_key;
mod tenant;

use crate::Error;
use crate::convert::identity::{known_scopes, parse_scopes, scope_names};
use crate::id::ModelId;
use crate::identity::Scopes;
use crate::pb::auth as pb;

fn model_list(models: Vec<ModelId>) -> pb::ModelList {
    pb::ModelList {
        ids: models.iter().map(ToString::to_string).collect(),
    }
}

fn model_ids(list: pb::ModelList) -> Vec<ModelId> {
    list.ids.into_iter().map(Into::into).collect()
}

fn models_change(models: Option<Vec<ModelId>>) -> pb::ModelsChange {
    pb::ModelsChange {
        value: models.map(model_list),
    }
}

fn changed_models(change: pb::ModelsChange) -> Option<Vec<ModelId>> {
    change.value.map(model_ids)
}

fn scope_list(scopes: Scopes) -> pb::ScopeList {
    pb::ScopeList {
        names: scope_names(scopes),
    }
}

fn changed_scopes(list: Option<pb::ScopeList>) -> Result<Option<Scopes>, Error> {
    list.map(|list| parse_scopes(&list.names)).transpose()
}

/// Reads JSON that a request carries as text.
fn json(field: &str, text: &str) -> Result<serde_json::Value, Error> {
    serde_json::from_str(text).map_err(|_| Error::invalid(field, format!("`{field}` is no JSON")))
}
