//! Where bytes of other services are first read, made reachable for fuzzers alone.

use prost::Message;

use crate::ErrorCode;
use crate::convert::inference::{decode_request, encode_request};
use crate::pb::inference::GenerateRequest;

/// Reads a request, and writes and reads it once more.
///
/// # Errors
/// Why it is refused; `Internal` when what is written is not what was read.
pub fn generate_request(bytes: &[u8]) -> Result<(), ErrorCode> {
    let message = GenerateRequest::decode(bytes).map_err(|_| ErrorCode::InvalidRequest)?;
    let (request, context) = decode_request(message).map_err(|error| error.code)?;
    let written = encode_request(request, &context).encode_to_vec();
    let message = GenerateRequest::decode(&written[..]).map_err(|_| ErrorCode::Internal)?;
    let (request, context) = decode_request(message).map_err(|_| ErrorCode::Internal)?;
    let again = encode_request(request, &context).encode_to_vec();
    if again == written {
        Ok(())
    } else {
        Err(ErrorCode::Internal)
    }
}
