//! The authorization server: what OAuth clients see.

use std::net::IpAddr;

use fathom_kit::server::Peer;

use super::*;
use crate::identity::fake::FakeAuth;

const ASSERTION: &str = "client_assertion=assertion&client_assertion_type=\
    urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
const SECRET: &str = "client_id=c&client_secret=a%3Ab%25+c";

fn form(body: &str) -> Request<Body> {
    form_to("/oauth/token", body)
}

fn form_to(path: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

async fn answer(request: Request<Body>) -> Answer {
    let answer = send(routes(gateway()), request).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["pragma"], "no-cache");
    answer
}

const GRANT: &str = "grant_type=client_credentials";

#[tokio::test]
async fn credentials_in_the_body_get_a_token() {
    let answer = answer(form(&format!(
        "{GRANT}&client_id=c&client_secret=a%3Ab%25+c"
    )))
    .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(
        answer.json(),
        json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600, "scope": "inference"})
    );
}

#[tokio::test]
async fn basic_credentials_are_form_decoded() {
    use base64::Engine;
    let encoded = base64::prelude::BASE64_STANDARD.encode("c:a%3Ab%25+c");
    let mut request = form(GRANT);
    request
        .headers_mut()
        .insert("authorization", format!("Basic {encoded}").parse().unwrap());
    assert_eq!(answer(request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn refusals_have_the_form_of_rfc_6749() {
    for (body, status, error) in [
        (
            format!("{GRANT}&client_id=c&client_secret=wrong"),
            401,
            "invalid_client",
        ),
        (GRANT.to_owned(), 401, "invalid_client"),
        ("client_id=c".to_owned(), 400, "invalid_request"),
        (format!("{GRANT}&{GRANT}"), 400, "invalid_request"),
        (
            "grant_type=password".to_owned(),
            400,
            "unsupported_grant_type",
        ),
        (
            format!("{GRANT}&scope=root&client_id=c&client_secret=a"),
            400,
            "invalid_scope",
        ),
    ] {
        let answer = answer(form(&body)).await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
        assert_eq!(answer.json()["error"], error, "{body}");
    }
}

#[tokio::test]
async fn two_ways_to_authenticate_at_once_are_refused() {
    let mut request = form(&format!("{GRANT}&client_id=c&client_secret=a"));
    request
        .headers_mut()
        .insert("authorization", "Basic Yzph".parse().unwrap());
    let answer = answer(request).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["error"], "invalid_request");
}

#[tokio::test]
async fn an_assertion_names_its_client_by_itself_or_with_its_id() {
    for body in [
        format!("{GRANT}&{ASSERTION}"),
        format!("{ASSERTION}&client_id=c&{GRANT}"),
    ] {
        assert_eq!(answer(form(&body)).await.status, StatusCode::OK, "{body}");
    }
}

#[tokio::test]
async fn a_client_says_in_exactly_one_way_who_it_is() {
    let kind = "client_assertion_type=x";
    for body in [
        format!("{GRANT}&{SECRET}&{ASSERTION}"),
        format!("{GRANT}&client_assertion=assertion"),
        format!("{GRANT}&{kind}"),
        format!("{GRANT}&client_assertion=assertion&{kind}"),
        format!("{GRANT}&{SECRET}&{kind}"),
        format!("{GRANT}&{ASSERTION}&{ASSERTION}"),
    ] {
        let answer = answer(form(&body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.json()["error"], "invalid_request", "{body}");
    }
    let mut twice = form(&format!("{GRANT}&{ASSERTION}"));
    let basic = "Basic Yzph".parse().unwrap();
    twice.headers_mut().insert("authorization", basic);
    assert_eq!(answer(twice).await.json()["error"], "invalid_request");
}

#[tokio::test]
async fn a_client_that_is_slowed_down_is_told_for_how_long() {
    let body = format!("{GRANT}&client_id=slowed&client_secret=guess");
    let answer = answer(form(&body)).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
}

#[tokio::test(start_paused = true)]
async fn auth_learns_where_a_client_calls_from_and_not_what_it_claims() {
    let auth = FakeAuth::new();
    let gateway = fakes::watching(&auth).await;
    let mut ask = form(&format!("{GRANT}&{SECRET}"));
    ask.extensions_mut().insert(Peer {
        address: "192.0.2.7".parse().ok(),
        secure: false,
    });
    let claimed = "203.0.113.1".parse().unwrap();
    ask.headers_mut().insert("x-forwarded-for", claimed);
    assert_eq!(send(routes(gateway), ask).await.status, StatusCode::OK);
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(auth.state().seen[0].address, Some(address));
}

#[tokio::test]
async fn another_method_is_refused_with_the_one_that_is_right() {
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        let get = Request::get(path).body(Body::empty()).unwrap();
        let answer = send(routes(gateway()), get).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_form_is_refused() {
    let large = format!("{GRANT}&{SECRET}&x={}", "x".repeat(64 * 1024));
    let answer_to_large = answer(form(&large)).await;
    assert_eq!(answer_to_large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer_to_large.json()["error"], "invalid_request");
    let json = request(Method::POST, "/oauth/token", None, "{}");
    assert_eq!(answer(json).await.json()["error"], "invalid_request");
}

#[tokio::test(start_paused = true)]
async fn introspection_says_what_a_token_is_good_for_and_nothing_of_others() {
    let gateway = fakes::watching(&FakeAuth::new()).await;
    let ask = async |body: &str| {
        let answer = send(routes(gateway.clone()), form_to("/oauth/introspect", body)).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        (answer.status.as_u16(), answer.json())
    };
    let (status, active) = ask(&format!("token=good&{SECRET}&token_type_hint=x")).await;
    assert_eq!(status, 200);
    assert_eq!(
        active,
        json!({
            "active": true, "scope": "inference", "client_id": "c", "sub": "c",
            "token_type": "Bearer", "exp": 2, "iat": 1,
            "iss": "https://llm.example.com", "aud": "https://llm.example.com", "jti": "jti",
        })
    );
    let inactive = ask(&format!("token=bad&{SECRET}")).await;
    assert_eq!(inactive, (200, json!({"active": false})));
    for (body, status, error) in [
        ("token=good", 401, "invalid_client"),
        (
            "token=good&client_id=c&client_secret=x",
            401,
            "invalid_client",
        ),
        (SECRET, 400, "invalid_request"),
    ] {
        let (answered, answer) = ask(body).await;
        assert_eq!((answered, answer["error"].as_str()), (status, Some(error)));
    }
}

#[tokio::test]
async fn a_token_is_revoked_by_its_client_alone() {
    let ask = async |body: &str| send(routes(gateway()), form_to("/oauth/revoke", body)).await;
    let ended = ask(&format!("token=any&{SECRET}")).await;
    assert_eq!((ended.status, ended.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(ended.headers["cache-control"], "no-store");
    assert_eq!(ask("token=any").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(SECRET).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn metadata_and_keys_are_public_and_need_no_auth() {
    let auth = FakeAuth::new();
    let gateway = fakes::watching(&auth).await;
    auth.go_down();
    let ask = async |path: &str| {
        let answer = send(
            routes(gateway.clone()),
            request(Method::GET, path, None, ""),
        )
        .await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["cache-control"], "public, max-age=300");
        answer
    };
    let keys = ask("/.well-known/jwks.json").await;
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    assert_eq!(keys.json()["keys"][0]["kid"], "a");
    let metadata = ask("/.well-known/oauth-authorization-server").await;
    insta::assert_json_snapshot!(metadata.json());
}

#[tokio::test]
async fn before_auth_was_heard_there_are_no_keys() {
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
    ] {
        let answer = send(routes(gateway()), request(Method::GET, path, None, "")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers.contains_key("retry-after"));
    }
}
