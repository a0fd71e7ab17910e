//! Loading GGUF files.

use std::path::Path;

use fathom_engine::{LoadError, Weights};

use crate::harness::{Result, model_path, weights};

#[test]
fn info_tells_what_the_file_is() -> Result {
    let weights = weights()?;
    let info = weights.info();
    assert_eq!(
        Some(info.name.as_str()),
        model_path()?.file_stem().and_then(|stem| stem.to_str())
    );
    assert_eq!(info.architecture, "llama");
    assert_eq!(info.quantization, "Q4_1");
    assert_eq!(info.context_length, 8192);
    assert_eq!(info.parameters, 134_515_008);
    assert!((90_000_000..100_000_000).contains(&info.size_bytes));
    assert!(info.has_chat_template);
    Ok(())
}

#[test]
fn missing_file_is_named() -> Result {
    let error = Weights::load(Path::new("/nowhere/model.gguf"))
        .err()
        .ok_or("loaded")?;
    assert!(matches!(error, LoadError::Unreadable { .. }));
    assert_eq!(
        error.to_string(),
        "cannot read the model file /nowhere/model.gguf"
    );
    Ok(())
}

#[test]
fn directory_is_unreadable() {
    let error = Weights::load(Path::new(env!("CARGO_MANIFEST_DIR"))).err();
    assert!(matches!(error, Some(LoadError::Unreadable { .. })));
}

#[test]
fn other_files_are_not_gguf() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let error = Weights::load(Path::new(manifest)).err();
    assert!(matches!(error, Some(LoadError::NotGguf { .. })));
}

#[test]
fn damaged_gguf_is_refused() -> Result {
    let path = std::env::temp_dir().join(format!("fathom-engine-{}.gguf", std::process::id()));
    std::fs::write(&path, b"GGUF\x03\0\0\0 cut short")?;
    let error = Weights::load(&path).err();
    std::fs::remove_file(&path)?;
    assert!(matches!(error, Some(LoadError::Refused { .. })));
    Ok(())
}
