//! Scores of answers, from the edge to the arm that they are for.

use std::time::Duration;

use fathom_e2e::Cluster;
use fathom_kit::database;
use fathom_router::experiments::{ExperimentStore, GuardRail, NewArm, NewExperiment, Parameters};
use fathom_test_database::TestDatabase;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::in_both_wirings;

/// Two arms on `deepseek-chat`.
fn experiment() -> NewExperiment {
    let arm = |name: &str, temperature| NewArm {
        name: name.to_owned(),
        weight: 1,
        parameters: Parameters {
            temperature,
            ..Parameters::default()
        },
        version: None,
    };
    NewExperiment {
        name: "warmth".to_owned(),
        model: "deepseek-chat".into(),
        guard_rail: GuardRail {
            max_error_increase: 0.05,
            max_score_decrease: 0.2,
        },
        arms: vec![arm("control", None), arm("cool", Some(0.1))],
    }
}

in_both_wirings! {
    /// What one gateway was answered with, another one takes the score of.
    async fn a_score_finds_the_request_that_it_is_for(wiring: Wiring) {
        let database = TestDatabase::sqlite();
        let builder = Cluster::builder(wiring).gateways(2).database(&database.url);
        let cluster = builder.start().await.unwrap();
        let store = ExperimentStore::new(database::connect(&database.url).await.unwrap());
        store.create(&experiment(), "operator:me", "why").await.unwrap();

        let http = reqwest::Client::new();
        let key = cluster.demo.api_key.expose_secret();
        let post = async |base: &str, path: &str, body: Value| {
            let url = format!("{base}{path}");
            let sent = http.post(url).bearer_auth(key).json(&body).send();
            sent.await.unwrap()
        };
        let first = cluster.base_urls.first().unwrap();
        let last = cluster.base_urls.last().unwrap();
        let score = async |id: &str| {
            let body = json!({"id": id, "score": -0.5});
            post(last, "/v1/feedback", body).await.status().as_u16()
        };
        let ask = json!({"model": "deepseek-chat", "prompt": "hi", "max_tokens": 2, "user": "u"});
        let begun = std::time::Instant::now();
        let id = loop {
            let answer = post(first, "/v1/completions", ask.clone()).await;
            let answer: Value = answer.json().await.unwrap();
            let id = answer["id"].as_str().unwrap().to_owned();
            if score(&id).await == 204 {
                break id;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "no experiment");
        };
        let report = || async { store.report("warmth").await.unwrap().0 };
        let scored: Vec<_> = report().await.arms.iter().map(|arm| arm.score).collect();
        assert!(scored.contains(&Some(-0.5)) && scored.contains(&None), "{scored:?}");
        assert_eq!(score(&id).await, 204);
        assert_eq!(score("cmpl-0198").await, 404);

        // One that has its own temperature is in no arm.
        let mut own = ask;
        own["temperature"] = json!(1.0);
        let answer: Value = post(first, "/v1/completions", own).await.json().await.unwrap();
        assert_eq!(score(answer["id"].as_str().unwrap()).await, 404);
        let scores: i64 = report().await.arms.iter().map(|arm| arm.scores).sum();
        assert_eq!(scores, 1);
    }
}
