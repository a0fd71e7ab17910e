use std::sync::Arc;

use fathom_proto::identity::{Limit, LimitTarget, ModelAccess, Scopes};

use super::*;

fn principal(limits: Vec<Limit>) -> Principal {
    Principal {
        tenant: "acme".into(),
        subject: "key".to_owned(),
        scopes: Scopes::default(),
        models: ModelAccess::All,
        limits: Arc::from(limits),
        expires_at: None,
    }
}

fn limit(subject: Option<&str>, model: Option<&str>, limits: Limits) -> Limit {
    let target = LimitTarget {
        tenant: "acme".into(),
        subject: subject.map(str::to_owned),
        model: model.map(Into::into),
    };
    Limit { target, limits }
}

#[test]
fn the_tightest_limit_that_holds_is_told_and_no_other() {
    let pace = |requests, tokens| Limits {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
        ..Limits::default()
    };
    let principal = principal(vec![
        limit(None, None, pace(Some(60), None)),
        limit(Some("key"), None, pace(Some(30), Some(1000))),
        limit(Some("other"), None, pace(Some(1), Some(1))),
        limit(None, Some("m"), pace(Some(10), None)),
        limit(None, Some("n"), pace(Some(2), Some(2))),
    ]);
    let mut headers = HeaderMap::new();
    RateLimits::of(&principal, &"m".into()).tell(&mut headers);
    assert_eq!(headers["x-ratelimit-limit-requests"], "10");
    assert_eq!(headers["x-ratelimit-limit-tokens"], "1000");
    let mut headers = HeaderMap::new();
    RateLimits::default().tell(&mut headers);
    assert!(headers.is_empty());
}

#[test]
fn the_tightest_budget_is_what_may_be_spent() {
    let budget = |day, month| Limits {
        budget_micro_usd_per_day: day,
        budget_micro_usd_per_month: month,
        ..Limits::default()
    };
    assert_eq!(budget_micro_usd(&principal(Vec::new())), None);
    let limits = vec![
        limit(None, None, budget(None, Some(50))),
        limit(Some("key"), None, budget(Some(7), Some(80))),
        limit(None, Some("m"), budget(Some(1), None)),
        limit(Some("other"), None, budget(Some(2), None)),
    ];
    assert_eq!(budget_micro_usd(&principal(limits)), Some(7));
}
