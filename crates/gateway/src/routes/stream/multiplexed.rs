//! The form of a socket with many requests: each has a lane, and the socket lives until the client
//! closes it, the caller's rights end, or the server goes down.

use fathom_api::stream::lanes::ResumeFrom;
use fathom_proto::identity::Scope;
use fathom_proto::{Error, ErrorCode};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::consume_budget;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::command::{Command, Refused};
use super::connection::{CLOSE_TIMEOUT, Connection, End, Heard};
use super::lane::{Lane, StreamId};
use super::lanes::Lanes;
use super::message::{close_code, refusal};
use super::pace::Pace;
use crate::Gateway;
use crate::identity::Session;
use crate::record::{Client, Ending};

/// Messages that cannot be taken: as many a second for ever.
const REFUSED_PER_SECOND: u32 = 10;
/// As many of them at once.
const REFUSED_BURST: u32 = 50;
/// Messages of any kind: as many a second for ever. Who uses a socket well needs a few.
const HEARD_PER_SECOND: u32 = 100;
/// As many of them at once.
const HEARD_BURST: u32 = 1000;

/// Serves a socket whose first request is `first`, until it is to be closed.
pub async fn serve<S>(
    connection: &mut Connection<S>,
    gateway: &Gateway,
    client: &Client,
    caller: &watch::Sender<Session>,
    first: &str,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = Socket {
        gateway,
        client,
        caller,
        lanes: Lanes::default(),
        heard: Pace::new(HEARD_PER_SECOND, HEARD_BURST),
        refused: Pace::new(REFUSED_PER_SECOND, REFUSED_BURST),
    };
    match socket.run(connection, first).await {
        Err(end) => end,
        Ok(error) => socket.shut_out(connection, error).await,
    }
}

struct Socket<'a> {
    gateway: &'a Gateway,
    client: &'a Client,
    /// Who calls, as it is now.
    caller: &'a watch::Sender<Session>,
    lanes: Lanes,
    heard: Pace,
    refused: Pace,
}

impl Socket<'_> {
    /// Runs until the client or the server ends it; or until the caller may not go on, with the
    /// reason.
    async fn run<S>(&mut self, connection: &mut Connection<S>, first: &str) -> Result<Error, End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let gateway = self.gateway;
        let mut over = std::pin::pin!(Session::over(self.caller, Scope::Inference));
        let mut draining = false;
        self.hear(first)?;
        loop {
            let heard = tokio::select! {
                biased;
                error = &mut over => return Ok(error),
                () = gateway.shutdown.draining(), if !draining => {
                    // What runs is finished, or told that it will not be: each generation knows
                    // the deadline itself.
                    self.lanes.close();
                    draining = true;
                    continue;
                }
                heard = connection.exchange(&mut self.lanes) => heard?,
            };
            match heard {
                Some(Heard::Text(text)) => self.hear(&text)?,
                Some(Heard::Binary(_)) => {
                    let message = "messages must be text with JSON in it";
                    self.refuse(Error::new(ErrorCode::InvalidRequest, message).into())?;
                }
                None => return Err(End::Told(CloseCode::Away, "this server is going down")),
            }
            // There may be thousands of messages in one read of the connection.
            consume_budget().await;
        }
    }

    /// Does what a message says.
    fn hear(&mut self, text: &str) -> Result<(), End> {
        if !self.heard.allows() {
            return Err(End::Told(CloseCode::Policy, "too many messages"));
        }
        match Command::read(text).and_then(|command| self.obey(command)) {
            Ok(()) => Ok(()),
            Err(refused) => self.refuse(refused),
        }
    }

    fn obey(&mut self, command: Command<'_>) -> Result<(), Refused> {
        let (id, done) = match command {
            Command::Create {
                id,
                request,
                resume,
            } => (id.clone(), self.create(id, request, resume)),
            Command::Resume { id, from } => (id.clone(), self.resume(id, &from)),
            Command::Cancel(id) => {
                self.lanes.cancel(&id);
                return Ok(());
            }
        };
        done.map_err(|error| Refused {
            stream_id: Some(id),
            error,
        })
    }

    fn create(&mut self, id: StreamId, request: &RawValue, resume: bool) -> Result<(), Error> {
        let (session, ending) = self.room(&id)?;
        let mut lane = Lane::begin(self.gateway, &session, id, request, ending);
        if resume {
            lane = lane.kept(self.gateway, &session);
        }
        self.lanes.add(lane);
        Ok(())
    }

    fn resume(&mut self, id: StreamId, from: &ResumeFrom<'_>) -> Result<(), Error> {
        let (session, ending) = self.room(&id)?;
        let lane = Lane::resumed(self.gateway, &session, id, from, ending)?;
        self.lanes.add(lane);
        Ok(())
    }

    /// A place for one more lane: whose it is, and the ending of its record.
    fn room(&mut self, id: &StreamId) -> Result<(Session, Ending), Error> {
        if self.lanes.has(id) {
            let message = "a lane with this `stream_id` is running; wait for its last message";
            return Err(Error::invalid("stream_id", message));
        }
        let most = self.gateway.config.websocket.max_streams;
        let refused = if self.gateway.shutdown.is_draining() {
            let message = "this server is going down; open another socket";
            Some(Error::new(ErrorCode::ShuttingDown, message))
        } else if self.lanes.count() >= most.get() {
            let message = format!("{most} lanes are running on this socket; wait until one ends");
            Some(Error::new(ErrorCode::WebSocketStreamLimit, message))
        } else {
            None
        };
        let session = self.caller.borrow().clone();
        let ending = self.client.asks();
        ending.record.set_caller(session.principal());
        if let Some(error) = refused {
            ending.record.set_error(error.code);
            return Err(error);
        }
        Ok((session, ending))
    }

    /// Says what is wrong with a message, unless there were too many of them.
    fn refuse(&mut self, refused: Refused) -> Result<(), End> {
        if !self.refused.allows() {
            let reason = "too many messages that cannot be taken";
            return Err(End::Told(CloseCode::Policy, reason));
        }
        let Refused { stream_id, error } = refused;
        let stream_id = stream_id.as_ref().map(StreamId::as_str);
        if !self.lanes.refuse(refusal(&error, stream_id)) {
            return Err(End::Told(CloseCode::Policy, "errors are not read"));
        }
        Ok(())
    }

    /// Tells every lane and then the socket that the caller may not go on.
    async fn shut_out<S>(mut self, connection: &mut Connection<S>, error: Error) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        error.log_cause(None);
        self.lanes.fail(error.code, &error.message);
        let told = async {
            while let Some(_ignored) = connection.exchange(&mut self.lanes).await? {}
            let refusal: Utf8Bytes = refusal(&error, None);
            self.lanes.refuse(refusal);
            while let Some(_ignored) = connection.exchange(&mut self.lanes).await? {}
            Ok::<_, End>(End::Told(close_code(error.code), error.code.row().name))
        };
        match timeout(CLOSE_TIMEOUT, told).await {
            Ok(Ok(end) | Err(end)) => end,
            Err(_) => End::Gone,
        }
    }
}
