//! What must hold for any bytes from outside: a function for each place where such bytes are first
//! read, which panics where a promise is broken. A fuzzer calls it with bytes of its own
//! (`make fuzz`), the tests with those that fuzzers have found worth keeping (`fuzz/corpus`).
//!
//! # Layout
//!
//! - [`sse`]: the event stream of an upstream
//! - [`chat`]: the JSON of a chat request
//! - [`socket`]: a message on the WebSocket
//! - [`protobuf`]: a request of a caller, and one between the services
//! - [`jwt`]: a JWT as bearer
#![expect(
    clippy::panic,
    reason = "a promise that does not hold is what a fuzzer looks for"
)]

pub mod chat;
pub mod jwt;
pub mod protobuf;
pub mod socket;
pub mod sse;

/// Panics where the bytes break a promise.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder in the corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("chat", chat::run),
    ("jwt", jwt::run),
    ("protobuf", protobuf::run),
    ("socket", socket::run),
    ("sse", sse::run),
];

/// Whoever sends nonsense is told so, and no fault of ours is made of it.
fn assert_callers_fault(code: fathom_proto::ErrorCode) {
    let status = code.row().http;
    assert!(
        (400..500).contains(&status),
        "bytes of a caller made {code}"
    );
}
