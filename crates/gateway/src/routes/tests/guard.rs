//! Every route of the table, and whoever has no business there.

use axum::routing::get;

use super::*;
use crate::identity::fake::{
    AUTH_FAILS, AUTH_HANGS, AUTH_IS_DOWN, AUTH_PANICS, FakeAuth, NO_SCOPES, claims, token,
};
use fathom_proto::identity::Scope;
use secrecy::ExposeSecret;

/// What a guarded route answers to who sends `bearer`, for every method that it takes.
async fn answers(gateway: &crate::Gateway, path: &str, bearer: Option<&str>) -> Vec<Answer> {
    let path = path.replace(['{', '}'], "");
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let mut answers = Vec::new();
    for method in methods {
        let ask = request(method, &path, bearer, "{}");
        let answer = send(routes(gateway.clone()), ask).await;
        if answer.status != StatusCode::METHOD_NOT_ALLOWED {
            answers.push(answer);
        }
    }
    assert!(!answers.is_empty(), "{path}");
    answers
}

fn guarded() -> impl Iterator<Item = (&'static str, Scope)> {
    table()
        .into_iter()
        .filter_map(|(path, policy, _)| match policy {
            Policy::Scope(scope) | Policy::ScopeByKey(scope) => Some((path, scope)),
            Policy::OwnCredentials | Policy::Public => None,
        })
}

/// SEC-24: every route that wants a scope refuses who has it not, and who cannot be shown to.
#[tokio::test(start_paused = true)]
async fn every_guarded_route_refuses_whoever_may_not_call_it() {
    let auth = FakeAuth::new();
    let gateway = fakes::watching(&auth).await;
    let mut expired = claims("1");
    (expired.iat, expired.exp) = (1, 2);
    let expired = token("a", &expired);
    let forged = token("another key", &claims("1"));
    for (path, scope) in guarded() {
        let others: Vec<_> = Scope::ALL.into_iter().filter(|it| *it != scope).collect();
        let lacking = format!("everything but {}", scope.as_str());
        auth.key(&lacking, &lacking, &others);
        for (bearer, status, challenge) in [
            (None, 401, Some("")),
            (Some("unknown"), 401, Some(", error=\"invalid_token\"")),
            (
                Some(expired.expose_secret()),
                401,
                Some(", error=\"invalid_token\""),
            ),
            (
                Some(forged.expose_secret()),
                401,
                Some(", error=\"invalid_token\""),
            ),
            (
                Some(NO_SCOPES),
                403,
                Some(", error=\"insufficient_scope\", scope="),
            ),
            (
                Some(lacking.as_str()),
                403,
                Some(", error=\"insufficient_scope\", scope="),
            ),
            (Some(AUTH_IS_DOWN), 503, None),
            (Some(AUTH_FAILS), 503, None),
            (Some(AUTH_HANGS), 503, None),
            (Some(AUTH_PANICS), 500, None),
        ] {
            for answer in answers(&gateway, path, bearer).await {
                let what = format!("{path} with {bearer:?}: {}", answer.body);
                assert_eq!(answer.status.as_u16(), status, "{what}");
                let sent = answer.headers.get("www-authenticate");
                let sent = sent.map(|value| value.to_str().unwrap());
                let wanted = challenge.map(|more| format!("Bearer realm=\"fathom\"{more}"));
                match wanted {
                    Some(wanted) if status == 403 => {
                        let wanted = format!("{wanted}\"{}\"", scope.as_str());
                        assert_eq!(sent, Some(wanted.as_str()), "{what}");
                    }
                    wanted => assert_eq!(sent, wanted.as_deref(), "{what}"),
                }
                assert_eq!(
                    answer.headers.contains_key("retry-after"),
                    status == 503,
                    "{what}"
                );
                assert!(!answer.body.contains("hunter2") && !answer.body.contains("secret"));
            }
        }
    }
}

