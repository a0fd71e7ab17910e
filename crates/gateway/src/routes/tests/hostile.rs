//! Bodies that are meant to break something.

use std::time::{Duration, Instant};

use super::fakes::{delta, finished, gateway_with, started};
use super::*;

const PATHS: [&str; 4] = [
    "/v1/chat/completions",
    "/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
];

/// The answer to these bytes, and how long it took.
async fn timed(path: &str, body: Vec<u8>) -> (Answer, Duration) {
    let ask = request(Method::POST, path, Some(ALL_SCOPES), body);
    let router = routes(gateway());
    let begun = Instant::now();
    let answer = send(router, ask).await;
    (answer, begun.elapsed())
}

/// What the catalogue allows for a refusal. It is held in a debug build, too, by the best of a few
/// tries: other tests run at the same time.
const QUICK: Duration = Duration::from_millis(50);

/// EDGE-1
#[tokio::test]
async fn what_is_no_json_or_ambiguous_is_400_with_the_four_keys() {
    let chat = |message: &str| {
        let body = r#"{"model": "m", "prompt": "hi", "input": "hi", "messages": [{"role": "user", "content": "hi"}], "x": ?}"#;
        body.replace('?', message).into_bytes()
    };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let utf16: Vec<u8> = r#"{"model": "m"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut overlong = chat(r#""?""#);
    overlong.splice(overlong.len() - 3..overlong.len() - 2, [0xc0, 0xaf]);
    let mut marked = vec![0xef, 0xbb, 0xbf];
    marked.extend(chat("1"));
    for (what, body) in [
        ("nothing", Vec::new()),
        ("cut", b"{\"model\": \"m\"".to_vec()),
        ("trailing data", [chat("1"), b" {}".to_vec()].concat()),
        ("trailing comma", chat("[1,]")),
        ("a comment", chat("1 /* x */")),
        ("NaN", chat("NaN")),
        ("Infinity", chat("-Infinity")),
        ("1e400", chat("1e400")),
        ("a lone surrogate", chat(r#""\ud800""#)),
        ("half a pair", chat(r#""\ud800\u0041""#)),
        ("overlong UTF-8", overlong),
        ("a raw control character", chat("\"\n\"")),
        ("a byte order mark", marked),
        ("UTF-16", utf16),
        ("a field twice", chat(r#"1, "model": "n""#)),
        ("an unknown field twice", chat(r#"1, "x": 2"#)),
        ("a deep member twice", chat(r#"{"a": [{"b": 1, "b": 2}]}"#)),
        ("one that is escaped", chat(r#"{"b": 1, "\u0062": 2}"#)),
        ("depth 128", chat(&nested(128))),
        ("depth 100,000", chat(&nested(100_000))),
        ("depth 100,000, open", "[".repeat(100_000).into_bytes()),
    ] {
        for path in PATHS {
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let (answer, took) = timed(path, body.clone()).await;
                assert_eq!(answer.status, 400, "{what} {path}: {}", answer.body);
                answer.error_code();
                best = best.min(took);
                if best < QUICK {
                    break;
                }
            }
            assert!(best < QUICK, "{what} {path}: {best:?}");
        }
    }
    // One level is the body's own, and one that of the elements of the innermost list.
    let (answer, _) = timed("/v1/chat/completions", chat(&nested(126))).await;
    assert_ne!(answer.status, 400, "{}", answer.body);
}

/// SEC-53: each is refused before it costs anything.
#[tokio::test]
async fn what_asks_for_too_much_is_refused_at_once() {
    let chat = |fields: Value| {
        let mut body = chat_body();
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        body.to_string()
    };
    let biases: serde_json::Map<_, _> = (0..100_000).map(|id| (id.to_string(), json!(1))).collect();
    let messages = format!(
        r#"{{"model": "m", "messages": [{}]}}"#,
        vec![r#"{"role":"user"}"#; 260_000].join(",")
    );
    let turns = |fields: &str| {
        let turns = vec![r#"{"role":"user","content":""}"#; 20_000].join(",");
        format!(r#"{{"model": "m", "max_tokens": 1, {fields}: [{turns}]}}"#)
    };
    let long = "k".repeat(100_000);
    let members = vec!["1"; 10_000].join(",");
    let strict = |parameters: String| {
        format!(
            r#"{{"model": "m", "messages": [{{"role": "user", "content": "json"}}], "tools": [{{
                "type": "function",
                "function": {{"name": "f", "strict": true, "parameters": {parameters}}}}}]}}"#
        )
    };
    let properties: Vec<_> = (0..4_000).map(|i| format!(r#""{i:06}":0"#)).collect();
    let properties = properties.join(",");
    let required: Vec<_> = (0..4_000).map(|i| format!(r#""{:06}""#, i + 1)).collect();
    let required = required.join(",");
    let deep = (0..200).fold(json!({}), |inner, _| json!({ "not": inner }));
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": deep}});
    for (path, body, param) in [
        ("/v1/chat/completions", chat(json!({"n": 1_000_000})), "n"),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": "a", "best_of": 1_000_000}).to_string(),
            "best_of",
        ),
        (
            "/v1/chat/completions",
            chat(json!({"max_tokens": 1u64 << 63})),
            "max_tokens",
        ),
        (
            "/v1/chat/completions",
            chat(json!({"max_completion_tokens": 1u64 << 63})),
            "max_completion_tokens",
        ),
        (
            "/v1/chat/completions",
            chat(json!({"stop": vec!["a"; 100_000]})),
            "stop",
        ),
        (
            "/v1/chat/completions",
            chat(json!({"logit_bias": biases})),
            "logit_bias",
        ),
        ("/v1/chat/completions", messages, "messages"),
        ("/v1/messages", turns("\"messages\""), ""),
        ("/v1/responses", turns("\"input\""), "input"),
        (
            "/beta/chat/completions",
            strict(format!(
                r#"{{"{long}": [{members}], "{long}x": {{"type": "object"}}}}"#
            )),
            "tools[0]",
        ),
        (
            "/beta/chat/completions",
            strict(format!(
                r#"{{"type": "object", "additionalProperties": false,
                     "properties": {{{properties}}}, "required": [{required}]}}"#
            )),
            "tools[0]",
        ),
        (
            "/v1/chat/completions",
            chat(json!({"response_format": schema})),
            "response_format",
        ),
        (
            "/v1/chat/completions",
            chat(
                json!({"tools": vec![json!({"type": "function", "function": {"name": "f"}}); 10_000]}),
            ),
            "tools",
        ),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": vec!["a"; 10_000]}).to_string(),
            "prompt",
        ),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": vec![""; 10_000], "suffix": "x".repeat(400_000)})
                .to_string(),
            "prompt",
        ),
        (
            "/v1/embeddings",
            json!({"model": "m", "input": vec!["a"; 10_000]}).to_string(),
            "input",
        ),
    ] {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let (answer, took) = timed(path, body.clone().into_bytes()).await;
            let status = if path.starts_with("/beta") { 422 } else { 400 };
            assert_eq!(answer.status, status, "{param}: {}", answer.body);
            let told = answer.json()["error"]["param"].clone();
            let told = told.as_str().unwrap_or_default();
            assert!(
                told.starts_with(param) && told.len() < 250,
                "{}",
                answer.body
            );
            assert!(answer.body.len() < 1000, "{}", answer.body);
            best = best.min(took);
        }
        assert!(best < QUICK, "{param}: {best:?}");
    }
    let million = vec![r#"{"role":"user"}"#; 1_000_000].join(",");
    let (answer, _) = timed("/v1/chat/completions", million.into_bytes()).await;
    assert_eq!(answer.status, 413);
}

/// SEC-60: what a model says cannot end its event or begin another one.
#[tokio::test]
async fn text_that_looks_like_framing_stays_text() {
    let text = "a\r\ndata: [DONE]\n\nevent: error\nid: 7\n: x\r\r\u{1b}[31m\u{2028}<|im_end|>\0";
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let mut body = chat_body();
        body["stream"] = true.into();
        let events = vec![started(1), delta(text, 1), finished(1, 1)];
        let answer = send(routes(gateway_with(events)), post(path, body)).await;
        let lines: Vec<_> = answer
            .body
            .split('\n')
            .filter(|line| !line.is_empty())
            .collect();
        assert!(
            lines.iter().all(|line| line.starts_with("data: ")),
            "{}",
            answer.body
        );
        assert!(!answer.body.contains(['\r', '\u{1b}', '\0']));
        let done = lines.iter().filter(|line| **line == "data: [DONE]").count();
        assert_eq!((done, lines.last()), (1, Some(&"data: [DONE]")));
        let said: Value = serde_json::from_str(lines[1].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(said["choices"][0]["delta"]["content"], text);
    }
}

/// SEC-60: and what a caller says comes back in no error.
#[tokio::test]
async fn what_a_caller_writes_into_a_body_is_not_repeated() {
    let text = "\u{1b}[31mx\r\ndata: [DONE]";
    let body = json!({"model": "m", "messages": [{"role": text, "content": text}]});
    let answer = send(routes(gateway()), post("/v1/chat/completions", body)).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("[DONE]") && !answer.body.contains("31m"));
}

/// Of the names that a caller makes up, an error repeats the beginning alone.
#[tokio::test]
async fn long_names_do_not_come_back_whole() {
    let long = "n".repeat(100_000);
    let chat = |name: &str, value: Value| {
        let mut body = chat_body();
        body[name] = value;
        ("/v1/chat/completions", body)
    };
    let function = json!({"type": "function", "function": {"name": "f", &long: 1}});
    let mut message = json!({"model": "m", "max_tokens": 1, "messages": []});
    message[&long] = json!(1);
    for (path, body) in [
        chat("response_format", json!({ "type": long })),
        chat("stream_options", json!({ &long: 1 })),
        chat("tools", json!([function])),
        chat("stop", json!({ &long: 1 })),
        ("/v1/messages", message.clone()),
        (
            "/v1/responses",
            json!({"model": "m", "input": [{"type": "message", &long: 1}]}),
        ),
        ("/v1/completions", json!({"model": long, "prompt": "a"})),
    ] {
        let answer = send(routes(gateway()), post(path, body.clone())).await;
        assert!(answer.status.is_client_error(), "{path}");
        assert!(
            answer.body.len() < 1500,
            "{path}: {} bytes",
            answer.body.len()
        );
    }
}
