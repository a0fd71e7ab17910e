use fathom_kit::database;
use fathom_proto::ErrorCode;
use fathom_proto::administration::AuditPage;
use fathom_proto::id::RequestId;
use fathom_proto::models::{Deploy, NewModel, Step};
use fathom_test_database::TestDatabase;

use super::*;
use crate::store::ModelStore;

struct Home {
    models: Models,
    store: ModelStore,
    /// Another router of the same models.
    other: Models,
    _database: TestDatabase,
}

impl Home {
    /// Version 1 of `chat` answers.
    async fn new() -> Self {
        let database = TestDatabase::sqlite();
        let pool = database::connect(&database.url).await.unwrap();
        let store = ModelStore::new(database::connect(&database.url).await.unwrap());
        let new = NewModel {
            id: "chat".into(),
            owned_by: "me".into(),
            context_length: 4096,
            target: Some("chat-1".into()),
        };
        store.create("ada", new).await.unwrap();
        let other = database::connect(&database.url).await.unwrap();
        Self {
            models: Models::load(pool).await.unwrap(),
            other: Models::load(other).await.unwrap(),
            store,
            _database: database,
        }
    }

    /// Version 2 is tried out.
    async fn deploy(&self, percent: u32) {
        let deploy = Deploy {
            target: Some("chat-2".into()),
            parameters: Sampling {
                temperature: Some(0.2),
                ..Sampling::default()
            },
            percent,
            ..Deploy::default()
        };
        self.store.deploy("ada", &chat(), deploy).await.unwrap();
        self.models.refresh().await;
        self.other.refresh().await;
    }

    async fn actions(&self) -> Vec<(String, String)> {
        let changes = self.store.history(&chat(), AuditPage::default()).await;
        let changes = changes.unwrap().into_iter();
        changes
            .map(|change| (change.actor, change.action))
            .collect()
    }
}

fn chat() -> ModelId {
    "chat".into()
}

fn context(user: &str) -> RequestContext {
    RequestContext {
        request_id: RequestId::generate(),
        tenant: "acme".into(),
        user: user.into(),
        deadline: None,
    }
}

fn choose(models: &Models, user: usize) -> Choice {
    let context = context(&format!("user-{user}"));
    models
        .choose(&chat(), Some(&Sampling::default()), &context)
        .unwrap()
}

/// Every request of the version that is tried out fails, every other one is answered.
fn use_badly(models: &Models, requests: usize) {
    for user in 0..requests {
        let choice = choose(models, user);
        let outcome = match choice.route.version {
            Some(2) => Outcome::Failed(ErrorCode::WorkerFailed),
            _ => Outcome::Finished,
        };
        let observed = Observed {
            outcome,
            first_token: None,
            duration: Duration::from_secs(1),
            tokens: 1,
        };
        models.observe(&choice, observed);
    }
}

fn with_canary(models: &Models) -> Vec<usize> {
    let version = |user: &usize| choose(models, *user).route.version;
    (0..1_000).filter(|user| version(user) == Some(2)).collect()
}

#[tokio::test]
async fn a_model_without_versions_is_its_own_target() {
    let home = Home::new().await;
    let model = ModelId::from("deepseek-chat");
    let choice = home
        .models
        .choose(&model, Some(&Sampling::default()), &context("user"))
        .unwrap();
    assert_eq!((choice.route.version, choice.target), (None, model));
    assert_eq!(choice.parameters, Sampling::default());
    assert_eq!(choice.context_length, 32_768);
    assert_eq!((choice.fallback, choice.hedging), (None, false));
}

/// What workers call it is no name that clients can ask for.
#[tokio::test]
async fn the_target_of_a_version_is_no_model() {
    let home = Home::new().await;
    assert_eq!(choose(&home.models, 0).target.as_str(), "chat-1");
    let error = home
        .models
        .choose(
            &"chat-1".into(),
            Some(&Sampling::default()),
            &context("user"),
        )
        .unwrap_err();
    assert!(matches!(error, Error::ModelNotFound { .. }));
}

