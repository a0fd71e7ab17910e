//! Code generated from `proto/` when the crate is built.
#![expect(clippy::allow_attributes, reason = "prost writes them")]
#![expect(clippy::doc_markdown, reason = "the comments are written for protobuf")]

/// `fathom.auth.v1`
pub mod auth {
    tonic::include_proto!("fathom.auth.v1");
}

/// `fathom.inference.v1`
pub mod inference {
    tonic::include_proto!("fathom.inference.v1");
}

/// `fathom.router.v1`
pub mod router {
    tonic::include_proto!("fathom.router.v1");
}
