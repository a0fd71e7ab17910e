//! Text from a formula: the same prompt and seed give the same words, at the pace that is
//! configured. For tests and load.

mod answer;
#[cfg(test)]
mod tests;
mod words;

use fathom_proto::catalog::Deployment;
use fathom_proto::inference::{GenerateRequest, RequestContext, TokenStream};

use crate::admission::{Admission, Limits, Load};
use crate::engine::sim::answer::Answer;
use crate::engine::sim::words::Words;
use crate::engine::{Engine, answer_budget, param};
use crate::{Error, SimConfig};

/// One simulated engine.
pub(crate) struct Sim {
    config: SimConfig,
    deployment: Deployment,
    admission: Admission,
}

impl Sim {
    /// An engine that is ready at once.
    pub fn new(config: &SimConfig) -> Self {
        let deployment = Deployment {
            backend: "sim".to_owned(),
            weights: "sim-words".to_owned(),
            context_length: config.context_length,
        };
        let limits = Limits {
            capacity: config.capacity,
            max_queue: config.max_queue,
            max_queue_age: config.max_queue_age,
        };
        Self {
            config: config.clone(),
            admission: Admission::new(&deployment.weights, limits),
            deployment,
        }
    }
}

#[tonic::async_trait]
impl Engine for Sim {
    fn deployment(&self) -> Deployment {
        self.deployment.clone()
    }

    fn load(&self) -> Load {
        self.admission.load()
    }

    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error> {
        let place = self.admission.enter()?;
        let words = Words::after(&request.prompt, request.sampling.seed);
        let (prompt, param) = (words.prompt_tokens(), param(&request.prompt));
        let budget = answer_budget(&request, param, prompt as usize, &self.deployment)?;
        let permit = self.admission.admit(place, context.deadline).await?;
        Ok(Answer::new(&self.config, words, budget, request.stop).into_stream(permit))
    }
}
