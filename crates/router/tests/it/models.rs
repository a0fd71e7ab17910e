//! Versions of models: the port, over both databases.

use std::time::Duration;

use fathom_kit::database;
use fathom_kit::shutdown::Shutdown;
use fathom_proto::ErrorCode;
use fathom_proto::administration::AuditPage;
use fathom_proto::catalog::Catalog;
use fathom_proto::id::ModelId;
use fathom_proto::inference::{Inference, Sampling};
use fathom_proto::models::{
    Deploy, Guard, ManagedModel, ModelPatch, Models, NewModel, RollBack, Step,
};
use fathom_router::{Config, Error, ModelStore, Router};
use fathom_test_database::TestDatabase;
use futures::StreamExt;
use futures::future::join_all;
use sqlx::any::AnyPoolOptions;

use crate::harness::{Fake, Harness, Script, announcement, request, start};

fn chat() -> ModelId {
    "deepseek-chat".into()
}

fn deploy(target: &str, percent: u32) -> Deploy {
    Deploy {
        target: Some(target.into()),
        percent,
        ..Deploy::default()
    }
}

/// Deploys a new version and promotes it.
async fn release(router: &Router, target: &str) -> ManagedModel {
    let id = &chat();
    router.deploy("ada", id, deploy(target, 5)).await.unwrap();
    router.promote("ada", id, Step::default()).await.unwrap()
}

async fn back(router: &Router, to: Option<u32>) -> Result<ManagedModel, ErrorCode> {
    let to = RollBack {
        to,
        why: "worse".to_owned(),
        ..RollBack::default()
    };
    let model = router.roll_back("ada", &chat(), to).await;
    model.map_err(|error| error.code)
}

#[tokio::test]
async fn a_version_is_tried_out_promoted_and_rolled_back_with_a_record_of_each() {
    for database in TestDatabase::each().await {
        let Harness { router, .. } = &Harness::over(database).await;
        let id = &chat();
        let first = Deploy {
            why: "smaller weights".to_owned(),
            parameters: Sampling {
                temperature: Some(0.2),
                ..Sampling::default()
            },
            guard: Some(Guard {
                min_requests: 500,
                ..Guard::default()
            }),
            ..deploy("chat-q4", 5)
        };
        let model = router.deploy("ada", id, first).await.unwrap();
        assert_eq!((model.state.stable, model.last_change), (Some(1), 1));
        let canary = model.state.canary.unwrap();
        assert_eq!((canary.version, canary.percent), (2, 5));

        let more = Deploy {
            version: Some(2),
            percent: 50,
            ..Deploy::default()
        };
        let canary = router.deploy("bob", id, more).await.unwrap().state.canary;
        assert_eq!(canary.unwrap().percent, 50);
        assert_eq!(canary.unwrap().guard.min_requests, 500, "the bounds stay");
        let model = router.promote("ada", id, Step::default()).await.unwrap();
        assert_eq!(model.state.stable, Some(2));
        assert_eq!(model.state.previous, [1]);
        router
            .deploy("ada", id, deploy("chat-q3", 5))
            .await
            .unwrap();
        router.abort("ada", id, Step::default()).await.unwrap();
        let model = back(router, None).await.unwrap();
        assert_eq!((model.state.stable, model.last_change), (Some(1), 6));
        assert_eq!(router.model(id).await.unwrap(), model);
        let listed = router.models().await.unwrap();
        assert!(listed.contains(&model) && listed.len() == 3);

        let versions = router.versions(id).await.unwrap();
        let targets: Vec<_> = versions
            .iter()
            .map(|version| version.target.as_str())
            .collect();
        assert_eq!(targets, ["chat-q3", "chat-q4", "deepseek-chat"]);
        assert_eq!(versions[1].parameters.temperature, Some(0.2));
        assert_eq!(versions[1].note, "smaller weights");
        assert_eq!(versions[1].created_by, "ada");

        let history = router.history(id, AuditPage::default()).await.unwrap();
        let actions: Vec<_> = history
            .iter()
            .map(|change| change.action.as_str())
            .collect();
        let expected = ["deploy", "deploy", "promote", "deploy", "abort", "rollback"];
        assert_eq!(actions, expected);
        assert!(history.windows(2).all(|two| two[0].to == two[1].from));
        assert_eq!(history[1].actor, "bob");
        assert_eq!(history[5].why, "worse");
        assert_eq!(history[5].to, model.state);
        let page = AuditPage {
            after: 4,
            limit: Some(1),
        };
        let part = router.history(id, page).await.unwrap();
        assert_eq!(part, history[4..5]);
    }
}

