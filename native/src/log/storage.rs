//! Where the bytes go: a thin interface over files, so that tests can make every write fail, tear or vanish.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Advice, fadvise};

use crate::error::{Class, Error, Result};
use crate::log::disk;

/// One file. Positions are explicit: no state is shared between readers and the writer.
pub trait Blob: Send + Sync {
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Fill the buffer from this offset; an error when the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Write all of it at this offset.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;
    /// Everything written so far reaches the disk (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Shorten to this length, durably.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// These synced bytes need no memory any more. Only a hint: they are read like any others.
    fn forget(&self, bytes: Range<u64>);
}

/// The files of one log folder.
pub trait Storage: Send + Sync {
    /// The file, created when it is missing (a read-only storage refuses instead).
    fn open(&self, name: &str) -> io::Result<Arc<dyn Blob>>;
    /// Created names and renames reach the disk.
    fn sync_names(&self) -> io::Result<()>;
    /// Durably put `content` in the place of the file: whole or not at all.
    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()>;
    /// Give up the right to write, so that the next writer may come.
    fn release(&self);
}

/// Held by the one writer.
const LOCK: &str = "LOCK";

/// The folder's own name reaches the disk: else a power cut could take a new log with everything acknowledged in it.
fn sync_name(path: &Path) -> io::Result<()> {
    match path.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// A folder on the disk.
pub struct Folder {
    path: PathBuf,
    writable: bool,
    /// Held while the folder is open for writing; the lock ends with the descriptor, also after a crash.
    lock: Mutex<Option<File>>,
}

impl Folder {
    /// Create the folder if needed and take its lock. Raises ConflictError(log.locked) when another writer holds it.
    pub fn lock(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| disk(&format!("opening the log folder {}", path.display()), &error);
        let fresh = !path.join(LOCK).exists();
        std::fs::create_dir_all(path).map_err(failed)?;
        if fresh {
            sync_name(path).map_err(failed)?;
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), writable: true, lock: Mutex::new(Some(lock)) }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(Class::Conflict, "log.locked", format!("another writer has {}", path.display()))
                    .hint("one process writes a log: stop the other one, or open a reader"))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Open for reading, beside a writer or not. Raises NotFoundError(log.missing).
    pub fn read_only(path: &Path) -> Result<Self> {
        if !path.join(super::COMMITS).is_file() {
            return Err(Error::new(Class::NotFound, "log.missing", format!("no log in {}", path.display()))
                .hint("give the folder that holds entries.dat and commits.dat"));
        }
        Ok(Self { path: path.to_owned(), writable: false, lock: Mutex::new(None) })
    }

    /// Whether a writer has the folder now.
    pub fn is_live(&self) -> bool {
        File::open(self.path.join(LOCK))
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

impl Storage for Folder {
    fn open(&self, name: &str) -> io::Result<Arc<dyn Blob>> {
        let file = OpenOptions::new()
            .read(true)
            .write(self.writable)
            .create(self.writable)
            .truncate(false)
            .open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let fresh = self.path.join(format!("{name}.new"));
        let file = File::create(&fresh)?;
        file.write_all_at(content, 0)?;
        file.sync_all()?;
        std::fs::rename(&fresh, self.path.join(name))?;
        self.sync_names()
    }

    fn release(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Blob for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_all()
    }

    fn forget(&self, bytes: Range<u64>) {
        // A length of 0 would mean everything to the end.
        if let Some(length) = NonZeroU64::new(bytes.end.saturating_sub(bytes.start)) {
            // A file system may not know this advice: then the kernel decides as it always did.
            let _ = fadvise(self, bytes.start, Some(length), Advice::DontNeed);
        }
    }
}
