//! Every route of the table, and whoever has no business there.

use super::*;
use crate::identity::fake::{
    AUTH_FAILS, AUTH_HANGS, AUTH_IS_DOWN, AUTH_PANICS, FakeAuth, NO_SCOPES, claims, token,
};
use crate::openapi;
use fathom_proto::identity::Scope;
use secrecy::ExposeSecret;

/// What a guarded route answers to who sends `bearer`, for every method that it has.
async fn answers(
    gateway: &crate::Gateway,
    (path, methods, _): &Guarded,
    bearer: Option<&str>,
) -> Vec<Answer> {
    let path = path.replace(['{', '}'], "");
    let mut answers = Vec::new();
    for method in methods {
        let ask = request(method.clone(), &path, bearer, "{}");
        answers.push(send(routes(gateway.clone()), ask).await);
    }
    assert!(!answers.is_empty(), "{path}");
    answers
}

/// A path with its methods and who may call it.
type Guarded = (String, Vec<Method>, Policy);

/// Every guarded route, as clients are told of it.
fn guarded() -> Vec<Guarded> {
    let document: Value = serde_json::from_str(openapi()).unwrap();
    let mut guarded = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let item = item.as_object().unwrap();
        let scopes: Vec<_> = item
            .values()
            .filter_map(|operation| operation["security"][0]["bearer"][0].as_str())
            .collect();
        let mut all = Scope::ALL.into_iter();
        let Some(scope) = all.find(|scope| scopes.contains(&scope.as_str())) else {
            continue;
        };
        assert_eq!(scopes.len(), item.len(), "{path}: some methods are open");
        let by_key = |operation: &Value| {
            operation["security"][1]["x-api-key"][0].as_str() == Some(scope.as_str())
        };
        let policy = match item.values().all(by_key) {
            true => Policy::ScopeByKey(scope),
            false => Policy::Scope(scope),
        };
        let methods = item.keys().map(|method| method.to_uppercase().parse());
        guarded.push((
            path.clone(),
            methods.collect::<Result<_, _>>().unwrap(),
            policy,
        ));
    }
    guarded
}

/// SEC-24: what clients are told of who may call a route is what guards it.
#[test]
fn the_document_and_the_table_agree_on_who_may_call() {
    let told = guarded().into_iter();
    let told: Vec<_> = told.map(|(path, _, policy)| (path, policy)).collect();
    let guards: Vec<_> = table()
        .into_iter()
        .map(|(path, policy, _)| (path.to_owned(), policy))
        .filter(|(_, policy)| matches!(policy, Policy::Scope(_) | Policy::ScopeByKey(_)))
        .collect();
    assert!(!guards.is_empty());
    assert_eq!(told, guards);
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
    for route in guarded() {
        let (path, _, policy) = &route;
        let (Policy::Scope(scope) | Policy::ScopeByKey(scope)) = policy else {
            panic!("{path} is open");
        };
        let others: Vec<_> = Scope::ALL.into_iter().filter(|it| it != scope).collect();
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
            for answer in answers(&gateway, &route, bearer).await {
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
            "/.well-known/oauth-authorization-server",
            "/openapi.json",
            "/docs",
            "/docs/reference.js",
            "/docs/reference.css",
        ]
    );
}

/// Part of SEC-24: the guard is before the route, so a bug behind it is not reached.
#[tokio::test]
async fn a_guard_is_in_front_of_what_it_guards() {
    let bug = get("Fail.", async || -> StatusCode { panic!("reached") });
    let router = layered(vec![("/bug", Policy::Scope(Scope::Admin), bug)], gateway());
    let answer = send(router, request(Method::GET, "/bug", Some(NO_SCOPES), "")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