/// Part of SEC-24: one text for every credential that does not hold.
#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_say_why() {
    let gateway = fakes::watching(&FakeAuth::new()).await;
    let mut expired = claims("1");
    (expired.iat, expired.exp) = (1, 2);
    let long = "a".repeat(10_000);
    let bearers = [
        token("a", &expired).expose_secret().to_owned(),
        token("b", &claims("1")).expose_secret().to_owned(),
        "unknown".to_owned(),
        long,
    ];
    for bearer in bearers {
        let ask = request(Method::GET, "/v1/models", Some(&bearer), "");
        let answer = send(routes(gateway.clone()), ask).await;
        assert_eq!(
            answer.json(),
            json!({"error": {
                "message": "the credential is not valid", "type": "authentication_error",
                "param": null, "code": "invalid_api_key",
            }})
        );
    }
}

/// Part of SEC-24: two credentials are none, so that no two readers can take different ones.
#[tokio::test]
async fn two_credentials_are_none() {
    let mut ask = request(Method::GET, "/v1/models", Some(ALL_SCOPES), "");
    ask.headers_mut()
        .append("authorization", "Bearer unknown".parse().unwrap());
    let answer = send(routes(gateway()), ask).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// Part of SEC-24: Anthropic's header is a credential on Anthropic's routes alone, and beside
/// another one only if it is the same.
#[tokio::test]
async fn a_key_in_its_own_header_is_the_credential_of_some_routes() {
    for path in ["/v1/messages", "/anthropic/v1/messages/count_tokens"] {
        for (keys, bearer, status) in [
            (&[ALL_SCOPES][..], None, 400),
            (&[ALL_SCOPES], Some(ALL_SCOPES), 400),
            (&[], Some(ALL_SCOPES), 400),
            (&[ALL_SCOPES], Some(NO_SCOPES), 401),
            (&[NO_SCOPES], Some(ALL_SCOPES), 401),
            (&[ALL_SCOPES, ALL_SCOPES], None, 401),
            (&["unknown"], None, 401),
            (&[""], Some(ALL_SCOPES), 401),
            (&[NO_SCOPES], None, 403),
            (&[], None, 401),
        ] {
            let mut ask = request(Method::POST, path, bearer, "{}");
            for key in keys {
                ask.headers_mut().append("x-api-key", key.parse().unwrap());
            }
            let answer = send(routes(gateway()), ask).await;
            let what = format!("{path} {keys:?} {bearer:?}");
            assert_eq!(answer.status.as_u16(), status, "{what}");
        }
    }
    let mut ask = request(Method::GET, "/v1/models", None, "");
    ask.headers_mut()
        .append("x-api-key", ALL_SCOPES.parse().unwrap());
    assert_eq!(send(routes(gateway()), ask).await.status, 401);
}

/// Part of SEC-24: a route that anybody may call is an exception to look at. That each route has a
/// policy is for the compiler: the table's type demands one.
#[test]
fn the_routes_without_a_guard_are_these() {
    let open = |wanted: Policy| -> Vec<_> {
        let table = table().into_iter();
        table
            .filter(|(_, policy, _)| *policy == wanted)
            .map(|(path, ..)| path)
            .collect()
    };
    assert_eq!(
        open(Policy::OwnCredentials),
        [
            "/v1/stream",
            "/oauth/token",
            "/oauth/introspect",
            "/oauth/revoke"
        ]
    );
    assert_eq!(
        open(Policy::Public),
        [
            "/.well-known/jwks.json",
            "/.well-known/oauth-authorization-server"
        ]
    );
}

/// Part of SEC-24: the guard is before the route, so a bug behind it is not reached.
#[tokio::test]
async fn a_guard_is_in_front_of_what_it_guards() {
    let bug = get(async || -> String { panic!("reached") });
    let router = layered(vec![("/bug", Policy::Scope(Scope::Admin), bug)], gateway());
    let answer = send(router, request(Method::GET, "/bug", Some(NO_SCOPES), "")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
