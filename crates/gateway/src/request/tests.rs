mod bounds;
mod fields;

use fathom_api::completions::CompletionRequest;
use fathom_proto::inference::{
    ChatMessage, ChatRole, Defaults, Format, GenerateRequest, LogitBias, Prompt, Sampling,
    ToolChoice,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::dialect::Dialect;

fn chat(fields: Value) -> Result<FanOut, fathom_proto::Error> {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    from_chat(with(body, fields), &Config::default()).map_err(|error| error.0)
}

fn completion(fields: Value) -> Result<FanOut, fathom_proto::Error> {
    let body = json!({"model": "m", "prompt": "hi"});
    from_completion(Dialect::OpenAi, with(body, fields), &Config::default())
        .map_err(|error| error.0)
}

fn socket(fields: Value) -> Result<FanOut, fathom_proto::Error> {
    let body = json!({"model": "m", "prompt": "hi"});
    from_stream(with(body, fields), &Config::default()).map_err(|error| error.0)
}

fn with<T: DeserializeOwned>(mut body: Value, fields: Value) -> T {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

/// The one request that a public one makes.
fn one(asked: Result<FanOut, fathom_proto::Error>) -> GenerateRequest {
    let mut requests = asked.unwrap().requests;
    assert_eq!(requests.len(), 1);
    requests.next().unwrap()
}

/// The first turn of a chat.
fn turn(message: Value) -> ChatMessage {
    match one(chat(json!({"messages": [message]}))).prompt {
        Prompt::Chat(turns) => turns.into_iter().next().unwrap(),
        _ => panic!("a chat"),
    }
}

#[test]
fn values_that_ask_for_nothing_pass() {
    let request = one(chat(json!({
        "n": 1, "logprobs": false, "tools": [], "tool_choice": "none", "logit_bias": {},
        "response_format": {"type": "text"}, "stop": null, "top_logprobs": 0, "top_k": 0,
        "parallel_tool_calls": true, "seed": null, "functions": null, "audio": null,
    })));
    assert!(request.tools.is_none() && request.extra.is_none() && request.logprobs.is_none());
    assert_eq!(request.sampling.top_k, None);
    let request = one(completion(
        json!({"best_of": 1, "echo": false, "suffix": ""}),
    ));
    assert!(request.prompt == Prompt::Text("hi".to_owned()) && !request.echo);
}

#[test]
fn absent_fields_stay_absent_beside_the_configured_defaults() {
    let config = Config {
        default_temperature: 0.3,
        default_max_tokens: 100,
        ..Config::default()
    };
    let hi = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let text = json!({"model": "m", "prompt": "hi"});
    let none = json!({});
    for (asked, max_tokens) in [
        (from_chat(with(hi.clone(), none.clone()), &config), 100),
        (from_stream(with(hi, none.clone()), &config), 100),
        (
            from_completion(Dialect::OpenAi, with(text.clone(), none.clone()), &config),
            16,
        ),
        (
            from_completion(Dialect::DeepSeek { beta: true }, with(text, none), &config),
            100,
        ),
    ] {
        let request = one(asked.map_err(|error| error.0));
        assert_eq!(request.sampling, Sampling::default());
        assert_eq!(request.max_tokens, None);
        let defaults = Defaults {
            temperature: 0.3,
            max_tokens: Some(max_tokens),
        };
        assert_eq!(request.defaults, defaults);
    }
    let config = Config::default();
    assert_eq!(
        (config.default_temperature, config.default_max_tokens),
        (0.7, 4096)
    );
}

#[test]
fn what_is_asked_for_is_kept_even_where_it_is_the_default() {
    let fields = json!({
        "temperature": 0.7, "top_p": 1, "min_p": 0, "frequency_penalty": 0, "presence_penalty": 0,
        "max_tokens": 16,
    });
    for asked in [
        chat(fields.clone()),
        socket(fields.clone()),
        completion(fields),
    ] {
        let request = one(asked);
        let sampling = Sampling {
            temperature: Some(0.7),
            top_p: Some(1.0),
            min_p: Some(0.0),
            frequency_penalty: Some(0.0),
            presence_penalty: Some(0.0),
            ..Sampling::default()
        };
        assert_eq!((request.sampling, request.max_tokens), (sampling, Some(16)));
    }
}

#[test]
fn sampling_and_logprobs_reach_the_engine() {
    let request = one(chat(json!({
        "top_k": 40, "min_p": 0.05, "logit_bias": {"50256": -100, "7": 1.5},
        "logprobs": true, "top_logprobs": 5,
    })));
    assert_eq!(request.sampling.top_k, Some(40));
    assert_eq!(request.sampling.min_p, Some(0.05));
    let mut biases = request.sampling.logit_bias;
    biases.sort_by_key(|bias| bias.token);
    let bias = |token, bias| LogitBias { token, bias };
    assert_eq!(biases, [bias(7, 1.5), bias(50256, -100.0)]);
    assert_eq!(request.logprobs, Some(5));
    assert_eq!(one(chat(json!({"logprobs": true}))).logprobs, Some(0));
    assert_eq!(one(completion(json!({"logprobs": 0}))).logprobs, Some(0));
}

#[test]
fn the_properties_of_a_schema_keep_their_order() {
    let schema = r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}}}"#;
    let value: Value = serde_json::from_str(schema).unwrap();
    let format = json!({"type": "json_schema", "json_schema": {
        "name": "answer", "strict": true, "schema": value,
    }});
    let function = json!({"name": "f", "description": "d", "parameters": value});
    let request = one(chat(json!({
        "response_format": format, "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": false,
    })));
    let expected = Format::JsonSchema {
        name: "answer".to_owned(),
        schema: Json(schema.to_owned()),
        strict: Some(true),
    };
    assert!(request.format == expected);
    let tools = request.tools.unwrap();
    assert!(tools.functions[0].parameters == Some(Json(schema.to_owned())));
    assert_eq!(tools.functions[0].description.as_deref(), Some("d"));
    assert_eq!(tools.choice, ToolChoice::Named("f".to_owned()));
    assert!(!tools.parallel);
}

