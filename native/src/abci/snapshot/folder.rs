//! A folder of snapshots: `<height>.rows` is the stream, `<height>.meta` its SHA-256 (32) and metadata. The second is
//! written last: a snapshot without it never was.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use alloy_primitives::B256;
use sha2::{Digest, Sha256};

use super::{CHUNK, Metadata};
use crate::abci::app::lock;
use crate::abci::fail;
use crate::chain::export::Export;
use crate::error::{Class, Error};

/// Newest snapshots kept: the newest cannot be offered before two more heights.
const KEEP: usize = 2;
const HALF: &str = "half";

/// A snapshot that is whole.
#[derive(Clone, Debug)]
pub struct Kept {
    /// SHA-256 of the stream.
    pub hash: B256,
    /// Its metadata.
    pub metadata: Metadata,
}

/// The snapshots of a folder, by consensus height.
pub struct Folder {
    path: PathBuf,
    kept: Mutex<BTreeMap<u64, Kept>>,
}

impl Folder {
    /// Open or create; what is not whole is removed. Errors: `abci.snapshots`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let found = Self::scan(path).map_err(|error| {
            Error::new(
                Class::Unavailable,
                "abci.snapshots",
                format!("cannot use the folder {}: {error}", path.display()),
            )
            .hint("check the folder and its permissions")
        })?;
        Ok(Self { path: path.to_path_buf(), kept: Mutex::new(found) })
    }

    fn scan(path: &Path) -> io::Result<BTreeMap<u64, Kept>> {
        fs::create_dir_all(path)?;
        let mut whole = BTreeMap::new();
        let mut rest = Vec::new();
        for entry in fs::read_dir(path)? {
            let file = entry?.path();
            let height = file.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
            match (height, file.extension().and_then(|name| name.to_str())) {
                (Some(height), Some("meta")) => {
                    if let Some(kept) = read_meta(path, height) {
                        whole.insert(height, kept);
                    } else {
                        rest.push((height, file));
                    }
                }
                (Some(height), Some("rows" | HALF)) => rest.push((height, file)),
                // Somebody else's.
                _ => {}
            }
        }
        for (height, file) in rest {
            if !whole.contains_key(&height) || file.extension().is_some_and(|name| name == HALF) {
                fs::remove_file(file)?;
            }
        }
        Ok(whole)
    }

    /// Height and snapshot, newest first, up to a height.
    pub fn up_to(&self, height: u64) -> Vec<(u64, Kept)> {
        lock(&self.kept).range(..=height).rev().map(|(height, kept)| (*height, kept.clone())).collect()
    }

    /// A chunk; None when it is not here or no longer what it was, the snapshot is then removed.
    pub fn chunk(&self, height: u64, index: usize) -> Option<Vec<u8>> {
        let (expected, length) = {
            let kept = lock(&self.kept);
            let metadata = &kept.get(&height)?.metadata;
            (*metadata.chunks.get(index)?, metadata.chunk_length(index))
        };
        let mut bytes = vec![0; length];
        let read = File::open(self.file(height, "rows"))
            .and_then(|file| file.read_exact_at(&mut bytes, index as u64 * CHUNK as u64));
        if read.is_ok() && B256::from_slice(&Sha256::digest(&bytes)) == expected {
            return Some(bytes);
        }
        self.remove(height);
        None
    }

    /// Write a snapshot and keep it; the oldest go. Errors: `abci.snapshots`.
    pub fn make(&self, height: u64, export: &Export) -> Result<(), Error> {
        let made = self.write(height, export);
        let kept = made.inspect_err(|_| drop(fs::remove_file(self.file(height, HALF))))?;
        let mut all = lock(&self.kept);
        all.insert(height, kept);
        let old: Vec<u64> = all.keys().rev().skip(KEEP).copied().collect();
        drop(all);
        old.into_iter().for_each(|height| self.remove(height));
        Ok(())
    }

    fn write(&self, height: u64, export: &Export) -> Result<Kept, Error> {
        let wrong = |error: io::Error| {
            Error::new(Class::Unavailable, "abci.snapshots", format!("the snapshot could not be written: {error}"))
        };
        let half = self.file(height, HALF);
        let mut stream = Stream::new(File::create(&half).map_err(wrong)?);
        export.rows(|key, value| stream.row(&key, &value).map_err(wrong))?;
        let (hash, length, chunks) = stream.finish().map_err(wrong)?;
        let sealed = export.sealed();
        let metadata = Metadata {
            genesis: export.genesis(),
            chain_height: sealed.header.number,
            head: sealed.hash,
            length,
            chunks,
        };
        if Metadata::decode(&metadata.encode()).is_none() {
            return Err(fail::invalid("abci.snapshots", "the state is too large for a snapshot"));
        }
        fs::rename(&half, self.file(height, "rows")).map_err(wrong)?;
        let mut meta = File::create(&half).map_err(wrong)?;
        meta.write_all(hash.as_slice()).map_err(wrong)?;
        meta.write_all(&metadata.encode()).map_err(wrong)?;
        meta.sync_all().map_err(wrong)?;
        fs::rename(&half, self.file(height, "meta")).map_err(wrong)?;
        Ok(Kept { hash, metadata })
    }

    fn remove(&self, height: u64) {
        lock(&self.kept).remove(&height);
        // Gone already is as good; what cannot be removed now is removed or found whole at the next start.
        let _ = fs::remove_file(self.file(height, "meta"));
        let _ = fs::remove_file(self.file(height, "rows"));
    }

    fn file(&self, height: u64, kind: &str) -> PathBuf {
        self.path.join(format!("{height}.{kind}"))
    }
}

fn read_meta(path: &Path, height: u64) -> Option<Kept> {
    let bytes = fs::read(path.join(format!("{height}.meta"))).ok()?;
    let (hash, metadata) = bytes.split_first_chunk::<32>()?;
    let metadata = Metadata::decode(metadata)?;
    let rows = fs::metadata(path.join(format!("{height}.rows"))).ok()?;
    (rows.len() == metadata.length).then_some(Kept { hash: B256::from(*hash), metadata })
}

/// Writes rows and hashes them, whole and by chunk.
struct Stream {
    file: BufWriter<File>,
    whole: Sha256,
    chunk: Sha256,
    in_chunk: usize,
    length: u64,
    chunks: Vec<B256>,
}

impl Stream {
    fn new(file: File) -> Self {
        let (whole, chunk) = (Sha256::new(), Sha256::new());
        Self { file: BufWriter::with_capacity(1 << 18, file), whole, chunk, in_chunk: 0, length: 0, chunks: Vec::new() }
    }

    fn row(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.put(&[key.len() as u8])?;
        self.put(&(value.len() as u32).to_be_bytes())?;
        self.put(key)?;
        self.put(value)
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.whole.update(bytes);
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.in_chunk));
            self.chunk.update(now);
            self.in_chunk += now.len();
            if self.in_chunk == CHUNK {
                self.end_chunk();
            }
            bytes = later;
        }
        Ok(())
    }

    fn end_chunk(&mut self) {
        self.chunks.push(B256::from_slice(&self.chunk.finalize_reset()));
        self.in_chunk = 0;
    }

    fn finish(mut self) -> io::Result<(B256, u64, Vec<B256>)> {
        if self.in_chunk > 0 {
            self.end_chunk();
        }
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok((B256::from_slice(&self.whole.finalize()), self.length, self.chunks))
    }
}
