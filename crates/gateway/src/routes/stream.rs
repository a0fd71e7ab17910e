//! `GET /v1/stream`: generations over a WebSocket. The client says who it is, in the handshake or in
//! a first message, and what it wants. The first request decides the form of the socket:
//! `request` is the one request of a socket that closes when it is answered, `response.create` is
//! the first of as many as the client likes.
//!
//! # Layout
//!
//! - [`handshake`]: the upgrade, and the credential of a browser
//! - [`connection`]: whole messages in and out, and close codes; [`frames`], [`keepalive`] and
//!   [`pace`] bound what a client can cost
//! - [`one_shot`]: the messages before the first request, and the form with one answer
//! - [`multiplexed`]: the form with many, which obeys [`command`]s; [`lanes`] take [`turns`], and a
//!   [`lane`] says what an [`encoder`] makes of a generation
//! - [`message`]: what is said, as text
//!
//! Close codes (RFC 6455, section 7.4.1): 1000 complete, 1001 the server goes down, 1002, 1007 and
//! 1009 the client breaks the protocol, 1008 the request or the caller is refused, at any time,
//! 1011 it failed, 1013 no capacity now.

pub mod command;
mod connection;
mod encoder;
mod frames;
mod handshake;
mod keepalive;
pub mod lane;
mod lanes;
mod message;
mod multiplexed;
mod one_shot;
mod pace;
mod turns;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use ::metrics::{counter, gauge};
use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use fathom_kit::server::Peer;
use fathom_proto::ErrorCode;
use fathom_proto::identity::Scope;
use futures::FutureExt;
use http::request::Parts;
use http::{StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use self::connection::{Connection, End, Limits};
use self::handshake::{Handshake, Refused};
use crate::config::WebSocket;
use crate::identity::Session;
use crate::openapi::security::BEARER;
use crate::openapi::{Answer, Failure, Input, Operation};
use crate::origin::Origin;
use crate::policy::{Denied, authenticate, bearer};
use crate::record::Record;
use crate::{Gateway, metrics};

/// Answers the handshake. A credential that comes with it is checked before the upgrade.
pub async fn upgrade(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    Asked(mut parts): Asked,
) -> Result<Response, NotUpgraded> {
    let handshake = check(&mut parts, &gateway.config.websocket)?;
    let session = session(&gateway, &record, &parts, &handshake).await?;
    let client = record.client();
    let (answer, upgrade) = handshake.accept();
    let limits = limits(&gateway.config.websocket);
    gateway.shutdown.clone().spawn(async move {
        // The client may leave before it has the answer.
        let Ok(upgraded) = upgrade.await else {
            return;
        };
        let _open = Open::new();
        let mut connection = Connection::new(TokioIo::new(upgraded), limits).await;
        let served = one_shot::serve(&mut connection, &gateway, &client, session);
        // A bug ends this socket, and its client is told. The text is in the log already.
        let served = AssertUnwindSafe(served).catch_unwind().await;
        let end = served.unwrap_or(End::Told(CloseCode::Error, "internal_error"));
        let code = match end {
            End::Gone => "none".to_owned(),
            End::Told(code, _) => u16::from(code).to_string(),
        };
        counter!(metrics::WEBSOCKET_CLOSES, "code" => code).increment(1);
        connection.close(end).await;
    });
    Ok(answer)
}

/// An open socket, as it is counted.
struct Open;

impl Open {
    fn new() -> Self {
        gauge!(metrics::WEBSOCKETS).increment(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!(metrics::WEBSOCKETS).decrement(1);
    }
}

/// What asks for a socket: the whole head of a request, with the connection to be taken over.
pub struct Asked(Parts);

impl<S: Sync> FromRequest<S> for Asked {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request.into_parts().0))
    }
}

impl Input for Asked {
    fn describe(operation: &mut Operation) {
        operation.own_scheme = Some(BEARER);
        operation.answers.push(Answer::new(
            StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            "The WebSocket is open.",
        ));
    }
}

/// The answer to a handshake that is refused; a request on the socket fails on the socket.
pub struct NotUpgraded(Response);

impl From<Refused> for NotUpgraded {
    fn from(refused: Refused) -> Self {
        Self(refused.into_response())
    }
}

impl From<Denied> for NotUpgraded {
    fn from(denied: Denied) -> Self {
        Self(denied.into_response())
    }
}

impl IntoResponse for NotUpgraded {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Failure for NotUpgraded {
    fn describe(operation: &mut Operation) {
        operation.failures.extend([
            ErrorCode::InvalidRequest,
            ErrorCode::Unauthenticated,
            ErrorCode::PermissionDenied,
            ErrorCode::Unavailable,
        ]);
    }
}

fn limits(config: &WebSocket) -> Limits {
    Limits {
        max_message_bytes: config.max_message_bytes,
        ping_interval: config.ping_interval,
    }
}

/// Whether this is a handshake, and from where one may come.
fn check(parts: &mut Parts, config: &WebSocket) -> Result<Handshake, Refused> {
    // Addresses end up in logs and histories, so what is in one may not even be tried.
    if parts.uri.query().is_some() {
        return Err(Refused::Invalid(
            "this route takes no parameters; send the credential in the header `Authorization`, as \
             sub-protocol or in an `auth` message, never in the URL",
        ));
    }
    let secure = parts
        .extensions
        .get()
        .is_some_and(|peer: &Peer| peer.secure);
    if !Origin::may_send(&parts.headers, secure, &config.allowed_origins) {
        return Err(Refused::Origin);
    }
    Handshake::read(parts)
}

/// The caller, if the handshake says who it is.
async fn session(
    gateway: &Gateway,
    record: &Record,
    parts: &Parts,
    handshake: &Handshake,
) -> Result<Option<Session>, NotUpgraded> {
    // A header that cannot be read is a credential that does not hold, not none.
    let in_header = parts.headers.contains_key(header::AUTHORIZATION);
    let credential = match (&handshake.bearer, in_header) {
        (None, false) => return Ok(None),
        (None, true) => bearer(&parts.headers),
        (Some(bearer), false) => Some(bearer.clone()),
        (Some(_), true) => {
            let message = "the credential is there twice, in a header and as sub-protocol";
            return Err(Refused::Invalid(message).into());
        }
    };
    let scope = Scope::Inference;
    let session = authenticate(&gateway.identities, credential, scope, Some(record)).await;
    Ok(Some(session?))
}

#[cfg(test)]
mod tests;
