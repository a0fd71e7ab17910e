//! Who may open a socket, and how.

use super::memory::{UPGRADE, handshake};
use super::*;
use crate::Config;

const BEARER: &str = "authorization: Bearer all-scopes";

async fn answer(gateway: &Gateway, target: &str, more: &[&str]) -> String {
    let lines = [&UPGRADE[..], more].concat();
    handshake(gateway, target, &lines).await.0
}

fn status(head: &str) -> &str {
    head.get(9..12).unwrap()
}

/// WS-7
#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let gateway = gateway();
    for left_out in 0..UPGRADE.len() {
        let mut lines = UPGRADE.to_vec();
        let line = lines.remove(left_out);
        let (head, _) = handshake(&gateway, "/v1/stream", &lines).await;
        assert_eq!(status(&head), "400", "without {line}: {head}");
    }
    for more in [
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version: 8",
    ] {
        let name = more.split(':').next().unwrap();
        let others = UPGRADE.iter().filter(|line| !line.starts_with(name));
        let others: Vec<_> = others.copied().collect();
        let lines = match name {
            "sec-websocket-key" => [&UPGRADE[..], &[more]].concat(),
            _ => [&others[..], &[more]].concat(),
        };
        let (head, _) = handshake(&gateway, "/v1/stream", &lines).await;
        assert_eq!(status(&head), "400", "{more}: {head}");
        let tells_version = head.contains("sec-websocket-version: 13");
        assert_eq!(tells_version, name == "sec-websocket-version");
    }
    for key in ["", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZQ", "!"] {
        let line = format!("sec-websocket-key: {key}");
        let lines = [&UPGRADE[..3], &[&line]].concat();
        let (head, _) = handshake(&gateway, "/v1/stream", &lines).await;
        assert_eq!(status(&head), "400", "{key}: {head}");
    }
}

/// WS-6: an address is no place for a credential, not even for a good one.
#[tokio::test]
async fn a_credential_in_the_url_is_refused() {
    let gateway = gateway();
    for query in ["token=all-scopes", "access_token=all-scopes", "x", ""] {
        let head = answer(&gateway, &format!("/v1/stream?{query}"), &[BEARER]).await;
        assert_eq!(status(&head), "400", "{query}: {head}");
    }
    assert_eq!(
        status(&answer(&gateway, "/v1/stream", &[BEARER]).await),
        "101"
    );
}

/// WS-6
#[tokio::test]
async fn a_browser_brings_its_credential_as_sub_protocol() {
    let gateway = gateway();
    let offer = "sec-websocket-protocol: fathom.v1, fathom.bearer.all-scopes";
    let head = answer(&gateway, "/v1/stream", &[offer]).await;
    assert_eq!(status(&head), "101", "{head}");
    assert!(
        head.contains("sec-websocket-protocol: fathom.v1\r\n"),
        "{head}"
    );
    assert!(!head.contains("all-scopes"), "{head}");
    for (offer, more, expected) in [
        ("fathom.bearer.all-scopes, fathom.v1", None, "101"),
        ("fathom.v1", None, "101"),
        ("graphql-ws", Some(BEARER), "101"),
        ("fathom.v1, fathom.bearer.unknown", None, "401"),
        ("fathom.v1, fathom.bearer.", None, "401"),
        ("fathom.v1, fathom.bearer.no-scopes", None, "403"),
        ("fathom.bearer.all-scopes", None, "400"),
        ("fathom.v1, fathom.bearer.a, fathom.bearer.b", None, "400"),
        ("fathom.v1, fathom.bearer.all-scopes", Some(BEARER), "400"),
    ] {
        let line = format!("sec-websocket-protocol: {offer}");
        let mut lines = vec![line.as_str()];
        lines.extend(more);
        let head = answer(&gateway, "/v1/stream", &lines).await;
        assert_eq!(status(&head), expected, "{offer}: {head}");
        let selected = head.contains("sec-websocket-protocol");
        let expected = expected == "101" && offer.contains("fathom.v1");
        assert_eq!(selected, expected, "{offer}: {head}");
    }
}

/// WS-7
#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let mut gateway = gateway();
    let mut config = Config::default();
    let allowed = ["https://good.com".parse().unwrap()];
    config.websocket.allowed_origins = allowed.to_vec();
    gateway.config = Arc::new(config);
    for (origin, expected) in [
        ("https://llm.example.com", "101"),
        ("https://good.com", "101"),
        ("https://GOOD.com", "101"),
        ("https://good.com:444", "403"),
        ("https://good.com.evil.com", "403"),
        ("https://evil.com", "403"),
        ("null", "403"),
    ] {
        let line = format!("origin: {origin}");
        let head = answer(&gateway, "/v1/stream", &[BEARER, &line]).await;
        assert_eq!(status(&head), expected, "{origin}: {head}");
        assert!(!head.contains("www-authenticate"), "{head}");
    }
}

#[tokio::test]
async fn an_offer_to_compress_is_declined() {
    let offer = "sec-websocket-extensions: permessage-deflate; client_max_window_bits";
    let head = answer(&gateway(), "/v1/stream", &[BEARER, offer]).await;
    assert_eq!(status(&head), "101", "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}
