use fathom_proto::ErrorCode;
use fathom_proto::inference::{ChatMessage, ChatRole, Json, ToolChoice};

use super::*;

fn asked(fields: Value) -> Result<Asked, fathom_proto::Error> {
    let mut body = json!({
        "model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}],
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    let request = serde_json::from_value(body).unwrap();
    from_messages(request, &Config::default()).map_err(|error| error.0)
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

fn turns(messages: Value) -> Vec<ChatMessage> {
    match one(json!({ "messages": messages })).prompt {
        Prompt::Chat(turns) => turns,
        _ => panic!("a chat"),
    }
}

#[test]
fn a_conversation_with_calls_becomes_turns_of_a_chat() {
    let turns = turns(json!([
        {"role": "user", "content": [{"type": "text", "text": "How "}, {"type": "text", "text": "warm?", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "text", "text": "I look.", "citations": null},
            {"type": "tool_use", "id": "1", "name": "f", "input": {"z": 1, "a": 2}, "caller": {"type": "direct"}},
            {"type": "tool_use", "id": "2", "name": "g", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "5"}]},
            {"type": "tool_result", "tool_use_id": "2", "content": "no such place", "is_error": true},
            {"type": "text", "text": "And now?"},
        ]},
    ]));
    let roles: Vec<_> = turns
        .iter()
        .map(|turn| (turn.role, &*turn.content))
        .collect();
    assert_eq!(
        roles,
        [
            (ChatRole::User, "How warm?"),
            (ChatRole::Assistant, "I look."),
            (ChatRole::Tool, "5"),
            (ChatRole::Tool, "Error: no such place"),
            (ChatRole::User, "And now?"),
        ]
    );
    assert_eq!(turns[1].reasoning.as_deref(), Some("Hm."));
    assert_eq!(turns[1].tool_calls[0].arguments, r#"{"z":1,"a":2}"#);
    assert_eq!(turns[3].tool_call_id.as_deref(), Some("2"));
}

#[test]
fn an_answer_goes_on_from_a_last_turn_of_the_assistant() {
    let hi = json!({"role": "assistant", "content": "Hi"});
    let prefixes = |messages: Value| {
        turns(messages)
            .iter()
            .map(|it| it.prefix)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        prefixes(json!([{"role": "user", "content": "x"}, hi])),
        [false, true]
    );
    assert_eq!(
        prefixes(json!([hi, {"role": "user", "content": "x"}])),
        [false, false]
    );
}

/// Anthropic combines what one speaker says in several turns; templates want speakers to alternate.
#[test]
fn turns_of_one_speaker_are_one() {
    let turns = turns(json!([
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "tool_use", "id": "1", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1"}]},
        {"role": "user", "content": "d"},
    ]));
    let said: Vec<_> = turns
        .iter()
        .map(|turn| (turn.role, &*turn.content))
        .collect();
    assert_eq!(
        said,
        [
            (ChatRole::User, "a\n\nb"),
            (ChatRole::Assistant, "c"),
            (ChatRole::Tool, ""),
            (ChatRole::User, "d"),
        ]
    );
    assert_eq!(turns[1].reasoning.as_deref(), Some("Hm."));
    assert_eq!(turns[1].tool_calls.len(), 1);
}

#[test]
fn the_system_is_a_turn_of_its_own() {
    for system in [
        json!("Be brief."),
        json!([{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]),
    ] {
        let Prompt::Chat(turns) = one(json!({ "system": system })).prompt else {
            panic!("a chat");
        };
        assert_eq!(
            (turns[0].role, &*turns[0].content),
            (ChatRole::System, "Be brief.")
        );
    }
}

#[test]
fn images_go_to_the_engine_as_a_chat_has_them() {
    let turns = turns(json!([{"role": "user", "content": [
        {"type": "text", "text": "What?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]}]));
    let parts = r#"[{"type":"text","text":"What?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#;
    assert!(turns[0].parts == Some(Json(parts.to_owned())));
}

#[test]
fn settings_reach_the_engine_and_upstreams() {
    let request = one(json!({
        "temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop_sequences": ["a", "b"],
        "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "u"}, "service_tier": "auto", "cache_control": {"type": "ephemeral"},
        "speed": "standard", "container": null,
    }));
    assert_eq!(request.sampling.temperature, Some(0.5));
    assert_eq!(request.sampling.top_k, Some(5));
    assert_eq!(request.stop, ["a", "b"]);
    assert_eq!(request.max_tokens, Some(10));
    let extra = r#"{"thinking":{"type":"enabled","budget_tokens":2048},"reasoning_effort":"high","user_id":"u"}"#;
    assert!(request.extra == Some(Json(extra.to_owned())));
    let Format::JsonSchema { schema, .. } = request.format else {
        panic!("a schema");
    };
    assert_eq!(schema.0, r#"{"type":"object"}"#);
    let user = asked(json!({"metadata": {"user_id": "u"}})).map(|asked| asked.fan_out.user);
    assert_eq!(user.unwrap().unwrap().to_string(), "u");
}

#[test]
fn tools_reach_the_engine() {
    let tool = json!({
        "name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true,
        "type": "custom", "cache_control": {"type": "ephemeral"}, "defer_loading": false,
    });
    for (choice, expected, parallel) in [
        (json!(null), ToolChoice::Auto, true),
        (json!({"type": "auto"}), ToolChoice::Auto, true),
        (
            json!({"type": "any", "disable_parallel_tool_use": true}),
            ToolChoice::Required,
            false,
        ),
        (
            json!({"type": "tool", "name": "f"}),
            ToolChoice::Named("f".to_owned()),
            true,
        ),
        (json!({"type": "none"}), ToolChoice::None, true),
    ] {
        let tools = one(json!({"tools": [tool], "tool_choice": choice}))
            .tools
            .unwrap();
        assert_eq!((tools.choice, tools.parallel), (expected, parallel));
        assert_eq!(tools.functions[0].strict, Some(true));
        assert_eq!(tools.functions[0].description.as_deref(), Some("d"));
    }
}

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    let said = |block: Value| json!([{"role": "user", "content": [block]}]);
    let tool = |more: Value| {
        let mut tool = json!({"name": "f", "input_schema": {}});
        for (name, value) in more.as_object().unwrap() {
            tool[name] = value.clone();
        }
        json!([tool])
    };
    for (field, value, param) in [
        ("max_tokens", json!(null), "max_tokens"),
        ("max_tokens", json!(0), "max_tokens"),
        ("temperature", json!(1.1), "temperature"),
        ("top_p", json!(0), "top_p"),
        ("stop_sequences", json!([""]), "stop_sequences"),
        ("model", json!(""), "model"),
        ("messages", json!([]), "messages"),
        (
            "messages",
            json!([{"role": "assistant", "content": "x\n"}]),
            "messages",
        ),
        (
            "messages",
            json!([{"role": "assistant", "content": [
                {"type": "tool_use", "id": "1", "name": "f", "input": {}},
            ]}]),
            "messages",
        ),
        (
            "messages",
            json!([{"role": "tool", "content": "x"}]),
            "messages[0].role",
        ),
        (
            "messages",
            json!([{"role": "user", "content": "x", "name": "n"}]),
            "messages[0].name",
        ),
        (
            "messages",
            said(json!({"type": "document"})),
            "messages[0].content[0].type",
        ),
        (
            "messages",
            said(json!({"type": "text"})),
            "messages[0].content[0].text",
        ),
        (
            "messages",
            said(json!({"type": "text", "text": "a", "b": 1})),
            "messages[0].content[0].b",
        ),
        (
            "messages",
            said(json!({"type": "text", "text": "a", "citations": [{}]})),
            "messages[0].content[0].citations",
        ),
        (
            "messages",
            said(json!({"type": "tool_use", "id": "1", "name": "f", "input": {}})),
            "messages[0].content[0].type",
        ),
        (
            "messages",
            said(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
            "messages[0].content[0].source.type",
        ),
        (
            "messages",
            said(
                json!({"type": "tool_result", "tool_use_id": "1", "content": [{"type": "document"}]}),
            ),
            "messages[0].content[0].content[0].type",
        ),
        (
            "system",
            json!([{"type": "image", "source": {"type": "url", "url": "u"}}]),
            "system[0].type",
        ),
        ("thinking", json!({}), "thinking.type"),
        ("thinking", json!({"type": "sometimes"}), "thinking.type"),
        ("thinking", json!({"type": "enabled", "x": 1}), "thinking.x"),
        (
            "output_config",
            json!({"effort": "huge"}),
            "output_config.effort",
        ),
        (
            "output_config",
            json!({"format": {"type": "text"}}),
            "output_config.format.type",
        ),
        ("output_config", json!({"x": 1}), "output_config.x"),
        ("metadata", json!({"x": 1}), "metadata.x"),
        ("service_tier", json!("priority"), "service_tier"),
        ("speed", json!("fast"), "speed"),
        ("container", json!("c"), "container"),
        ("mcp_servers", json!([{}]), "mcp_servers"),
        ("context_management", json!({}), "context_management"),
        ("n", json!(2), "n"),
        (
            "tools",
            json!([{"type": "web_search_20250305", "name": "web_search"}]),
            "tools[0].type",
        ),
        ("tools", json!([{"name": "f"}]), "tools[0].input_schema"),
        ("tools", tool(json!({"name": "a b"})), "tools[0].name"),
        (
            "tools",
            tool(json!({"input_schema": 5})),
            "tools[0].input_schema",
        ),
        (
            "tools",
            tool(json!({"defer_loading": true})),
            "tools[0].defer_loading",
        ),
        (
            "tools",
            tool(json!({"input_examples": [{}]})),
            "tools[0].input_examples",
        ),
        ("tool_choice", json!({"type": "any"}), "tool_choice"),
        ("tool_choice", json!({"type": "some"}), "tool_choice.type"),
    ] {
        let error = asked(json!({ field: value })).err().expect(param);
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
    }
}
