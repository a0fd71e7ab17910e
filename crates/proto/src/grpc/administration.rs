//! [`Administration`](crate::administration::Administration) over gRPC. The caller's bearer
//! travels beside each message, where no log of messages holds it.

mod client;
mod server;

pub use client::AdministrationClient;
pub use server::AdministrationServer;

use secrecy::ExposeSecret;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};

use crate::administration::Caller;
use crate::{Error, ErrorCode};

const AUTHORIZATION: &str = "authorization";

/// `message` with the caller's credential beside it.
fn signed<T>(caller: &Caller, message: T) -> Result<Request<T>, Error> {
    let bearer = format!("Bearer {}", caller.0.expose_secret());
    // A credential that no header can hold is nobody's.
    let mut bearer = MetadataValue::<Ascii>::try_from(bearer).map_err(|_| unauthenticated())?;
    bearer.set_sensitive(true);
    let mut request = Request::new(message);
    request.metadata_mut().insert(AUTHORIZATION, bearer);
    Ok(request)
}

/// The credential beside a message, and the message.
fn opened<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    let bearer = request
        .metadata()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or_else(unauthenticated)?;
    let caller = Caller(bearer.into());
    Ok((caller, request.into_inner()))
}

fn unauthenticated() -> Error {
    Error::new(
        ErrorCode::Unauthenticated,
        "no credential that could be one",
    )
}

#[cfg(test)]
mod tests;