#[test]
fn fields_that_are_not_known_pass_through_as_they_are() {
    let fields =
        r#"{"thinking":{"type":"enabled"},"audio":null,"a":[1,2.5,"x"],"Z":18446744073709551615}"#;
    let expected = Some(Json(fields.to_owned()));
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"prompt":"hi","#;
    let body = format!("{body}{}", &fields[1..]);
    let parsed = crate::json::parse(body.replacen(r#","prompt":"hi""#, "", 1).as_bytes());
    let request = from_chat(parsed.unwrap(), &Config::default());
    assert!(one(request.map_err(|error| error.0)).extra == expected);
    let body = body.replacen(r#""messages":[{"role":"user","content":"hi"}],"#, "", 1);
    let parsed: CompletionRequest = crate::json::parse(body.as_bytes()).unwrap();
    let request = from_completion(Dialect::OpenAi, parsed, &Config::default());
    assert!(one(request.map_err(|error| error.0)).extra == expected);
}

#[test]
fn text_parts_are_joined_and_a_developer_is_a_system() {
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let turn = turn(json!({"role": "developer", "content": parts}));
    assert_eq!(turn.role, ChatRole::System);
    assert_eq!(turn.content, "ab");
    assert!(turn.parts.is_none());
    let said = json!({"type": "text", "text": "a", "prompt_cache_breakpoint": {}});
    let turn = self::turn(json!({"role": "user", "content": [said]}));
    assert!(turn.parts.is_some(), "what is said of a text is not lost");
}

#[test]
fn parts_and_fields_of_a_message_that_are_not_known_pass_through() {
    let parts = r#"[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u","detail":"low"}}]"#;
    let content: Value = serde_json::from_str(parts).unwrap();
    let turn = turn(json!({"role": "user", "content": content, "z": 1, "cache": {"b": 1, "a": 2}}));
    assert!(turn.parts == Some(Json(parts.to_owned())));
    assert!(turn.extra == Some(Json(r#"{"z":1,"cache":{"b":1,"a":2}}"#.to_owned())));
    assert_eq!(turn.content, "");
}

/// As SDKs send an answer back, `null`s included.
#[test]
fn turns_with_calls_and_their_results_reach_the_engine() {
    let assistant = turn(json!({
        "role": "assistant", "content": null, "refusal": null, "audio": null,
        "reasoning_content": "hm", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}},
        ],
    }));
    assert_eq!(assistant.reasoning.as_deref(), Some("hm"));
    assert!(assistant.extra.is_none());
    let call = &assistant.tool_calls[0];
    assert_eq!(
        (&*call.id, &*call.name, &*call.arguments),
        ("1", "f", "{\"a\": 1}")
    );
    let result = turn(json!({"role": "tool", "tool_call_id": "1", "content": "5"}));
    assert_eq!(result.role, ChatRole::Tool);
    assert_eq!(result.tool_call_id.as_deref(), Some("1"));
}

#[test]
fn each_choice_has_a_seed_of_its_own_that_is_the_same_again() {
    let seeds = |asked: Result<FanOut, fathom_proto::Error>| -> Vec<Option<u64>> {
        let requests = asked.unwrap().requests;
        requests.map(|request| request.sampling.seed).collect()
    };
    assert_eq!(
        seeds(chat(json!({"n": 3, "seed": -2}))),
        [Some(u64::MAX - 1), Some(u64::MAX), Some(0)]
    );
    assert_eq!(seeds(chat(json!({"n": 2}))), [None, None]);
    let prompts = json!({"prompt": ["a", "b"], "n": 2, "seed": 5});
    assert_eq!(seeds(completion(prompts)), [5, 6, 5, 6].map(Some));
}

#[test]
fn a_prompt_has_every_form() {
    let prompts = |fields: Value| -> Vec<Prompt> {
        let requests = completion(fields).unwrap().requests;
        requests.map(|request| request.prompt).collect()
    };
    let text = |text: &str| Prompt::Text(text.to_owned());
    let infill = |before: &str| Prompt::Infill {
        before: before.to_owned(),
        after: "end".to_owned(),
    };
    assert!(prompts(json!({"prompt": ["a", "b"]})) == [text("a"), text("b")]);
    assert!(prompts(json!({"prompt": [1, 2]})) == [Prompt::Tokens(vec![1, 2])]);
    assert!(
        prompts(json!({"prompt": [[1], [2, 3]]}))
            == [Prompt::Tokens(vec![1]), Prompt::Tokens(vec![2, 3])]
    );
    assert!(prompts(json!({"prompt": ["a", "b"], "suffix": "end"})) == [infill("a"), infill("b")]);
    let echoed = one(completion(
        json!({"echo": true, "max_tokens": 0, "logprobs": 1}),
    ));
    assert!(echoed.echo && echoed.max_tokens == Some(0));
}
