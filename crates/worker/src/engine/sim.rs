//! Text from a formula: the same prompt and seed give the same words, at the pace that is
//! configured, with the faults that are asked for. For tests and load.

mod answer;
mod faults;
mod faulty;
mod script;
#[cfg(test)]
mod tests;
mod vectors;
mod words;

use std::future::pending;

use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, Format, GenerateRequest, Prompt, RequestContext, TokenStream,
    ToolChoice,
};
use tokio::time::sleep;

use crate::admission::{Admission, Limits};
use crate::engine::sim::answer::Answer;
use crate::engine::sim::faults::Faults;
use crate::engine::sim::faulty::{failure, faulty, panic_as_told};
use crate::engine::sim::vectors::vector;
use crate::engine::sim::words::Words;
use crate::engine::{Engine, answer_budget, extra, param};
use crate::{Error, SimConfig, SimFault, SimFaultKind};

pub use script::sim_script;

/// One simulated engine.
pub(crate) struct Sim {
    config: SimConfig,
    deployment: Deployment,
    admission: Admission,
    faults: Faults,
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
            faults: Faults::new(config.faults.clone()),
            deployment,
        }
    }

    fn full(&self) -> Error {
        Error::QueueFull {
            max_queue: self.config.max_queue,
        }
    }
}

#[tonic::async_trait]
impl Engine for Sim {
    fn deployment(&self) -> Deployment {
        self.deployment.clone()
    }

    fn load(&self) -> EngineLoad {
        self.admission.load()
    }

    async fn generate(
        &self,
        mut request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error> {
        check(&request)?;
        if let Prompt::Chat(turns) = &mut request.prompt {
            for (index, turn) in turns.iter_mut().enumerate() {
                extra::plain(index, turn)?;
            }
        }
        let fault = self.faults.next(extra::harmless(request.extra.as_ref())?)?;
        if is(&fault, SimFaultKind::Full) {
            return Err(self.full());
        }
        let place = self.admission.enter()?;
        let words = Words::after(&request.prompt, request.sampling.seed);
        let (prompt, param) = (words.prompt_tokens(), param(&request.prompt));
        let budget = answer_budget(&request, param, prompt as usize, &self.deployment)?;
        let permit = self.admission.admit(place, context.deadline).await?;
        let begun = request.generated.len();
        let slow = fault
            .as_ref()
            .filter(|fault| fault.kind == SimFaultKind::Slow);
        let events = Answer::new(&self.config, slow, words, budget, request).into_stream(permit);
        Ok(match fault {
            Some(fault) => faulty(events, fault, begun),
            None => events,
        })
    }

    async fn count_tokens(&self, request: GenerateRequest) -> Result<u32, Error> {
        check(&request)?;
        let words = Words::after(&request.prompt, request.sampling.seed);
        Ok(words.prompt_tokens())
    }

    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, Error> {
        let Some(own) = self.config.embedding_dimensions else {
            let EmbedRequest { model, .. } = request;
            return Err(Error::NoEmbeddings { model });
        };
        let asked = request.dimensions.map(|asked| asked as usize);
        let dimensions = asked.unwrap_or(own.get());
        if !(1..=own.get()).contains(&dimensions) {
            return Err(Error::Unsupported {
                param: "dimensions".to_owned(),
                problem: format!("its vectors have 1 to {own} dimensions"),
            });
        }
        let fault = self.faults.next(extra::harmless(request.extra.as_ref())?)?;
        if is(&fault, SimFaultKind::Full) {
            return Err(self.full());
        }
        let place = self.admission.enter()?;
        let _permit = self.admission.admit(place, context.deadline).await?;
        if let Some(fault) = fault {
            misembed(&fault).await?;
        }
        let mut embeddings = Embeddings {
            vectors: Vec::with_capacity(request.inputs.len()),
            prompt_tokens: 0,
        };
        for input in &request.inputs {
            let (vector, tokens) = vector(input, dimensions);
            embeddings.vectors.push(vector);
            embeddings.prompt_tokens += tokens;
        }
        Ok(embeddings)
    }
}

/// Refuses what a formula cannot honour.
fn check(request: &GenerateRequest) -> Result<(), Error> {
    let refused = |param: &str, problem: &str| {
        Err(Error::Unsupported {
            param: param.to_owned(),
            problem: problem.to_owned(),
        })
    };
    if request.format != Format::Text {
        return refused("response_format", "a simulated engine gives text only");
    }
    if !request.generated.iter().copied().all(words::is_known) {
        return Err(Error::Generated {
            problem: "it holds a token id outside the model's vocabulary".to_owned(),
        });
    }
    let tools = request.tools.as_ref();
    if tools.is_some_and(|tools| tools.choice != ToolChoice::None) {
        return refused("tools", "a simulated engine calls none");
    }
    match &request.prompt {
        Prompt::Chat(_) if request.echo => refused("echo", "a conversation does not come back"),
        _ => Ok(()),
    }
}

/// What a fault does to vectors, which come at once or not at all.
async fn misembed(fault: &SimFault) -> Result<(), Error> {
    match fault.kind {
        SimFaultKind::Fail => Err(failure(fault)),
        SimFaultKind::Stall => pending().await,
        SimFaultKind::Panic => panic_as_told(),
        SimFaultKind::Slow => {
            sleep(fault.ttft).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is(fault: &Option<SimFault>, kind: SimFaultKind) -> bool {
    fault.as_ref().is_some_and(|fault| fault.kind == kind)
}
