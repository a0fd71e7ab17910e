//! The document and its page as browsers get them.

use super::*;
use crate::openapi;

const FILES: [(&str, &str); 4] = [
    ("/openapi.json", "application/json"),
    ("/docs", "text/html; charset=utf-8"),
    ("/docs/reference.js", "text/javascript; charset=utf-8"),
    ("/docs/reference.css", "text/css; charset=utf-8"),
];

#[tokio::test]
async fn anybody_may_read_the_reference() {
    for (path, media) in FILES {
        let answer = send(routes(gateway()), request(Method::GET, path, None, "")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.headers["content-type"], media);
        assert_eq!(answer.headers["cache-control"], "public, max-age=300");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
    }
    let answer = send(
        routes(gateway()),
        request(Method::GET, "/openapi.json", None, ""),
    )
    .await;
    assert_eq!(answer.body, openapi());
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    for (path, _) in FILES {
        let first = send(routes(gateway()), request(Method::GET, path, None, "")).await;
        let tag = first.headers["etag"].to_str().unwrap().to_owned();
        for (known, status) in [
            (tag.clone(), 304),
            (format!("\"another\", {tag}"), 304),
            (tag.trim_start_matches("W/").to_owned(), 304),
            ("*".to_owned(), 304),
            ("\"another\"".to_owned(), 200),
        ] {
            let mut ask = request(Method::GET, path, None, "");
            ask.headers_mut()
                .insert("if-none-match", known.parse().unwrap());
            let answer = send(routes(gateway()), ask).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {known}");
            assert_eq!(answer.body.is_empty(), status == 304);
            assert_eq!(answer.headers["etag"], tag.as_str());
        }
    }
}

/// The page works without a network, and what it reads cannot become markup.
#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    for (path, _) in &FILES[1..] {
        let answer = send(routes(gateway()), request(Method::GET, path, None, "")).await;
        for outside in ["http://", "https://", "src=\"//", "@import", "url("] {
            assert!(!answer.body.contains(outside), "{path}: {outside}");
        }
        for markup in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "<script>",
            " onclick",
            " onload",
            "style=",
        ] {
            assert!(!answer.body.contains(markup), "{path}: {markup}");
        }
    }
    let page = send(routes(gateway()), request(Method::GET, "/docs", None, "")).await;
    assert!(
        page.body
            .contains("<script src=\"/docs/reference.js\" defer></script>")
    );
}
