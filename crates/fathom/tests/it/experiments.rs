//! `fathom experiments`, beside a server and without one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::{self, fails, prints};
use crate::harness::{Server, home, sim};
use crate::process::eventually;

const CREATE: &str = "experiments create warmth --model deepseek-chat --arm control \
                      --arm cool,temperature=0.2,weight=3 --why curious";

async fn post(server: &Server, key: &str, path: &str, body: Value) -> reqwest::Response {
    let url = format!("{}{path}", server.base_url());
    let ask = reqwest::Client::new().post(url).bearer_auth(key);
    ask.json(&body).send().await.unwrap()
}

/// A running server takes part, and the score of an answer gets to the arm that it came from.
#[tokio::test]
async fn an_answer_is_scored_for_the_arm_that_it_came_from() {
    let home = home();
    let server = Server::ready(&home, &["--set", &sim("tokens = 3")]).await;
    prints(home.path(), CREATE).await;
    prints(home.path(), "admin tenants create acme --name Acme").await;
    let new = "admin keys create --tenant acme --name app --scope inference";
    let stranger = admin::json(home.path(), new).await;
    let stranger = stranger["secret"].as_str().unwrap();
    let key = server.demo("FATHOM_API_KEY");

    let score = async |key: &str, id: &str, score: Value| {
        let body = json!({"id": id, "score": score});
        let answer = post(&server, key, "/v1/feedback", body).await;
        answer.status().as_u16()
    };
    // The server learns of the experiment within seconds.
    let id = eventually(
        "an answer can be scored",
        Duration::from_secs(20),
        async || {
            let turn = json!({"role": "user", "content": "hi"});
            let ask = json!({"model": "deepseek-chat", "messages": [turn], "user": "me"});
            let answer = post(&server, &key, "/v1/chat/completions", ask).await;
            let answer: Value = answer.json().await.unwrap();
            let id = answer["id"].as_str().unwrap().to_owned();
            (score(&key, &id, json!(0.5)).await == 204).then_some(id)
        },
    )
    .await;
    assert_eq!(score(stranger, &id, json!(1)).await, 404);
    assert_eq!(score(&key, &id, json!(true)).await, 204);

    let report = admin::json(home.path(), "experiments report warmth").await;
    let arms = report["arms"].as_array().unwrap();
    let scored: Vec<_> = arms.iter().filter(|arm| arm["scores"] == 1).collect();
    assert_eq!(scored.len(), 1, "{report}");
    assert_eq!(scored[0]["score"], 1.0, "{report}");
}

#[tokio::test]
async fn an_experiment_is_made_listed_reported_and_stopped() {
    let home = home();
    let home = home.path();
    let made = prints(home, CREATE).await;
    assert!(made.contains("control,cool"), "{made}");

    let list = admin::json(home, "experiments list").await;
    assert_eq!(list[0]["experiment"], "warmth");
    assert_eq!(list[0]["state"], "running");
    assert_eq!(
        list[0]["arms"][1]["parameters"],
        json!({"temperature": 0.2})
    );
    assert_eq!(list[0]["guard_rail"]["max_error_increase"], 0.05);
    let table = prints(home, "experiments list").await;
    assert_eq!(table.lines().count(), 2, "{table}");

    let report = admin::json(home, "experiments report warmth").await;
    assert_eq!(report["arms"][1]["weight"], 3);
    assert_eq!(report["arms"][1]["score_effect"], Value::Null);
    assert_eq!(report["changes"][0]["why"], "curious");
    let text = prints(home, "experiments report warmth").await;
    for part in ["too little to tell", "cool - control", "95 %", "operator:"] {
        assert!(text.contains(part), "no `{part}`: {text}");
    }

    prints(home, "experiments stop warmth --why enough").await;
    let report = admin::json(home, "experiments report warmth").await;
    assert_eq!(report["state"], "stopped");
    assert_eq!(report["changes"][1]["why"], "enough");
    fails(home, "experiments stop warmth", 1).await;
}

#[tokio::test]
async fn mistakes_are_named() {
    let home = home();
    let home = home.path();
    prints(home, CREATE).await;
    for (command, code, part) in [
        (CREATE, 1, "warmth"),
        (
            "experiments create b --model deepseek-chat --arm a --arm b",
            1,
            "stop it first",
        ),
        (
            "experiments create b --model nobody --arm a --arm b",
            1,
            "nobody",
        ),
        (
            "experiments create b --model deepseek-math --arm a",
            1,
            "2 to 8",
        ),
        (
            "experiments create b --model deepseek-math --arm a --arm b,temperature=9",
            1,
            "temperature",
        ),
        (
            "experiments create b --model deepseek-math --arm a --arm b,warmth=1",
            2,
            "warmth",
        ),
        ("experiments report b", 1, "there is no experiment `b`"),
        ("experiments stop b", 1, "there is no experiment `b`"),
    ] {
        let error = fails(home, command, code).await;
        assert!(error.contains(part), "no `{part}` after {command}: {error}");
    }
}
