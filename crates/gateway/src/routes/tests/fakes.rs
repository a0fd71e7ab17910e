//! Ports that answer as a test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::{Catalog, Model};
use fathom_proto::identity::{AccessToken, Identity, Principal, Scope, TokenRequest};
use fathom_proto::inference::{Event, GenerateRequest, Inference, RequestContext, TokenStream};
use fathom_proto::{Error, ErrorCode};
use secrecy::{ExposeSecret, SecretString};

use crate::{Config, Gateway};

pub const ALL_SCOPES: &str = "all-scopes";
pub const NO_SCOPES: &str = "no-scopes";
pub const AUTH_IS_DOWN: &str = "auth-is-down";
pub const AUTH_HANGS: &str = "auth-hangs";

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
    over(Scripted(Mutex::new(Some(events))))
}

/// A gateway whose engine begins and never goes on.
pub fn hanging() -> Gateway {
    over(Hanging)
}

fn over(inference: impl Inference + 'static) -> Gateway {
    Gateway {
        identity: Arc::new(Identities),
        inference: Arc::new(inference),
        catalog: Arc::new(NoModels),
        config: Arc::new(Config::default()),
        shutdown: Shutdown::new(Duration::from_secs(1)),
    }
}

struct Identities;

#[tonic::async_trait]
impl Identity for Identities {
    async fn authenticate(&self, bearer: SecretString) -> Result<Principal, Error> {
        let scopes = match bearer.expose_secret() {
            ALL_SCOPES => Scope::ALL.into_iter().collect(),
            NO_SCOPES => [].into_iter().collect(),
            AUTH_HANGS => std::future::pending().await,
            AUTH_IS_DOWN => return Err(Error::new(ErrorCode::Unavailable, "down")),
            _ => return Err(Error::new(ErrorCode::Unauthenticated, "unknown")),
        };
        let tenant = "tenant".into();
        Ok(Principal {
            tenant,
            subject: "caller".into(),
            scopes,
            expires_at: None,
        })
    }

    async fn issue_token(&self, request: TokenRequest) -> Result<AccessToken, Error> {
        if request.client_id != "c" || request.client_secret.expose_secret() != "a:b% c" {
            return Err(Error::new(ErrorCode::Unauthenticated, "unknown"));
        }
        let scopes = [Scope::Inference].into_iter().collect();
        Ok(AccessToken {
            token: "t".into(),
            expires_in: 3600,
            scopes,
        })
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
    async fn generate(&self, _: GenerateRequest, _: RequestContext) -> Result<TokenStream, Error> {
        use futures::StreamExt;
        let begun = futures::stream::iter([Ok(Event::Started { prompt_tokens: 1 })]);
        Ok(Box::pin(begun.chain(futures::stream::pending())))
    }
}

struct NoModels;

#[tonic::async_trait]
impl Catalog for NoModels {
    async fn list_models(&self) -> Result<Vec<Model>, Error> {
        Ok(Vec::new())
    }
}
