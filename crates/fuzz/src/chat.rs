//! The JSON of a chat request, and of the other requests that ask for text.

use fathom_gateway::fuzz::{chat_request, completion_request, messages_request, responses_request};

/// Each reader takes it, or refuses it as the caller's fault.
pub fn run(bytes: &[u8]) {
    for read in [
        chat_request,
        completion_request,
        messages_request,
        responses_request,
    ] {
        if let Err(code) = read(bytes) {
            crate::assert_callers_fault(code);
        }
    }
}
