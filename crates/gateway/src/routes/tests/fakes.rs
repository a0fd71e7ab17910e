//! Ports that answer as a test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::{Catalog, Model};
use fathom_proto::feedback::{Feedback, Score};
use fathom_proto::id::{RequestId, TenantId};
use fathom_proto::inference::{
    Delta, EmbedRequest, Embeddings, Event, FinishReason, GenerateRequest, Inference, Piece,
    RequestContext, TokenIds, TokenStream, Usage,
};
use fathom_proto::{Error, ErrorCode};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::admin::fake::FakeAdministration;
use super::admin::models::FakeModels;
use crate::identity::fake::FakeAuth;
use crate::{Config, Gateway, Identities};

type Events = Vec<Result<Event, ErrorCode>>;

pub fn started(prompt_tokens: u32) -> Result<Event, ErrorCode> {
    Ok(Event::Started {
        prompt_tokens,
        cached_tokens: 0,
        fingerprint: None,
        route: None,
    })
}

pub fn delta(text: &str, tokens: u32) -> Result<Event, ErrorCode> {
    piece(Piece::Text(text.to_owned()), tokens)
}

pub fn piece(piece: Piece, tokens: u32) -> Result<Event, ErrorCode> {
    Ok(Event::Delta(Delta {
        piece,
        tokens,
        logprobs: Vec::new(),
        ids: TokenIds::new(),
    }))
}

pub fn finished(prompt_tokens: u32, completion_tokens: u32) -> Result<Event, ErrorCode> {
    Ok(Event::Finished {
        reason: FinishReason::Stop,
        usage: Usage {
            prompt_tokens,
            completion_tokens,
            ..Usage::default()
        },
    })
}

/// A gateway whose engine says nothing.
pub fn gateway() -> Gateway {
    gateway_with(Vec::new())
}

/// A gateway whose engine yields `events`, once.
pub fn gateway_with(events: Events) -> Gateway {
    gateway_of(FakeAuth::new(), events)
}

/// The same, whose callers are those of `auth`.
pub fn gateway_of(auth: Arc<FakeAuth>, events: Events) -> Gateway {
    over(auth, Scripted(Mutex::new(Some(events))))
}

/// A gateway whose engine does as the test says, call by call.
pub fn steered() -> (Gateway, mpsc::Receiver<Call>) {
    let (calls, asked) = mpsc::channel(64);
    (over(FakeAuth::new(), Steered(calls)), asked)
}

/// The same, and it follows what `auth` tells.
pub async fn steered_watching(auth: &Arc<FakeAuth>) -> (Gateway, mpsc::Receiver<Call>) {
    let (calls, asked) = mpsc::channel(64);
    let gateway = over(auth.clone(), Steered(calls));
    watch(&gateway).await;
    (gateway, asked)
}

/// A gateway whose engine answers with these vectors.
pub fn embedding(vectors: Vec<Vec<f32>>) -> Gateway {
    over(FakeAuth::new(), Embedding(vectors))
}

/// A gateway whose engine begins and never goes on.
pub fn hanging() -> Gateway {
    over(FakeAuth::new(), Hanging)
}

/// A gateway whose engine has a bug, that shows before or after it has begun with the models of
/// these names; with others it answers.
pub fn panicking() -> Gateway {
    over(FakeAuth::new(), Panicking)
}

/// A gateway that follows what `auth` tells, and whose engine begins and never goes on.
pub async fn watching(auth: &Arc<FakeAuth>) -> Gateway {
    let gateway = over(auth.clone(), Hanging);
    watch(&gateway).await;
    gateway
}

async fn watch(gateway: &Gateway) {
    let watch = gateway
        .identities
        .clone()
        .keep_current(gateway.shutdown.clone());
    gateway.shutdown.spawn(watch);
    while !gateway.identities.in_contact() || gateway.identities.key_set().is_none() {
        yield_now().await;
    }
}

fn over(auth: Arc<FakeAuth>, inference: impl Inference + 'static) -> Gateway {
    let config = Config::default();
    Gateway {
        identity: auth.clone(),
        identities: Identities::new(auth, &config),
        administration: Arc::new(FakeAdministration::default()),
        inference: Arc::new(inference),
        catalog: Arc::new(TwoModels),
        feedback: Arc::new(OneRequest),
        models: Arc::new(FakeModels::default()),
        streams: crate::resume::Streams::new(&config.resume),
        config: Arc::new(config),
        shutdown: Shutdown::new(Duration::from_secs(1)),
    }
}

struct Scripted(Mutex<Option<Events>>);

#[tonic::async_trait]
impl Inference for Scripted {
    async fn generate(&self, _: GenerateRequest, _: RequestContext) -> Result<TokenStream, Error> {
        let events = self.0.lock().unwrap().take().unwrap();
        let events = events
            .into_iter()
            .map(|event| event.map_err(|code| Error::new(code, "scripted")));
        Ok(Box::pin(futures::stream::iter(events)))
    }

    async fn count_tokens(&self, ask: GenerateRequest, _: RequestContext) -> Result<u32, Error> {
        if ask.model.as_str() == "unknown" {
            return Err(unknown());
        }
        Ok(ask.tools.map_or(7, |_| 70))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        Err(unasked())
    }
}

