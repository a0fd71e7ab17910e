//! A message on the WebSocket.

use fathom_gateway::fuzz::socket_message;

/// It is taken, or refused as the caller's fault.
pub fn run(bytes: &[u8]) {
    if let Err(code) = socket_message(bytes) {
        crate::assert_callers_fault(code);
    }
}
