//! Experiments over both kinds of database.

use fathom_kit::database;
use fathom_proto::ErrorCode;
use fathom_test_database::TestDatabase;

use super::*;
use crate::models::Models;
use crate::outcome::Outcome;

const GUARD_RAIL: GuardRail = GuardRail {
    max_error_increase: 0.05,
    max_score_decrease: 0.2,
};

/// Two arms, of which the second is cool, on `deepseek-chat`.
fn new(name: &str) -> NewExperiment {
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
        name: name.to_owned(),
        model: "deepseek-chat".into(),
        guard_rail: GUARD_RAIL,
        arms: vec![arm("control", None), arm("cool", Some(0.1))],
    }
}

/// A router's experiments, with `try` running.
async fn started(database: &TestDatabase) -> (AnyPool, Experiments) {
    let pool = database::connect(&database.url).await.unwrap();
    let store = ExperimentStore::new(pool.clone());
    store
        .create(&new("try"), "operator:me", "why")
        .await
        .unwrap();
    let experiments = Experiments::load(pool.clone()).await.unwrap();
    (pool, experiments)
}

fn context(tenant: &str) -> RequestContext {
    RequestContext {
        request_id: RequestId::generate(),
        tenant: tenant.into(),
        user: "user".into(),
        deadline: None,
    }
}

fn observed(outcome: Outcome) -> Observed {
    Observed {
        outcome,
        first_token: Some(Duration::from_millis(20)),
        duration: Duration::from_millis(100),
        tokens: 5,
    }
}

fn assignment(arm: &str) -> Assignment {
    Assignment {
        experiment: "try".to_owned(),
        arm: arm.to_owned(),
    }
}

fn score(value: f64) -> Score {
    Score::new(value).unwrap()
}

async fn sums(experiments: &Experiments) -> [Sums; 2] {
    let experiment = experiments.store.experiment("try").await.unwrap();
    [experiment.arms[0].sums, experiment.arms[1].sums]
}

/// A request of this arm that can be scored.
async fn remembered(experiments: &Experiments, tenant: &str, arm: &str) -> RequestId {
    let context = context(tenant);
    experiments.remember(&assignment(arm), &context);
    experiments.write().await.unwrap();
    context.request_id
}

