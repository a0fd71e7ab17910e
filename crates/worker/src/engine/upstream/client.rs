//! The HTTP client of one server: where it is, what every request carries, and its connections.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use fathom_proto::id::RequestId;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client as Pool, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connector::Connector;
use super::error::{Failure, UpstreamError};
use crate::UpstreamConfig;

/// Most bytes of an answer's head: a server that sends more is broken or hostile.
const MAX_HEAD: usize = 64 * 1024;

/// How often an HTTP/2 connection with running answers is asked whether it lives, and how long it
/// may take to say so.
const PING: Duration = Duration::from_secs(5);

/// One server. It never follows a redirect, and never asks for compression.
pub(super) struct Client {
    pool: Pool<Connector, Full<Bytes>>,
    pub chat: Uri,
    pub completions: Uri,
    pub embeddings: Uri,
    /// What every request carries.
    pub headers: HeaderMap,
}

impl Client {
    /// A client that connects when it is first asked. The error names the key that is wrong, and
    /// says what would be right.
    pub fn new(config: &UpstreamConfig) -> Result<Self, String> {
        let base = base(&config.base_url)?;
        let uri = |path| {
            format!("{base}{path}")
                .parse()
                .map_err(|error| format!("`base_url`: {error}"))
        };
        let tls = base
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let idle = config.idle_connections.unwrap_or(64 * cores);
        let pool = Pool::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(config.idle_connection_timeout)
            .http1_max_buf_size(MAX_HEAD)
            .http2_only(config.http2)
            .http2_max_header_list_size(MAX_HEAD as u32)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING)
            .build(Connector::new(config, tls)?);
        Ok(Self {
            pool,
            chat: uri("/chat/completions")?,
            completions: uri("/completions")?,
            embeddings: uri("/embeddings")?,
            headers: headers(config)?,
        })
    }

    /// Sends JSON. Dropping the future or the answer's body takes the request back.
    pub fn post(
        &self,
        uri: &Uri,
        key: Option<HeaderValue>,
        request_id: &RequestId,
        body: Vec<u8>,
    ) -> ResponseFuture {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if let Some(key) = key {
            headers.insert(AUTHORIZATION, key);
        }
        self.pool.request(request)
    }
}

/// An answer of which the body is still to come.
pub(super) type Answered = Response<Incoming>;

/// Why there is no head of an answer.
pub(super) fn lost(error: hyper_util::client::legacy::Error) -> UpstreamError {
    let broken = error
        .source()
        .and_then(|source| source.downcast_ref::<hyper::Error>());
    // A request is cancelled when its connection ends before it could be sent.
    if error.is_connect() || broken.is_some_and(hyper::Error::is_canceled) {
        UpstreamError::Unreachable(Box::new(error))
    } else if broken.is_some_and(hyper::Error::is_parse) {
        Failure::Head(Box::new(error)).into()
    } else {
        Failure::Lost(Box::new(error)).into()
    }
}

/// What `base_url` says, without a slash at its end.
fn base(url: &str) -> Result<&str, String> {
    let refused = |problem: &str| {
        Err(format!(
            "`base_url` {problem}; write it like `https://api.deepseek.com/v1`"
        ))
    };
    let Ok(uri) = url.parse::<Uri>() else {
        return refused("is no URL");
    };
    if uri.scheme() != Some(&Scheme::HTTP) && uri.scheme() != Some(&Scheme::HTTPS) {
        return refused("does not begin with `http://` or `https://`");
    }
    let authority = uri.authority().map(http::uri::Authority::as_str);
    if authority.is_none_or(|authority| authority.contains('@')) {
        return refused("holds a name or password: the key belongs into `api_key`");
    }
    if url.contains(['?', '#']) {
        return refused("holds a query or fragment");
    }
    Ok(url.trim_end_matches('/'))
}

fn headers(config: &UpstreamConfig) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("text/event-stream, application/json"),
    );
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("fathom/", env!("CARGO_PKG_VERSION"))),
    );
    for (name, value) in &config.headers {
        let header = HeaderName::try_from(name.as_str())
            .map_err(|_| format!("`headers`: `{name}` is no name of a header"))?;
        if header == AUTHORIZATION {
            return Err(
                "`headers`: the key does not belong here; set `api_key = { file = \"PATH\" }`"
                    .to_owned(),
            );
        }
        if [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&header) {
            return Err(format!(
                "`headers`: `{name}` is set by the client; leave it out"
            ));
        }
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| {
            format!("`headers`: the value of `{name}` has characters that no header can carry")
        })?;
        // Some servers want their key in a header of their own.
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(base_url: &str, header: (&str, &str)) -> String {
        let config = UpstreamConfig {
            base_url: base_url.to_owned(),
            headers: [(header.0.to_owned(), header.1.to_owned())].into(),
            ..UpstreamConfig::default()
        };
        Client::new(&config).err().unwrap()
    }

    /// SEC-30
    #[test]
    fn a_base_url_that_is_none_is_refused_with_what_would_be_right() {
        for (url, words) in [
            ("", "is no URL"),
            (
                "api.deepseek.com",
                "does not begin with `http://` or `https://`",
            ),
            (
                "ftp://host/v1",
                "does not begin with `http://` or `https://`",
            ),
            ("http://me:secret@host/v1", "the key belongs into `api_key`"),
            ("http://host/v1?key=secret", "holds a query"),
        ] {
            let problem = refused(url, ("x-a", "b"));
            assert!(problem.starts_with("`base_url` "), "{problem}");
            assert!(problem.contains(words), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn a_header_that_is_none_is_refused_by_name() {
        for (header, words) in [
            (("a b", "c"), "`a b` is no name of a header"),
            (("x-a", "line\nline"), "the value of `x-a`"),
            (("Authorization", "Bearer secret"), "set `api_key"),
            (("Host", "other"), "`Host` is set by the client"),
        ] {
            let problem = refused("http://host/v1", header);
            assert!(problem.starts_with("`headers`: "), "{problem}");
            assert!(
                problem.contains(words) && !problem.contains("secret"),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        let config = UpstreamConfig {
            base_url: "https://host:8443/v1/".to_owned(),
            ..UpstreamConfig::default()
        };
        let client = Client::new(&config).unwrap();
        assert_eq!(client.chat, "https://host:8443/v1/chat/completions");
    }
}
