//! What a request is answered with: the model's version, and how it is to be treated.

use std::time::Duration;

use fathom_proto::id::ModelId;
use fathom_proto::inference::{RequestContext, Route, Sampling};

use crate::Error;
use crate::models::Models;
use crate::outcome::Outcome;

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
    /// What `model` is answered with for this caller.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`].
    pub fn choose(
        &self,
        model: &ModelId,
        sampling: &Sampling,
        context: &RequestContext,
    ) -> Result<Choice, Error> {
        let model = model.clone();
        let Some(context_length) = self.context_length(&model) else {
            return Err(Error::ModelNotFound { model });
        };
        let (tenant, user) = (&context.tenant, &context.user);
        let assigned = self.experiments.assign(&model, tenant, user, sampling);
        let (experiment, parameters) = match assigned {
            Some(assigned) => {
                self.experiments.remember(&assigned.assignment, context);
                (Some(assigned.assignment), assigned.parameters)
            }
            None => (None, Sampling::default()),
        };
        Ok(Choice {
            route: Route {
                model: model.clone(),
                version: None,
                config_version: 0,
                experiment,
            },
            target: model,
            context_length,
            parameters,
            fallback: None,
            hedging: false,
        })
    }

    /// Notes how a request went.
    pub fn observe(&self, choice: &Choice, observed: Observed) {
        if let Some(assignment) = &choice.route.experiment {
            self.experiments.observe(assignment, observed);
        }
    }
}
