//! The public edge: OpenAI's and DeepSeek's API over REST, server-sent events and WebSocket.
//! It checks who calls and what they ask, hands the request to the router and turns the answer
//! into the caller's format. Of its callers it remembers who they are, and what is said to those that
//! asked to come back for the rest of it; nothing else.
//!
//! # Layout
//!
//! - [`routes`]: the table of routes, each with the policy that guards it; a file per endpoint
//! - [`policy`]: who may call a route
//! - [`identity`]: who calls, without asking auth each time
//! - [`lifetime`]: what ends a request from outside
//! - [`failover`]: calls of a router that is lost, made again
//! - [`generation`]: a request's generations with their counts and their end
//! - [`request`]: checks a request's fields and makes the domain's request of them
//! - [`answer`]: what is generated, in the words of the public API
//! - [`embedding`]: a request's vectors
//! - [`json`]: reads a JSON body, and says where it is wrong
//! - [`protobuf`]: the other format of bodies
//! - [`grpc`]: the same requests over gRPC, on a port of its own
//! - [`compression`]: compressed bodies, both ways
//! - [`event_stream`]: a generation as server-sent events
//! - [`keep_alive`]: signs of life while an answer is not there
//! - [`resume`]: streams that a client may take up again
//! - [`dialect`]: whose API a route speaks
//! - [`limits`]: how much a caller may use, as far as it is told
//! - [`openapi`](mod@openapi): the description of all routes, made of the table and of its types
//! - [`origin`]: which pages of the web may speak to this server
//! - [`record`]: the id of a request, its log line and its metrics
//! - [`error`]: errors as HTTP answers, each in the form of its path
//! - [`fuzz`]: where bytes of callers are first read, for fuzzers
//! - [`watch`]: whether the services behind can be reached

use std::sync::Arc;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::administration::Administration;
use fathom_proto::catalog::Catalog;
use fathom_proto::feedback::Feedback;
use fathom_proto::identity::Identity;
use fathom_proto::inference::Inference;
use fathom_proto::models::Models;
use fathom_proto::{Error, ErrorCode};
use tokio::time::timeout;

mod answer;
mod compression;
pub mod config;
mod dialect;
mod embedding;
mod error;
mod event_stream;
mod failover;
pub mod fuzz;
mod generation;
pub mod grpc;
pub mod identity;
mod json;
mod keep_alive;
mod lifetime;
mod limits;
pub mod metrics;
mod openapi;
pub mod origin;
mod policy;
mod protobuf;
mod record;
mod request;
pub mod resume;
mod routes;
pub mod watch;

pub use config::Config;
pub use failover::{Discovery, Failover, Router};
pub use identity::Identities;
pub use openapi::openapi;
pub use routes::routes;

/// What the handlers need; clones share it.
#[derive(Clone)]
pub struct Gateway {
    /// Knows identities: what the OAuth routes ask.
    pub identity: Arc<dyn Identity>,
    /// Knows who calls, mostly without asking.
    pub identities: Identities,
    /// Changes identities.
    pub administration: Arc<dyn Administration>,
    /// Generates.
    pub inference: Arc<dyn Inference>,
    /// Knows the models.
    pub catalog: Arc<dyn Catalog>,
    /// Takes what callers think of their answers.
    pub feedback: Arc<dyn Feedback>,
    /// Changes the models.
    pub models: Arc<dyn Models>,
    /// Streams that may be taken up again.
    pub streams: resume::Streams,
    /// Limits and defaults.
    pub config: Arc<Config>,
    /// Ends streams that outlive the process's deadline.
    pub shutdown: Shutdown,
}

impl Gateway {
    /// What a service behind answers, if it does so in time.
    async fn call<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        timeout(self.config.call_timeout, answer)
            .await
            .unwrap_or_else(|_| {
                let message = "a service behind this one does not answer";
                Err(Error::new(ErrorCode::Unavailable, message))
            })
    }
}
