//! A disk in memory that knows what reached the platter, fails where it is told, and loses power.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use _native::log::storage::{Blob, Storage};

use super::Numbers;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, an error comes back.
    Fails,
    /// A part happens (and may be on the platter), an error comes back.
    Torn,
    /// Everything happens and is on the platter, an error comes back all the same.
    FailsButPersists,
    /// A part happens, the disk is full.
    NoSpace,
}

pub const FAULTS: [Fault; 4] = [Fault::Fails, Fault::Torn, Fault::FailsButPersists, Fault::NoSpace];

/// An operation on a file that must be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Write,
    Sync,
    Cut,
    Replace,
}

/// What a power cut leaves of the writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    LosesAll,
    KeepsAll,
    KeepsSome(u64),
}

#[derive(Clone, Default)]
struct Content {
    seen: Vec<u8>,
    platter: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Content>,
    counts: HashMap<(String, Op), u64>,
    plan: Option<(String, Op, u64, Fault)>,
    struck: bool,
    held: bool,
    waiting: usize,
}

/// See the module. Clones share the disk.
#[derive(Clone, Default)]
pub struct Disk {
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Disk {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }

    /// The `number`-th such operation on this file goes wrong.
    pub fn plan(&self, file: &str, op: Op, number: u64, fault: Fault) {
        let mut state = self.lock();
        state.counts.clear();
        state.plan = Some((file.to_owned(), op, number, fault));
        state.struck = false;
    }

    /// Whether the planned fault happened.
    pub fn struck(&self) -> bool {
        self.lock().struck
    }

    /// How often each operation happened.
    pub fn counts(&self) -> HashMap<(String, Op), u64> {
        self.lock().counts.clone()
    }

    /// Syncs wait until [`Disk::let_go`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    pub fn let_go(&self) {
        self.lock().held = false;
        self.state.1.notify_all();
    }

    /// Wait until a sync waits.
    pub fn wait_for_sync(&self) {
        let mut state = self.lock();
        while state.waiting == 0 {
            state = self.state.1.wait(state).unwrap();
        }
    }

    /// A new disk with what a power cut leaves.
    pub fn after(&self, crash: Crash) -> Self {
        let mut numbers = Numbers(match crash {
            Crash::KeepsSome(seed) => seed * 2 + 1,
            _ => 1,
        });
        let state = self.lock();
        let mut files = HashMap::new();
        let mut names: Vec<&String> = state.files.keys().collect();
        names.sort();
        for name in names {
            let content = &state.files[name];
            let mut left = content.platter.clone();
            for (at, data) in &content.pending {
                match crash {
                    Crash::LosesAll => {}
                    Crash::KeepsAll => put(&mut left, *at, data),
                    Crash::KeepsSome(_) => {
                        let kept = match numbers.below(3) {
                            0 => 0,
                            1 => data.len(),
                            _ => numbers.below(data.len() as u64 + 1) as usize,
                        };
                        put(&mut left, *at, &data[..kept]);
                    }
                }
            }
            files.insert(name.clone(), Content { seen: left.clone(), platter: left, pending: Vec::new() });
        }
        Self { state: Arc::new((Mutex::new(State { files, ..State::default() }), Condvar::new())) }
    }

    pub fn content(&self, file: &str) -> Vec<u8> {
        self.lock().files.get(file).map(|content| content.seen.clone()).unwrap_or_default()
    }

    pub fn set_content(&self, file: &str, bytes: Vec<u8>) {
        let content = Content { seen: bytes.clone(), platter: bytes, pending: Vec::new() };
        self.lock().files.insert(file.to_owned(), content);
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.lock().files.keys().cloned().collect();
        names.sort();
        names
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }
}

impl State {
    fn fault(&mut self, file: &str, op: Op) -> Option<Fault> {
        let count = self.counts.entry((file.to_owned(), op)).or_insert(0);
        *count += 1;
        let (planned_file, planned_op, number, fault) = self.plan.as_ref()?;
        let strikes = planned_file == file && *planned_op == op && *number + 1 == *count;
        self.struck |= strikes;
        strikes.then_some(*fault)
    }
}

impl Storage for Disk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn Blob>> {
        self.lock().files.entry(name.to_owned()).or_default();
        Ok(Arc::new(Handle { disk: self.clone(), name: name.to_owned() }))
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let fault = self.lock().fault(name, Op::Replace);
        if matches!(fault, None | Some(Fault::FailsButPersists)) {
            self.set_content(name, content.to_vec());
        }
        result(fault)
    }

    fn release(&self) {}
}

struct Handle {
    disk: Disk,
    name: String,
}

impl Blob for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[&self.name].seen.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.lock();
        let from = offset as usize;
        let found = state.files[&self.name].seen.get(from..from + buffer.len());
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let fault = state.fault(&self.name, Op::Write);
        let content = state.files.entry(self.name.clone()).or_default();
        let at = offset as usize;
        let written = match fault {
            Some(Fault::Fails) => &data[..0],
            Some(Fault::Torn | Fault::NoSpace) => &data[..data.len() / 2],
            _ => data,
        };
        put(&mut content.seen, at, written);
        content.pending.push((at, written.to_vec()));
        if fault == Some(Fault::FailsButPersists) {
            content.platter = content.seen.clone();
            content.pending.clear();
        }
        result(fault)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        while state.held {
            state.waiting += 1;
            self.disk.state.1.notify_all();
            state = self.disk.state.1.wait(state).unwrap();
            state.waiting -= 1;
        }
        let fault = state.fault(&self.name, Op::Sync);
        let content = state.files.entry(self.name.clone()).or_default();
        match fault {
            None | Some(Fault::FailsButPersists) => {
                content.platter = content.seen.clone();
                content.pending.clear();
            }
            Some(Fault::Torn) => {
                for (at, data) in std::mem::take(&mut content.pending) {
                    put(&mut content.platter, at, &data[..data.len() / 2]);
                }
            }
            // After a failed sync the kernel may drop the pages: they never reach the platter.
            Some(Fault::Fails | Fault::NoSpace) => content.pending.clear(),
        }
        result(fault)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let fault = state.fault(&self.name, Op::Cut);
        let content = state.files.entry(self.name.clone()).or_default();
        if matches!(fault, None | Some(Fault::FailsButPersists)) {
            content.seen.truncate(length as usize);
            content.platter = content.seen.clone();
            content.pending.clear();
        }
        result(fault)
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

fn result(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
        Some(_) => Err(io::Error::other("injected")),
    }
}
