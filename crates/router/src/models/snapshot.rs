//! How a snapshot is read.

use std::collections::HashMap;
use std::sync::Arc;

use fathom_proto::id::ModelId;
use fathom_proto::models::{ManagedModel, ModelVersion};

use super::{Canary, Model, Snapshot, Version};
use crate::Error;
use crate::store::{ModelStore, rows};

impl Snapshot {
    /// Reads the tables. Versions never change, so those of the last snapshot stay unless there
    /// was a change; models may be edited by hand.
    pub(super) async fn read(
        store: &ModelStore,
        reading: u64,
        last: Option<&Self>,
    ) -> Result<Self, Error> {
        // First: what is read after it is as new as it says, or newer.
        let config_version = rows::last_change(&store.pool).await?;
        let models = rows::models(&store.pool).await?;
        let unchanged = last
            .filter(|last| last.config_version == config_version)
            .filter(|last| models.iter().all(|model| last.has_versions_of(model)));
        let mut versions: HashMap<ModelId, Vec<Version>> = HashMap::new();
        if unchanged.is_none() {
            for (model, version) in rows::versions(&store.pool).await? {
                versions.entry(model).or_default().push(version.into());
            }
        }
        let models = models.into_iter().map(|row| {
            let last_model = last.and_then(|last| last.models.get(&row.id));
            let known = unchanged.and(last_model).map(|last| last.versions.clone());
            let versions = match known {
                Some(known) => known,
                None => versions.remove(&row.id).unwrap_or_default().into(),
            };
            let id = row.id.clone();
            Ok((id, Model::new(row, versions, last_model)?))
        });
        Ok(Self {
            reading,
            config_version,
            models: models.collect::<Result<_, Error>>()?,
        })
    }

    /// Whether the versions that answer for a model are here.
    fn has_versions_of(&self, model: &ManagedModel) -> bool {
        let canary = model.state.canary.map(|canary| canary.version);
        let versions = self.models.get(&model.id).map(|model| &model.versions);
        let has = |number: u32| {
            versions.is_some_and(|all| all.iter().any(|version| version.number == number))
        };
        model.state.stable.into_iter().chain(canary).all(has)
    }
}

impl Model {
    fn new(
        row: ManagedModel,
        versions: Arc<[Version]>,
        last: Option<&Self>,
    ) -> Result<Self, Error> {
        let version = |number| {
            let found = versions.iter().find(|version| version.number == number);
            found.cloned().ok_or_else(|| Error::InvalidRow {
                table: "models",
                row: row.id.clone(),
            })
        };
        let stable = row.state.stable.map(version).transpose()?;
        let canary = match row.state.canary {
            None => None,
            Some(state) => {
                let last = last.filter(|last| {
                    last.stable.as_ref().map(|stable| stable.number) == row.state.stable
                });
                let last = last.and_then(|last| last.canary.as_ref()).filter(|last| {
                    (last.state.version, last.state.since) == (state.version, state.since)
                });
                Some(Canary {
                    version: version(state.version)?,
                    state,
                    watch: last.map(|last| last.watch.clone()).unwrap_or_default(),
                })
            }
        };
        Ok(Self {
            owned_by: row.owned_by,
            context_length: row.context_length,
            created: row.created_at,
            fallback: row.state.fallback,
            hedging: row.state.hedging,
            stable,
            canary,
            versions,
        })
    }
}

impl From<ModelVersion> for Version {
    fn from(version: ModelVersion) -> Self {
        Self {
            number: version.number,
            target: version.target,
            parameters: version.parameters,
        }
    }
}
