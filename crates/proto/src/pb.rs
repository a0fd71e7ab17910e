//! Code generated from `proto/` when the crate is built.
#![expect(clippy::allow_attributes, reason = "prost writes them")]
#![expect(clippy::doc_markdown, reason = "the comments are written for protobuf")]

/// `fathom.auth.v1`
pub mod auth {
    tonic::include_proto!("fathom.auth.v1");
}

/// `fathom.inference`
pub mod inference {
    /// `fathom.inference.v1`, where generated code of other packages looks for it.
    pub mod v1 {
        tonic::include_proto!("fathom.inference.v1");
    }
    pub use v1::*;
}

/// `fathom.router`
pub mod router {
    /// `fathom.router.v1`, where generated code of other packages looks for it.
    pub mod v1 {
        tonic::include_proto!("fathom.router.v1");
    }
    pub use v1::*;
}

/// `fathom.worker`
pub mod worker {
    /// `fathom.worker.v1`, where generated code of other packages looks for it.
    pub mod v1 {
        tonic::include_proto!("fathom.worker.v1");
    }
    pub use v1::*;
}

/// The public messages and what they are made of, as an encoded `FileDescriptorSet`, for
/// reflection.
pub const PUBLIC_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/public.bin"));