#[tokio::test]
async fn a_model_chooses_the_arm_and_counts_for_it() {
    for database in TestDatabase::each().await {
        let (pool, _) = started(&database).await;
        let models = Models::load(pool).await.unwrap();
        let mut seen = [0, 0];
        for user in 0..40 {
            let context = RequestContext {
                user: format!("user-{user}").as_str().into(),
                ..context("t")
            };
            let choose = |sampling| {
                let choice = models.choose(&"deepseek-chat".into(), Some(&sampling), &context);
                choice.unwrap()
            };
            let choice = choose(Sampling::default());
            let assigned = choice.route.experiment.clone().unwrap();
            assert_eq!(assigned.experiment, "try");
            let temperature = match assigned.arm.as_str() {
                "control" => None,
                _ => Some(0.1),
            };
            assert_eq!(choice.parameters.temperature, temperature);
            seen[usize::from(temperature.is_some())] += 1;
            models.observe(&choice, observed(Outcome::Finished));
            let own = choose(Sampling {
                temperature: Some(1.0),
                ..Sampling::default()
            });
            assert_eq!(
                (own.route.experiment, own.parameters.temperature),
                (None, None)
            );
        }
        let other = models.choose(
            &"deepseek-math".into(),
            Some(&Sampling::default()),
            &context("t"),
        );
        assert_eq!(other.unwrap().route.experiment, None);
        models.experiments.write().await.unwrap();
        let sums = sums(&models.experiments).await;
        assert_eq!(sums.map(|sums| sums.requests), seen);
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}

/// Routers add to the sums, and none overwrites what another has written.
#[tokio::test]
async fn the_counts_of_several_routers_add_up() {
    for database in TestDatabase::each().await {
        let (pool, one) = started(&database).await;
        let other = Experiments::load(pool).await.unwrap();
        for router in [&one, &other] {
            let arm = assignment("cool");
            router.observe(&arm, observed(Outcome::Finished));
            router.observe(&arm, observed(Outcome::Dropped));
            router.observe(&arm, observed(Outcome::Failed(ErrorCode::InvalidRequest)));
            let nothing = Observed {
                first_token: None,
                tokens: 0,
                ..observed(Outcome::Failed(ErrorCode::WorkerFailed))
            };
            router.observe(&arm, nothing);
        }
        let (one_wrote, other_wrote) = futures::join!(one.write(), other.write());
        one_wrote.and(other_wrote).unwrap();
        // What is written is not written again.
        one.write().await.unwrap();
        let expected = Sums {
            requests: 8,
            errors: 2,
            tokens: 30,
            first_tokens: 6,
            first_token_ms: 120,
            first_token_ms_squared: 2400,
            duration_ms: 800,
            ..Sums::default()
        };
        assert_eq!(sums(&one).await, [Sums::default(), expected]);
    }
}

/// The last known experiments go on, and counts wait; requests to be scored up to a bound.
#[tokio::test]
async fn a_database_that_is_away_stops_nothing() {
    for database in TestDatabase::each().await {
        let (pool, mut experiments) = started(&database).await;
        pool.close().await;
        let (model, tenant, user) = ("deepseek-chat".into(), "t".into(), "u".into());
        let assign = |experiments: &Experiments| {
            experiments.assign(&model, &tenant, &user, &Sampling::default())
        };
        let before = assign(&experiments).unwrap();
        for _ in 0..3 {
            experiments.observe(&before.assignment, observed(Outcome::Finished));
            experiments.remember(&before.assignment, &context("t"));
            experiments.keep_once(true).await.unwrap_err();
        }
        assert_eq!(assign(&experiments), Some(before.clone()));
        for _ in 0..30_000 {
            experiments.remember(&before.assignment, &context("t"));
        }
        assert_eq!(experiments.unwritten().requests.len(), 20_000);

        let few = std::mem::take(&mut experiments.unwritten().requests);
        assert!(few.len() == 20_000);
        let pool = database::connect(&database.url).await.unwrap();
        experiments.store = ExperimentStore::new(pool);
        experiments.keep_once(true).await.unwrap();
        let requests: i64 = sums(&experiments)
            .await
            .iter()
            .map(|sums| sums.requests)
            .sum();
        assert_eq!(requests, 3);
    }
}

/// The last score of a request counts, once; nobody else can score it, or learn that it is there.
#[tokio::test]
async fn a_request_is_scored_by_its_own_tenant() {
    for database in TestDatabase::each().await {
        let (_pool, experiments) = started(&database).await;
        let request = remembered(&experiments, "mine", "cool").await;
        let mine = "mine".into();
        for value in [1.0, 1.0, -0.5] {
            experiments
                .score(&mine, &request, score(value))
                .await
                .unwrap();
        }
        let other = remembered(&experiments, "mine", "cool").await;
        experiments.score(&mine, &other, score(1.0)).await.unwrap();
        let [control, cool] = sums(&experiments).await;
        assert_eq!(control, Sums::default());
        assert_eq!(
            (cool.scores, cool.score_sum, cool.score_squares),
            (2, 500_000, 1_250_000)
        );

        let unknown = [
            ("yours", request),
            ("mine", RequestId::generate()),
            ("mine", "short".into()),
            ("mine", "0123456789abcdef0123456789abcdef".into()),
        ];
        let answers = unknown.map(async |(tenant, request)| {
            let tenant = tenant.into();
            let scored = experiments.score(&tenant, &request, score(1.0));
            fathom_proto::Error::from(scored.await.unwrap_err())
        });
        for error in futures::future::join_all(answers).await {
            assert_eq!(error.code, ErrorCode::NotFound);
            assert_eq!(error.message, Error::UnknownRequest.to_string());
        }
    }
}

/// A caller that is fast scores before the router that answered has written the request.
#[tokio::test]
async fn a_score_waits_for_what_another_router_has_not_written_yet() {
    let database = TestDatabase::sqlite();
    let (pool, answered) = started(&database).await;
    let scored = Experiments::load(pool).await.unwrap();
    let context = context("t");
    answered.remember(&assignment("cool"), &context);
    let later = async {
        sleep(Duration::from_millis(200)).await;
        answered.write().await
    };
    let now = scored.score(&context.tenant, &context.request_id, score(1.0));
    let (written, scored) = futures::join!(later, now);
    written.and(scored).unwrap();
    assert_eq!(sums(&answered).await[1].scores, 1);
}

#[tokio::test]
async fn old_requests_are_forgotten_and_their_scores_stay() {
    for database in TestDatabase::each().await {
        let (pool, experiments) = started(&database).await;
        let tenant = "t".into();
        let [old, young] = [
            remembered(&experiments, "t", "cool").await,
            remembered(&experiments, "t", "cool").await,
        ];
        experiments.score(&tenant, &old, score(1.0)).await.unwrap();
        let aged = "UPDATE experiment_requests SET at = at - 604801 WHERE request_id = $1";
        let aged = sqlx::query(aged).bind(old.as_str()).execute(&pool);
        assert_eq!(aged.await.unwrap().rows_affected(), 1);
        experiments.keep_once(true).await.unwrap();
        let left: Vec<(String,)> = sqlx::query_as("SELECT request_id FROM experiment_requests")
            .fetch_all(&pool)
            .await
            .unwrap();
        assert_eq!(left, [(young.to_string(),)]);
        assert_eq!(sums(&experiments).await[1].scores, 1);
    }
}

/// Counts of `try`: (requests, errors, scores, mean score) of each arm.
async fn counted(pool: &AnyPool, arms: [(&str, i64, i64, i64, f64); 2]) {
    for (arm, requests, errors, scores, mean) in arms {
        let changed = sqlx::query(
            "UPDATE experiment_arms SET requests = $1, errors = $2, scores = $3, score_sum = $4, \
             score_squares = $3 * 1000000 WHERE name = $5",
        )
        .bind(requests)
        .bind(errors)
        .bind(scores)
        .bind((scores as f64 * mean * 1e6) as i64)
        .bind(arm)
        .execute(pool)
        .await;
        assert_eq!(changed.unwrap().rows_affected(), 1);
    }
}

#[tokio::test]
async fn an_arm_that_is_worse_than_it_may_be_is_stopped_once() {
    for database in TestDatabase::each().await {
        let (pool, one) = started(&database).await;
        let other = Experiments::load(pool.clone()).await.unwrap();
        // Worse for sure, and not for sure by more than is allowed.
        counted(
            &pool,
            [("control", 5000, 50, 0, 0.0), ("cool", 5000, 300, 0, 0.0)],
        )
        .await;
        one.keep_once(false).await.unwrap();
        let report = one.store.report("try").await.unwrap().0;
        let effect = report.arms[1].error_rate_effect.unwrap();
        assert_eq!(
            (effect.verdict, report.arms[1].stopped_at),
            (Verdict::Worse, None)
        );

        counted(
            &pool,
            [("control", 5000, 50, 0, 0.0), ("cool", 5000, 700, 0, 0.0)],
        )
        .await;
        let (first, second) = futures::join!(one.keep_once(false), other.keep_once(false));
        first.and(second).unwrap();
        let (report, changes) = one.store.report("try").await.unwrap();
        assert!(report.arms[1].stopped_at.is_some());
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert_eq!(
            (changes[0].who.as_str(), changes[0].arm.as_deref()),
            ("operator:me", None)
        );
        assert_eq!(
            (changes[1].who.as_str(), changes[1].arm.as_deref()),
            ("router", Some("cool"))
        );
        assert!(changes[1].why.contains("more than 0.05"), "{changes:?}");

        other.keep_once(false).await.unwrap();
        for user in 0..40 {
            let user = format!("user-{user}").as_str().into();
            let model = "deepseek-chat".into();
            let assigned = other.assign(&model, &"t".into(), &user, &Sampling::default());
            assert_eq!(assigned.unwrap().assignment, assignment("control"));
        }
    }
}

#[tokio::test]
async fn an_arm_whose_scores_are_too_low_is_stopped() {
    let database = TestDatabase::sqlite();
    let (pool, experiments) = started(&database).await;
    counted(
        &pool,
        [("control", 900, 0, 800, 0.6), ("cool", 900, 0, 800, 0.35)],
    )
    .await;
    experiments.keep_once(false).await.unwrap();
    let report = experiments.store.report("try").await.unwrap().0;
    assert_eq!(report.arms[1].stopped_at, None);
    counted(
        &pool,
        [("control", 900, 0, 800, 0.6), ("cool", 900, 0, 800, 0.1)],
    )
    .await;
    experiments.keep_once(false).await.unwrap();
    let (report, changes) = experiments.store.report("try").await.unwrap();
    assert!(report.arms[1].stopped_at.is_some());
    assert!(
        changes[1].why.contains("mean score is lower"),
        "{changes:?}"
    );
}

#[tokio::test]
async fn a_model_has_one_experiment_at_a_time_and_names_are_not_used_again() {
    for database in TestDatabase::each().await {
        let (pool, experiments) = started(&database).await;
        let store = ExperimentStore::new(pool);
        let error = store.create(&new("try"), "me", "").await.unwrap_err();
        assert!(matches!(error, Error::NameTaken(_)), "{error}");
        let error = store.create(&new("more"), "me", "").await.unwrap_err();
        assert!(matches!(error, Error::ModelTaken(_)), "{error}");
        let unknown = NewExperiment {
            model: "nothing".into(),
            ..new("more")
        };
        let error = store.create(&unknown, "me", "").await.unwrap_err();
        assert!(matches!(error, Error::UnknownModel(_)), "{error}");

        store.stop("try", "me", "enough").await.unwrap();
        let error = store.stop("try", "me", "").await.unwrap_err();
        assert!(matches!(error, Error::Stopped(_)), "{error}");
        let error = store.stop("more", "me", "").await.unwrap_err();
        assert!(matches!(error, Error::Unknown(_)), "{error}");
        store.create(&new("more"), "me", "").await.unwrap();
        let all = store.experiments().await.unwrap();
        assert_eq!(all.len(), 2);
        experiments.keep_once(false).await.unwrap();
        let (model, tenant) = ("deepseek-chat".into(), "t".into());
        let assigned = experiments.assign(&model, &tenant, &"u".into(), &Sampling::default());
        assert_eq!(assigned.unwrap().assignment.experiment, "more");
    }
}

#[tokio::test]
async fn what_cannot_be_an_experiment_is_refused() {
    let database = TestDatabase::sqlite();
    let (pool, experiments) = started(&database).await;
    experiments.store.stop("try", "me", "").await.unwrap();
    let store = ExperimentStore::new(pool);
    type Spoil = fn(&mut NewExperiment);
    let spoiled: [(Spoil, &str); 10] = [
        (|it| it.name = "A".to_owned(), "a-z"),
        (|it| it.name = "a".repeat(65), "64"),
        (|it| it.arms[1].name = "a/b".to_owned(), "a-z"),
        (|it| it.arms[1].name = "control".to_owned(), "two arms"),
        (|it| it.arms.truncate(1), "2 to 8"),
        (|it| it.arms[0].weight = 0, "weight"),
        (
            |it| it.arms[1].parameters.temperature = Some(2.5),
            "temperature",
        ),
        (
            |it| it.arms[1].parameters.logit_bias = [(1, 101.0)].into(),
            "token 1",
        ),
        (|it| it.guard_rail.max_error_increase = f64::NAN, "0 to 1"),
        (|it| it.arms[1].version = Some(9), "no version 9"),
    ];
    for (spoil, part) in spoiled {
        let mut experiment = new("spoiled");
        spoil(&mut experiment);
        let error = store
            .create(&experiment, "me", "")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(store.experiments().await.unwrap().len(), 1);
}

/// What a router has counted when it goes down is written; the database is there to the last.
#[tokio::test]
async fn the_last_counts_are_written_when_a_router_drains() {
    let database = TestDatabase::sqlite();
    let (pool, experiments) = started(&database).await;
    let shutdown = Shutdown::new(Duration::from_secs(5));
    let experiments = Arc::new(experiments);
    let (kept, until) = (experiments.clone(), shutdown.clone());
    shutdown.spawn(async move { kept.keep_current(&until).await });
    experiments.observe(&assignment("cool"), observed(Outcome::Finished));
    shutdown.drain().await;
    let requests: i64 = sqlx::query_scalar("SELECT requests FROM experiment_arms WHERE name = $1")
        .bind("cool")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(requests, 1);
}
