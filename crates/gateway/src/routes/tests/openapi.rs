//! `/openapi.json` says what is served, no less and no more.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::openapi;

fn document() -> Value {
    serde_json::from_str(openapi()).unwrap()
}

/// The description that was reviewed; `make openapi` writes it anew.
#[test]
fn the_document_is_as_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let reviewed = fs::read_to_string(path).unwrap_or_default();
    let differs = openapi()
        .lines()
        .zip(reviewed.lines())
        .position(|(now, then)| now != then);
    assert!(
        openapi() == reviewed,
        "docs/openapi.json is not what the code says, from line {}: run `make openapi`, and read \
         the difference before you commit it",
        differs.map_or("the last", |line| openapi().lines().nth(line).unwrap()),
    );
}

/// API9: each method of each route is described, and what is described is served.
#[tokio::test]
async fn every_route_is_described_and_nothing_else_is() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let described: Vec<_> = paths.keys().map(String::as_str).collect();
    let served: Vec<_> = table().into_iter().map(|(path, ..)| path).collect();
    assert_eq!(described, served);
    for (path, item) in paths {
        for method in ["get", "post", "put", "patch", "delete", "options", "trace"] {
            let ask = path.replace(['{', '}'], "");
            let ask = request(method.to_uppercase().parse().unwrap(), &ask, None, "");
            let answer = send(routes(gateway()), ask).await;
            let served = answer.status != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(served, item.get(method).is_some(), "{method} {path}");
            assert_eq!(
                served,
                !answer.headers.contains_key("allow"),
                "{method} {path}"
            );
        }
    }
}

/// Programs that were made of the document go by these names.
#[test]
fn operations_have_names_of_their_own() {
    let document = document();
    let items = document["paths"].as_object().unwrap().values();
    let operations: Vec<_> = items
        .flat_map(|item| item.as_object().unwrap().values())
        .collect();
    let name = |operation: &&Value| operation["operationId"].as_str().unwrap().to_owned();
    let names: BTreeSet<_> = operations.iter().map(name).collect();
    assert_eq!(names.len(), operations.len());
    assert!(names.contains("postV1ChatCompletions") && names.contains("getAdminV1KeysId"));
}

/// What is defined is used, what is used is defined, and no two types share a name: schemars puts a
/// number behind the second one's.
#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in &references {
        let found = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(found.is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(&reference), "{name} is not used");
            let numbered = name.ends_with(|c: char| c.is_ascii_digit());
            assert_eq!(numbered, kind == "responses", "{name}");
        }
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                references.insert(reference.clone());
            }
            members
                .values()
                .for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

/// The bounds of the document are those of the code: what is at one is taken, what is beyond is
/// refused by name.
#[tokio::test]
async fn a_number_is_bounded_as_the_document_says() {
    let document = document();
    let mut tried = 0;
    for (path, name, base) in [
        ("/v1/chat/completions", "ChatRequest", chat_body()),
        (
            "/v1/completions",
            "CompletionRequest",
            json!({"model": "m", "prompt": "hi"}),
        ),
    ] {
        let properties = &document["components"]["schemas"][name]["properties"];
        for (field, schema) in properties.as_object().unwrap() {
            let bounds = [
                ("minimum", -1.0),
                ("exclusiveMinimum", 0.0),
                ("maximum", 1.0),
            ];
            for (bound, beyond) in bounds {
                let Some(at) = schema[bound].as_f64().filter(|at| at.abs() < 1e9) else {
                    continue;
                };
                let mut ask = async |value: f64| {
                    tried += 1;
                    let mut body = base.clone();
                    let whole = schema["type"][0] == "integer";
                    body[field] = if whole {
                        json!(value as i64)
                    } else {
                        json!(value)
                    };
                    if field == "top_logprobs" {
                        body["logprobs"] = json!(true);
                    }
                    // Nothing can be asked of a text that is told.
                    if field == "max_tokens" && path == "/v1/completions" {
                        body["echo"] = json!(true);
                    }
                    send(routes(gateway()), post(path, body)).await
                };
                let outside = ask(at + beyond).await;
                assert_eq!(
                    outside.status,
                    StatusCode::BAD_REQUEST,
                    "{field} beyond {bound}"
                );
                assert_eq!(
                    outside.json()["error"]["param"],
                    json!(field),
                    "{}",
                    outside.body
                );
                if bound != "exclusiveMinimum" {
                    let inside = ask(at).await;
                    // What is behind here is made for other tests, and may fail.
                    assert_ne!(
                        inside.status,
                        StatusCode::BAD_REQUEST,
                        "{field} at {bound}: {}",
                        inside.body
                    );
                }
            }
        }
    }
    assert!(tried > 40, "{tried}");
}
