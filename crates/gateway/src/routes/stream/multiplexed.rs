//! The form of a socket with many requests: each has a lane, and the socket lives until the client
//! closes it, the caller's rights end, or the server goes down.

use std::borrow::Cow;

use fathom_api::stream::lanes::{CANCEL, CREATE, Cancel, Create, Kind, RESUME, Resume, ResumeFrom};
use fathom_proto::identity::Scope;
use fathom_proto::{Error, ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::connection::{CLOSE_TIMEOUT, Connection, End, Heard};
use super::lane::{Lane, StreamId};
use super::lanes::Lanes;
use super::message::{close_code, refusal};
use super::pace::Pace;
use crate::error::ApiError;
use crate::identity::Session;
use crate::record::{Ending, Record};
use crate::{Gateway, json};

/// Messages that cannot be taken: as many a second for ever.
const REFUSED_PER_SECOND: u32 = 10;
/// As many of them at once.
const REFUSED_BURST: u32 = 50;

/// Serves a socket whose first request is `first`, until it is to be closed.
pub async fn serve<S>(
    connection: &mut Connection<S>,
    gateway: &Gateway,
    ending: Ending,
    session: &Session,
    first: &str,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = Socket {
        gateway,
        session,
        lanes: Lanes::default(),
        refused: Pace::new(REFUSED_PER_SECOND, REFUSED_BURST),
        record: ending.record.clone(),
        ending: Some(ending),
    };
    match socket.run(connection, first).await {
        Err(end) => end,
        Ok(error) => socket.shut_out(connection, error).await,
    }
}

struct Socket<'a> {
    gateway: &'a Gateway,
    session: &'a Session,
    lanes: Lanes,
    refused: Pace,
    record: Record,
    /// What was begun with the handshake; that of the first lane.
    ending: Option<Ending>,
}

impl Socket<'_> {
    /// Runs until the client or the server ends it; or until the caller may not go on, with the
    /// reason.
    async fn run<S>(&mut self, connection: &mut Connection<S>, first: &str) -> Result<Error, End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let gateway = self.gateway;
        let mut over = std::pin::pin!(self.session.clone().over(Scope::Inference));
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
                    self.refuse(None, Error::new(ErrorCode::InvalidRequest, message))?;
                }
                None => return Err(End::Told(CloseCode::Away, "this server is going down")),
            }
        }
    }

    /// Does what a message says.
    fn hear(&mut self, text: &str) -> Result<(), End> {
        match self.obey(text) {
            Ok(()) => Ok(()),
            Err((stream_id, error)) => self.refuse(stream_id.as_deref(), error),
        }
    }

    fn obey<'t>(&mut self, text: &'t str) -> Result<(), (Option<Cow<'t, str>>, Error)> {
        let unreadable = |ApiError(error)| (None, error);
        let Kind { kind } = json::parse(text.as_bytes()).map_err(unreadable)?;
        match &*kind {
            CREATE => {
                let create: Create<'t> = json::parse(text.as_bytes()).map_err(unreadable)?;
                let created = self.create(&create);
                created.map_err(|error| (Some(create.stream_id), error))
            }
            RESUME => {
                let resume: Resume<'t> = json::parse(text.as_bytes()).map_err(unreadable)?;
                let resumed = self.resume(&resume.stream_id, &resume.resume_from);
                resumed.map_err(|error| (Some(resume.stream_id), error))
            }
            CANCEL => {
                let cancel: Cancel<'t> = json::parse(text.as_bytes()).map_err(unreadable)?;
                let id = StreamId::new(&cancel.stream_id);
                let id = id.map_err(|error| (Some(cancel.stream_id), error))?;
                self.lanes.cancel(&id);
                Ok(())
            }
            _ => {
                let message = "`type` must be `response.create`, `response.resume` or `cancel` on \
                               this socket";
                Err((None, Error::invalid("type", message)))
            }
        }
    }

    fn create(&mut self, create: &Create<'_>) -> Result<(), Error> {
        let (id, ending) = self.room(&create.stream_id)?;
        let mut lane = Lane::begin(self.gateway, self.session, id, create.request, ending);
        if create.resume {
            lane = lane.kept(self.gateway, self.session);
        }
        self.lanes.add(lane);
        Ok(())
    }

    fn resume(&mut self, stream_id: &str, from: &ResumeFrom<'_>) -> Result<(), Error> {
        let (id, ending) = self.room(stream_id)?;
        let lane = Lane::resumed(self.gateway, self.session, id, from, ending)?;
        self.lanes.add(lane);
        Ok(())
    }

    /// A place for one more lane, with the ending of its record.
    fn room(&mut self, stream_id: &str) -> Result<(StreamId, Ending), Error> {
        let id = StreamId::new(stream_id)?;
        if self.lanes.has(&id) {
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
        let ending = self.ending.take();
        let ending = ending.unwrap_or_else(|| self.record.on_socket());
        ending.record.set_caller(self.session.principal());
        if let Some(error) = refused {
            ending.record.set_error(error.code);
            return Err(error);
        }
        Ok((id, ending))
    }

    /// Says what is wrong with a message, unless there were too many of them.
    fn refuse(&mut self, stream_id: Option<&str>, error: Error) -> Result<(), End> {
        if !self.refused.allows() {
            let reason = "too many messages that cannot be taken";
            return Err(End::Told(CloseCode::Policy, reason));
        }
        // A name that is none is not repeated.
        let stream_id = stream_id.filter(|it| StreamId::new(it).is_ok());
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
        error.log_cause(Some(self.record.id()));
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
