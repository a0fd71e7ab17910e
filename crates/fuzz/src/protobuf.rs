//! A request between the services.

use fathom_proto::fuzz::generate_request;

/// It is taken, and is the same after it has gone on to the next service; or it is refused as the
/// caller's fault.
pub fn run(bytes: &[u8]) {
    if let Err(code) = generate_request(bytes) {
        crate::assert_callers_fault(code);
    }
}
