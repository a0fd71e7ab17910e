//! The models with what serves them now.

use fathom_proto::catalog::Model;

use crate::models::Models;
use crate::registry::Workers;

/// Every model, ordered by name. Where workers serve one with different weights, the deployment
/// with the shortest context is named: that much every one of them can do.
pub(crate) fn list(models: &Models, workers: &Workers) -> Vec<Model> {
    let rows = models.rows();
    let mut list: Vec<Model> = rows
        .iter()
        .map(|(id, row)| Model {
            id: id.clone(),
            owned_by: row.owned_by.clone(),
            created: row.created,
            context_length: row.context_length,
            deployment: workers.deployment(id),
        })
        .collect();
    list.sort_by(|one, other| one.id.cmp(&other.id));
    list
}
