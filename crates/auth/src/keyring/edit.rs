//! Changing the file of a key ring while services use it: replaced whole, by one process at a time.

use std::collections::BTreeSet;
use std::path::Path;

use super::file::{Entry, File};
use super::source::KeyRingSource;
use crate::{Error, private_file};

/// A list of keys that can be rotated. Audit keys stay: the log is checked from its first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Keys that seal.
    Master,
    /// Keys that hash API keys.
    Pepper,
}

/// Puts a fresh key in front of a list and gives its id. Services that run use it within a second.
///
/// # Errors
/// A file that is missing, exposed, or no key ring.
pub async fn prepend(path: &Path, list: List) -> Result<String, Error> {
    let entry = Entry::fresh()?;
    let id = entry.id.clone();
    edit(path, |file| {
        let keys = match list {
            List::Master => &mut file.master,
            List::Pepper => &mut file.pepper,
        };
        keys.insert(0, entry);
        Ok(true)
    })
    .await?;
    Ok(id)
}

/// Takes a key away for ever. `in_use` are the ids that the database names, from
/// [`crate::Auth::key_ids_in_use`].
///
/// # Errors
/// [`Error::KeyStays`] for the first of its list, for one in use and for one of the audit log, and
/// [`Error::NotFound`].
pub async fn remove(path: &Path, id: &str, in_use: &BTreeSet<String>) -> Result<(), Error> {
    let stays = |reason| {
        Err(Error::KeyStays {
            id: id.to_owned(),
            reason,
        })
    };
    edit(path, |file| {
        if file.audit.iter().any(|key| key.id == id) {
            return stays("verifies the audit log, which goes back to its first row");
        }
        for keys in [&mut file.master, &mut file.pepper] {
            match keys.iter().position(|key| key.id == id) {
                Some(0) => return stays("is the first of its list; put a new one in front first"),
                Some(_) if in_use.contains(id) => {
                    return stays("is in use; rewrap, and see which API keys are left under it");
                }
                Some(place) => {
                    keys.remove(place);
                    return Ok(true);
                }
                None => {}
            }
        }
        Err(Error::NotFound("key of the key ring"))
    })
    .await
}

/// Gives a file of the first release, which has no audit key, one.
pub(super) async fn add_missing_audit_key(path: &Path) -> Result<(), Error> {
    edit(path, |file| {
        if !file.audit.is_empty() {
            return Ok(false);
        }
        file.audit.push(Entry::fresh()?);
        tracing::info!(path = %path.display(), "added an audit key to the key ring; back it up again");
        Ok(true)
    })
    .await
}

/// Replaces the file if `change` says so. A lock beside it keeps two processes from undoing one
/// another's change.
async fn edit(
    path: &Path,
    change: impl FnOnce(&mut File) -> Result<bool, Error>,
) -> Result<(), Error> {
    let source = KeyRingSource::from(path);
    let _lock = private_file::lock(path).await?;
    let text = private_file::read(path).await?;
    let text = text.ok_or_else(|| source.invalid("it is not there"))?;
    let mut file = File::from_text(&text).map_err(|problem| source.invalid(problem))?;
    if change(&mut file)? {
        private_file::replace(path, &file.text()?).await?;
    }
    Ok(())
}
