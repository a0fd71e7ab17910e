//! What the heads of answers say beside the answer.

use std::sync::Arc;

use fathom_proto::Error;
use fathom_proto::identity::{Limit, LimitTarget, Limits, Scope};
use tokio::task::JoinSet;
use tokio::time::{Duration, advance};

use super::fakes::{delta, finished, gateway_of, started, steered};
use super::*;
use crate::identity::fake::{FakeAuth, principal};

/// The time that a worker takes is not the gateway's own.
#[tokio::test(start_paused = true)]
async fn the_overhead_is_the_time_without_the_waiting() {
    let (gateway, mut asked) = steered();
    let mut answer = JoinSet::new();
    answer.spawn(send(
        routes(gateway),
        post("/v1/chat/completions", chat_body()),
    ));
    let call = asked.recv().await.unwrap();
    advance(Duration::from_millis(1500)).await;
    call.tell(started(1)).await;
    call.tell(delta("Hi", 1)).await;
    call.read().await;
    advance(Duration::from_millis(500)).await;
    call.tell(finished(1, 1)).await;
    let answer = answer.join_next().await.unwrap().unwrap();
    assert_eq!(answer.headers["openai-processing-ms"], "2000");
    assert_eq!(answer.headers["x-fathom-overhead-ms"], "0.000");
    let models = request(Method::GET, "/v1/models", Some(ALL_SCOPES), "");
    let models = send(routes(fakes::gateway()), models).await;
    assert!(models.headers.contains_key("openai-processing-ms"));
    assert!(!models.headers.contains_key("x-fathom-overhead-ms"));
}

/// Nothing is metered yet, so that nothing is said of what remains.
#[tokio::test]
async fn limits_that_are_set_are_told() {
    let auth = FakeAuth::new();
    let mut caller = principal("key", &[Scope::Inference]);
    caller.limits = Arc::from([Limit {
        target: LimitTarget {
            tenant: "tenant".into(),
            subject: None,
            model: None,
        },
        limits: Limits {
            requests_per_minute: Some(60),
            budget_micro_usd_per_month: Some(5_000_000),
            ..Limits::default()
        },
    }]);
    auth.state().credentials.insert("sk-key".to_owned(), caller);
    let gateway = gateway_of(auth, vec![started(1), finished(1, 0)]);
    let ask = request(
        Method::POST,
        "/v1/chat/completions",
        Some("sk-key"),
        chat_body().to_string(),
    );
    let answer = send(routes(gateway.clone()), ask).await;
    assert_eq!(answer.status, 200);
    let told: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ratelimit-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(told, [("x-ratelimit-limit-requests", "60")]);
    let ask = request(Method::GET, "/user/balance", Some("sk-key"), "");
    let balance = send(routes(gateway), ask).await;
    insta::assert_snapshot!(balance.body, @r#"{"is_available":true,"balance_infos":[{"currency":"USD","total_balance":"5.00","granted_balance":"5.00","topped_up_balance":"0.00"}]}"#);
    let unlimited = request(Method::GET, "/user/balance", Some(ALL_SCOPES), "");
    let unlimited = send(routes(fakes::gateway()), unlimited).await;
    assert_eq!(
        unlimited.body,
        r#"{"is_available":true,"balance_infos":[]}"#
    );
}

#[tokio::test]
async fn an_error_says_whether_and_when_to_come_again() {
    let head = |error: Error| ApiError(error).into_response().headers().clone();
    let busy = Error::new(ErrorCode::Overloaded, "busy").retry_after(Duration::from_millis(1250));
    let busy = head(busy);
    assert_eq!(
        (&busy["retry-after"], &busy["retry-after-ms"]),
        (&"2".parse().unwrap(), &"1250".parse().unwrap())
    );
    assert!(!busy.contains_key("x-should-retry"));
    for code in ErrorCode::ALL {
        let row = code.row();
        let told = head(Error::new(code, "it fails"));
        let sdks_would = matches!(row.http, 408 | 409 | 429 | 500..);
        assert_eq!(
            told.get("x-should-retry")
                .is_some_and(|value| value == "false"),
            sdks_would && !row.retryable,
            "{code}"
        );
    }
    assert_eq!(
        head(Error::new(ErrorCode::Conflict, "changed"))["x-should-retry"],
        "false"
    );
}