/// One call of the engine, for the test to answer.
pub struct Call {
    /// What it is asked.
    pub request: GenerateRequest,
    /// For whom.
    pub context: RequestContext,
    events: mpsc::Sender<Result<Event, Error>>,
}

impl Call {
    pub async fn tell(&self, event: Result<Event, ErrorCode>) {
        let event = event.map_err(|code| Error::new(code, "steered"));
        assert!(self.events.send(event).await.is_ok(), "nobody listens");
    }

    /// Whether something that was told is not read yet.
    pub fn is_waiting(&self) -> bool {
        self.events.capacity() < self.events.max_capacity()
    }

    /// Waits until all that was told is read.
    pub async fn read(&self) {
        while self.is_waiting() {
            yield_now().await;
        }
    }

    /// Tells more and more, until nobody wants it.
    pub async fn flood(&self) {
        let text = "x".repeat(64 * 1024);
        let more = || delta(&text, 1).map_err(|code| Error::new(code, "steered"));
        while self.events.send(more()).await.is_ok() {}
    }

    /// Whether nobody wants the answer any more.
    pub fn is_dropped(&self) -> bool {
        self.events.is_closed()
    }

    /// Waits until nobody wants the answer any more.
    pub async fn dropped(&self) {
        self.dropped_within(Duration::from_secs(5)).await;
    }

    /// The same, with more patience.
    pub async fn dropped_within(&self, limit: Duration) {
        let closed = timeout(limit, self.events.closed());
        closed.await.expect("the call goes on");
    }
}

struct Steered(mpsc::Sender<Call>);

#[tonic::async_trait]
impl Inference for Steered {
    async fn generate(
        &self,
        request: GenerateRequest,
        context: RequestContext,
    ) -> Result<TokenStream, Error> {
        let (events, mut told) = mpsc::channel(64);
        let call = Call {
            request,
            context,
            events,
        };
        self.0.send(call).await.unwrap();
        Ok(Box::pin(futures::stream::poll_fn(move |context| {
            told.poll_recv(context)
        })))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        Err(unasked())
    }
}

struct Embedding(Vec<Vec<f32>>);

#[tonic::async_trait]
impl Inference for Embedding {
    async fn generate(&self, _: GenerateRequest, _: RequestContext) -> Result<TokenStream, Error> {
        Err(unasked())
    }

    async fn embed(&self, ask: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        if ask.model.as_str() == "unknown" {
            return Err(unknown());
        }
        Ok(Embeddings {
            vectors: self.0.clone(),
            prompt_tokens: 5,
        })
    }
}

/// What a fake answers that is there for other calls.
fn unasked() -> Error {
    Error::new(ErrorCode::Internal, "this fake is not made for that")
}

fn unknown() -> Error {
    Error::new(ErrorCode::ModelNotFound, "in the router's words")
}

struct Panicking;

#[tonic::async_trait]
impl Inference for Panicking {
    async fn generate(
        &self,
        ask: GenerateRequest,
        _: RequestContext,
    ) -> Result<TokenStream, Error> {
        use futures::StreamExt;
        assert_ne!(ask.model.as_str(), "begins", "a bug with a secret in it");
        let events = [started(1), delta("hi", 1), finished(1, 1)];
        let events = events.map(|event| event.map_err(|code| Error::new(code, "panicking")));
        let events = futures::stream::iter(events).inspect(move |event| {
            let text = matches!(event, Ok(Event::Delta(_)));
            assert!(
                !text || ask.model.as_str() != "goes on",
                "a bug with a secret in it"
            );
        });
        Ok(Box::pin(events))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        Err(unasked())
    }
}

struct Hanging;

#[tonic::async_trait]
impl Inference for Hanging {
    async fn generate(
        &self,
        ask: GenerateRequest,
        _: RequestContext,
    ) -> Result<TokenStream, Error> {
        use futures::StreamExt;
        if ask.model.as_str() == "unknown" {
            return Err(unknown());
        }
        let begun = started(1).map_err(|code| Error::new(code, "hanging"));
        let begun = futures::stream::iter([begun]);
        Ok(Box::pin(begun.chain(futures::stream::pending())))
    }

    async fn embed(&self, ask: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        if ask.model.as_str() == "unknown" {
            return Err(unknown());
        }
        futures::future::pending().await
    }
}

/// The request that can be scored, of the tenant of every credential.
pub const SCORED: &str = "0198c0ffee0198c0ffee0198c0ffee01";

struct OneRequest;

#[tonic::async_trait]
impl Feedback for OneRequest {
    async fn score(&self, tenant: &TenantId, id: &RequestId, score: Score) -> Result<(), Error> {
        if (tenant.as_str(), id.as_str()) != ("tenant", SCORED) {
            return Err(Error::new(ErrorCode::NotFound, "no such request"));
        }
        assert!(score.value() <= 1.0);
        Ok(())
    }
}

struct TwoModels;

#[tonic::async_trait]
impl Catalog for TwoModels {
    async fn list_models(&self) -> Result<Vec<Model>, Error> {
        let model = |id: &str| Model {
            id: id.into(),
            owned_by: "fathom".to_owned(),
            created: 1,
            context_length: 4096,
            deployment: None,
        };
        Ok(vec![model("large"), model("m")])
    }
}
