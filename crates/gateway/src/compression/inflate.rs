//! A compressed request as the body that it stands for.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::Body;
use futures::TryStreamExt;
use http_body_util::Limited;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use super::Encoding;

/// The largest window of zstd that everybody has to take (RFC 9659), as a power of two; its memory
/// is used as far as a body fills it.
const ZSTD_WINDOW: u32 = 23;

/// What comes of `body`, as it is read. It ends with an error after `limit` compressed bytes: some
/// of these stand for nothing and could go on for ever.
pub fn inflated(body: Body, encoding: Encoding, limit: usize) -> Body {
    let compressed = Body::new(Limited::new(body, limit)).into_data_stream();
    let reader = StreamReader::new(compressed.map_err(io::Error::other));
    let reader: Pin<Box<dyn AsyncRead + Send>> = match encoding {
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(reader);
            // Further members count (RFC 1952, section 2.2); otherwise they would be dropped.
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Encoding::Zstd => {
            let parameters = [DParameter::window_log_max(ZSTD_WINDOW)];
            let mut decoder = ZstdDecoder::with_params(reader, &parameters);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
    };
    Body::from_stream(ReaderStream::with_capacity(reader, 16 * 1024).map_err(NotInflated))
}

/// A body that is not what its `Content-Encoding` says, or broke off.
#[derive(Debug, thiserror::Error)]
#[error("the body cannot be inflated")]
pub struct NotInflated(#[source] io::Error);
