//! What chats and completions have in common, once their requests are checked: the answer, in
//! whichever form it is wanted.

use axum::response::Response;

use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::event_stream::{Events, to_json};
use crate::generation::Generation;
use crate::identity::Session;
use crate::keep_alive::KeepAlive;
use crate::protobuf::{self, Format};
use crate::record::Record;
use crate::request::FanOut;
use crate::{Gateway, event_stream};

/// A request that may be asked.
pub struct Checked<E> {
    /// What is asked.
    pub asked: FanOut,
    /// What it is answered with, if that is a stream.
    pub events: Option<E>,
}

/// Whoever wants an answer, and how.
pub struct Wanted {
    /// What answers.
    pub gateway: Gateway,
    /// Who asks.
    pub session: Session,
    /// The record of the request.
    pub record: Record,
    /// Whose words the answer is in.
    pub dialect: Dialect,
    /// How it is written.
    pub format: Format,
    /// What the answer is called.
    pub id: String,
}

impl Wanted {
    /// The answer; `whole` makes the one that is no stream.
    pub async fn answer<E, W, F>(self, checked: Checked<E>, whole: W) -> Result<Response, ApiError>
    where
        E: Events + Clone,
        W: FnOnce(Generation) -> F + Send + 'static,
        F: Future<Output = Result<Response, ApiError>> + Send,
    {
        let Self {
            gateway,
            session,
            record,
            dialect,
            format,
            id,
        } = self;
        let Checked { asked, events } = checked;
        if format == Format::Protobuf {
            let generation = Generation::start(&gateway, &session, &record, asked).await?;
            return protobuf::respond(generation, id, events.is_some(), dialect).await;
        }
        let alive = match &events {
            Some(events) => KeepAlive::events(&gateway.config, events.clone(), &record),
            None => {
                let failure = move |error: &_| to_json(&dialect.body(error));
                KeepAlive::whole(&gateway.config, failure, &record)
            }
        };
        let work = async move {
            let generation = Generation::start(&gateway, &session, &record, asked).await?;
            match events {
                Some(events) => Ok(event_stream::response(generation, events)),
                None => whole(generation).await,
            }
        };
        alive.answer(work).await
    }
}
