//! Small files that only the service's own user may read: the key ring, the end of the audit log,
//! and the demo credentials.

use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::fs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::spawn_blocking;

use crate::{Error, random};

/// No file of this kind comes near this many bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The file's text; `None` when there is no such file.
///
/// [`Error::ExposedFile`] when group or others have any right on it.
pub(crate) async fn read(path: &Path) -> Result<Option<SecretString>, Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let file = match fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // The rights are those of the opened file, so that no other can take its place in between.
    let mode = file.metadata().await.map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::ExposedFile {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .await
        .map_err(failed)?;
    Ok(Some(text.into()))
}

/// Puts `text` at `path` in one step, in place of what was there.
pub(crate) async fn replace(path: &Path, text: &SecretString) -> Result<(), Error> {
    let staged = stage(path, text).await?;
    let renamed = async {
        keep_owner(path, &staged).await?;
        fs::rename(&staged, path).await
    };
    settle(path, &staged, renamed.await).await
}

/// Puts `text` at `path` in one step; `false` when a file is there, which stays as it is.
pub(crate) async fn create(path: &Path, text: &SecretString) -> Result<bool, Error> {
    let staged = stage(path, text).await?;
    // A link, unlike a rename, fails when the name is taken: of two first starts one wins.
    match fs::hard_link(&staged, path).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            settle(path, &staged, Ok(())).await?;
            Ok(false)
        }
        linked => settle(path, &staged, linked).await.map(|()| true),
    }
}

/// Waits until no other process has the lock of `path`, a file beside it, and takes it until the
/// value is dropped.
pub(crate) async fn lock(path: &Path) -> Result<std::fs::File, Error> {
    let beside = path.with_added_extension("lock");
    let locked = tokio::task::spawn_blocking(move || {
        fathom_kit::private::create_folder(folder_of(&beside))?;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside)?;
        file.lock()?;
        Ok(file)
    });
    let locked = locked
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    locked.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// Gives the new file to the owner of the former one: when root runs a command, the service must
/// still be able to read what it wrote.
async fn keep_owner(former: &Path, new: &Path) -> io::Result<()> {
    let (former, mine) = match fs::metadata(former).await {
        Ok(former) => (former, fs::metadata(new).await?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if (former.uid(), former.gid()) == (mine.uid(), mine.gid()) {
        return Ok(());
    }
    let new = new.to_owned();
    spawn_blocking(move || chown(new, Some(former.uid()), Some(former.gid())))
        .await
        .map_err(io::Error::other)?
}

/// Writes `text` to a new file beside `path`, and through to the disk.
async fn stage(path: &Path, text: &SecretString) -> Result<PathBuf, Error> {
    let staged = path.with_added_extension(random::id()?);
    let write = async {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder_of(path))
            .await?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staged)
            .await?;
        file.write_all(text.expose_secret().as_bytes()).await?;
        file.sync_all().await
    };
    match write.await {
        Ok(()) => Ok(staged),
        Err(error) => settle(path, &staged, Err(error)).await.map(|()| staged),
    }
}

/// Removes the staged file if it is left, and makes the folder's new state last.
async fn settle(path: &Path, staged: &Path, result: io::Result<()>) -> Result<(), Error> {
    let removed = match fs::remove_file(staged).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let settled = async {
        result?;
        removed?;
        fs::File::open(folder_of(path)).await?.sync_all().await
    };
    settled.await.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_private_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file");
        assert!(read(&path).await.unwrap().is_none());
        assert!(create(&path, &"one".into()).await.unwrap());
        assert!(!create(&path, &"two".into()).await.unwrap());
        assert_eq!(read(&path).await.unwrap().unwrap().expose_secret(), "one");
        replace(&path, &"three".into()).await.unwrap();
        assert_eq!(read(&path).await.unwrap().unwrap().expose_secret(), "three");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "no staged file is left");
    }

    #[tokio::test]
    async fn a_file_open_to_others_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        create(&path, &"one".into()).await.unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let message = read(&path).await.unwrap_err().to_string();
            assert!(message.contains("chmod 600"), "{message}");
            assert!(message.contains(&format!("{mode:o}")), "{message}");
        }
    }
}
