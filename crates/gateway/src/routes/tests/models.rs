//! What an identity may not know of does not exist for it.

use fathom_proto::identity::{ModelAccess, Scope};

use super::*;
use crate::identity::fake::{FakeAuth, principal};

const NARROW: &str = "narrow";

/// A gateway with the models `large` and `m`, and a caller who may know of `m`.
async fn narrowed() -> crate::Gateway {
    let auth = FakeAuth::new();
    let mut narrow = principal("narrow", &Scope::ALL);
    narrow.models = ModelAccess::Only(["m".into(), "unknown".into()].into());
    auth.state().credentials.insert(NARROW.to_owned(), narrow);
    fakes::watching(&auth).await
}

#[tokio::test(start_paused = true)]
async fn a_list_of_models_holds_those_that_the_caller_may_know_of() {
    let gateway = narrowed().await;
    for (bearer, models) in [(ALL_SCOPES, vec!["large", "m"]), (NARROW, vec!["m"])] {
        for path in ["/v1/models", "/models"] {
            let ask = request(Method::GET, path, Some(bearer), "");
            let answer = send(routes(gateway.clone()), ask).await.json();
            let data = answer["data"].as_array().unwrap().iter();
            let listed: Vec<_> = data.map(|model| model["id"].as_str().unwrap()).collect();
            assert_eq!(listed, models);
        }
        for model in ["large", "m"] {
            let path = format!("/v1/models/{model}");
            let ask = request(Method::GET, &path, Some(bearer), "");
            let found = send(routes(gateway.clone()), ask).await.status == StatusCode::OK;
            assert_eq!(found, models.contains(&model), "{model} for {bearer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_allowed_and_one_that_does_not_exist_are_the_same() {
    let gateway = narrowed().await;
    let ask = async |path: &str, model: &str| {
        let body = json!({"model": model, "prompt": "hi", "messages": [{"role": "user", "content": "hi"}]});
        let request = match path {
            "/v1/models/" => request(Method::GET, &format!("{path}{model}"), Some(NARROW), ""),
            "/v1/completions" => {
                let body = json!({"model": model, "prompt": "hi"}).to_string();
                request(Method::POST, path, Some(NARROW), body)
            }
            "/v1/embeddings" => {
                let body = json!({"model": model, "input": "hi"}).to_string();
                request(Method::POST, path, Some(NARROW), body)
            }
            _ => {
                let body = json!({"model": model, "messages": body["messages"]}).to_string();
                request(Method::POST, path, Some(NARROW), body)
            }
        };
        let answer = send(routes(gateway.clone()), request).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path} {model}");
        assert_eq!(answer.error_code(), "model_not_found");
        answer.body.replace(model, "MODEL")
    };
    for path in [
        "/v1/models/",
        "/v1/completions",
        "/v1/chat/completions",
        "/v1/embeddings",
    ] {
        assert_eq!(ask(path, "large").await, ask(path, "unknown").await);
    }
}