#[tokio::test]
async fn one_command_reaches_any_of_the_last_three_stable_versions_and_no_other() {
    for database in TestDatabase::each().await {
        let Harness { router, .. } = &Harness::over(database).await;
        for target in ["b", "c", "d", "e"] {
            release(router, target).await;
        }
        assert_eq!(back(router, Some(1)).await, Err(ErrorCode::Conflict));
        assert_eq!(back(router, Some(5)).await, Err(ErrorCode::Conflict));
        for to in [2, 3, 4, 5] {
            let model = back(router, Some(to)).await.unwrap();
            assert_eq!(model.state.stable, Some(to));
            assert_eq!(model.state.previous.len(), 3);
        }
        router.deploy("ada", &chat(), deploy("f", 5)).await.unwrap();
        let model = back(router, None).await.unwrap();
        assert_eq!(model.state.canary, None, "a rollback ends the trial too");
        assert_eq!(model.state.stable, Some(4));
    }
}

/// Operators at two routers, and one at the command line, do the same at once: one of them does it.
#[tokio::test]
async fn of_several_who_change_a_model_at_once_one_wins() {
    for database in TestDatabase::each().await {
        let url = database.url.clone();
        let one = Harness::over(database).await;
        let other = database::connect(&url).await.unwrap();
        let other = Router::new(other, &Config::default()).await.unwrap();
        let store = ModelStore::new(database::connect(&url).await.unwrap());
        let id = &chat();
        one.router.deploy("ada", id, deploy("b", 5)).await.unwrap();

        let promotions = (0..4).map(|_| async {
            tokio::join!(
                one.router.promote("ada", id, Step::default()),
                other.promote("bob", id, Step::default()),
                store.promote("operator:eve", id, Step::default()),
            )
        });
        let done = join_all(promotions).await;
        let won = done.iter().map(|(a, b, c)| {
            for code in [a, b].into_iter().filter_map(|it| it.as_ref().err()) {
                assert_eq!(code.code, ErrorCode::Conflict);
            }
            assert!(matches!(c, Ok(_) | Err(Error::Conflict(_))));
            usize::from(a.is_ok()) + usize::from(b.is_ok()) + usize::from(c.is_ok())
        });
        assert_eq!(won.sum::<usize>(), 1);

        // A script names the state that it has seen, so what happened since stops it.
        let seen = one.router.model(id).await.unwrap().last_change;
        let step = || RollBack {
            if_last_change: Some(seen),
            ..RollBack::default()
        };
        let steps = join_all((0..4).map(|_| other.roll_back("bob", id, step()))).await;
        assert_eq!(steps.iter().filter(|done| done.is_ok()).count(), 1);
        let model = one.router.model(id).await.unwrap();
        assert_eq!((model.state.stable, model.last_change), (Some(1), seen + 1));
    }
}

