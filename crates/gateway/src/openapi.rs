//! The description of the public port as OpenAPI 3.1: made once, of the table of routes and of the
//! types that its handlers read and answer with.
//!
//! # Layout
//!
//! - [`methods`]: the handlers of a path, which cannot be named without a description
//! - [`operation`]: what is known of one handler
//! - [`describe`]: what a handler's own signature says of it
//! - [`schemas`]: JSON Schemas of what is read and of what is written
//! - [`failures`]: the answers of a request that fails
//! - [`security`]: a route's policy, in OpenAPI's words

mod describe;
mod failures;
pub mod methods;
mod operation;
mod schemas;
pub mod security;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

pub use describe::{Described, Failure, Input, Output};
pub use methods::Methods;
pub use operation::{Answer, Content, Operation, SchemaOf};

use self::failures::Failures;
use self::operation::message;
use self::schemas::Schemas;
use crate::policy::Policy;
use crate::protobuf::PROTOBUF;
use crate::routes::{Route, table};

/// The document, as text.
#[must_use]
pub fn openapi() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut text = serde_json::to_string_pretty(&document(&table())).unwrap_or_default();
        text.push('\n');
        text
    });
    &DOCUMENT
}

/// What every client should know before it reads on.
const DESCRIPTION: &str = "\
The API of Fathom, in OpenAI's, DeepSeek's and Anthropic's dialects. Every answer has `x-request-id`, which names \
the request in the server's log. An answer may come without this server having been asked: a proxy \
before it, or the server's own edge for a request that is no HTTP, answers by itself.";

/// The document of a table of routes.
pub fn document(table: &[Route]) -> Value {
    let mut schemas = Schemas::new();
    let mut failures = Failures::default();
    let mut paths = Map::new();
    let mut tags = Vec::new();
    for (path, policy, methods) in table {
        let mut item = Map::new();
        for operation in &methods.operations {
            let tag = tag(path);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
            let method = operation.method.as_str().to_ascii_lowercase();
            item.insert(
                method,
                describe_operation(path, *policy, operation, &mut schemas, &mut failures),
            );
        }
        paths.insert((*path).to_owned(), item.into());
    }
    let responses = failures.components(&mut schemas);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fathom",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags.iter().map(|tag| json!({"name": tag})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": security::schemes(),
            "responses": responses,
            "schemas": null,
        },
    });
    let schemas = schemas.finish(&mut document);
    document["components"]["schemas"] = schemas;
    document
}

fn describe_operation(
    path: &str,
    policy: Policy,
    operation: &Operation,
    schemas: &mut Schemas,
    failures: &mut Failures,
) -> Value {
    let mut described = Map::new();
    let mut set = |name: &str, value: Value| described.insert(name.to_owned(), value);
    set("operationId", operation_id(operation, path).into());
    set("summary", operation.summary.into());
    set("tags", json!([tag(path)]));
    let parameters = parameters(path, operation, schemas);
    if !parameters.is_empty() {
        set("parameters", parameters.into());
    }
    if !operation.body.is_empty() {
        let content = operation.body.iter();
        let mut content: Map<_, _> = content
            .map(|(media, schema)| {
                let schema = schemas.read(*schema);
                ((*media).to_owned(), json!({ "schema": schema }))
            })
            .collect();
        if let Some(name) = operation.message {
            content.insert(PROTOBUF.to_owned(), message(name));
        }
        set("requestBody", json!({"required": true, "content": content}));
    }
    set("security", security::requirement(policy, operation));
    let mut responses = Map::new();
    for answer in &operation.answers {
        responses.insert(answer.status.to_string(), answer.describe(schemas));
    }
    for status in failures::statuses(path, policy, operation) {
        let reference = failures.reference(operation.form_at(path), status);
        responses.insert(status.to_string(), reference);
    }
    set("responses", responses.into());
    described.into()
}

/// Method and path in one word: unique because those are, and as stable as they.
fn operation_id(operation: &Operation, path: &str) -> String {
    let mut id = operation.method.as_str().to_ascii_lowercase();
    for word in path.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut rest = word.chars();
        id.extend(rest.next().map(|first| first.to_ascii_uppercase()));
        id.extend(rest);
    }
    id
}

/// What a reader looks for a route under.
fn tag(path: &str) -> &'static str {
    const TAGS: [(&str, &str); 5] = [
        ("/admin/", "Administration"),
        ("/oauth/", "OAuth 2"),
        ("/.well-known/", "OAuth 2"),
        ("/openapi", "Documentation"),
        ("/docs", "Documentation"),
    ];
    let found = TAGS.into_iter().find(|(start, _)| path.starts_with(start));
    found.map_or("Inference", |(_, tag)| tag)
}

fn parameters(path: &str, operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let names = path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name, "in": "path", "required": true,
            "schema": {"type": "string", "minLength": 1},
        }))
    });
    let mut parameters: Vec<_> = names.collect();
    for query in &operation.query {
        parameters.extend(schemas.parameters(*query));
    }
    parameters.extend(operation.headers.iter().map(|(name, description, words)| {
        let mut schema = json!({"type": "string"});
        if !words.is_empty() {
            schema["enum"] = json!(words);
        }
        json!({
            "name": name.as_str(), "in": "header", "description": description, "schema": schema,
        })
    }));
    parameters
}
