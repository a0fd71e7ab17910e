//! What the router is told of a caller, and callers of the router's choice.

use fathom_proto::ErrorCode;
use fathom_proto::inference::{Assignment, Event, Route};
use tokio::task::JoinSet;

use super::fakes::{delta, finished, steered};
use super::*;

fn started(route: Option<Route>) -> Result<Event, ErrorCode> {
    Ok(Event::Started {
        prompt_tokens: 3,
        cached_tokens: 0,
        fingerprint: None,
        route: route.map(Box::new),
    })
}

fn route() -> Route {
    Route {
        model: "smaller".into(),
        version: None,
        config_version: 7,
        experiment: None,
    }
}

/// The answer to `body`, if the router says this of it.
async fn ask(path: &str, body: Value, route: Option<Route>) -> Answer {
    let (gateway, mut asked) = steered();
    let mut answer = JoinSet::new();
    answer.spawn(send(routes(gateway), post(path, body)));
    let call = asked.recv().await.unwrap();
    call.tell(started(route)).await;
    call.tell(delta("Hi", 1)).await;
    call.tell(finished(3, 1)).await;
    answer.join_next().await.unwrap().unwrap()
}

fn told(answer: &Answer) -> Vec<(&str, &str)> {
    let headers = answer.headers.iter();
    let mut told: Vec<_> = headers
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("x-fathom-")?;
            (name != "overhead-ms").then(|| (name, value.to_str().unwrap()))
        })
        .collect();
    told.sort_unstable();
    told
}

/// The body has the name that was asked for: that is what clients compare.
#[tokio::test]
async fn an_answer_says_what_answered() {
    for stream in [false, true] {
        for path in ["/v1/chat/completions", "/v1/completions"] {
            let body = match path {
                "/v1/completions" => json!({"model": "m", "prompt": "hi", "stream": stream}),
                _ => json!({"model": "m", "messages": [{"role": "user", "content": "hi"}],
                    "stream": stream}),
            };
            let answer = ask(path, body.clone(), Some(route())).await;
            assert_eq!(
                told(&answer),
                [("config-version", "7"), ("model", "smaller")]
            );
            assert!(answer.body.contains(r#""model":"m""#), "{}", answer.body);
            assert!(!answer.body.contains("smaller"));

            let all = Route {
                version: Some(3),
                experiment: Some(Assignment {
                    experiment: "try".to_owned(),
                    arm: "cool".to_owned(),
                }),
                ..route()
            };
            let answer = ask(path, body.clone(), Some(all)).await;
            let expected = [
                ("config-version", "7"),
                ("experiment", "try/cool"),
                ("model", "smaller"),
                ("model-version", "3"),
            ];
            assert_eq!(told(&answer), expected);

            let answer = ask(path, body, None).await;
            assert_eq!(told(&answer), []);
        }
    }
}

#[tokio::test]
async fn a_name_that_no_header_can_hold_is_left_out() {
    let strange = Route {
        model: "a\nx-forged: 1".into(),
        ..route()
    };
    let answer = ask("/v1/chat/completions", chat_body(), Some(strange)).await;
    assert_eq!(told(&answer), [("config-version", "7")]);
    assert!(!answer.headers.contains_key("x-forged"));
}

/// A caller that names no user is one user; the field still goes to the engine as it came.
#[tokio::test]
async fn the_router_is_told_who_asks() {
    for (fields, user) in [
        (json!({}), "caller"),
        (json!({"user": "u"}), "u"),
        (json!({"user_id": "d", "user": ""}), "d"),
        (json!({"user": "u", "safety_identifier": "s"}), "s"),
    ] {
        let mut body = chat_body();
        let fields = fields.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields.clone());
        let (gateway, mut asked) = steered();
        let mut answer = JoinSet::new();
        answer.spawn(send(routes(gateway), post("/v1/chat/completions", body)));
        let call = asked.recv().await.unwrap();
        assert_eq!(call.context.user.as_str(), user);
        let passed = call.request.extra.as_ref().map(|json| json.0.as_str());
        let passed: Option<Value> = passed.map(|json| serde_json::from_str(json).unwrap());
        assert_eq!(passed, (!fields.is_empty()).then(|| fields.into()));
        call.tell(started(None)).await;
        call.tell(finished(3, 0)).await;
        assert_eq!(
            answer.join_next().await.unwrap().unwrap().status,
            StatusCode::OK
        );
    }
}
