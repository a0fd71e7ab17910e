use fathom_proto::ErrorCode;
use fathom_proto::inference::{Json, ToolChoice};
use serde_json::Value;

use super::*;

fn asked(fields: Value) -> Result<Asked, fathom_proto::Error> {
    let mut body = json!({"model": "m", "input": "hi"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    let request = serde_json::from_value(body).unwrap();
    from_responses(request, &Config::default()).map_err(|error| error.0)
}

fn one(fields: Value) -> GenerateRequest {
    let mut requests = asked(fields)
        .map_err(|error| error.message)
        .unwrap()
        .fan_out
        .requests;
    assert_eq!(requests.len(), 1);
    requests.next().unwrap()
}

fn turns(fields: Value) -> Vec<ChatMessage> {
    match one(fields).prompt {
        Prompt::Chat(turns) => turns,
        _ => panic!("a chat"),
    }
}

/// As an answer comes back, item by item.
#[test]
fn items_of_one_turn_of_the_model_become_one_turn() {
    let turns = turns(json!({"instructions": "Be brief.", "input": [
        {"role": "user", "content": "How warm?"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}], "encrypted_content": null, "status": "completed"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "1", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "function_call", "id": "fc_2", "call_id": "2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "5"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "6"}]},
        {"type": "message", "role": "assistant", "content": "5 and 6."},
        {"type": "message", "role": "assistant", "content": "Degrees."},
        {"role": "developer", "content": [{"type": "input_text", "text": "Now in "}, {"type": "input_text", "text": "verse."}]},
    ]}));
    let said: Vec<_> = turns
        .iter()
        .map(|turn| (turn.role, &*turn.content))
        .collect();
    assert_eq!(
        said,
        [
            (ChatRole::System, "Be brief."),
            (ChatRole::User, "How warm?"),
            (ChatRole::Assistant, "I look."),
            (ChatRole::Tool, "5"),
            (ChatRole::Tool, "6"),
            (ChatRole::Assistant, "5 and 6."),
            (ChatRole::Assistant, "Degrees."),
            (ChatRole::System, "Now in verse."),
        ]
    );
    assert_eq!(turns[2].reasoning.as_deref(), Some("Hm."));
    let calls: Vec<_> = turns[2].tool_calls.iter().map(|call| &*call.id).collect();
    assert_eq!(calls, ["1", "2"]);
    assert_eq!(turns[4].tool_call_id.as_deref(), Some("2"));
}

#[test]
fn images_go_to_the_engine_as_a_chat_has_them() {
    let turns = turns(json!({"input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": "u", "detail": "low"},
    ]}]}));
    let parts = r#"[{"type":"image_url","image_url":{"url":"u","detail":"low"}}]"#;
    assert!(turns[0].parts == Some(Json(parts.to_owned())));
}

#[test]
fn settings_reach_the_engine_and_upstreams_and_come_back() {
    let fields = json!({
        "max_output_tokens": 5, "temperature": 0.5, "top_p": 0.9, "max_tool_calls": 3,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "top_logprobs": 4, "user": "u", "safety_identifier": "s", "prompt_cache_key": "k",
        "service_tier": "auto", "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"verbosity": "low", "format": {
            "type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true,
            "description": "d",
        }},
        "stream_options": {"include_obfuscation": false}, "previous_response_id": null,
    });
    let request = one(fields.clone());
    assert_eq!((request.max_tokens, request.logprobs), (Some(5), Some(4)));
    let extra = r#"{"user":"u","safety_identifier":"s","prompt_cache_key":"k","service_tier":"auto","verbosity":"low","reasoning_effort":"high"}"#;
    assert!(request.extra == Some(Json(extra.to_owned())));
    let Format::JsonSchema {
        name,
        schema,
        strict,
    } = request.format
    else {
        panic!("a schema");
    };
    assert_eq!((&*name, strict), ("n", Some(true)));
    assert_eq!(schema.0, r#"{"type":"object","description":"d"}"#);
    let asked = asked(fields).map_err(|error| error.message).unwrap();
    assert_eq!(asked.fan_out.user.unwrap().to_string(), "s");
    let told = asked.response;
    assert_eq!(told.text["format"]["name"], "n");
    assert_eq!(told.reasoning.summary.as_deref(), Some("auto"));
    assert_eq!((told.top_logprobs, told.max_tool_calls), (4, Some(3)));
}

