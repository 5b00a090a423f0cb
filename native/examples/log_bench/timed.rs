//! A log folder that says how long the engine spent in each kind of call to the kernel.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use _native::log::storage::{Blob, Folder, Storage};
use serde_json::{Map, Value, json};

const CALLS: [&str; 6] = ["write entries", "sync entries", "write frame", "sync frame", "write hashes", "sync hashes"];

/// Nanoseconds and number of the calls, in the order of [`CALLS`].
#[derive(Default)]
pub struct Times([(AtomicU64, AtomicU64); CALLS.len()]);

impl Times {
    /// Seconds in these calls.
    pub fn seconds(&self, calls: &[&str]) -> f64 {
        let named = CALLS.iter().zip(&self.0).filter(|(name, _)| calls.contains(name));
        named.map(|(_, (nanos, _))| nanos.load(Relaxed) as f64 / 1e9).sum()
    }

    /// `{call: {seconds, calls}}`.
    pub fn figures(&self) -> Value {
        let rows = CALLS.iter().zip(&self.0).map(|(name, (nanos, calls))| {
            let row = json!({"seconds": nanos.load(Relaxed) as f64 / 1e9, "calls": calls.load(Relaxed)});
            ((*name).to_owned(), row)
        });
        Value::Object(rows.collect::<Map<_, _>>())
    }
}

/// See the module.
pub struct Timed {
    folder: Folder,
    times: Arc<Times>,
}

impl Timed {
    pub fn lock(path: &Path) -> (Arc<dyn Storage>, Arc<Times>) {
        let times = Arc::new(Times::default());
        (Arc::new(Self { folder: Folder::lock(path).unwrap(), times: Arc::clone(&times) }), times)
    }
}

impl Storage for Timed {
    fn open(&self, name: &str) -> io::Result<Arc<dyn Blob>> {
        let first = match name {
            "entries.dat" => 0,
            "commits.dat" => 2,
            _ => 4,
        };
        Ok(Arc::new(TimedBlob { blob: self.folder.open(name)?, times: Arc::clone(&self.times), first }))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.folder.sync_names()
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.folder.replace(name, content)
    }

    fn release(&self) {
        self.folder.release();
    }
}

struct TimedBlob {
    blob: Arc<dyn Blob>,
    times: Arc<Times>,
    first: usize,
}

impl TimedBlob {
    fn timed<T>(&self, call: usize, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let start = Instant::now();
        let outcome = work();
        let (nanos, calls) = &self.times.0[self.first + call];
        nanos.fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
        calls.fetch_add(1, Relaxed);
        outcome
    }
}

impl Blob for TimedBlob {
    fn length(&self) -> io::Result<u64> {
        self.blob.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.blob.read_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.timed(0, || self.blob.write_at(data, offset))
    }

    fn sync(&self) -> io::Result<()> {
        self.timed(1, || self.blob.sync())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.blob.cut(length)
    }

    fn forget(&self, bytes: Range<u64>) {
        self.blob.forget(bytes);
    }
}
