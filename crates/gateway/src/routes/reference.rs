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
use crate::json::JSON;
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
            get("Read this document.", document).answers_media(JSON),
        ),
        (
            "/docs",
            get("Read this document as a page.", page).answers_media(PAGE),
        ),
        (
            "/docs/reference.js",
            get("Read the program of the page.", program).answers_media(PROGRAM),
        ),
        (
            "/docs/reference.css",
            get("Read the style of the page.", style).answers_media(STYLE),
        ),
    ];
    let all = all.into_iter();
    all.map(|(path, methods)| (path, Policy::Public, methods.also(not_modified())))
        .collect()
}

async fn document(headers: HeaderMap) -> Response {
    static FILE: LazyLock<File> = LazyLock::new(|| File::new(JSON, openapi()));
    FILE.answer(&headers)
}

async fn page(headers: HeaderMap) -> Response {
    static FILE: LazyLock<File> =
        LazyLock::new(|| File::new(PAGE, include_str!("reference/page.html")));
    FILE.answer(&headers)
}

async fn program(headers: HeaderMap) -> Response {
    static FILE: LazyLock<File> =
        LazyLock::new(|| File::new(PROGRAM, include_str!("reference/reference.js")));
    FILE.answer(&headers)
}

async fn style(headers: HeaderMap) -> Response {
    static FILE: LazyLock<File> =
        LazyLock::new(|| File::new(STYLE, include_str!("reference/reference.css")));
    FILE.answer(&headers)
}

const PAGE: &str = "text/html";
const PROGRAM: &str = "text/javascript";
const STYLE: &str = "text/css";

/// Nothing but the page's own files, and no page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What changes with the binary alone.
struct File {
    media: &'static str,
    text: &'static str,
    /// Weak, as the text is sent in several encodings (RFC 9110, section 8.8.1).
    tag: String,
}

impl File {
    fn new(media: &'static str, text: &'static str) -> Self {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()));
        let tag = format!("W/\"{digest}\"");
        Self { media, text, tag }
    }

    /// The text, or that it is still the one whose tag the caller has.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let Self { media, text, tag } = self;
        let known = asked.get_all(header::IF_NONE_MATCH).iter();
        let mut known = known.filter_map(|value| value.to_str().ok());
        // Compared weakly (RFC 9110, section 13.1.2).
        let opaque = tag.trim_start_matches("W/");
        let mut response = if known.any(|tags| tags.contains(opaque) || tags.trim() == "*") {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            text.into_response()
        };
        let media = if *media == JSON {
            JSON.to_owned()
        } else {
            format!("{media}; charset=utf-8")
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
        let made: [(HeaderName, String); 2] =
            [(header::ETAG, tag.clone()), (header::CONTENT_TYPE, media)];
        for (name, value) in made {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
