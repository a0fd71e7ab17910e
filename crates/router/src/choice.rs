//! What a request is answered with: the model's version, and how it is to be treated.

use std::time::Duration;

use fathom_proto::id::ModelId;
use fathom_proto::inference::{RequestContext, Route, Sampling};

use crate::guard::Side;
use crate::models::{Model, Models, Version};
use crate::outcome::{Outcome, Verdict};
use crate::{Error, sticky};

/// What a request is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// As the caller is told.
    pub route: Route,
    /// The name that workers of this version announce.
    pub target: ModelId,
    /// Most tokens of prompt and output together.
    pub context_length: u32,
    /// Where the request does not say.
    pub parameters: Sampling,
    /// The model that answers when no worker of this one can.
    pub fallback: Option<ModelId>,
    /// Whether a second worker is asked when the first is slow to begin.
    pub hedging: bool,
}

/// How a request went that was answered with a choice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    pub outcome: Outcome,
    /// From the request to its first token; `None`: there was none.
    pub first_token: Option<Duration>,
    pub duration: Duration,
    /// Tokens that were generated.
    pub tokens: u32,
}

impl Models {
    /// What `model` is answered with for this caller: by its version, the same for each user until
    /// a change. A request that draws no tokens has no `sampling`, and is in no experiment.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`].
    pub fn choose(
        &self,
        model: &ModelId,
        sampling: Option<&Sampling>,
        context: &RequestContext,
    ) -> Result<Choice, Error> {
        let snapshot = self.snapshot();
        // The one that the table holds is cloned, which is no copy.
        let Some((id, row)) = snapshot.models.get_key_value(model) else {
            let model = model.clone();
            return Err(Error::ModelNotFound { model });
        };
        let (tenant, user) = (&context.tenant, &context.user);
        let assigned = sampling.and_then(|asked| self.experiments.assign(id, tenant, user, asked));
        let version = assigned
            .as_ref()
            .and_then(|assigned| row.version(assigned.version?))
            .or_else(|| row.version_for(id, context));
        let mut parameters = version.map_or_else(Sampling::default, |it| it.parameters.clone());
        let experiment = assigned.map(|assigned| {
            self.experiments.remember(&assigned.assignment, context);
            parameters = assigned.parameters.or(&parameters);
            assigned.assignment
        });
        Ok(Choice {
            route: Route {
                model: id.clone(),
                version: version.map(|version| version.number),
                config_version: snapshot.config_version,
                experiment,
            },
            target: version.map_or(id, |version| &version.target).clone(),
            context_length: row.context_length,
            parameters,
            fallback: row.fallback.clone(),
            hedging: row.hedging,
        })
    }

    /// Notes how a request went. It counts in an experiment, and where two versions are compared.
    pub fn observe(&self, choice: &Choice, observed: Observed) {
        if let Some(assignment) = &choice.route.experiment {
            self.experiments.observe(assignment, observed);
        }
        let snapshot = self.snapshot();
        let Some(model) = snapshot.models.get(&choice.route.model) else {
            return;
        };
        let (Some(stable), Some(canary)) = (&model.stable, &model.canary) else {
            return;
        };
        let side = match choice.route.version {
            Some(number) if number == canary.version.number => Side::Canary,
            Some(number) if number == stable.number => Side::Stable,
            _ => return,
        };
        let guard = &canary.state.guard;
        let failed = failed(observed.outcome);
        canary
            .watch
            .count(side, guard, failed, observed.first_token);
    }
}

impl Model {
    fn version(&self, number: u32) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.number == number)
    }

    /// The version that answers this caller; `None`: the model has none.
    fn version_for(&self, id: &ModelId, context: &RequestContext) -> Option<&Version> {
        let canary = self.canary.as_ref().filter(|canary| {
            let salt = (id.as_str(), canary.version.number);
            sticky::is_in(canary.state.percent, salt, &context.tenant, &context.user)
                && !canary.watch.is_over()
        });
        canary
            .map(|canary| &canary.version)
            .or(self.stable.as_ref())
    }
}

/// Whether an outcome is an error of the version; `None`: it says nothing of it.
fn failed(outcome: Outcome) -> Option<bool> {
    match outcome.verdict() {
        Verdict::Success => Some(false),
        Verdict::Failure => Some(true),
        Verdict::Refusal | Verdict::Nothing => None,
    }
}

#[cfg(test)]
mod tests;
