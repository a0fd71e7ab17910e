//! How a client says who it is: exactly one of HTTP Basic, a secret in the body (RFC 6749, section
//! 2.3.1), and an assertion (RFC 7523, section 2.2).

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fathom_proto::identity::{ClientAuthentication, ClientProof};
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::form::Form;
use super::refusal::Refusal;

/// The one type of assertions.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client that sends `form`, not authenticated yet.
pub fn authentication(form: Form) -> Result<ClientAuthentication, Refusal> {
    let mut headers = form.headers.get_all(header::AUTHORIZATION).iter();
    let basic = headers.next();
    let methods = usize::from(basic.is_some())
        + headers.count()
        + usize::from(form.client_secret.is_some())
        + usize::from(form.client_assertion.is_some());
    if methods > 1 {
        return Err(Refusal::Request(
            "the client says who it is in more than one way; use one of them",
        ));
    }
    if form.client_assertion.is_some() != form.client_assertion_type.is_some() {
        return Err(Refusal::Request(
            "`client_assertion` and `client_assertion_type` belong together",
        ));
    }
    let (client_id, proof) = if let Some(header) = basic {
        let (id, secret) = basic_credentials(header).ok_or(Refusal::Client { basic: true })?;
        if form.client_id.is_some_and(|named| named != id) {
            return Err(Refusal::Request("two different clients in header and body"));
        }
        (Some(id), ClientProof::Secret(secret))
    } else if let Some(assertion) = form.client_assertion {
        if form.client_assertion_type.as_deref() != Some(JWT_BEARER) {
            return Err(Refusal::Request(
                "`client_assertion_type` must be \
                 `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`",
            ));
        }
        (form.client_id, ClientProof::Assertion(assertion))
    } else if let (Some(id), Some(secret)) = (form.client_id, form.client_secret) {
        (Some(id), ClientProof::Secret(secret))
    } else {
        return Err(Refusal::Client { basic: false });
    };
    Ok(ClientAuthentication {
        client_id,
        proof,
        address: form.address,
    })
}

/// Whether the client uses the `Authorization` header.
pub fn is_basic(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION)
}

/// Id and secret are form-encoded before they are joined (RFC 6749, section 2.3.1).
fn basic_credentials(header: &HeaderValue) -> Option<(String, SecretString)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?.into()))
}

fn form_decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text)
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}
