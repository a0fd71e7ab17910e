//! Compiles `proto/` with protox, so that no protoc is needed on the machine.

use std::path::{Path, PathBuf};

use prost::Message;

/// What the gateway tells who asks it for its services.
const PUBLIC: &str = "fathom/inference/v1/completion.proto";

const FILES: &[&str] = &[
    "fathom/auth/v1/admin.proto",
    "fathom/auth/v1/auth.proto",
    "fathom/inference/v1/completion.proto",
    "fathom/inference/v1/inference.proto",
    "fathom/router/v1/feedback.proto",
    "fathom/router/v1/models.proto",
    "fathom/router/v1/router.proto",
    "fathom/worker/v1/worker.proto",
];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script so where to write"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [&root])?;
    let mut config = prost_build::Config::new();
    // The codec knows messages of callers by their names.
    config.enable_type_names();
    tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::grpc::codec::BoundedCodec")
        .compile_fds_with_config(descriptors, config)?;
    let public = protox::compile([PUBLIC], [&root])?.encode_to_vec();
    let folder = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(folder.join("public.bin"), public)?;
    Ok(())
}
