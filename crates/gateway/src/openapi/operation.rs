//! What is known of one handler.

use fathom_proto::ErrorCode;
use http::{HeaderName, Method};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use crate::error::ErrorForm;
use crate::protobuf::{DELIMITED, PROTOBUF};
use crate::resume::events::{LAST_EVENT_ID, RESUME};

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a request for an event stream may say of it.
static RESUMPTION: [Header; 2] = [
    (
        RESUME,
        "Whether the stream is to be kept, so that it can be taken up again.",
        &["true", "false"],
    ),
    (
        LAST_EVENT_ID,
        "Takes a stream up again, behind the event with this `id`; the body says nothing then.",
        &[],
    ),
];

/// A header of requests: its name, what it is for, and the words that it may be, if not any.
pub type Header = (HeaderName, &'static str, &'static [&'static str]);

/// A handler, as clients see it.
pub struct Operation {
    /// The method that it is for.
    pub method: Method,
    /// What it does.
    pub summary: &'static str,
    /// Structs whose members are parameters of the query.
    pub query: Vec<SchemaOf>,
    /// Headers that matter.
    pub headers: &'static [Header],
    /// Media types of the body, with what is in it.
    pub body: Vec<(&'static str, SchemaOf)>,
    /// The message of Protocol Buffers that the body may be instead.
    pub message: Option<&'static str>,
    /// Answers of a request that does not fail.
    pub answers: Vec<Answer>,
    /// In what ways it can fail, besides those of its policy.
    pub failures: Vec<ErrorCode>,
    /// The scheme of the credentials that the handler itself takes.
    pub own_scheme: Option<&'static str>,
    /// The form of its errors.
    pub form: ErrorForm,
}

/// An answer of a request that does not fail.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What it means.
    pub description: &'static str,
    /// Media types of the body, with what is in it.
    pub content: Vec<(&'static str, Content)>,
    /// Headers that matter, with what is in them.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// What is in a body.
pub enum Content {
    /// JSON of a type.
    Json(SchemaOf),
    /// Server-sent events, each with JSON of a type.
    Events(SchemaOf),
    /// A message of Protocol Buffers, by its name.
    Message(&'static str),
    /// Such messages as they come.
    Messages(&'static str),
    /// An object or a text that is not described any further.
    Other,
}

impl Operation {
    /// Of which nothing is known but what it is for.
    pub fn new(method: Method, summary: &'static str) -> Self {
        Self {
            method,
            summary,
            query: Vec::new(),
            headers: &[],
            body: Vec::new(),
            message: None,
            answers: Vec::new(),
            // A bug in any handler is this answer.
            failures: vec![ErrorCode::Internal],
            own_scheme: None,
            form: ErrorForm::Common,
        }
    }

    /// The body is `T` in one of these media types.
    pub fn reads<T: JsonSchema>(&mut self, media: &[&'static str]) {
        let schema: SchemaOf = SchemaGenerator::subschema_for::<T>;
        self.body.extend(media.iter().map(|media| (*media, schema)));
    }

    /// It answers 200 with JSON of this type.
    pub fn answers_json<T: JsonSchema>(&mut self) {
        let schema = SchemaGenerator::subschema_for::<T>;
        self.ok()
            .content
            .push(("application/json", Content::Json(schema)));
    }

    /// It answers 200 with an event stream whose events are of this type, and which may be taken
    /// up again where that is asked for.
    pub fn answers_events<T: JsonSchema>(&mut self) {
        let schema = SchemaGenerator::subschema_for::<T>;
        let answer = self.ok();
        let events = ("text/event-stream", Content::Events(schema));
        answer.content.push(events);
        let told = "Whether the stream may be taken up again; only if that was asked for.";
        answer.headers.push(("x-fathom-resume", told));
        self.headers = &RESUMPTION;
        let failures = [ErrorCode::NotFound, ErrorCode::Gone];
        self.failures.extend(failures);
    }

    /// Whether it answers with an event stream where that is asked for.
    pub fn is_streamed(&self) -> bool {
        let all = self.answers.iter().flat_map(|answer| &answer.content);
        let mut contents = all.map(|(_, content)| content);
        contents.any(|content| matches!(content, Content::Events(_)))
    }

    /// It answers 200 with a message of Protocol Buffers.
    pub fn answers_message(&mut self, name: &'static str) {
        self.ok().content.push((PROTOBUF, Content::Message(name)));
    }

    /// It answers 200 with messages of Protocol Buffers as they come.
    pub fn streams_messages(&mut self, name: &'static str) {
        self.ok().content.push((DELIMITED, Content::Messages(name)));
    }

    /// It answers 200 with what has no type here.
    pub fn answers_media(&mut self, media: &'static str) {
        self.ok().content.push((media, Content::Other));
    }

    /// The form of its errors under a path.
    pub fn form_at(&self, path: &str) -> ErrorForm {
        match ErrorForm::of(path) {
            // Some routes beside OAuth's have none of its errors.
            ErrorForm::OAuth => self.form,
            form => form,
        }
    }

    fn ok(&mut self) -> &mut Answer {
        let found = self.answers.iter().position(|answer| answer.status == 200);
        let index = found.unwrap_or_else(|| {
            self.answers.push(Answer::new(200, "The answer."));
            self.answers.len() - 1
        });
        &mut self.answers[index]
    }
}

impl Answer {
    /// Without a body.
    pub fn new(status: u16, description: &'static str) -> Self {
        Self {
            status,
            description,
            content: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// In OpenAPI's words.
    pub fn describe(&self, schemas: &mut Schemas) -> Value {
        let mut described = json!({ "description": self.description });
        if !self.headers.is_empty() {
            described["headers"] = headers(&self.headers);
        }
        let content = self.content.iter().map(|(media, content)| {
            let content = match content {
                Content::Json(schema) => json!({ "schema": schemas.written(*schema) }),
                // OpenAPI has a word for events from 3.2 on. Some take a schema here for that of
                // an event, others for that of the whole, so that it says nothing of either.
                Content::Events(schema) => json!({
                    "schema": {"description": "Events; `x-event-schema` is of the `data` of one."},
                    "x-event-schema": schemas.written(*schema),
                }),
                Content::Message(name) => message(name),
                Content::Messages(name) => {
                    let mut described = message(name);
                    described["schema"]["description"] =
                        format!("Messages `{PACKAGE}.{name}`, each behind its length as a varint.")
                            .into();
                    described
                }
                Content::Other if media.ends_with("json") => {
                    json!({ "schema": {"type": "object"} })
                }
                Content::Other => json!({ "schema": {"type": "string"} }),
            };
            ((*media).to_owned(), content)
        });
        let content: Map<_, _> = content.collect();
        if !content.is_empty() {
            described["content"] = content.into();
        }
        described
    }
}

/// Where the messages are described.
const PACKAGE: &str = "fathom.inference.v1";

/// A message in OpenAPI's words, which has none for what is in it.
pub fn message(name: &str) -> Value {
    json!({
        "schema": {
            "type": "string",
            "format": "binary",
            "description": format!("The message `{PACKAGE}.{name}`."),
        },
    })
}

/// Headers in OpenAPI's words.
pub fn headers(headers: &[(&'static str, &'static str)]) -> Value {
    let headers = headers.iter().map(|(name, description)| {
        let described = json!({"description": description, "schema": {"type": "string"}});
        ((*name).to_owned(), described)
    });
    headers.collect::<Map<_, _>>().into()
}
