//! The methods of `CompletionService`.

use std::time::Duration;

use fathom_proto::grpc::timeout;
use fathom_proto::pb::inference as pb;
use fathom_proto::pb::inference::completion_service_server::CompletionService;
use fathom_proto::{Error, ErrorCode};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tonic::{Request, Response, Status};

use crate::dialect::Dialect;
use crate::embedding::embed;
use crate::error::ApiError;
use crate::generation::Generation;
use crate::identity::Session;
use crate::protobuf::{Completion, FromMessage, Pieces, completion, whole};
use crate::record::Record;
use crate::{Gateway, request};

/// Serves completions and embeddings.
pub struct Completions(pub Gateway);

type Answers = BoxStream<'static, Result<pb::CreateCompletionResponse, Status>>;

#[tonic::async_trait]
impl CompletionService for Completions {
    type CreateCompletionStream = Answers;

    async fn create_completion(
        &self,
        call: Request<pb::CreateCompletionRequest>,
    ) -> Result<Response<Answers>, Status> {
        let (caller, message) = Caller::of(call)?;
        let record = caller.record.clone();
        let answers = self.answers(caller, message).await;
        answers
            .map(Response::new)
            .map_err(|ApiError(error)| status(error, &record))
    }

    async fn create_embedding(
        &self,
        call: Request<pb::CreateEmbeddingRequest>,
    ) -> Result<Response<pb::CreateEmbeddingResponse>, Status> {
        let (caller, message) = Caller::of(call)?;
        let answer = async {
            let request = fathom_api::embeddings::EmbeddingRequest::from_message(message)?;
            embed(
                &self.0,
                &caller.session,
                &caller.record,
                request,
                caller.timeout,
            )
            .await
        };
        match answer.await {
            Ok(embedded) => Ok(Response::new(embedded.into())),
            Err(ApiError(error)) => Err(status(error, &caller.record)),
        }
    }
}

impl Completions {
    async fn answers(
        &self,
        caller: Caller,
        message: pb::CreateCompletionRequest,
    ) -> Result<Answers, ApiError> {
        let config = &self.0.config;
        let (stream, prefix, mut asked) = match completion(message)? {
            Completion::Chat(mut chat) => {
                request::check_chat(Dialect::OpenAi, &mut chat)?;
                let stream = request::stream_options(chat.stream, chat.stream_options)?;
                (stream, "chatcmpl", request::from_chat(*chat, config)?)
            }
            Completion::Text(mut text) => {
                request::check_completion(Dialect::OpenAi, &mut text)?;
                let stream = request::stream_options(text.stream, text.stream_options)?;
                (
                    stream,
                    "cmpl",
                    request::from_completion(Dialect::OpenAi, *text, config)?,
                )
            }
        };
        asked.timeout = caller.timeout;
        let Caller {
            session, record, ..
        } = caller;
        let generation = Generation::start(&self.0, &session, &record, asked).await?;
        let id = format!("{prefix}-{}", generation.request_id());
        if stream.is_none() {
            let answer = whole(generation, id).await?;
            return Ok(stream::iter([Ok(answer)]).boxed());
        }
        let pieces = Pieces { generation, id };
        Ok(pieces
            .map(move |piece| piece.map_err(|error| status(error, &record)))
            .boxed())
    }
}

/// Who calls, and how long it waits.
struct Caller {
    session: Session,
    record: Record,
    timeout: Option<Duration>,
}

impl Caller {
    /// The guard has left both in the call's extensions.
    fn of<M>(call: Request<M>) -> Result<(Self, M), Status> {
        let timeout = timeout(call.metadata());
        let (_, mut extensions, message) = call.into_parts();
        let (Some(session), Some(record)) = (extensions.remove(), extensions.remove()) else {
            let error = Error::new(ErrorCode::Internal, "internal error");
            return Err(error.into());
        };
        let caller = Self {
            session,
            record,
            timeout,
        };
        Ok((caller, message))
    }
}

/// The error as the caller is told it; its cause goes to the log with the id of the request.
fn status(error: Error, record: &Record) -> Status {
    record.set_error(error.code);
    error.log_cause(Some(record.id()));
    Error {
        source: None,
        ..error
    }
    .into()
}
