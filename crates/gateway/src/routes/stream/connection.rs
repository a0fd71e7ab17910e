//! A WebSocket as the routes use it: whole messages in and out, a close code for whatever a client
//! does wrong, and bounds on what it can cost.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::frames::{Counted, Excess};
use super::keepalive::{Due, Keepalive};

/// How long a client gets to answer our close.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// An idle socket holds a buffer of this size.
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// Messages that are ready together leave together, up to this size.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// The largest message of ours is an event of an answer, which another service has sent in one
/// message; what is added to that are a few pongs.
const MAX_WRITE_BUFFER_BYTES: usize = 32 * 1024 * 1024;
/// After so many messages of ours the client gets a hearing.
const MESSAGES_A_TURN: usize = 32;

/// What a client may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest message.
    pub max_message_bytes: usize,
    /// How often it has to show that it is there.
    pub ping_interval: Duration,
}

/// An open WebSocket.
pub struct Connection<S> {
    socket: WebSocketStream<Counted<S>>,
    keepalive: Keepalive,
    /// Reading has failed, so the client's close will not be heard.
    broken: bool,
}

/// How a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client has closed, or is gone.
    Gone,
    /// The client is told this code, with this reason.
    Told(CloseCode, &'static str),
}

/// What is to be sent.
pub trait Outgoing {
    /// The next message; `None`: there will be no more. It is asked only when the client has taken
    /// what came before, so a slow client slows whatever is behind.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>>;

    /// Goes on with what does not depend on what the client takes.
    fn poll_work(&mut self, _: &mut Context<'_>) {}
}

/// A message of a client.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// Text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(bytes::Bytes),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Begins after the handshake, as the server.
    pub async fn new(io: S, limits: Limits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
            .max_message_size(Some(limits.max_message_bytes))
            .max_frame_size(Some(limits.max_message_bytes));
        let io = Counted::new(io, limits.max_message_bytes);
        Self {
            socket: WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await,
            keepalive: Keepalive::new(limits.ping_interval),
            broken: false,
        }
    }

    /// The next message of the client.
    ///
    /// # Errors
    /// How the socket ends.
    pub async fn receive(&mut self) -> Result<Heard, End> {
        let heard = self.exchange(&mut Nothing).await?;
        heard.ok_or(End::Gone)
    }

    /// Sends what `outgoing` gives, as fast as the client takes it, until the client says something
    /// or, with `None`, until there is no more and all of it is sent.
    ///
    /// It may be dropped and called again; nothing is lost.
    ///
    /// # Errors
    /// How the socket ends.
    pub async fn exchange(&mut self, outgoing: &mut impl Outgoing) -> Result<Option<Heard>, End> {
        poll_fn(|context| self.poll_exchange(context, outgoing)).await
    }

    /// Ends the socket, politely and in bounded time.
    pub async fn close(mut self, end: End) {
        // A client that does not answer loses nothing but this courtesy.
        let _ = timeout(CLOSE_TIMEOUT, self.say_goodbye(end)).await;
    }

    fn poll_exchange(
        &mut self,
        context: &mut Context<'_>,
        outgoing: &mut impl Outgoing,
    ) -> Poll<Result<Option<Heard>, End>> {
        if self.socket.get_mut().moved() {
            self.keepalive.reads();
        }
        while let Poll::Ready(due) = self.keepalive.poll_due(context) {
            match due {
                Due::Ping(payload) => self.socket.start_send_unpin(Message::Ping(payload))?,
                Due::Silent => return Poll::Ready(Err(End::Told(CloseCode::Error, "no pong"))),
            }
        }
        outgoing.poll_work(context);
        if self.poll_send(context, outgoing)?.is_ready() {
            return Poll::Ready(Ok(None));
        }
        loop {
            return match self.socket.poll_next_unpin(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(message))) => match message {
                    Message::Text(text) => Poll::Ready(Ok(Some(Heard::Text(text)))),
                    Message::Binary(bytes) => Poll::Ready(Ok(Some(Heard::Binary(bytes)))),
                    Message::Pong(payload) => {
                        self.keepalive.pong(&payload);
                        continue;
                    }
                    // The codec answers a ping by itself.
                    Message::Ping(_) | Message::Frame(_) => continue,
                    Message::Close(_) => Poll::Ready(Err(End::Gone)),
                },
                Poll::Ready(Some(Err(error))) => {
                    self.broken = true;
                    Poll::Ready(Err(error.into()))
                }
                Poll::Ready(None) => Poll::Ready(Err(End::Gone)),
            };
        }
    }

    /// Completes when all is sent and there will be no more.
    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        outgoing: &mut impl Outgoing,
    ) -> Poll<Result<(), End>> {
        let mut over = false;
        for turn in 0.. {
            match self.socket.poll_ready_unpin(context)? {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if turn == MESSAGES_A_TURN => {
                    context.waker().wake_by_ref();
                    break;
                }
                Poll::Ready(()) => {}
            }
            match outgoing.poll_message(context) {
                Poll::Ready(Some(message)) => self.socket.start_send_unpin(message)?,
                Poll::Ready(None) => {
                    over = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        match self.socket.poll_flush_unpin(context)? {
            Poll::Ready(()) if over => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    async fn say_goodbye(&mut self, end: End) {
        if let End::Told(code, reason) = end {
            let reason = reason.into();
            let frame = Message::Close(Some(CloseFrame { code, reason }));
            if self.socket.send(frame).await.is_err() {
                return;
            }
        }
        // The client's close, or the answer to it.
        while let Some(heard) = self.socket.next().await {
            self.broken |= heard.is_err();
        }
        let io = self.socket.get_mut().io();
        if io.shutdown().await.is_err() || !self.broken {
            return;
        }
        // A connection that is dropped with bytes unread is reset, which may overtake our last
        // words; so the rest is read, and forgotten.
        let mut forgotten = [0; 4 * 1024];
        while let Ok(1..) = io.read(&mut forgotten).await {}
    }
}

/// Says nothing, and waits.
struct Nothing;

impl Outgoing for Nothing {
    fn poll_message(&mut self, _: &mut Context<'_>) -> Poll<Option<Message>> {
        Poll::Pending
    }
}

/// One message.
pub struct Once(Option<Message>);

impl Once {
    /// A message of text.
    pub fn text(text: Utf8Bytes) -> Self {
        Self(Some(Message::Text(text)))
    }
}

impl Outgoing for Once {
    fn poll_message(&mut self, _: &mut Context<'_>) -> Poll<Option<Message>> {
        Poll::Ready(self.0.take())
    }
}

impl From<Error> for End {
    /// What the client has done wrong (RFC 6455, sections 7.4.1 and 8.1), if it is that.
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) => Self::Told(CloseCode::Size, "the message is too large"),
            Error::Utf8(_) => Self::Told(CloseCode::Invalid, "the text is not UTF-8"),
            Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake
                | ProtocolError::SendAfterClosing
                | ProtocolError::ReceivedAfterClosing,
            ) => Self::Gone,
            Error::Protocol(_) => Self::Told(CloseCode::Protocol, "no frame of RFC 6455"),
            Error::Io(error) => match error.get_ref().and_then(|it| it.downcast_ref()) {
                Some(Excess::Idle) => {
                    Self::Told(CloseCode::Policy, "too many control or empty frames")
                }
                Some(Excess::Fragments) => {
                    Self::Told(CloseCode::Size, "the message has too many fragments")
                }
                None => Self::Gone,
            },
            _ => Self::Gone,
        }
    }
}
