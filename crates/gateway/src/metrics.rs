//! Names of the gateway's metrics.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Describes the metrics to the recorder; call once at start.
pub fn describe() {
    describe_counter!(REQUESTS, "Requests ended, by route and status.");
    describe_histogram!(
        DURATION,
        "Seconds from a request's header to the end of its answer, by route."
    );
    describe_histogram!(
        FIRST_TOKEN,
        "Seconds from a request's header to the first generated text, by model."
    );
    describe_counter!(TOKENS, "Tokens, by model and kind.");
    describe_gauge!(IN_FLIGHT, "Requests begun and not ended.");
    describe_gauge!(WEBSOCKETS, "WebSockets open.");
    describe_counter!(
        WEBSOCKET_CLOSES,
        "WebSockets ended, by the close code that the client was told."
    );
    describe_counter!(
        IDENTITY_LOOKUPS,
        "Credentials looked at, by how their caller was found, or not."
    );
    describe_gauge!(
        IDENTITY_CONTACT_AGE,
        "Seconds since auth was last heard; known identities are trusted for 3 and the grace."
    );
    describe_gauge!(RESUMABLE_STREAMS, "Streams that may be taken up again.");
    describe_counter!(
        RESUMPTIONS,
        "What came of streams that may be taken up again, by event."
    );
    describe_counter!(
        ROUTER_RETRIES,
        "Calls made again because a router was lost before it gave a text."
    );
}

/// Requests ended, by `route` and `status`.
pub const REQUESTS: &str = "fathom_gateway_requests_total";
/// Seconds from a request's header to the end of its answer, by `route`.
pub const DURATION: &str = "fathom_gateway_request_duration_seconds";
/// Seconds from a request's header to the first generated text, by `model`.
pub const FIRST_TOKEN: &str = "fathom_gateway_first_token_seconds";
/// Tokens, by `model` and `kind` (`prompt`, `completion`).
pub const TOKENS: &str = "fathom_gateway_tokens_total";
/// Requests begun and not ended.
pub const IN_FLIGHT: &str = "fathom_gateway_requests_in_flight";
/// WebSockets open.
pub const WEBSOCKETS: &str = "fathom_gateway_websockets_open";
/// WebSockets ended, by `code`, or `none` where the client closed or was gone.
pub const WEBSOCKET_CLOSES: &str = "fathom_gateway_websocket_closes_total";
/// Credentials looked at, by `result` (`hit`, `verified`, `asked`, `refused`, `failed`).
pub const IDENTITY_LOOKUPS: &str = "fathom_gateway_identity_lookups_total";
/// Seconds since auth was last heard.
pub const IDENTITY_CONTACT_AGE: &str = "fathom_gateway_identity_contact_age_seconds";
/// Streams that may be taken up again, running or complete.
pub const RESUMABLE_STREAMS: &str = "fathom_gateway_resumable_streams";
/// What came of such streams, by `event` (`kept`, `refused`, `resumed`, `lost`, `unknown`,
/// `expired`, `forgotten`).
pub const RESUMPTIONS: &str = "fathom_gateway_resumptions_total";
/// Calls made again because a router was lost before it gave a text.
pub const ROUTER_RETRIES: &str = "fathom_gateway_router_retries_total";
