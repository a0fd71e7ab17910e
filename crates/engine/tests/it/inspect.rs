//! What a file is, without its tensors.

use std::path::Path;

use fathom_engine::{LoadError, Weights};

use crate::harness::{Result, model_path, weights};

#[test]
fn inspection_tells_what_loading_would() -> Result {
    let inspection = Weights::inspect(&model_path()?)?;
    assert_eq!(&inspection.info, weights()?.info());
    assert_eq!(inspection.layers, Some(30));
    assert_eq!(inspection.file_bytes, model_path()?.metadata()?.len());
    assert_eq!(
        inspection.template.map(|facts| (facts.calls, facts.thinks)),
        Some((None, false))
    );
    assert!(!inspection.approximate);
    // 30 layers of 3 heads, each a key and a value of 64 numbers of 2 bytes.
    assert_eq!(inspection.token_bytes, Some(30 * 3 * (64 + 64) * 2));
    let memory = inspection.info.size_bytes + 1000 * 23_040;
    assert_eq!(inspection.memory(1000), Some(memory));
    Ok(())
}

#[test]
fn what_is_no_model_is_named() {
    let error = Weights::inspect(Path::new("/nowhere/model.gguf")).err();
    assert!(matches!(error, Some(LoadError::Unreadable { .. })));
}
