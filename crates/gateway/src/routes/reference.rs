//! `/openapi.json`, the description of every route, and `/docs`, a page to read it at.
//!
//! The page needs nothing from elsewhere, and shows what it reads as text alone: its policy forbids
//! a browser everything that is not from here.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::Route;
use crate::openapi::methods::get;
use crate::openapi::{Answer, openapi};
use crate::policy::Policy;

/// Where the document is.
pub const DOCUMENT: &str = "/openapi.json";

/// The routes of the reference. They are the same for everybody and hold no secret.
pub fn table() -> Vec<Route> {
    let not_modified = || Answer::new(304, "It is as the caller knows it.");
    let all = [
        (
            DOCUMENT,
            get("Read this document.", document).answers_media("application/json"),
        ),
        (
            "/docs",
            get("Read this document as a page.", page).answers_media(PAGE.media),
        ),
        (
            "/docs/reference.js",
            get("Read the program of the page.", program).answers_media(PROGRAM.media),
        ),
        (
            "/docs/reference.css",
            get("Read the style of the page.", style).answers_media(STYLE.media),
        ),
    ];
    let all = all.into_iter();
    all.map(|(path, methods)| (path, Policy::Public, methods.also(not_modified())))
        .collect()
}

async fn document(headers: HeaderMap) -> Response {
    static FILE: LazyLock<File> = LazyLock::new(|| File {
        media: "application/json",
        text: openapi(),
    });
    FILE.answer(&headers)
}

async fn page(headers: HeaderMap) -> Response {
    PAGE.answer(&headers)
}

async fn program(headers: HeaderMap) -> Response {
    PROGRAM.answer(&headers)
}

async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers)
}

const PAGE: File = File {
    media: "text/html",
    text: include_str!("reference/page.html"),
};
const PROGRAM: File = File {
    media: "text/javascript",
    text: include_str!("reference/reference.js"),
};
const STYLE: File = File {
    media: "text/css",
    text: include_str!("reference/reference.css"),
};

/// Nothing but the page's own files, and no page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What changes with the binary alone.
struct File {
    media: &'static str,
    text: &'static str,
}

impl File {
    /// The text, or that it is still the one whose tag the caller has.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let tag = digest(&SHA256, self.text.as_bytes());
        let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(tag));
        let known = asked.get_all(header::IF_NONE_MATCH).iter();
        let mut known = known.filter_map(|value| value.to_str().ok());
        let mut response = if known.any(|tags| tags.contains(&tag) || tags.trim() == "*") {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.text.into_response()
        };
        let media = if self.media == "application/json" {
            self.media.to_owned()
        } else {
            format!("{}; charset=utf-8", self.media)
        };
        let all = [
            // An upgrade of the server is seen within minutes.
            (header::CACHE_CONTROL, "public, max-age=300"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        let headers = response.headers_mut();
        headers.extend(all.map(|(name, value)| (name, HeaderValue::from_static(value))));
        let made: [(HeaderName, String); 2] = [(header::ETAG, tag), (header::CONTENT_TYPE, media)];
        for (name, value) in made {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