#[tokio::test]
async fn mistakes_are_named_and_leave_no_trace() {
    for database in TestDatabase::each().await {
        let Harness { router, .. } = &Harness::over(database).await;
        let id = &chat();
        let new = NewModel {
            id: "new".into(),
            owned_by: "me".into(),
            context_length: 100,
            target: None,
        };
        let bad_guard = |guard| Deploy {
            guard: Some(guard),
            ..deploy("b", 5)
        };
        let usual = Guard::default();
        for (mistake, param) in [
            (deploy("b", 0), "percent"),
            (deploy("b", 100), "percent"),
            (deploy("b c", 5), "target"),
            (deploy("b\0", 5), "target"),
            (
                Deploy {
                    percent: 5,
                    ..Deploy::default()
                },
                "target",
            ),
            (
                Deploy {
                    version: Some(1),
                    ..deploy("b", 5)
                },
                "target",
            ),
            (
                Deploy {
                    version: Some(7),
                    target: None,
                    ..deploy("b", 5)
                },
                "version",
            ),
            (
                Deploy {
                    why: "a\0b".to_owned(),
                    ..deploy("b", 5)
                },
                "why",
            ),
            (
                Deploy {
                    parameters: Sampling {
                        temperature: Some(3.0),
                        ..Sampling::default()
                    },
                    ..deploy("b", 5)
                },
                "parameters.temperature",
            ),
            (
                Deploy {
                    parameters: Sampling {
                        top_p: Some(f32::NAN),
                        ..Sampling::default()
                    },
                    ..deploy("b", 5)
                },
                "parameters.top_p",
            ),
            (
                bad_guard(Guard {
                    min_requests: 1,
                    ..usual
                }),
                "guard.min_requests",
            ),
            (
                bad_guard(Guard {
                    max_error_increase: f64::NAN,
                    ..usual
                }),
                "guard.max_error_increase",
            ),
            (
                bad_guard(Guard {
                    max_first_token_ratio: 0.5,
                    ..usual
                }),
                "guard.max_first_token_ratio",
            ),
        ] {
            let error = router.deploy("ada", id, mistake).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{param}");
            assert_eq!(error.param.as_deref(), Some(param), "{error}");
        }
        for (mistake, param) in [
            (
                NewModel {
                    id: "a b".into(),
                    ..new.clone()
                },
                "id",
            ),
            (
                NewModel {
                    id: "a".repeat(201).into(),
                    ..new.clone()
                },
                "id",
            ),
            (
                NewModel {
                    owned_by: " ".to_owned(),
                    ..new.clone()
                },
                "owned_by",
            ),
            (
                NewModel {
                    context_length: 0,
                    ..new.clone()
                },
                "context_length",
            ),
            (
                NewModel {
                    target: Some("".into()),
                    ..new.clone()
                },
                "target",
            ),
        ] {
            let error = router.create("ada", mistake).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{param}");
            assert_eq!(error.param.as_deref(), Some(param), "{error}");
        }
        for fallback in ["deepseek-chat", "nothing", "a\0"] {
            let patch = ModelPatch {
                fallback: Some(Some(fallback.into())),
                hedging: None,
            };
            let error = router.update("ada", id, patch).await.unwrap_err();
            assert_eq!(error.param.as_deref(), Some("fallback"), "{error}");
        }
        for unknown in ["nothing", "a\0", ""] {
            let unknown = &unknown.into();
            let error = router.promote("ada", unknown, Step::default()).await;
            assert_eq!(error.unwrap_err().code, ErrorCode::ModelNotFound);
            let error = router.versions(unknown).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::ModelNotFound);
        }
        router.create("ada", new.clone()).await.unwrap();
        let error = router.create("ada", new).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
        assert_eq!(router.model(id).await.unwrap().last_change, 0);
        assert_eq!(router.model(&"new".into()).await.unwrap().last_change, 1);
        assert!(router.versions(id).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn fallback_and_hedging_are_set_and_taken_away() {
    for database in TestDatabase::each().await {
        let Harness { router, .. } = &Harness::over(database).await;
        let set = |fallback, hedging| ModelPatch { fallback, hedging };
        let small = || Some("deepseek-code".into());
        for (patch, expected) in [
            (set(Some(small()), None), (small(), false)),
            (set(None, Some(true)), (small(), true)),
            (set(Some(None), None), (None, true)),
        ] {
            let model = router.update("ada", &chat(), patch).await.unwrap();
            assert_eq!((model.state.fallback, model.state.hedging), expected);
        }
        let same = router.update("ada", &chat(), set(None, Some(true))).await;
        assert_eq!(
            same.unwrap().last_change,
            3,
            "what changes nothing is no change"
        );
    }
}

/// A change at one router reaches the other by itself, and requests go to the version's workers.
#[tokio::test]
async fn requests_go_where_the_version_says_at_every_router() {
    for database in TestDatabase::each().await {
        let url = database.url.clone();
        let harness = Harness::over(database).await;
        let other = database::connect(&url).await.unwrap();
        let other = Router::new(other, &Config::default()).await.unwrap();
        let shutdown = Shutdown::new(Duration::from_secs(1));
        shutdown.spawn(other.clone().keep_current(shutdown.clone()));
        let (old, new) = (Fake::new(Script::Answer), Fake::new(Script::Answer));
        for router in [&harness.router, &other] {
            let old_announced = announcement("old", "unix:none", 8192);
            let mut announced = announcement("new", "unix:none", 4096);
            announced.models[0].model = "chat-q4".into();
            router.register_local(old_announced, old.clone()).unwrap();
            router.register_local(announced, new.clone()).unwrap();
        }
        let ask = async |router: &Router, model| {
            let (request, context) = request(model);
            let stream = router.generate(request, context).await;
            stream
                .map(|stream| stream.count())
                .map_err(|error| error.code)?
                .await;
            Ok::<_, ErrorCode>(())
        };
        ask(&harness.router, "deepseek-chat").await.unwrap();
        assert_eq!((old.calls(), new.calls()), (1, 0));
        assert_eq!(
            ask(&harness.router, "chat-q4").await,
            Err(ErrorCode::ModelNotFound)
        );

        release(&harness.router, "chat-q4").await;
        ask(&harness.router, "deepseek-chat").await.unwrap();
        assert_eq!((old.calls(), new.calls()), (1, 1));
        assert_eq!(
            ask(&harness.router, "chat-q4").await,
            Err(ErrorCode::ModelNotFound)
        );
        let models = harness.router.list_models().await.unwrap();
        let model = models.iter().find(|model| model.id == chat()).unwrap();
        assert_eq!(model.effective_context_length(), 4096);
        assert!(models.iter().all(|model| model.id.as_str() != "chat-q4"));

        let mut polls = tokio::time::interval(Duration::from_millis(10));
        while new.calls() < 2 {
            polls.tick().await;
            ask(&other, "deepseek-chat").await.unwrap();
        }
        shutdown.drain().await;
    }
}

/// The role that the services have changes models, and cannot touch the record of changes.
#[tokio::test]
async fn the_role_of_the_services_adds_to_the_record_and_nothing_else() {
    const ROLES: &str = include_str!("../../../../deploy/postgres/roles.sql");
    let database = TestDatabase::postgres().await;
    let owner = database::connect(&database.url).await.unwrap();
    sqlx::raw_sql(ROLES).execute(&owner).await.unwrap();
    let pool = AnyPoolOptions::new()
        .max_connections(2)
        .connect(&database.url_as("fathom_app"))
        .await
        .unwrap();
    let router = Router::new(pool.clone(), &Config::default()).await.unwrap();
    let new = NewModel {
        id: "new".into(),
        owned_by: "me".into(),
        context_length: 100,
        target: Some("new-1".into()),
    };
    router.create("ada", new).await.unwrap();
    release(&router, "b").await;
    back(&router, None).await.unwrap();
    for statement in [
        "UPDATE model_changes SET actor = 'eve'",
        "DELETE FROM model_changes",
        "TRUNCATE model_changes",
        "UPDATE model_versions SET target = 'eve'",
        "DELETE FROM model_versions",
        "DELETE FROM model_changes_head",
    ] {
        let error = sqlx::query(statement).execute(&pool).await.unwrap_err();
        let code = error.as_database_error().unwrap().code().unwrap();
        assert_eq!(code, "42501", "{statement}: insufficient_privilege");
    }
}

#[tokio::test]
async fn a_model_that_is_made_with_a_target_has_a_first_version() {
    let Harness { router, .. } = &start().await;
    let new = NewModel {
        id: "new".into(),
        owned_by: "me".into(),
        context_length: 100,
        target: Some("weights".into()),
    };
    let model = router.create("ada", new).await.unwrap();
    assert_eq!(model.state.stable, Some(1));
    let versions = router.versions(&"new".into()).await.unwrap();
    assert_eq!(versions[0].target.as_str(), "weights");
}
