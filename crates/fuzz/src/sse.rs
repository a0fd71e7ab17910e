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
            // A line that was cut counts with its name, so it may be refused a little earlier.
            Err(_) => return,
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
