//! `GET /v1/stream`: one generation over a WebSocket. The client says who it is and what it wants,
//! the server streams the text and closes; whoever reads until the close has the whole answer.
//!
//! Close codes (RFC 6455, section 7.4.1): 1000 complete, 1001 the server goes down, 1008 the
//! request or the caller is refused, at any time, 1011 it failed, 1013 no capacity now.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use fathom_api::stream::{ClientMessage, ServerMessage, StreamRequest};
use fathom_proto::identity::Scope;
use fathom_proto::inference::Piece;
use fathom_proto::{Error, ErrorCode};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use tokio::time::{Instant, timeout, timeout_at};

use crate::Gateway;
use crate::error::{self, ApiError};
use crate::event_stream::to_json;
use crate::generation::{Generation, Output};
use crate::identity::Session;
use crate::openapi::security::BEARER;
use crate::openapi::{Answer, Failure, Input, Operation};
use crate::policy::{Denied, authenticate, bearer, strip_bearer};
use crate::record::{Ending, Record};
use crate::{answer, json, request};

/// How long a client gets to answer our close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers the handshake. A credential in the header is checked before the upgrade.
pub async fn upgrade(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Response> {
    let upgrade = upgrade.map_err(|_| {
        let message = "this route is a WebSocket; send a handshake";
        ApiError::new(ErrorCode::InvalidRequest, message).into_response()
    })?;
    // A header that cannot be read is a credential that does not hold, not none.
    let session = if headers.contains_key(header::AUTHORIZATION) {
        let bearer = bearer(&headers);
        let scope = Scope::Inference;
        let session = authenticate(&gateway.identities, bearer, scope, Some(&record)).await;
        Some(session.map_err(Denied::into_response)?)
    } else {
        None
    };
    let max_message_bytes = gateway.config.websocket.max_message_bytes;
    let hold = gateway.shutdown.hold();
    let ending = record.on_socket();
    Ok(upgrade
        .max_message_size(max_message_bytes)
        .max_frame_size(max_message_bytes)
        .on_upgrade(async move |socket| {
            // axum spawns this future; the token makes shutdown wait for it.
            let _hold = hold;
            Exchange {
                socket,
                gateway,
                ending,
            }
            .run(session)
            .await;
        })
        .into_response())
}

impl Input for Result<WebSocketUpgrade, WebSocketUpgradeRejection> {
    fn describe(operation: &mut Operation) {
        operation.own_scheme = Some(BEARER);
        operation.answers.push(Answer::new(
            StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            "The WebSocket is open.",
        ));
    }
}

/// A handshake that is refused; a request on the socket fails on the socket.
impl Failure for Response {
    fn describe(operation: &mut Operation) {
        operation.failures.extend([
            ErrorCode::InvalidRequest,
            ErrorCode::Unauthenticated,
            ErrorCode::PermissionDenied,
            ErrorCode::Unavailable,
        ]);
    }
}

struct Exchange {
    socket: WebSocket,
    gateway: Gateway,
    ending: Ending,
}

/// How an exchange ends before its answer does.
enum Break {
    /// The client is gone; there is nobody to tell.
    Gone,
    /// The server goes down and nothing was begun.
    Drained,
    /// The request is refused or failed.
    Failed(Error),
}

impl From<ApiError> for Break {
    fn from(error: ApiError) -> Self {
        Self::Failed(error.0)
    }
}

impl From<axum::Error> for Break {
    /// Writing fails when the client is gone.
    fn from(_: axum::Error) -> Self {
        Self::Gone
    }
}

impl Exchange {
    async fn run(mut self, session: Option<Session>) {
        match self.exchange(session).await {
            Ok(()) => {
                self.ending.complete = true;
                self.close(close_code::NORMAL, "").await;
            }
            Err(Break::Gone) => {}
            Err(Break::Drained) => {
                self.ending.record.set_error(ErrorCode::ShuttingDown);
                self.close(close_code::AWAY, "this server is going down")
                    .await;
            }
            Err(Break::Failed(error)) => {
                self.ending.record.set_error(error.code);
                error.log_cause(Some(self.ending.record.id()));
                let message = ServerMessage::Error {
                    status: error.code.row().http,
                    error: error::body(&error).error,
                };
                let told = timeout(CLOSE_TIMEOUT, self.send(&message)).await;
                if matches!(told, Ok(Ok(()))) {
                    self.close(close_code_of(error.code), error.code.row().name)
                        .await;
                }
            }
        }
    }

    async fn exchange(&mut self, session: Option<Session>) -> Result<(), Break> {
        let deadline = Instant::now() + self.gateway.config.websocket.request_timeout;
        let session = match session {
            Some(session) => session,
            None => self.authenticate(deadline).await?,
        };
        let received = tokio::select! {
            received = self.receive(deadline) => received?,
            error = session.clone().ended(Scope::Inference, None) => return Err(Break::Failed(error)),
        };
        let request = match received {
            ClientMessage::Request(request) => request,
            ClientMessage::Auth { .. } => {
                return Err(invalid("`auth` was sent already; send `request`"));
            }
        };
        self.generate(&session, *request).await
    }

    async fn authenticate(&mut self, deadline: Instant) -> Result<Session, Break> {
        let ClientMessage::Auth { token } = self.receive(deadline).await? else {
            let message = "the first message must be {\"type\": \"auth\", \"token\": \"Bearer …\"}";
            return Err(ApiError::new(ErrorCode::Unauthenticated, message).into());
        };
        let identities = &self.gateway.identities;
        let record = Some(&self.ending.record);
        let session = authenticate(identities, strip_bearer(&token), Scope::Inference, record);
        Ok(session.await.map_err(ApiError::from)?)
    }

    async fn generate(&mut self, session: &Session, request: StreamRequest) -> Result<(), Break> {
        let request = request::from_stream(request, &self.gateway.config)?;
        let record = self.ending.record.clone();
        let gateway = self.gateway.clone();
        let mut generation = tokio::select! {
            started = Generation::start(&gateway, session, &record, request) => {
                started.map_err(Break::Failed)?
            }
            interrupted = self.interruption() => return Err(interrupted),
        };
        loop {
            let output = tokio::select! {
                output = generation.next() => output,
                interrupted = self.interruption() => return Err(interrupted),
            };
            match output {
                Some(Ok(Output::Delta { delta, .. })) => {
                    let Some(message) = message(delta.piece) else {
                        continue;
                    };
                    // A client that does not read must not put off its end.
                    tokio::select! {
                        sent = self.send(&message) => sent?,
                        error = generation.over() => return Err(Break::Failed(error)),
                    }
                }
                Some(Ok(Output::Finish { reason, usage, .. })) => {
                    self.send(&ServerMessage::Done {
                        id: Some(record.id().as_str().into()),
                        usage: answer::usage(usage.unwrap_or_default()),
                        finish_reason: answer::finish_reason(reason),
                        fathom: record.answered_by(),
                    })
                    .await?;
                    return Ok(());
                }
                Some(Err(error)) => return Err(Break::Failed(error)),
                None => return Err(Break::Gone),
            }
        }
    }

    /// The next message, unless the process drains: a socket on which nothing has begun is not
    /// worth waiting for.
    async fn receive(&mut self, deadline: Instant) -> Result<ClientMessage, Break> {
        loop {
            let shutdown = self.gateway.shutdown.clone();
            let received = tokio::select! {
                biased;
                () = shutdown.draining() => return Err(Break::Drained),
                received = timeout_at(deadline, self.socket.recv()) => received,
            };
            match received {
                Err(_) => return Err(invalid("no request came within the time allowed")),
                Ok(Some(Ok(Message::Text(text)))) => return Ok(json::parse(text.as_bytes())?),
                Ok(Some(Ok(Message::Binary(_)))) => {
                    return Err(invalid("messages must be text with JSON in it"));
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return Err(Break::Gone),
            }
        }
    }

    /// Completes when the client breaks into a running generation, by leaving or by speaking.
    async fn interruption(&mut self) -> Break {
        loop {
            match self.socket.recv().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    return invalid("a request is running; open a socket for each request");
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Break::Gone,
            }
        }
    }

    async fn send(&mut self, message: &ServerMessage<'_>) -> Result<(), axum::Error> {
        let text = String::from_utf8_lossy(&to_json(message)).into_owned();
        self.socket.send(Message::Text(text.into())).await
    }

    /// Closes, and waits for the client's close so that it sees a clean end.
    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let closed = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // A client that does not answer loses nothing but this courtesy.
        let _ = timeout(CLOSE_TIMEOUT, closed).await;
    }
}

/// What a socket says of a piece; what it has no message for cannot be asked for.
fn message(piece: Piece) -> Option<ServerMessage<'static>> {
    match piece {
        Piece::Text(text) => Some(ServerMessage::Response {
            content: text.into(),
        }),
        Piece::Reasoning(text) => Some(ServerMessage::Reasoning {
            content: text.into(),
        }),
        Piece::ToolCall(_) => None,
    }
}

fn invalid(message: &str) -> Break {
    ApiError::new(ErrorCode::InvalidRequest, message).into()
}

fn close_code_of(code: ErrorCode) -> u16 {
    match code {
        ErrorCode::ShuttingDown => close_code::AWAY,
        ErrorCode::Overloaded | ErrorCode::Unavailable | ErrorCode::RateLimited => {
            close_code::AGAIN
        }
        code if code.row().http < 500 => close_code::POLICY,
        _ => close_code::ERROR,
    }
}
