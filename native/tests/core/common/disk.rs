//! A disk in memory that knows what reached the platter, fails or lies where it is told, and loses power.
//!
//! Every file has what programs see (the page cache) and what is on the platter; a change waits between the two until a
//! sync. A name is durable once the folder was synced. Clones share the disk.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use _native::log::storage::{Blob, Storage};

use super::Numbers;
use super::content::{Change, Content};
pub use super::fault::{Crash, FAULTS, FOLDER, Fault, Op, Part};
use super::fault::{error_of, result};

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<String, Content>,
    counts: HashMap<(String, Op), u64>,
    plan: Option<(String, Op, u64, Fault)>,
    struck: bool,
    power: Power,
    held: bool,
    waiting: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Power {
    #[default]
    On,
    /// The next durable operation reaches the platter, then it goes.
    Failing,
    Off,
}

/// See the module.
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

    /// A new disk with what is left.
    pub fn after(&self, crash: Crash) -> Self {
        let state = self.lock();
        let mut files = state.files.clone();
        if crash != Crash::Killed {
            let mut numbers = Numbers(if let Crash::KeepsSome(seed) = crash { seed * 2 + 1 } else { 1 });
            files.retain(|_, content| {
                content.named
                    || match crash {
                        Crash::KeepsSome(_) => numbers.below(2) == 0,
                        _ => crash == Crash::KeepsAll,
                    }
            });
            for content in files.values_mut() {
                *content = Content::settled(content.left(crash, &mut numbers));
            }
        }
        Self { state: Arc::new((Mutex::new(State { files, ..State::default() }), Condvar::new())) }
    }

    pub fn content(&self, file: &str) -> Vec<u8> {
        self.lock().files.get(file).map(|content| content.seen.clone()).unwrap_or_default()
    }

    pub fn set_content(&self, file: &str, bytes: Vec<u8>) {
        self.lock().files.insert(file.to_owned(), Content::settled(bytes));
    }

    pub fn names(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }
}

/// What becomes of one operation.
enum Fate {
    Done,
    Persists,
    Never(Fault),
}

impl State {
    /// Counts the operation and says what becomes of it.
    fn fate(&mut self, file: &str, op: Op) -> io::Result<Fate> {
        let count = self.counts.entry((file.to_owned(), op)).or_insert(0);
        *count += 1;
        match self.power {
            Power::Off => return Err(io::Error::other("the power is off")),
            Power::Failing => {
                self.power = Power::Off;
                return Ok(Fate::Persists);
            }
            Power::On => {}
        }
        let Some((planned_file, planned_op, number, fault)) = self.plan.clone() else { return Ok(Fate::Done) };
        if planned_file != file || planned_op != op || number + 1 != *count {
            return Ok(Fate::Done);
        }
        self.struck = true;
        if fault == Fault::Reordered {
            if op == Op::Write || op == Op::Create {
                self.power = Power::Failing;
            } else {
                // It returns only when it is done: what else waits overtakes it, and the power goes before it ends.
                self.power = Power::Off;
                self.files.iter_mut().filter(|(name, _)| *name != file).for_each(|(_, content)| content.flush());
                return Err(io::Error::other("the power went"));
            }
        }
        Ok(Fate::Never(fault))
    }

    /// A change of one file; `synced`: it is on the platter when it returns.
    fn change(&mut self, file: &str, op: Op, change: Change, synced: bool) -> io::Result<()> {
        let fate = self.fate(file, op)?;
        let content = self.files.entry(file.to_owned()).or_default();
        match fate {
            Fate::Done => {
                change.apply(&mut content.seen);
                content.pending.push(change);
                if synced {
                    content.flush();
                }
                Ok(())
            }
            // Alone: what waited before it stays in the queue.
            Fate::Persists => {
                change.apply(&mut content.seen);
                change.apply(&mut content.platter);
                Err(io::Error::other("the power went"))
            }
            Fate::Never(fault) => {
                match fault {
                    Fault::Fails => {}
                    Fault::FailsButPersists => {
                        change.apply(&mut content.seen);
                        content.pending.push(change);
                        content.flush();
                    }
                    Fault::Torn(_) | Fault::NoSpace => {
                        let part = if let Fault::Torn(part) = fault { part } else { Part::Half };
                        if let Some(some) = change.part(part) {
                            some.apply(&mut content.seen);
                            some.apply(&mut content.platter);
                        }
                    }
                    Fault::Lost | Fault::Reordered => change.apply(&mut content.seen),
                }
                result(fault)
            }
        }
    }
}

impl Storage for Disk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn Blob>> {
        let mut state = self.lock();
        if !state.files.contains_key(name) {
            match state.fate(name, Op::Create)? {
                fate @ (Fate::Done | Fate::Never(Fault::Lost | Fault::Reordered)) => {
                    let ghost = matches!(fate, Fate::Never(_));
                    state.files.insert(name.to_owned(), Content { ghost, ..Content::default() });
                }
                Fate::Persists => {
                    state.files.insert(name.to_owned(), Content::settled(Vec::new()));
                    return Err(io::Error::other("the power went"));
                }
                Fate::Never(fault) => {
                    if fault == Fault::FailsButPersists {
                        state.files.insert(name.to_owned(), Content::settled(Vec::new()));
                    }
                    return Err(error_of(fault));
                }
            }
        }
        Ok(Arc::new(Handle { disk: self.clone(), name: name.to_owned() }))
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.fate(FOLDER, Op::SyncFolder)?;
        if !matches!(fate, Fate::Never(Fault::Fails | Fault::Torn(_) | Fault::NoSpace | Fault::Lost | Fault::Reordered))
        {
            state.files.values_mut().for_each(|content| content.named |= !content.ghost);
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::Persists => Err(io::Error::other("the power went")),
            Fate::Never(fault) => result(fault),
        }
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.lock().change(name, Op::Replace, Change::Become(content.to_vec()), true)
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
        self.disk.lock().change(&self.name, Op::Write, Change::Write(offset as usize, data.to_vec()), false)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        while state.held {
            state.waiting += 1;
            self.disk.state.1.notify_all();
            state = self.disk.state.1.wait(state).unwrap();
            state.waiting -= 1;
        }
        let fate = state.fate(&self.name, Op::Sync)?;
        let content = state.files.entry(self.name.clone()).or_default();
        match fate {
            Fate::Done | Fate::Persists | Fate::Never(Fault::FailsButPersists) => content.flush(),
            Fate::Never(Fault::Torn(part)) => {
                for change in std::mem::take(&mut content.pending) {
                    if let Some(some) = change.part(part) {
                        some.apply(&mut content.platter);
                    }
                }
            }
            // After a failed sync the kernel calls the pages clean: they never reach the platter. So does a liar.
            Fate::Never(_) => content.pending.clear(),
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::Persists => Err(io::Error::other("the power went")),
            Fate::Never(fault) => result(fault),
        }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.disk.lock().change(&self.name, Op::Cut, Change::Cut(length as usize), true)
    }

    /// It has no memory to give back.
    fn forget(&self, _bytes: Range<u64>) {}
}
