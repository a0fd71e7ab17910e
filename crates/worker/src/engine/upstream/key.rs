//! The API key of another server: where it comes from, and that it changes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use fathom_kit::config::secret_from_env;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::KeySource;

/// How long a key that was read from a file is used before the file is looked at again.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The header `Authorization`, which is marked sensitive, so that nothing prints it.
pub(super) enum Key {
    /// The server wants none.
    None,
    /// For as long as the process lives.
    Fixed(HeaderValue),
    /// As long as the file does not change.
    File(Box<KeyFile>),
}

/// A key in a file.
pub(super) struct KeyFile {
    path: PathBuf,
    read: Mutex<Read>,
}

/// What was read from a file.
struct Read {
    header: HeaderValue,
    modified: SystemTime,
    /// When the file was looked at.
    checked: Instant,
}

impl Key {
    /// Reads the key for the first time, and blocks for it. The error says what is wrong and what
    /// would be right.
    pub fn read(source: Option<&KeySource>) -> Result<Self, String> {
        match source {
            None => Ok(Self::None),
            Some(KeySource::Environment(name)) => {
                let key = secret_from_env(name).ok_or_else(|| {
                    format!("`api_key.environment`: the variable `{name}` is not set; set it")
                })?;
                let header = header(&key).map_err(|problem| {
                    format!("`api_key.environment`: the variable `{name}` {problem}")
                })?;
                Ok(Self::Fixed(header))
            }
            Some(KeySource::File(path)) => {
                let (header, modified) = read_file(path)
                    .map_err(|problem| format!("`api_key.file`: {} {problem}", path.display()))?;
                let checked = Instant::now();
                let read = Read {
                    header,
                    modified,
                    checked,
                };
                Ok(Self::File(Box::new(KeyFile {
                    path: path.clone(),
                    read: Mutex::new(read),
                })))
            }
        }
    }

    /// The header as of now.
    pub async fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Fixed(header) => Some(header.clone()),
            Self::File(file) => Some(file.header().await),
        }
    }
}

impl KeyFile {
    async fn header(&self) -> HeaderValue {
        if let Some(known) = self.due() {
            let path = self.path.clone();
            let changed = spawn_blocking(move || {
                let modified = fs::metadata(&path).and_then(|file| file.modified());
                match modified {
                    Ok(modified) if modified == known => Ok(None),
                    _ => read_file(&path).map(Some),
                }
            });
            match changed.await {
                Ok(Ok(Some((header, modified)))) => {
                    let mut read = self.lock();
                    (read.header, read.modified) = (header, modified);
                }
                Ok(Ok(None)) => {}
                // A file that is being replaced may be missing for a moment.
                Ok(Err(problem)) => tracing::warn!(
                    file.path = %self.path.display(),
                    "the API key is not read again, the old one stays: the file {problem}"
                ),
                Err(error) => tracing::error!(%error, "the API key is not read again"),
            }
        }
        self.lock().header.clone()
    }

    /// When the file that is known was written, if it is time to look whether it still is that
    /// one. Only one request is told so each time.
    fn due(&self) -> Option<SystemTime> {
        let mut read = self.lock();
        if read.checked.elapsed() < CHECK_INTERVAL {
            return None;
        }
        read.checked = Instant::now();
        Some(read.modified)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key in the first line of a file, and when that was written.
fn read_file(path: &Path) -> Result<(HeaderValue, SystemTime), String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    // The time before the text: a change in between is seen at the next look.
    let modified = fs::metadata(path).and_then(|file| file.modified());
    let modified = modified.map_err(unreadable)?;
    let text = SecretString::from(fs::read_to_string(path).map_err(unreadable)?);
    let line = text.expose_secret().lines().next().unwrap_or_default();
    let header = header(&SecretString::from(line.to_owned()))?;
    Ok((header, modified))
}

fn header(key: &SecretString) -> Result<HeaderValue, &'static str> {
    let key = key.expose_secret().trim();
    if key.is_empty() {
        return Err("holds no key; write it into the first line");
    }
    let mut header = HeaderValue::try_from(format!("Bearer {key}")).map_err(
        |_| "holds a key with characters that no header can carry; write it as it was issued",
    )?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &Path) -> KeySource {
        KeySource::File(path.to_owned())
    }

    /// Writes a key, with another time than the file had before.
    fn write(path: &Path, text: &str, seconds: u64) {
        fs::write(path, text).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again_after_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, "old\nnote\n", 1);
        let key = Key::read(Some(&source(&path))).unwrap();
        assert_eq!(key.header().await.unwrap(), "Bearer old");
        write(&path, "new\n", 2);
        assert_eq!(key.header().await.unwrap(), "Bearer old");
        tokio::time::advance(CHECK_INTERVAL).await;
        assert_eq!(key.header().await.unwrap(), "Bearer new");
        fs::remove_file(&path).unwrap();
        tokio::time::advance(CHECK_INTERVAL).await;
        assert_eq!(key.header().await.unwrap(), "Bearer new");
    }

    #[test]
    fn a_key_that_is_not_there_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::write(&empty, "\n").unwrap();
        for (source, words) in [
            (source(&folder.path().join("none")), "`api_key.file`: "),
            (source(&empty), "holds no key; write it into the first line"),
            (
                KeySource::Environment("FATHOM_NO_SUCH".to_owned()),
                "`FATHOM_NO_SUCH` is not set",
            ),
        ] {
            let problem = Key::read(Some(&source)).err().unwrap();
            assert!(problem.contains(words), "{problem}");
        }
    }

    /// SEC-40
    #[test]
    fn the_header_does_not_print_itself() {
        let header = header(&"canary".into()).unwrap();
        assert!(!format!("{header:?}").contains("canary"));
    }
}
