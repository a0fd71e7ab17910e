use std::time::Duration;

use fathom_kit::shutdown::Shutdown;
use fathom_proto::catalog::{Catalog, Model};
use fathom_proto::registry::Registry;
use fathom_test_database::TestDatabase;

use crate::harness::{Harness, announcement, start};

async fn chat(harness: &Harness) -> Model {
    let models = harness.router.list_models().await.unwrap();
    models
        .into_iter()
        .find(|model| model.id.as_str() == "deepseek-chat")
        .unwrap()
}

#[tokio::test]
async fn models_are_listed_by_name_with_what_serves_them() {
    for database in TestDatabase::each().await {
        let harness = Harness::over(database).await;
        let models = harness.router.list_models().await.unwrap();
        let names: Vec<_> = models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(names, ["deepseek-chat", "deepseek-code", "deepseek-math"]);
        assert!(models.iter().all(|model| model.deployment.is_none()));

        for (worker, context_length) in [("a", 8192), ("b", 4096)] {
            let announced = announcement(worker, "http://127.0.0.1:9", context_length);
            harness.router.register(announced).await.unwrap();
        }
        let model = chat(&harness).await;
        assert_eq!(model.context_length, 32768);
        assert_eq!(model.effective_context_length(), 4096);
    }
}

#[tokio::test]
async fn a_worker_is_gone_after_its_lease_and_back_when_it_registers_again() {
    let harness = start().await;
    let announced = announcement("a", "http://127.0.0.1:9", 8192);
    let lease = harness.router.register(announced.clone()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(lease.duration).await;
    assert_eq!(chat(&harness).await.deployment, None);
    harness.router.register(announced).await.unwrap();
    assert!(chat(&harness).await.deployment.is_some());
    harness.router.deregister(&"a".into(), 1).await.unwrap();
    assert_eq!(chat(&harness).await.deployment, None);
}

#[tokio::test]
async fn a_new_row_shows_and_a_database_that_is_gone_keeps_the_last_ones() {
    for database in TestDatabase::each().await {
        let harness = Harness::over(database).await;
        let shutdown = Shutdown::new(Duration::from_secs(1));
        shutdown.spawn(harness.router.clone().keep_current(shutdown.clone()));
        sqlx::query(
            "INSERT INTO models (id, owned_by, context_length, created_at) \
             VALUES ('new', 'me', 100, 0)",
        )
        .execute(&harness.pool)
        .await
        .unwrap();
        let mut polls = tokio::time::interval(Duration::from_millis(10));
        while harness.router.list_models().await.unwrap().len() < 4 {
            polls.tick().await;
        }
        harness.pool.close().await;
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(harness.router.list_models().await.unwrap().len(), 4);
        tokio::time::resume();
        shutdown.drain().await;
    }
}
