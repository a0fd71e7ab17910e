//! `/admin/v1/models`, over a port that remembers what it heard, and knows everything but the model
//! `nobody`.

use std::sync::{Arc, Mutex};

use fathom_proto::administration::AuditPage;
use fathom_proto::id::ModelId;
use fathom_proto::models::{
    Deploy, ManagedModel, ModelChange, ModelPatch, ModelState, ModelVersion, Models, NewModel,
    RollBack, Step,
};
use fathom_proto::{Error, ErrorCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::problem;
use crate::identity::fake::{ALL_SCOPES, NO_SCOPES};
use crate::routes::routes;
use crate::routes::tests::fakes::gateway;
use crate::routes::tests::{request, send};

#[derive(Default)]
pub struct FakeModels(Mutex<Option<(&'static str, Value)>>);

impl FakeModels {
    fn heard(&self) -> Option<(&'static str, Value)> {
        self.0.lock().unwrap().take()
    }

    fn hear(
        &self,
        id: &ModelId,
        method: &'static str,
        arguments: impl Serialize,
    ) -> Result<ManagedModel, Error> {
        *self.0.lock().unwrap() = Some((method, json!(arguments)));
        match id.as_str() {
            "nobody" => Err(Error::new(ErrorCode::NotFound, "there is no such model")),
            "changed" => Err(Error::new(ErrorCode::Conflict, "look at it again")),
            _ => Ok(ManagedModel {
                id: id.clone(),
                owned_by: "me".into(),
                context_length: 4096,
                created_at: 1,
                state: ModelState::default(),
                last_change: 7,
            }),
        }
    }
}

#[tonic::async_trait]
impl Models for FakeModels {
    async fn models(&self) -> Result<Vec<ManagedModel>, Error> {
        Ok(vec![self.hear(&"chat".into(), "models", ())?])
    }

    async fn model(&self, id: &ModelId) -> Result<ManagedModel, Error> {
        self.hear(id, "model", id)
    }

    async fn create(&self, actor: &str, new: NewModel) -> Result<ManagedModel, Error> {
        self.hear(&new.id.clone(), "create", (actor, new))
    }

    async fn update(
        &self,
        actor: &str,
        id: &ModelId,
        patch: ModelPatch,
    ) -> Result<ManagedModel, Error> {
        self.hear(id, "update", (actor, id, patch))
    }

    async fn deploy(
        &self,
        actor: &str,
        id: &ModelId,
        deploy: Deploy,
    ) -> Result<ManagedModel, Error> {
        self.hear(id, "deploy", (actor, id, deploy))
    }

    async fn promote(&self, actor: &str, id: &ModelId, step: Step) -> Result<ManagedModel, Error> {
        self.hear(id, "promote", (actor, id, step))
    }

    async fn roll_back(
        &self,
        actor: &str,
        id: &ModelId,
        to: RollBack,
    ) -> Result<ManagedModel, Error> {
        self.hear(id, "roll_back", (actor, id, to))
    }

    async fn abort(&self, actor: &str, id: &ModelId, step: Step) -> Result<ManagedModel, Error> {
        self.hear(id, "abort", (actor, id, step))
    }

    async fn versions(&self, id: &ModelId) -> Result<Vec<ModelVersion>, Error> {
        self.hear(id, "versions", id)?;
        Ok(vec![])
    }

    async fn history(&self, id: &ModelId, page: AuditPage) -> Result<Vec<ModelChange>, Error> {
        self.hear(id, "history", (id, page))?;
        Ok(vec![])
    }
}

/// What the port hears is what the request says, and who says it.
#[tokio::test]
async fn the_port_hears_what_was_sent_and_by_whom() {
    let port = Arc::new(FakeModels::default());
    let deployed = json!({"target": "chat-q4", "percent": 5, "parameters": {"temperature": 0.5},
        "guard": {"min_requests": 50}, "why": "smaller"});
    let mut heard_deploy = deployed.clone();
    heard_deploy["guard"] = json!({"max_error_increase": 0.02, "max_first_token_ratio": 1.5,
        "min_requests": 50});
    let step = json!({"why": "good", "if_last_change": 6});
    let actor = "tenant/caller";
    for (method, path, body, status, heard) in [
        ("GET", "models", Value::Null, 200, ("models", Value::Null)),
        (
            "GET",
            "models/org%2Fchat",
            Value::Null,
            200,
            ("model", json!("org/chat")),
        ),
        (
            "POST",
            "models",
            json!({"id": "chat", "owned_by": "me", "context_length": 9}),
            201,
            (
                "create",
                json!([actor, {"id": "chat", "owned_by": "me", "context_length": 9}]),
            ),
        ),
        (
            "PATCH",
            "models/chat",
            json!({"fallback": null}),
            200,
            ("update", json!([actor, "chat", {"fallback": null}])),
        ),
        (
            "POST",
            "models/chat/deploy",
            deployed,
            200,
            ("deploy", json!([actor, "chat", heard_deploy])),
        ),
        (
            "POST",
            "models/chat/promote",
            step.clone(),
            200,
            ("promote", json!([actor, "chat", step])),
        ),
        (
            "POST",
            "models/chat/abort",
            json!({}),
            200,
            ("abort", json!([actor, "chat", {"why": ""}])),
        ),
        (
            "POST",
            "models/chat/rollback",
            json!({"to": 3}),
            200,
            ("roll_back", json!([actor, "chat", {"to": 3, "why": ""}])),
        ),
        (
            "GET",
            "models/chat/versions",
            Value::Null,
            200,
            ("versions", json!("chat")),
        ),
        (
            "GET",
            "models/chat/history?after=3&limit=2",
            Value::Null,
            200,
            ("history", json!(["chat", {"after": 3, "limit": 2}])),
        ),
    ] {
        let mut gateway = gateway();
        gateway.models = port.clone();
        let path = format!("/admin/v1/{path}");
        let request = request(
            method.parse().unwrap(),
            &path,
            Some(ALL_SCOPES),
            body.to_string(),
        );
        let answer = send(routes(gateway), request).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(port.heard().unwrap(), heard);
        if status == 201 {
            assert_eq!(answer.headers["location"], "/admin/v1/models/chat");
        }
    }
}

/// Without the scope the port is not even asked.
#[tokio::test]
async fn who_may_not_administer_changes_no_model() {
    for (method, path) in [
        ("POST", "models/chat/deploy"),
        ("POST", "models/chat/rollback"),
        ("PATCH", "models/chat"),
        ("GET", "models/chat/history"),
    ] {
        let port = Arc::new(FakeModels::default());
        let mut gateway = gateway();
        gateway.models = port.clone();
        let path = format!("/admin/v1/{path}");
        let request = request(method.parse().unwrap(), &path, Some(NO_SCOPES), "{}");
        problem(&send(routes(gateway), request).await, 403);
        assert_eq!(port.heard(), None);
    }
}

#[tokio::test]
async fn a_model_that_was_changed_meanwhile_is_409() {
    let path = "/admin/v1/models/changed/promote";
    let request = request("POST".parse().unwrap(), path, Some(ALL_SCOPES), "{}");
    let problem = problem(&send(routes(gateway()), request).await, 409);
    assert_eq!(problem["code"], "conflict");
}