#[tokio::test]
async fn a_canary_answers_its_share_of_users_and_more_keep_those() {
    let home = Home::new().await;
    assert!(with_canary(&home.models).is_empty());
    home.deploy(10).await;
    let few = with_canary(&home.models);
    assert!((60..140).contains(&few.len()), "{}", few.len());
    assert_eq!(few, with_canary(&home.other));
    let choice = choose(&home.models, few[0]);
    assert_eq!(choice.target.as_str(), "chat-2");
    assert_eq!(choice.parameters.temperature, Some(0.2));
    assert_eq!(choice.route.config_version, 2);

    let more = Deploy {
        version: Some(2),
        percent: 50,
        ..Deploy::default()
    };
    home.store.deploy("ada", &chat(), more).await.unwrap();
    home.models.refresh().await;
    let more = with_canary(&home.models);
    assert!((420..580).contains(&more.len()), "{}", more.len());
    assert!(few.iter().all(|user| more.contains(user)));

    home.store
        .promote("ada", &chat(), Step::default())
        .await
        .unwrap();
    home.models.refresh().await;
    assert_eq!(with_canary(&home.models).len(), 1_000);
}

/// Both routers see it go badly: it is ended once, and the record says by whom and why.
#[tokio::test]
async fn a_canary_that_fails_is_ended_once_whoever_sees_it() {
    let home = Home::new().await;
    home.deploy(50).await;
    home.models.end_bad_trials().await;
    for models in [&home.models, &home.other] {
        use_badly(models, 400);
    }
    tokio::join!(home.models.end_bad_trials(), home.other.end_bad_trials());
    for models in [&home.models, &home.other] {
        assert!(with_canary(models).is_empty());
        models.end_bad_trials().await;
    }
    let changes = home
        .store
        .history(&chat(), AuditPage::default())
        .await
        .unwrap();
    let ended: Vec<_> = changes
        .iter()
        .filter(|change| change.action == "guard")
        .collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].actor, "fathom-router");
    assert!(
        ended[0].why.starts_with("errors: 100.0 % of "),
        "{}",
        ended[0].why
    );
    assert_eq!(ended[0].from.canary.unwrap().version, 2);
    assert_eq!((ended[0].to.canary, ended[0].to.stable), (None, Some(1)));
}

/// More users for the same version are no new trial: what was seen stays.
#[tokio::test]
async fn a_trial_keeps_what_was_seen_until_it_is_over() {
    let home = Home::new().await;
    home.deploy(50).await;
    use_badly(&home.models, 150);
    let more = Deploy {
        version: Some(2),
        percent: 51,
        ..Deploy::default()
    };
    home.store
        .deploy("ada", &chat(), more.clone())
        .await
        .unwrap();
    home.models.refresh().await;
    use_badly(&home.models, 150);
    home.models.end_bad_trials().await;
    assert_eq!(home.actions().await.last().unwrap().1, "guard");

    home.store.deploy("ada", &chat(), more).await.unwrap();
    home.models.refresh().await;
    use_badly(&home.models, 100);
    home.models.end_bad_trials().await;
    assert_eq!(home.actions().await.last().unwrap().1, "deploy");
    assert!(!with_canary(&home.models).is_empty());
}

/// A database that is away keeps a bad version from being ended for all, and not for this router.
#[tokio::test]
async fn without_a_database_a_bad_canary_answers_nobody_here() {
    let home = Home::new().await;
    home.deploy(50).await;
    use_badly(&home.models, 400);
    home.models.store().pool.close().await;
    home.models.end_bad_trials().await;
    home.models.refresh().await;
    assert!(with_canary(&home.models).is_empty());
    assert_eq!(choose(&home.models, 0).target.as_str(), "chat-1");
    assert!(!with_canary(&home.other).is_empty());
}

/// Callers that go away, and answers of other versions, say nothing.
#[tokio::test]
async fn what_is_not_the_versions_fault_ends_no_trial() {
    let home = Home::new().await;
    home.deploy(50).await;
    for user in 0..2_000 {
        let mut choice = choose(&home.models, user);
        let mut observed = Observed {
            outcome: Outcome::Finished,
            first_token: Some(Duration::from_millis(50)),
            duration: Duration::from_secs(1),
            tokens: 1,
        };
        if choice.route.version == Some(2) {
            observed.outcome = match user % 3 {
                0 => Outcome::Dropped,
                1 => Outcome::Failed(ErrorCode::InvalidRequest),
                _ => Outcome::Failed(ErrorCode::Overloaded),
            };
        } else {
            choice.route.version = Some(9);
            home.models.observe(&choice, observed);
            choice.route.version = Some(1);
        }
        home.models.observe(&choice, observed);
    }
    home.models.end_bad_trials().await;
    assert_eq!(home.actions().await.last().unwrap().1, "deploy");
}
