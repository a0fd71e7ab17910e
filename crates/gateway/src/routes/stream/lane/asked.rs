//! What a lane is asked: the body of an endpoint, which says by its fields which endpoint it is.

use fathom_api::chat::ChatRequest;
use fathom_api::completions::CompletionRequest;
use fathom_proto::Error;
use fathom_proto::id::RequestId;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::event_stream::Events;
use crate::generation::Generation;
use crate::identity::Session;
use crate::record::Record;
use crate::routes::generate::Checked;
use crate::routes::stream::encoder::{Answer, Encoder};
use crate::routes::{chat, completions};
use crate::{Config, Gateway, json};

/// The body of an endpoint.
pub enum Asked {
    /// A conversation to be continued.
    Chat(Box<ChatRequest>),
    /// Texts to be continued.
    Completion(Box<CompletionRequest>),
}

/// A socket speaks the API of the routes below `/v1`.
const DIALECT: Dialect = Dialect::OpenAi;

/// What tells the one from the other.
#[derive(Deserialize)]
struct Endpoint {
    prompt: Option<IgnoredAny>,
    messages: Option<IgnoredAny>,
}

impl Asked {
    /// Reads the body in a message whose members are known to have a name each.
    ///
    /// # Errors
    /// Why it is none, or none that can be answered here.
    pub fn read(request: &RawValue) -> Result<Self, ApiError> {
        let body = request.get().as_bytes();
        let endpoint: Endpoint = json::part(body)?;
        let mut asked = match (endpoint.prompt, endpoint.messages) {
            (Some(_), Some(_)) => {
                let message = "send either `messages`, for a chat, or `prompt`, for a completion";
                return Err(ApiError::invalid("prompt", message));
            }
            (Some(_), None) => Self::Completion(json::part(body)?),
            (None, _) => Self::Chat(json::part(body)?),
        };
        let stream = match &mut asked {
            Self::Chat(request) => &mut request.stream,
            Self::Completion(request) => &mut request.stream,
        };
        if stream.replace(true) == Some(false) {
            let message = "a socket always streams; leave `stream` out";
            return Err(ApiError::invalid("stream", message));
        }
        Ok(asked)
    }

    /// Does what the endpoint does.
    pub async fn start(
        self,
        gateway: Gateway,
        session: Session,
        record: Record,
    ) -> Result<Box<dyn Answer>, Error> {
        match self {
            Self::Chat(request) => {
                let checked = chat::checked(DIALECT, *request, record.id(), &gateway.config);
                start(checked, &gateway, &session, &record).await
            }
            Self::Completion(request) => {
                let checked = completions::checked(DIALECT, *request, record.id(), &gateway.config);
                start(checked, &gateway, &session, &record).await
            }
        }
    }

    /// Checks what the endpoint checks.
    ///
    /// # Errors
    /// Why the endpoint would refuse it.
    pub fn check(self, id: &RequestId, config: &Config) -> Result<(), ApiError> {
        match self {
            Self::Chat(request) => chat::checked(DIALECT, *request, id, config).map(drop),
            Self::Completion(request) => {
                completions::checked(DIALECT, *request, id, config).map(drop)
            }
        }
    }
}

async fn start<E: Events>(
    checked: Result<Checked<E>, ApiError>,
    gateway: &Gateway,
    session: &Session,
    record: &Record,
) -> Result<Box<dyn Answer>, Error> {
    let Checked { asked, events } = checked.map_err(|ApiError(error)| error)?;
    let events = events.ok_or_else(|| Error::internal("a lane that does not stream"))?;
    let generation = Generation::start(gateway, session, record, asked).await?;
    Ok(Box::new(Encoder::new(generation, events)))
}