#[test]
fn tools_reach_the_engine() {
    let tool =
        json!({"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true});
    for (choice, expected) in [
        (json!(null), ToolChoice::Auto),
        (json!("required"), ToolChoice::Required),
        (json!("none"), ToolChoice::None),
        (
            json!({"type": "function", "name": "f"}),
            ToolChoice::Named("f".to_owned()),
        ),
    ] {
        let fields = json!({"tools": [tool], "tool_choice": choice, "parallel_tool_calls": false});
        let tools = one(fields).tools.unwrap();
        assert_eq!((tools.choice, tools.parallel), (expected, false));
        assert_eq!(tools.functions[0].name, "f");
    }
    // SDKs send both.
    assert!(
        one(json!({"tools": [], "tool_choice": "auto"}))
            .tools
            .is_none()
    );
}

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    let said = |part: Value| json!([{"role": "user", "content": [part]}]);
    let tool = |more: Value| {
        let mut tool = json!({"type": "function", "name": "f", "parameters": {}});
        for (name, value) in more.as_object().unwrap() {
            tool[name] = value.clone();
        }
        json!([tool])
    };
    let long = "x".repeat(513);
    for (field, value, param) in [
        ("store", json!(true), "store"),
        ("background", json!(true), "background"),
        (
            "previous_response_id",
            json!("resp_1"),
            "previous_response_id",
        ),
        ("conversation", json!("conv_1"), "conversation"),
        ("prompt", json!({"id": "p"}), "prompt"),
        ("truncation", json!("auto"), "truncation"),
        ("context_management", json!([]), "context_management"),
        ("moderation", json!({"model": "x"}), "moderation"),
        ("seed", json!(1), "seed"),
        (
            "stream_options",
            json!({"include_obfuscation": true}),
            "stream_options.include_obfuscation",
        ),
        ("max_output_tokens", json!(0), "max_output_tokens"),
        ("max_tool_calls", json!(0), "max_tool_calls"),
        ("temperature", json!(2.1), "temperature"),
        ("top_logprobs", json!(1), "top_logprobs"),
        ("top_logprobs", json!(21), "top_logprobs"),
        ("include", json!(["file_search_call.results"]), "include[0]"),
        ("metadata", json!({"a": 5}), "metadata"),
        ("metadata", json!({"a": long}), "metadata"),
        ("text", json!({"verbosity": "loud"}), "text.verbosity"),
        (
            "text",
            json!({"format": {"type": "xml"}}),
            "text.format.type",
        ),
        (
            "text",
            json!({"format": {"type": "json_schema", "schema": {}}}),
            "text.format.name",
        ),
        (
            "text",
            json!({"format": {"type": "json_schema", "name": "n"}}),
            "text.format.schema",
        ),
        ("text", json!({"x": 1}), "text.x"),
        ("reasoning", json!({"summary": "long"}), "reasoning.summary"),
        (
            "reasoning",
            json!({"context": "all_turns"}),
            "reasoning.context",
        ),
        ("tools", json!([{"type": "web_search"}]), "tools[0].type"),
        ("tools", tool(json!({"name": ""})), "tools[0].name"),
        (
            "tools",
            tool(json!({"parameters": 5})),
            "tools[0].parameters",
        ),
        (
            "tools",
            tool(json!({"defer_loading": true})),
            "tools[0].defer_loading",
        ),
        (
            "tools",
            tool(json!({"output_schema": {}})),
            "tools[0].output_schema",
        ),
        ("tool_choice", json!("required"), "tool_choice"),
        (
            "tool_choice",
            json!({"type": "allowed_tools"}),
            "tool_choice.type",
        ),
        ("input", json!([]), "input"),
        (
            "input",
            json!([{"type": "item_reference", "id": "x"}]),
            "input[0].type",
        ),
        (
            "input",
            json!([{"role": "robot", "content": "x"}]),
            "input[0].role",
        ),
        ("input", json!([{"role": "user"}]), "input[0].content"),
        (
            "input",
            json!([{"role": "user", "content": "x", "y": 1}]),
            "input[0].y",
        ),
        (
            "input",
            said(json!({"type": "input_file", "file_id": "f"})),
            "input[0].content[0].type",
        ),
        (
            "input",
            said(json!({"type": "input_image", "file_id": "f"})),
            "input[0].content[0].image_url",
        ),
        (
            "input",
            json!([{"type": "function_call", "name": "f", "arguments": ""}]),
            "input[0].call_id",
        ),
        (
            "input",
            json!([{"type": "reasoning", "summary": [], "encrypted_content": "x"}]),
            "input[0].encrypted_content",
        ),
    ] {
        let error = asked(json!({ field: value })).err().expect(param);
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
    }
}
