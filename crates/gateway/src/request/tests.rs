use fathom_proto::ErrorCode;
use serde_json::json;

use super::*;

fn chat(fields: Value) -> Result<GenerateRequest, fathom_proto::Error> {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    from_chat(serde_json::from_value(request).unwrap(), &Config::default()).map_err(|error| error.0)
}

#[track_caller]
fn refused(fields: Value, param: &str) {
    let error = chat(fields).err().expect("must be refused");
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
}

#[test]
fn a_value_out_of_its_range_is_refused_by_name() {
    refused(json!({"temperature": 2.1}), "temperature");
    refused(json!({"temperature": -0.1}), "temperature");
    refused(json!({"top_p": 0}), "top_p");
    refused(json!({"top_p": 1.5}), "top_p");
    refused(json!({"frequency_penalty": 3}), "frequency_penalty");
    refused(json!({"presence_penalty": -2.5}), "presence_penalty");
    refused(json!({"max_tokens": 0}), "max_tokens");
    refused(json!({"max_completion_tokens": 0}), "max_completion_tokens");
    refused(json!({"stop": vec!["a"; 17]}), "stop");
    refused(json!({"stop": ""}), "stop");
    refused(json!({"model": ""}), "model");
    refused(json!({"messages": []}), "messages");
    refused(
        json!({"messages": [{"role": "robot", "content": "x"}]}),
        "messages[0].role",
    );
}

#[test]
fn a_field_that_no_engine_honours_is_refused_and_not_dropped() {
    refused(json!({"n": 2}), "n");
    refused(json!({"logprobs": true}), "logprobs");
    refused(json!({"tools": [{"type": "function"}]}), "tools");
    refused(
        json!({"response_format": {"type": "json_object"}}),
        "response_format",
    );
    refused(json!({"logit_bias": {"5": 1}}), "logit_bias");
    let tool_calls = json!([{"role": "assistant", "content": null, "tool_calls": [{}]}]);
    refused(json!({"messages": tool_calls}), "messages[0].tool_calls");
    let image = json!([{"type": "image_url", "image_url": {"url": "http://127.0.0.1/"}}]);
    refused(
        json!({"messages": [{"role": "user", "content": image}]}),
        "messages[0].content[0]",
    );
}

#[test]
fn values_that_ask_for_nothing_pass() {
    let fields = json!({
        "n": 1, "logprobs": false, "tools": [], "tool_choice": "none", "logit_bias": {},
        "response_format": {"type": "text"}, "stop": null, "user": "u", "metadata": {},
        "service_tier": "auto", "store": false, "parallel_tool_calls": true, "seed": null,
    });
    assert!(chat(fields).is_ok());
}

#[test]
fn absent_fields_get_the_configured_defaults() {
    let request = chat(json!({})).unwrap();
    assert_eq!(request.sampling.temperature, 0.7);
    assert_eq!(request.max_tokens, Some(4096));
    let completion = json!({"model": "m", "prompt": "hi"});
    let request = from_completion(
        serde_json::from_value(completion).unwrap(),
        &Config::default(),
    );
    assert_eq!(request.unwrap().max_tokens, Some(16));
}

#[test]
fn text_parts_are_joined_and_a_developer_is_a_system() {
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let request = chat(json!({"messages": [{"role": "developer", "content": parts}]})).unwrap();
    let Prompt::Chat(turns) = request.prompt else {
        panic!("a chat")
    };
    assert_eq!(turns[0].role, ChatRole::System);
    assert_eq!(turns[0].content, "ab");
}
