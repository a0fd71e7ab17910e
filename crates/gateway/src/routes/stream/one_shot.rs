//! A socket from its handshake to its first request, and the form in which that is the only one:
//! the server streams the text and closes; whoever reads until the close has the whole answer.

use fathom_api::stream::lanes::{CREATE, Kind, RESUME};
use fathom_api::stream::{ClientMessage, ServerMessage, StreamRequest};
use fathom_proto::identity::Scope;
use fathom_proto::inference::Piece;
use fathom_proto::{Error, ErrorCode};
use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::connection::{CLOSE_TIMEOUT, Connection, End, Heard, Once};
use super::{message, multiplexed};
use crate::error::{self, ApiError};
use crate::generation::{Generation, Output};
use crate::identity::Session;
use crate::policy::{authenticate, strip_bearer};
use crate::record::Ending;
use crate::{Gateway, answer, json, request};

/// Serves a socket until it is to be closed. `session` is the caller, if the handshake said who it is.
pub async fn serve<S>(
    connection: &mut Connection<S>,
    gateway: &Gateway,
    ending: Ending,
    session: Option<Session>,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut exchange = Exchange {
        connection,
        gateway,
        ending,
    };
    let outcome = match exchange.open(session).await {
        Ok((session, Asked::Many(first))) => {
            let Exchange { ending, .. } = exchange;
            return multiplexed::serve(connection, gateway, ending, &session, &first).await;
        }
        Ok((session, Asked::One(request))) => exchange.generate(&session, *request).await,
        Err(broken) => Err(broken),
    };
    exchange.end(outcome).await
}

/// The first request.
enum Asked {
    /// The only one.
    One(Box<StreamRequest>),
    /// The first of many, as it came.
    Many(Utf8Bytes),
}

struct Exchange<'a, S> {
    connection: &'a mut Connection<S>,
    gateway: &'a Gateway,
    ending: Ending,
}

/// How an exchange ends before its answer does.
enum Break {
    /// There is nothing to be said but the close, if that.
    Ended(End),
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

impl From<End> for Break {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, S> {
    async fn end(mut self, outcome: Result<(), Break>) -> End {
        match outcome {
            Ok(()) => {
                self.ending.complete = true;
                End::Told(CloseCode::Normal, "")
            }
            Err(Break::Ended(end)) => end,
            Err(Break::Drained) => {
                self.ending.record.set_error(ErrorCode::ShuttingDown);
                End::Told(CloseCode::Away, "this server is going down")
            }
            Err(Break::Failed(error)) => {
                self.ending.record.set_error(error.code);
                error.log_cause(Some(self.ending.record.id()));
                let message = ServerMessage::Error {
                    status: error.code.row().http,
                    error: error::body(&error).error,
                };
                let mut message = Once::text(message::text(&message));
                // Whatever it says meanwhile, it is told this.
                let told = async {
                    while let Ok(Some(_)) = self.connection.exchange(&mut message).await {}
                };
                match timeout(CLOSE_TIMEOUT, told).await {
                    Ok(()) => End::Told(message::close_code(error.code), error.code.row().name),
                    Err(_) => End::Gone,
                }
            }
        }
    }

    /// Who calls, and the first request.
    async fn open(&mut self, session: Option<Session>) -> Result<(Session, Asked), Break> {
        let deadline = Instant::now() + self.gateway.config.websocket.request_timeout;
        let session = match session {
            Some(session) => session,
            None => self.authenticate(deadline).await?,
        };
        self.ending.record.set_caller(session.principal());
        let text = tokio::select! {
            text = self.receive(deadline) => text?,
            error = session.clone().over(Scope::Inference) => return Err(Break::Failed(error)),
        };
        if matches!(serde_json::from_str(&text), Ok(Kind { kind }) if kind == CREATE || kind == RESUME)
        {
            return Ok((session, Asked::Many(text)));
        }
        match json::parse(text.as_bytes())? {
            ClientMessage::Request(request) => Ok((session, Asked::One(request))),
            ClientMessage::Auth { .. } => Err(invalid("`auth` was sent already; send `request`")),
        }
    }

    async fn authenticate(&mut self, deadline: Instant) -> Result<Session, Break> {
        let text = self.receive(deadline).await?;
        let ClientMessage::Auth { token } = json::parse(text.as_bytes())? else {
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
        let gateway = self.gateway;
        let mut generation = tokio::select! {
            started = Generation::start(gateway, session, &record, request) => {
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
                    let Some(message) = said(delta.piece) else {
                        continue;
                    };
                    // A client that does not read must not put off its end.
                    tokio::select! {
                        sent = self.send(&message) => sent?,
                        error = generation.over() => return Err(Break::Failed(error)),
                    }
                }
                Some(Ok(Output::Finish { reason, usage, .. })) => {
                    return self
                        .send(&ServerMessage::Done {
                            id: Some(record.id().as_str().into()),
                            usage: answer::usage(usage.unwrap_or_default()),
                            finish_reason: answer::finish_reason(reason),
                            fathom: record.answered_by(),
                        })
                        .await;
                }
                Some(Err(error)) => return Err(Break::Failed(error)),
                None => return Err(Break::Ended(End::Gone)),
            }
        }
    }

    /// The next text, unless the process drains: a socket on which nothing has begun is not worth
    /// waiting for.
    async fn receive(&mut self, deadline: Instant) -> Result<Utf8Bytes, Break> {
        let received = tokio::select! {
            biased;
            () = self.gateway.shutdown.draining() => return Err(Break::Drained),
            received = timeout_at(deadline, self.connection.receive()) => received,
        };
        match received {
            Err(_) => Err(invalid("no request came within the time allowed")),
            Ok(Ok(Heard::Text(text))) => Ok(text),
            Ok(Ok(Heard::Binary(_))) => Err(invalid("messages must be text with JSON in it")),
            Ok(Err(end)) => Err(end.into()),
        }
    }

    /// Completes when the client breaks into a running generation, by leaving or by speaking.
    async fn interruption(&mut self) -> Break {
        match self.connection.receive().await {
            Ok(_) => interrupted(),
            Err(end) => end.into(),
        }
    }

    async fn send(&mut self, message: &ServerMessage<'_>) -> Result<(), Break> {
        let mut message = Once::text(message::text(message));
        match self.connection.exchange(&mut message).await? {
            None => Ok(()),
            Some(_) => Err(interrupted()),
        }
    }
}

/// What a socket says of a piece; what it has no message for cannot be asked for.
fn said(piece: Piece) -> Option<ServerMessage<'static>> {
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

fn interrupted() -> Break {
    invalid("a request is running; open a socket for each request")
}

fn invalid(message: &str) -> Break {
    ApiError::new(ErrorCode::InvalidRequest, message).into()
}
