//! SEC-23: what is allowed depends on the path that is served, and on nothing that imitates one.

use super::*;
use crate::identity::fake::NO_SCOPES;

async fn status(request: Request<Body>) -> u16 {
    send(routes(gateway()), request).await.status.as_u16()
}

/// SEC-23: a path that is written in another way is another path; it is not served.
#[tokio::test]
async fn a_path_that_looks_like_another_is_not_that_one() {
    for path in [
        "//v1/models",
        "/v1//models",
        "/v1/models/",
        "/V1/models",
        "/v1/MODELS",
        "/v1/./models",
        "/v1/../v1/models",
        "/v1/..;/v1/models",
        "/v1;x=1/models",
        "/v1/%2e%2e/v1/models",
        "/%2e%2e/v1/models",
        "/v1%2fmodels",
        "/v1%5cmodels",
        "/%76%31/models",
        "/v1/models.",
        "/v1/models%00",
        "/v1/..;/admin/v1/tenants",
        "//admin/v1/tenants",
        "/v1/../admin/v1/tenants",
        "/v1/%2e%2e/admin/v1/tenants",
        "/ADMIN/v1/tenants",
        "/admin./v1/tenants",
    ] {
        for bearer in [None, Some(NO_SCOPES), Some(ALL_SCOPES)] {
            let answer = status(request(Method::GET, path, bearer, "")).await;
            assert_eq!(answer, 404, "{path} {bearer:?}");
        }
    }
}

/// SEC-23: the name of a model is a name, whatever it looks like.
#[tokio::test]
async fn a_model_cannot_be_named_so_that_it_escapes_its_route() {
    for name in [
        "..",
        "%2e%2e",
        "..;",
        "%2e%2e%2fadmin%2fv1%2ftenants",
        "m%00",
    ] {
        let path = format!("/v1/models/{name}");
        assert_eq!(
            status(request(Method::GET, &path, None, "")).await,
            401,
            "{path}"
        );
        let allowed = request(Method::GET, &path, Some(ALL_SCOPES), "");
        assert_eq!(status(allowed).await, 404, "{path}");
    }
}

/// SEC-23: no header moves a request to another route, or to another caller.
#[tokio::test]
async fn headers_do_not_change_the_decision() {
    let headers = [
        ("host", "127.0.0.1#@evil.example.com"),
        ("host", "admin@localhost/v1/models?"),
        ("host", "LOCALHOST."),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/.well-known"),
        ("forwarded", "for=127.0.0.1;host=localhost"),
        ("x-real-ip", "127.0.0.1"),
        ("x-original-url", "/.well-known/jwks.json"),
        ("x-rewrite-url", "/.well-known/jwks.json"),
        ("x-http-method-override", "OPTIONS"),
        ("x-authenticated-user", "admin"),
    ];
    for (name, value) in headers {
        for (path, bearer, expected) in [
            ("/v1/models", None, 401),
            ("/v1/models", Some(NO_SCOPES), 403),
            ("/v1/models", Some(ALL_SCOPES), 200),
            ("/nowhere", Some(ALL_SCOPES), 404),
        ] {
            let mut ask = request(Method::GET, path, bearer, "");
            ask.headers_mut().insert(name, value.parse().unwrap());
            assert_eq!(
                status(ask).await,
                expected,
                "{name}: {value}, {path} {bearer:?}"
            );
        }
    }
}

/// SEC-23: the form of a request target that proxies get (RFC 9112, section 3.2.2).
#[tokio::test]
async fn an_absolute_uri_is_its_path() {
    for authority in ["localhost", "evil.example.com", "user@evil.example.com:1"] {
        for (path, bearer, expected) in [
            ("/v1/models", None, 401),
            ("/v1/models", Some(ALL_SCOPES), 200),
            ("//v1/models", Some(ALL_SCOPES), 404),
        ] {
            let uri = format!("http://{authority}{path}");
            let ask = request(Method::GET, &uri, bearer, "");
            assert_eq!(status(ask).await, expected, "{uri}");
        }
    }
}
