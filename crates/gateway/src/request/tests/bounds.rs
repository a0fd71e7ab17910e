//! What is refused, and by which name.

use fathom_proto::ErrorCode;

use super::*;

#[track_caller]
fn refused(answer: Result<FanOut, fathom_proto::Error>, param: &str) {
    let error = answer.err().expect("must be refused");
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
}

#[test]
fn a_value_out_of_its_range_is_refused_by_name() {
    let many_biases: Extra = (0..1025).map(|id| (id.to_string(), json!(1))).collect();
    for (field, value) in [
        ("temperature", json!(2.1)),
        ("temperature", json!(-0.1)),
        ("top_p", json!(0)),
        ("top_p", json!(1.5)),
        ("min_p", json!(-0.1)),
        ("min_p", json!(1.1)),
        ("frequency_penalty", json!(3)),
        ("presence_penalty", json!(-2.5)),
        ("max_tokens", json!(0)),
        ("stop", json!(vec!["a"; 17])),
        ("stop", json!("")),
        ("stop", json!("a".repeat(1025))),
        ("model", json!("")),
        ("model", json!("m".repeat(201))),
        ("n", json!(0)),
        ("n", json!(17)),
        ("logit_bias", json!({"5": 100.5})),
        ("logit_bias", json!({"5": -101})),
        ("logit_bias", json!({"token": 1})),
        ("logit_bias", json!({"-1": 1})),
        ("logit_bias", json!(many_biases)),
        ("functions", json!([])),
        ("function_call", json!("none")),
    ] {
        refused(chat(json!({ field: value })), field);
        refused(completion(json!({ field: value })), field);
    }
    for (field, value) in [
        ("max_completion_tokens", json!(0)),
        ("messages", json!([])),
        ("top_logprobs", json!(21)),
        ("top_logprobs", json!(1)),
    ] {
        refused(chat(json!({ field: value })), field);
    }
    refused(
        chat(json!({"logprobs": true, "top_logprobs": 21})),
        "top_logprobs",
    );
    refused(
        chat(json!({"logprobs": false, "top_logprobs": 1})),
        "top_logprobs",
    );
    refused(
        chat(json!({"response_format": {"type": "json_schema", "json_schema": {"schema": 5}}})),
        "response_format.json_schema.schema",
    );
}

#[test]
fn a_completion_out_of_its_bounds_is_refused_by_name() {
    for (field, value) in [
        ("logprobs", json!(21)),
        ("best_of", json!(2)),
        ("best_of", json!(0)),
        ("prompt", json!([])),
        ("prompt", json!([[]])),
        ("prompt", json!([[1], []])),
        ("prompt", json!(vec!["a"; 65])),
    ] {
        refused(completion(json!({ field: value })), field);
    }
    refused(completion(json!({"prompt": vec!["a"; 33], "n": 2})), "n");
    refused(completion(json!({"n": 2, "best_of": 3})), "best_of");
    refused(completion(json!({"echo": true, "suffix": "b"})), "suffix");
    refused(completion(json!({"prompt": [1], "suffix": "b"})), "suffix");
    assert!(completion(json!({"prompt": vec!["a"; 32], "n": 2, "best_of": 2})).is_ok());
}

#[test]
fn tools_out_of_their_bounds_are_refused_by_name() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let many: Vec<_> = (0..129).map(|i| tool(&i.to_string())).collect();
    for (tools, param) in [
        (json!(many), "tools"),
        (json!([tool("")]), "tools[0].function.name"),
        (json!([tool("a b")]), "tools[0].function.name"),
        (json!([tool(&"a".repeat(65))]), "tools[0].function.name"),
        (json!([tool("a"), tool("a")]), "tools[1].function.name"),
        (
            json!([{"type": "retrieval", "function": {"name": "a"}}]),
            "tools[0].type",
        ),
        (
            json!([{"type": "function", "function": {"name": "a", "parameters": []}}]),
            "tools[0].function.parameters",
        ),
    ] {
        refused(chat(json!({ "tools": tools })), param);
    }
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    for (tools, choice) in [
        (json!(null), json!("auto")),
        (json!([]), json!("required")),
        (json!(null), named("a")),
        (json!([tool("a")]), named("b")),
        (json!([tool("a")]), json!("any")),
        (
            json!([tool("a")]),
            json!({"type": "custom", "function": {"name": "a"}}),
        ),
    ] {
        let fields = json!({"tools": tools, "tool_choice": choice});
        refused(chat(fields), "tool_choice");
    }
}

#[test]
fn a_message_that_cannot_be_understood_is_refused_at_its_place() {
    let call = json!({"id": "1", "function": {"name": "f", "arguments": "{}"}});
    let custom = json!({"id": "1", "type": "custom", "function": {"name": "f", "arguments": ""}});
    for (message, param) in [
        (json!({"role": "robot", "content": "x"}), "messages[0].role"),
        (
            json!({"role": "tool", "content": "x"}),
            "messages[0].tool_call_id",
        ),
        (
            json!({"role": "user", "content": "x", "tool_calls": [call]}),
            "messages[0].tool_calls",
        ),
        (
            json!({"role": "assistant", "tool_calls": [call, custom]}),
            "messages[0].tool_calls[1].type",
        ),
        (
            json!({"role": "user", "content": [{"type": "text"}]}),
            "messages[0].content[0].text",
        ),
    ] {
        refused(chat(json!({ "messages": [message] })), param);
    }
}

#[test]
fn a_socket_refuses_what_it_has_no_message_for() {
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    for (field, value) in [
        ("tools", tool),
        ("tool_choice", json!("auto")),
        ("n", json!(2)),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(1)),
        ("functions", json!([])),
        ("min_p", json!(2)),
    ] {
        refused(socket(json!({ field: value })), field);
    }
    let request = one(socket(json!({
        "n": 1, "tools": [], "logprobs": false, "top_logprobs": 0, "tool_choice": "none",
        "stream": true, "user": "u", "top_k": 3, "response_format": {"type": "json_object"},
    })));
    assert!(request.extra == Some(Json(r#"{"user":"u"}"#.to_owned())));
    assert!(request.format == Format::JsonObject);
    assert_eq!(request.sampling.top_k, Some(3));
}

/// It would be ignored, and the answer would not be what was asked for.
#[test]
fn a_field_that_only_another_route_has_is_refused() {
    for (field, value) in [
        ("best_of", json!(2)),
        ("echo", json!(true)),
        ("suffix", json!("b")),
    ] {
        refused(chat(json!({ field: value })), field);
        refused(socket(json!({ field: value })), field);
    }
    for (field, value) in [
        ("tools", json!([{}])),
        ("tool_choice", json!("auto")),
        ("top_logprobs", json!(1)),
        ("response_format", json!({"type": "json_object"})),
    ] {
        refused(completion(json!({ field: value })), field);
    }
    let nothing = json!({"best_of": 1, "echo": false, "suffix": ""});
    assert!(one(chat(nothing)).extra.is_none());
    let nothing = json!({
        "tools": [], "tool_choice": "none", "top_logprobs": 0, "response_format": {"type": "text"},
    });
    assert!(one(completion(nothing)).extra.is_none());
}
