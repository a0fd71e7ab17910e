//! A socket from its handshake to its first request, and the form in which that is the only one:
//! the server streams the text and closes; whoever reads until the close has the whole answer.

use fathom_api::stream::lanes::{CREATE, Kind, RESUME};
use fathom_api::stream::{ClientMessage, ServerMessage, StreamRequest};
use fathom_proto::identity::Scope;
use fathom_proto::inference::Piece;
use fathom_proto::{Error, ErrorCode};
use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::connection::{CLOSE_TIMEOUT, Connection, End, Heard, Once};
use super::{message, multiplexed};
use crate::error::{self, ApiError};
use crate::generation::{Generation, Output};
use crate::identity::{self, Session};
use crate::policy::{Denied, authenticate, strip_bearer};
use crate::record::{Client, Ending, Record};
use crate::{Gateway, answer, json, request};

/// Serves a socket until it is to be closed. `session` is the caller, if the handshake said who it is.
pub async fn serve<S>(
    connection: &mut Connection<S>,
    gateway: &Gateway,
    client: &Client,
    session: Option<Session>,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut exchange = Exchange {
        connection,
        gateway,
        client,
        ending: None,
    };
    let outcome = match exchange.open(session).await {
        Ok((caller, Asked::Many(first))) => {
            return multiplexed::serve(connection, gateway, client, &caller, &first).await;
        }
        Ok((caller, Asked::One(request))) => {
            let session = caller.borrow().clone();
            exchange.generate(&session, *request).await
        }
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
    client: &'a Client,
    /// The end of the record of the request, from when it was heard.
    ending: Option<Ending>,
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
                if let Some(ending) = &mut self.ending {
                    ending.complete = true;
                }
                End::Told(CloseCode::Normal, "")
            }
            Err(Break::Ended(end)) => end,
            Err(Break::Drained) => End::Told(CloseCode::Away, "this server is going down"),
            Err(Break::Failed(error)) => {
                let record = self.record();
                record.set_error(error.code);
                error.log_cause(Some(record.id()));
                let message = ServerMessage::Error {
                    status: error.code.row().http,
                    error: error::body(&error).error,
                    retry_after_ms: error::retry_after_ms(&error),
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

    /// The record of the request; of what fails before there is one, too, so that it leaves a line.
    fn record(&mut self) -> Record {
        let ending = self.ending.get_or_insert_with(|| self.client.asks());
        ending.record.clone()
    }

    /// Who calls, and the first request.
    async fn open(
        &mut self,
        session: Option<Session>,
    ) -> Result<(watch::Sender<Session>, Asked), Break> {
        let deadline = Instant::now() + self.gateway.config.websocket.request_timeout;
        let session = match session {
            Some(session) => session,
            None => self.authenticate(deadline).await?,
        };
        let (caller, _) = watch::channel(session);
        let received = tokio::select! {
            text = self.receive(deadline) => text,
            error = Session::over(&caller, Scope::Inference) => Err(Break::Failed(error)),
        };
        let session = caller.borrow().clone();
        let text = match received {
            Ok(text) => text,
            Err(broken) => {
                if matches!(broken, Break::Failed(_)) {
                    self.record().set_caller(session.principal());
                }
                return Err(broken);
            }
        };
        if matches!(serde_json::from_str(&text), Ok(Kind { kind, .. }) if kind == CREATE || kind == RESUME)
        {
            return Ok((caller, Asked::Many(text)));
        }
        self.record().set_caller(session.principal());
        match json::parse(text.as_bytes())? {
            ClientMessage::Request(request) => Ok((caller, Asked::One(request))),
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
        let session = authenticate(identities, strip_bearer(&token), Scope::Inference, None);
        match session.await {
            Ok(session) => Ok(session),
            Err(denied) => {
                // What comes after a credential that holds is the request.
                if let Denied::Unknown(identity::Error::Refused(refusal)) = denied {
                    self.record().set_refusal(refusal);
                }
                Err(ApiError::from(denied).into())
            }
        }
    }

    async fn generate(&mut self, session: &Session, request: StreamRequest) -> Result<(), Break> {
        let request = request::from_stream(request, &self.gateway.config)?;
        let record = self.record();
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
                None => {
                    let error = Error::internal("the generation has no end");
                    return Err(Break::Failed(error));
                }
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
