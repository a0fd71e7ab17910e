//! A request of a caller, and one between the services.

use fathom_gateway::fuzz::completion_message;
use fathom_proto::fuzz::generate_request;

/// Each is taken or refused as the caller's fault; and what a service takes is the same after it
/// has gone on to the next one.
pub fn run(bytes: &[u8]) {
    for outcome in [completion_message(bytes), generate_request(bytes)] {
        if let Err(code) = outcome {
            crate::assert_callers_fault(code);
        }
    }
}
