//! The handshake (RFC 6455, section 4.2), and the credential that a browser brings in it: a page
//! can set no header but the one for sub-protocols.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fathom_proto::ErrorCode;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;
use secrecy::SecretString;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::error::ApiError;

/// The one sub-protocol there is.
const PROTOCOL: &str = "fathom.v1";
/// What stands before a credential in the list of sub-protocols.
const BEARER: &str = "fathom.bearer.";
/// The one version there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Why there will be no socket.
#[derive(Clone, Copy, Debug)]
pub enum Refused {
    /// The request is no handshake, or not one for this route.
    Invalid(&'static str),
    /// It is of another version of the protocol.
    Version,
    /// It comes from a page that may not use this server.
    Origin,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (code, message) = match self {
            Self::Invalid(message) => (ErrorCode::InvalidRequest, message),
            Self::Version => (
                ErrorCode::InvalidRequest,
                "`Sec-WebSocket-Version` must be 13",
            ),
            Self::Origin => (
                ErrorCode::PermissionDenied,
                "pages of this origin may not use this server",
            ),
        };
        let mut answer = ApiError::new(code, message).into_response();
        let headers = answer.headers_mut();
        match self {
            Self::Invalid(_) => {}
            // Section 4.4: the client may try again with this one.
            Self::Version => drop(headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION)),
            // No credential would help.
            Self::Origin => drop(headers.remove(header::WWW_AUTHENTICATE)),
        }
        answer
    }
}

/// A handshake that is as it should be.
pub struct Handshake {
    /// The credential among the sub-protocols.
    pub bearer: Option<SecretString>,
    accept: HeaderValue,
    with_protocol: bool,
    upgrade: OnUpgrade,
}

impl Handshake {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// What is wrong with one that is no handshake.
    pub fn read(parts: &mut Parts) -> Result<Self, Refused> {
        let headers = &parts.headers;
        let upgrades = parts.method == Method::GET
            && parts.version == Version::HTTP_11
            && has(headers, &header::CONNECTION, "upgrade")
            && has(headers, &header::UPGRADE, "websocket");
        if !upgrades {
            let message = "this route is a WebSocket; send a handshake, over HTTP/1.1";
            return Err(Refused::Invalid(message));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return Err(Refused::Version);
        }
        let bad_key = "`Sec-WebSocket-Key` must be 16 random bytes in base64";
        let accept = accept(headers).ok_or(Refused::Invalid(bad_key))?;
        let (with_protocol, bearer) = protocols(headers).map_err(Refused::Invalid)?;
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let not_upgradable = "this connection cannot be a WebSocket";
        Ok(Self {
            bearer,
            accept,
            with_protocol,
            upgrade: upgrade.ok_or(Refused::Invalid(not_upgradable))?,
        })
    }

    /// The answer, and the connection for when it is sent. An extension that is offered, such as
    /// `permessage-deflate`, is declined by not being named.
    pub fn accept(self) -> (Response, OnUpgrade) {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if self.with_protocol {
            let protocol = HeaderValue::from_static(PROTOCOL);
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        (answer, self.upgrade)
    }
}

/// What proves to the client that the server has read its key.
fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let key = keys.next().filter(|_| keys.next().is_none())?.as_bytes();
    let sound = BASE64_STANDARD.decode(key).is_ok_and(|it| it.len() == 16);
    let accept = sound.then(|| derive_accept_key(key))?;
    HeaderValue::try_from(accept).ok()
}

/// Whether a comma-separated header has this word, in any case.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    list(headers, name).any(|it| it.eq_ignore_ascii_case(word))
}

fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

/// Whether our sub-protocol is offered, and the credential that is.
fn protocols(headers: &HeaderMap) -> Result<(bool, Option<SecretString>), &'static str> {
    let offered = || list(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    let with_protocol = offered().any(|it| it == PROTOCOL);
    let mut bearers = offered().filter_map(|it| it.strip_prefix(BEARER));
    let bearer = bearers.next().map(|it| it.to_owned().into());
    if bearers.next().is_some() {
        return Err("the credential is there twice; offer one `fathom.bearer.…`");
    }
    if bearer.is_some() && !with_protocol {
        return Err(
            "offer the sub-protocol `fathom.v1` beside `fathom.bearer.…`: a browser takes no \
             connection without one, and a credential is never chosen",
        );
    }
    Ok((with_protocol, bearer))
}
