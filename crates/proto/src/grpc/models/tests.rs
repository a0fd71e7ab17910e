use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::{Value, json};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

use super::*;
use crate::administration::AuditPage;
use crate::id::ModelId;
use crate::inference::{LogitBias, Sampling};
use crate::models::{
    Canary, Deploy, Guard, ManagedModel, ModelChange, ModelPatch, ModelState, ModelVersion, Models,
    NewModel, RollBack, Step,
};
use crate::{Error, ErrorCode};

/// A port that remembers what it heard and answers the same to everybody.
#[derive(Default)]
struct Fake(Mutex<Option<(&'static str, Value)>>);

impl Fake {
    fn heard(&self) -> (&'static str, Value) {
        self.0.lock().unwrap().take().unwrap()
    }

    fn hear(&self, method: &'static str, arguments: impl Serialize) -> Result<(), Error> {
        let arguments = json!(arguments);
        if arguments == "nobody" {
            return Err(Error::new(ErrorCode::Conflict, "no"));
        }
        *self.0.lock().unwrap() = Some((method, arguments));
        Ok(())
    }
}

fn state() -> ModelState {
    ModelState {
        stable: Some(3),
        previous: vec![2, 1],
        canary: Some(Canary {
            version: 4,
            percent: 5,
            guard: Guard::default(),
            since: 9,
        }),
        fallback: Some("small".into()),
        hedging: true,
    }
}

fn model() -> ManagedModel {
    ManagedModel {
        id: "chat".into(),
        owned_by: "me".into(),
        context_length: 4096,
        created_at: 1,
        state: state(),
        last_change: 7,
    }
}

fn parameters() -> Sampling {
    Sampling {
        temperature: Some(0.2),
        logit_bias: vec![LogitBias {
            token: 1,
            bias: -1.0,
        }],
        ..Sampling::default()
    }
}

fn version() -> ModelVersion {
    ModelVersion {
        number: 4,
        target: "chat-4".into(),
        parameters: parameters(),
        created_at: 2,
        created_by: "operator:ada".into(),
        note: "smaller".into(),
    }
}

fn change() -> ModelChange {
    ModelChange {
        id: 7,
        at: 3,
        actor: "operator:ada".into(),
        action: "deploy".into(),
        model: "chat".into(),
        from: ModelState::default(),
        to: state(),
        why: "try".into(),
    }
}

#[tonic::async_trait]
impl Models for Fake {
    async fn models(&self) -> Result<Vec<ManagedModel>, Error> {
        self.hear("models", ())?;
        Ok(vec![model()])
    }

    async fn model(&self, id: &ModelId) -> Result<ManagedModel, Error> {
        self.hear("model", id)?;
        Ok(model())
    }

    async fn create(&self, actor: &str, new: NewModel) -> Result<ManagedModel, Error> {
        self.hear("create", (actor, new))?;
        Ok(model())
    }

    async fn update(
        &self,
        actor: &str,
        id: &ModelId,
        p: ModelPatch,
    ) -> Result<ManagedModel, Error> {
        self.hear("update", (actor, id, p))?;
        Ok(model())
    }

    async fn deploy(&self, actor: &str, id: &ModelId, d: Deploy) -> Result<ManagedModel, Error> {
        self.hear("deploy", (actor, id, d))?;
        Ok(model())
    }

    async fn promote(&self, actor: &str, id: &ModelId, step: Step) -> Result<ManagedModel, Error> {
        self.hear("promote", (actor, id, step))?;
        Ok(model())
    }

    async fn roll_back(
        &self,
        actor: &str,
        id: &ModelId,
        to: RollBack,
    ) -> Result<ManagedModel, Error> {
        self.hear("roll_back", (actor, id, to))?;
        Ok(model())
    }

    async fn abort(&self, actor: &str, id: &ModelId, step: Step) -> Result<ManagedModel, Error> {
        self.hear("abort", (actor, id, step))?;
        Ok(model())
    }

    async fn versions(&self, id: &ModelId) -> Result<Vec<ModelVersion>, Error> {
        self.hear("versions", id)?;
        Ok(vec![version()])
    }

    async fn history(&self, id: &ModelId, page: AuditPage) -> Result<Vec<ModelChange>, Error> {
        self.hear("history", (id, page))?;
        Ok(vec![change()])
    }
}

/// Runs `test` with a client of `fake` over a real socket.
async fn over_grpc(fake: &Arc<Fake>, test: impl AsyncFnOnce(ModelsClient)) {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", incoming.local_addr().unwrap());
    let server = Server::builder()
        .add_service(ModelsServer::new(fake.clone()))
        .serve_with_incoming(incoming);
    let channel: Channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    tokio::select! {
        result = server => panic!("the server ended: {result:?}"),
        () = test(ModelsClient::new(channel)) => {}
    }
}

#[tokio::test]
async fn questions_and_answers_survive_the_wire() {
    let fake = Arc::new(Fake::default());
    over_grpc(&fake, async |port| {
        let id = &ModelId::from("chat");
        assert_eq!(port.models().await.unwrap(), [model()]);
        assert_eq!(fake.heard(), ("models", Value::Null));
        assert_eq!(port.model(id).await.unwrap(), model());
        assert_eq!(fake.heard(), ("model", json!("chat")));
        assert_eq!(port.versions(id).await.unwrap(), [version()]);
        assert_eq!(fake.heard(), ("versions", json!("chat")));
        let page = AuditPage {
            after: 3,
            limit: Some(2),
        };
        assert_eq!(port.history(id, page).await.unwrap(), [change()]);
        assert_eq!(fake.heard(), ("history", json!(("chat", page))));

        let new = NewModel {
            id: "chat".into(),
            owned_by: "me".into(),
            context_length: 4096,
            target: Some("chat-1".into()),
        };
        assert_eq!(port.create("ada", new.clone()).await.unwrap(), model());
        assert_eq!(fake.heard(), ("create", json!(("ada", new))));
        for fallback in [None, Some(None), Some(Some("small".into()))] {
            let patch = ModelPatch {
                fallback,
                hedging: Some(false),
            };
            let answer = port.update("ada", id, patch.clone()).await;
            assert_eq!(answer.unwrap(), model());
            assert_eq!(fake.heard(), ("update", json!(("ada", "chat", patch))));
        }
        let deploy = Deploy {
            version: Some(4),
            target: Some("chat-4".into()),
            parameters: parameters(),
            percent: 5,
            guard: Some(Guard::default()),
            why: "try".into(),
            if_last_change: Some(6),
        };
        for deploy in [Deploy::default(), deploy] {
            let answer = port.deploy("ada", id, deploy.clone()).await;
            assert_eq!(answer.unwrap(), model());
            assert_eq!(fake.heard(), ("deploy", json!(("ada", "chat", deploy))));
        }
        let step = Step {
            why: "good".into(),
            if_last_change: Some(6),
        };
        assert_eq!(
            port.promote("ada", id, step.clone()).await.unwrap(),
            model()
        );
        assert_eq!(fake.heard(), ("promote", json!(("ada", "chat", &step))));
        assert_eq!(port.abort("ada", id, step.clone()).await.unwrap(), model());
        assert_eq!(fake.heard(), ("abort", json!(("ada", "chat", step))));
        let to = RollBack {
            to: Some(2),
            why: "bad".into(),
            if_last_change: None,
        };
        assert_eq!(
            port.roll_back("ada", id, to.clone()).await.unwrap(),
            model()
        );
        assert_eq!(fake.heard(), ("roll_back", json!(("ada", "chat", to))));
    })
    .await;
}

/// A change is somebody's, and an error keeps its code.
#[tokio::test]
async fn a_change_without_an_actor_is_refused_and_errors_survive() {
    let fake = Arc::new(Fake::default());
    over_grpc(&fake, async |port| {
        let error = port.abort("", &"chat".into(), Step::default()).await;
        let error = error.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some("actor"));
        let error = port.model(&"nobody".into()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
    })
    .await;
}
