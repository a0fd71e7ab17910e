//! The models with what serves them now.

use fathom_proto::catalog::Model;

use crate::models::Models;
use crate::registry::Workers;

/// Every model, ordered by name. Where workers serve one with different weights, or versions of it
/// differ, the deployment with the shortest context is named: that much every one of them can do.
pub(crate) fn list(models: &Models, workers: &Workers) -> Vec<Model> {
    let snapshot = models.snapshot();
    let list = snapshot.models.iter().map(|(id, model)| Model {
        id: id.clone(),
        owned_by: model.owned_by.clone(),
        created: model.created,
        context_length: model.context_length,
        deployment: model
            .targets(id)
            .filter_map(|target| workers.deployment(target))
            .min_by_key(|deployment| deployment.context_length),
    });
    let mut list: Vec<Model> = list.collect();
    list.sort_by(|one, other| one.id.cmp(&other.id));
    list
}
