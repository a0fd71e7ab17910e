//! The event stream of an upstream.

use fathom_api::sse::Decoder;

/// Small, so that a fuzzer reaches it.
const MAX_EVENT_BYTES: usize = 64;

/// The first byte says where the network cuts the rest: the events are the same as without a cut,
/// none is larger than allowed, and what is too long in one piece is too long in several.
pub fn run(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let whole = Decoder::new(MAX_EVENT_BYTES).push(stream);
    let mut decoder = Decoder::new(MAX_EVENT_BYTES);
    let mut events = Vec::new();
    for piece in stream.chunks(usize::from(*cut).max(1)) {
        match decoder.push(piece) {
            Ok(more) => events.extend(more),
            Err(_) => {
                assert!(
                    is_nearly_too_long(stream),
                    "what is short is too long, when it is cut"
                );
                return;
            }
        }
    }
    match whole {
        Ok(whole) => assert_eq!(whole, events, "the cut changes the events"),
        Err(_) => panic!("what is too long is not, when it is cut"),
    }
    // U+FFFD takes three bytes in place of one.
    let longest = events.iter().map(String::len).max().unwrap_or(0);
    assert!(
        longest <= 3 * MAX_EVENT_BYTES,
        "an event of {longest} bytes"
    );
}

/// A line that was cut counts with its name, and a comment that was cut counts at all, so either
/// may be refused a little earlier.
fn is_nearly_too_long(stream: &[u8]) -> bool {
    let most = MAX_EVENT_BYTES - "data: ".len();
    let mut lines = stream.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.any(|line| line.len() > most) || Decoder::new(most).push(stream).is_err()
}
