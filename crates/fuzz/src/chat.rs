//! The JSON of a chat request.

use fathom_gateway::fuzz::chat_request;

/// It is taken, or refused as the caller's fault.
pub fn run(bytes: &[u8]) {
    if let Err(code) = chat_request(bytes) {
        crate::assert_callers_fault(code);
    }
}
