//! Every field of OpenAI's requests and what becomes of it, as docs/wire.md has it. That the table
//! names all of them is for a test of `crates/fathom` to see, which asks OpenAI's SDK.

use fathom_api::embeddings::EmbeddingRequest;
use fathom_proto::ErrorCode;

use super::*;

/// The rows of a table in docs/wire.md: field, an example, and what becomes of it.
fn rows(heading: &str) -> Vec<(&'static str, Value, &'static str)> {
    let wire = include_str!("../../../../../docs/wire.md");
    let table = wire.split_once(&format!("### {heading}\n")).unwrap().1;
    let table = table.split("\n#").next().unwrap();
    let cells = table.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [field, value, fate, ..] = cells[..] else {
            return None;
        };
        let value = value.strip_prefix('`')?.strip_suffix('`')?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| panic!("{line}"));
        Some((field.trim_matches('`'), value, fate))
    });
    cells.collect()
}

/// What a request with the field becomes: the fields that engines get, or the refusal.
type Made = Result<Option<Json>, fathom_proto::Error>;

fn check(heading: &str, most: usize, make: impl Fn(Value) -> Made) {
    let rows = rows(heading);
    assert!(rows.len() >= most, "{heading}: {}", rows.len());
    for (field, value, fate) in rows {
        let mut fields = json!({ field: value });
        if field == "top_logprobs" {
            fields["logprobs"] = true.into();
        }
        if ["tool_choice", "parallel_tool_calls"].contains(&field) {
            fields["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
        }
        let made = make(fields);
        let passes = |extra: Option<Json>| {
            let fields = extra.map_or_else(|| json!({}), |it| serde_json::from_str(&it.0).unwrap());
            fields.get(field) == Some(&value)
        };
        match (fate, made) {
            ("honoured", Ok(extra)) => assert!(!passes(extra), "{field} goes to engines"),
            ("passes", Ok(extra)) => assert!(passes(extra), "{field} is lost"),
            ("refused", Err(error)) => {
                assert_eq!(error.code, ErrorCode::InvalidRequest, "{field}");
                assert_eq!(error.param.as_deref(), Some(field), "{}", error.message);
            }
            (_, made) => panic!("{field} is {fate}: {:?}", made.err()),
        }
    }
}

#[test]
fn every_field_of_a_chat_is_honoured_passed_on_or_refused_by_name() {
    check("Fields of chats", 40, |fields| {
        chat(fields).map(|mut asked| asked.requests.next().unwrap().extra)
    });
}

#[test]
fn every_field_of_a_completion_is_honoured_passed_on_or_refused_by_name() {
    check("Fields of completions", 17, |fields| {
        completion(fields).map(|mut asked| asked.requests.next().unwrap().extra)
    });
}

#[test]
fn every_field_of_an_embedding_is_honoured_passed_on_or_refused_by_name() {
    check("Fields of embeddings", 5, |fields| {
        let body = json!({"model": "m", "input": "hi"});
        let request: EmbeddingRequest = with(body, fields);
        let made = from_embedding(request).map_err(|error| error.0);
        made.map(|(request, _)| request.extra)
    });
}
