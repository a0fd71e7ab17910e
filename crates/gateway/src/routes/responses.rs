//! `POST /v1/responses`, stateless.

mod events;

use axum::response::{IntoResponse, Response};
use axum::{Extension, extract::State};
use fathom_api::responses::{self, Item, Status};
use fathom_proto::Error;

use self::events::ResponseEvents;
use crate::answer::responses::{
    call, end, item_id, message, put, set_status, text_part, thought, thought_part,
};
use crate::error::{self, ApiError};
use crate::event_stream::to_json;
use crate::generation::{Generation, WholeChoice, now};
use crate::identity::Session;
use crate::json::Json;
use crate::keep_alive::KeepAlive;
use crate::record::Record;
use crate::{Gateway, event_stream, request};

/// What a chat calls otherwise.
const NAMES: [(&str, &str); 6] = [
    ("max_completion_tokens", "max_output_tokens"),
    ("max_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
    (".function.", "."),
];

/// Answers.
pub async fn create(
    State(gateway): State<Gateway>,
    Extension(session): Extension<Session>,
    Extension(record): Extension<Record>,
    Json(request): Json<responses::ResponsesRequest>,
) -> Result<Response, ApiError> {
    let stream = request.stream.unwrap_or(false);
    let asked = request::responses::from_responses(request, &gateway.config)?;
    let mut response = asked.response;
    response.id = format!("resp_{}", record.id());
    response.created_at = now();
    let config = gateway.config.clone();
    let (of_request, fan_out) = (record.clone(), asked.fan_out);
    let start = async move {
        Generation::start(&gateway, &session, &of_request, fan_out)
            .await
            .map_err(renamed)
    };
    let request_id = record.id().to_string();
    if stream {
        let events = ResponseEvents::new(response, request_id);
        let alive = KeepAlive::events(&config, events.clone(), &record);
        let work = async move { Ok(event_stream::response(start.await?, events)) };
        return alive.answer(work).await;
    }
    let alive = KeepAlive::whole(&config, |error| to_json(&error::body(error)), &record);
    let work = async move { whole(start.await?, response, &request_id).await };
    alive.answer(work).await
}

async fn whole(
    generation: Generation,
    mut response: responses::Response,
    request_id: &str,
) -> Result<Response, ApiError> {
    let whole = generation.whole().await.map_err(renamed)?;
    if let Some(choice) = whole.choices.into_iter().next() {
        end(&mut response, choice.reason.clone(), whole.usage)?;
        let summarises = response.reasoning.summary.is_some();
        response.output = output(choice, request_id, summarises, response.status);
    }
    if let (Status::Incomplete, Some(last)) = (response.status, response.output.last_mut()) {
        set_status(last, Status::Incomplete);
    }
    Ok(axum::Json(response).into_response())
}

fn renamed(error: Error) -> Error {
    request::renamed(error, "input", &NAMES)
}

fn output(choice: WholeChoice, request_id: &str, summarises: bool, status: Status) -> Vec<Item> {
    let mut output = Vec::new();
    // One that is cut off while it thinks has not begun to answer.
    let thinks = status == Status::Incomplete && !choice.reasoning.is_empty();
    if !choice.reasoning.is_empty() {
        let mut item = thought(item_id("rs", request_id, output.len()));
        put(&mut item, thought_part(choice.reasoning, summarises));
        output.push(item);
    }
    if !choice.text.is_empty() || (choice.tool_calls.is_empty() && !thinks) {
        let mut item = message(item_id("msg", request_id, output.len()));
        put(&mut item, text_part(choice.text, choice.logprobs));
        output.push(item);
    }
    for (_, tool_call) in choice.tool_calls {
        output.push(call(item_id("fc", request_id, output.len()), tool_call));
    }
    for item in &mut output {
        set_status(item, Status::Completed);
    }
    output
}
