//! Ports that answer as a test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::{Catalog, Model};
use fathom_proto::inference::{Event, GenerateRequest, Inference, RequestContext, TokenStream};
use fathom_proto::{Error, ErrorCode};
use tokio::task::yield_now;

use super::admin::fake::FakeAdministration;
use crate::identity::fake::FakeAuth;
use crate::{Config, Gateway, Identities};

type Events = Vec<Result<Event, ErrorCode>>;

pub fn started(prompt_tokens: u32) -> Result<Event, ErrorCode> {
    Ok(Event::Started { prompt_tokens })
}

pub fn delta(text: &str, tokens: u32) -> Result<Event, ErrorCode> {
    Ok(Event::Delta {
        text: text.to_owned(),
        tokens,
    })
}

/// A gateway whose engine says nothing.
pub fn gateway() -> Gateway {
    gateway_with(Vec::new())
}

/// A gateway whose engine yields `events`, once.
pub fn gateway_with(events: Events) -> Gateway {
    over(FakeAuth::new(), Scripted(Mutex::new(Some(events))))
}

/// A gateway whose engine begins and never goes on.
pub fn hanging() -> Gateway {
    over(FakeAuth::new(), Hanging)
}

/// A gateway that follows what `auth` tells, and whose engine begins and never goes on.
pub async fn watching(auth: &Arc<FakeAuth>) -> Gateway {
    let gateway = over(auth.clone(), Hanging);
    let watch = gateway
        .identities
        .clone()
        .keep_current(gateway.shutdown.clone());
    gateway.shutdown.spawn(watch);
    while !gateway.identities.in_contact() || gateway.identities.key_set().is_none() {
        yield_now().await;
    }
    gateway
}

fn over(auth: Arc<FakeAuth>, inference: impl Inference + 'static) -> Gateway {
    let config = Config::default();
    Gateway {
        identity: auth.clone(),
        identities: Identities::new(auth, &config),
        administration: Arc::new(FakeAdministration::default()),
        inference: Arc::new(inference),
        catalog: Arc::new(TwoModels),
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
            return Err(Error::new(
                ErrorCode::ModelNotFound,
                "in the router's words",
            ));
        }
        let begun = futures::stream::iter([Ok(Event::Started { prompt_tokens: 1 })]);
        Ok(Box::pin(begun.chain(futures::stream::pending())))
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
