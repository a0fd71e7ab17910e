//! `POST /v1/messages` and `POST /v1/messages/count_tokens`, Anthropic's dialect.

pub mod error;
mod events;

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::messages::{ContentBlock, Message, MessagesRequest, TokenCount};
use fathom_proto::inference::ToolCall;
use fathom_proto::{Error, ErrorCode};
use serde_json::Value;

use self::events::MessageEvents;
use crate::error::ApiError;
use crate::event_stream::to_json;
use crate::generation::{Generation, WholeChoice};
use crate::identity::Session;
use crate::json::Json;
use crate::keep_alive::KeepAlive;
use crate::lifetime::Lifetime;
use crate::record::Record;
use crate::{Gateway, answer, event_stream, request};

/// What a chat calls otherwise.
const NAMES: [(&str, &str); 6] = [
    ("response_format", "output_config.format"),
    ("reasoning_effort", "output_config.effort"),
    ("max_completion_tokens", "max_tokens"),
    ("user_id", "metadata.user_id"),
    (".function.parameters", ".input_schema"),
    (".function.", "."),
];

/// Continues a conversation.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Json(request): Json<MessagesRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(false);
    let model = request.model.clone();
    let asked = request::anthropic::from_messages(request, &gateway.config)?;
    let id = format!("msg_{}", record.id());
    let stops = asked.stops;
    let form = Form {
        signature: record.id().to_string(),
        hides_thoughts: asked.hides_thoughts,
        stops,
    };
    let config = gateway.config.clone();
    let (of_request, fan_out) = (record.clone(), asked.fan_out);
    let start = async move {
        Generation::start(&gateway, &session, &of_request, fan_out)
            .await
            .map_err(renamed)
    };
    let request_id = record.id().to_string();
    if stream {
        let events = MessageEvents::new(id, model, request_id, form);
        let alive = KeepAlive::events(&config, events.clone(), &record);
        let work = async move { Ok(event_stream::response(start.await?, events)) };
        return alive.answer(work).await;
    }
    let failure = move |failed: &Error| to_json(&error::body(failed, Some(request_id.as_str())));
    let alive = KeepAlive::whole(&config, failure, &record);
    let work = async move { whole(start.await?, id, model, form).await };
    alive.answer(work).await
}

async fn whole(
    generation: Generation,
    id: String,
    model: String,
    form: Form,
) -> Result<Response, ApiError> {
    let whole = generation.whole().await.map_err(renamed)?;
    let choice = whole.choices.into_iter().next();
    let choice = choice.ok_or_else(|| unfit("the answer is empty"))?;
    let (stop_reason, stop_sequence) = answer::messages::stop(choice.reason.clone(), &form.stops)?;
    let stop_sequence = stop_sequence.cloned();
    let answer = Message {
        id: id.into(),
        kind: "message".into(),
        role: "assistant".into(),
        model: model.into(),
        content: form.content(choice)?,
        stop_reason: Some(stop_reason),
        stop_sequence: stop_sequence.map(Into::into),
        usage: answer::messages::usage(whole.usage),
    };
    Ok(axum::Json(answer).into_response())
}

/// Counts the tokens of a conversation, with everything that the model's template adds.
pub async fn count(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Json(request): Json<MessagesRequest>,
) -> Result<axum::Json<TokenCount>, ApiError> {
    let asked = request::anthropic::from_count(request, &gateway.config)?;
    let model = asked.model;
    let mut lifetime = Lifetime::begin(&gateway, &session, &model, None)?;
    let context = lifetime.context(&session, &record, asked.user);
    let mut input_tokens = 0;
    // A conversation is one generation.
    for request in asked.requests {
        let counted = gateway.inference.count_tokens(request, context.clone());
        input_tokens += lifetime.run(counted).await.map_err(renamed)?;
    }
    record.set_model(model);
    Ok(axum::Json(TokenCount { input_tokens }))
}

fn renamed(error: Error) -> Error {
    request::renamed(error, "messages", &NAMES)
}

/// What the request says of the form of its answer.
#[derive(Clone)]
struct Form {
    /// What comes back with a thought.
    signature: String,
    /// Whether the caller does not want to see them.
    hides_thoughts: bool,
    /// Texts that end it.
    stops: Vec<String>,
}

impl Form {
    fn content(self, choice: WholeChoice) -> Result<Vec<ContentBlock<'static>>, Error> {
        let mut content = Vec::new();
        if !choice.reasoning.is_empty() {
            let thinking = match self.hides_thoughts {
                true => String::new(),
                false => choice.reasoning,
            };
            content.push(ContentBlock::Thinking {
                thinking: thinking.into(),
                signature: self.signature.into(),
            });
        }
        if !choice.text.is_empty() {
            content.push(ContentBlock::Text {
                text: choice.text.into(),
            });
        }
        let is_cut = choice.reason == fathom_proto::inference::FinishReason::Length;
        for (_, call) in choice.tool_calls {
            let input = input(&call, is_cut)?;
            content.push(ContentBlock::ToolUse {
                id: call.id.into(),
                name: call.name.into(),
                input,
            });
        }
        Ok(content)
    }
}

/// The arguments of a call as the object that they have to be; nothing of those that the end of
/// the answer cut.
fn input(call: &ToolCall, is_cut: bool) -> Result<Value, Error> {
    let nothing = || Value::Object(serde_json::Map::new());
    if call.arguments.trim().is_empty() {
        return Ok(nothing());
    }
    match serde_json::from_str(&call.arguments) {
        Ok(input @ Value::Object(_)) => Ok(input),
        _ if is_cut => Ok(nothing()),
        _ => Err(unfit(
            "the model called a function with arguments that are no JSON object",
        )),
    }
}

/// An answer that this dialect has no form for.
fn unfit(problem: &str) -> Error {
    Error::new(ErrorCode::WorkerFailed, problem)
}
