//! Another server that speaks OpenAI's API.
//!
//! - Asking: `request` writes the body, `key` knows the key, `client` sends over connections of
//!   `connector`
//! - Reading: `answer` reads the stream, `patience` says when it is late, `transcript` turns each
//!   `chunk` into events of the port, `embedding` reads vectors
//! - What goes wrong: `error`, in `refusal` what the server's own errors mean, and `secrets` keeps
//!   out of them what is nobody else's
//! - `count`: tokens, where the server does not count them

mod answer;
mod chunk;
mod client;
mod connector;
mod count;
mod embedding;
mod error;
mod key;
mod logprobs;
mod patience;
mod refusal;
mod request;
mod secrets;
mod transcript;

use fathom_proto::catalog::Deployment;
use fathom_proto::engines::EngineLoad;
use fathom_proto::id::ModelId;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, Prompt, RequestContext, TokenStream,
};
use http::{HeaderValue, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};

use self::answer::Answer;
use self::client::{Answered, Client};
use self::count::Count;
use self::key::Key;
use self::patience::Patience;
use self::secrets::Secrets;
use crate::admission::{Admission, Limits};
use crate::engine::Engine;
use crate::{Error, UpstreamConfig};

pub use self::error::{Failure, Reply, UpstreamError};

/// Most bytes of an answer that is an error.
const MAX_ERROR: usize = 64 * 1024;

/// One upstream server.
pub(crate) struct Upstream {
    config: UpstreamConfig,
    deployment: Deployment,
    client: Client,
    key: Key,
    secrets: Secrets,
    count: Count,
    admission: Admission,
}

impl Upstream {
    /// An engine that connects when it is first asked. Blocks for its key, certificates and
    /// tokenizer.
    pub fn new(config: &UpstreamConfig) -> Result<Self, Error> {
        let refused = |problem| Error::Engines {
            problem: format!("of {}: {problem}", config.serves.join(", ")),
        };
        let deployment = Deployment {
            backend: "upstream".to_owned(),
            weights: config.base_url.clone(),
            context_length: config.context_length,
        };
        let limits = Limits {
            capacity: config.capacity,
            max_queue: config.max_queue,
            max_queue_age: config.max_queue_age,
        };
        let tokenizer = config.tokenizer.as_deref();
        let client = Client::new(config).map_err(refused)?;
        Ok(Self {
            secrets: Secrets::of(&client.headers),
            client,
            key: Key::read(config.api_key.as_ref()).map_err(refused)?,
            count: Count::new(&deployment.weights, &config.serves, tokenizer)?,
            admission: Admission::new(&deployment.weights, limits),
            config: config.clone(),
            deployment,
        })
    }

    /// The server's name for a model.
    fn model<'a>(&'a self, model: &'a ModelId) -> &'a str {
        let name = model.as_str();
        self.config.models.get(name).map_or(name, String::as_str)
    }

    /// Sends a request; the head of an answer with status 200, or what else came of it.
    async fn ask(
        &self,
        uri: &Uri,
        body: Vec<u8>,
        key: Option<HeaderValue>,
        context: &RequestContext,
    ) -> Result<Answered, UpstreamError> {
        let request = self.client.post(uri, key, &context.request_id, body);
        let (head, body) = request.await.map_err(client::lost)?.into_parts();
        if head.status == StatusCode::OK {
            return Ok(Answered::from_parts(head, body));
        }
        let body = Limited::new(body, MAX_ERROR).collect().await;
        let body = body
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        Err(refusal::of_status(head.status, &head.headers, &body))
    }
}

#[tonic::async_trait]
impl Engine for Upstream {
    fn deployment(&self) -> Deployment {
        self.deployment.clone()
    }

    /// The server's own name for them.
    fn weights(&self, model: &ModelId) -> String {
        self.model(model).to_owned()
    }

    fn load(&self) -> EngineLoad {
        self.admission.load()
    }

    /// Returns once the server has accepted the request, so that the router can still ask another
    /// worker until then.
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error> {
        if !request.generated.is_empty() {
            return Err(Error::Generated {
                problem: "an upstream takes no tokens of another worker".to_owned(),
            });
        }
        let place = self.admission.enter()?;
        let (model, field) = (self.model(&request.model), self.config.max_tokens_field);
        let body = request::generate(&request, model, field)?;
        let uri = match &request.prompt {
            Prompt::Chat(_) => &self.client.chat,
            Prompt::Text(_) | Prompt::Tokens(_) | Prompt::Infill { .. } => &self.client.completions,
        };
        let counting = self.count.of(request.prompt, request.tools);
        let permit = self.admission.admit(place, context.deadline).await?;
        let secrets = self.secrets.with(self.key.header().await);
        let first = self.config.first_token_timeout;
        let mut patience = Patience::new(&self.config, first, context.deadline);
        let answered = self.ask(uri, body, secrets.key.clone(), &context);
        let answered = patience.wait(answered).await;
        let answer = answered.and_then(|head| {
            Ok(Answer::new(
                head,
                patience,
                counting,
                secrets.clone(),
                permit,
            )?)
        });
        Ok(Box::pin(answer.map_err(|error| secrets.redact(error))?))
    }

    /// By the tokenizer that the operator has named, or else by the size of the prompt: not every
    /// server counts for nothing.
    async fn count_tokens(&self, request: GenerateRequest) -> Result<u32, Error> {
        let counting = self.count.of(request.prompt, request.tools);
        Ok(counting.usage(0, Some(String::new())).await.prompt_tokens)
    }

    async fn embed(
        &self,
        request: EmbedRequest,
        context: RequestContext,
    ) -> Result<Embeddings, Error> {
        let place = self.admission.enter()?;
        let body = request::embed(&request, self.model(&request.model))?;
        let _permit = self.admission.admit(place, context.deadline).await?;
        let secrets = self.secrets.with(self.key.header().await);
        let total = self.config.total_timeout;
        let mut patience = Patience::new(&self.config, total, context.deadline);
        let answered = async {
            let uri = &self.client.embeddings;
            let answered = self.ask(uri, body, secrets.key.clone(), &context).await?;
            embedding::read(answered, &request.inputs).await
        };
        let embeddings = patience.wait(answered).await;
        embeddings.map_err(|error| secrets.redact(error))
    }
}
