//! What may go wrong with one durable operation, and what is left when everything stops.

use std::io;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing happens, an error comes back.
    Fails,
    /// Everything happens and is on the platter, an error comes back all the same.
    FailsButPersists,
    /// A part happens, and is on the platter, an error comes back.
    Torn(Part),
    /// A part happens, the disk is full.
    NoSpace,
    /// Programs see it done and no error comes back, but it never reaches the platter: the disk lies.
    Lost,
    /// It stays in the disk's queue, what comes after it (or waits beside it) reaches the platter, then the power goes.
    Reordered,
}

/// How much of a torn operation happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    FirstByte,
    Half,
    AllButOneByte,
}

pub const FAULTS: [Fault; 8] = [
    Fault::Fails,
    Fault::FailsButPersists,
    Fault::Torn(Part::FirstByte),
    Fault::Torn(Part::Half),
    Fault::Torn(Part::AllButOneByte),
    Fault::NoSpace,
    Fault::Lost,
    Fault::Reordered,
];

/// An operation whose effect must last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    Create,
    Write,
    Sync,
    Cut,
    Replace,
    SyncFolder,
}

/// The name operations on the folder itself are counted under.
pub const FOLDER: &str = "(folder)";

/// What is left when everything stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// A power cut that takes everything not synced.
    LosesAll,
    /// A power cut just after all of it reached the platter.
    KeepsAll,
    /// A power cut that leaves some writes whole, some torn, some not at all.
    KeepsSome(u64),
    /// The process alone dies: the page cache stays, nothing more is on the platter.
    Killed,
}

/// Bytes of so many that happen.
pub fn cut_point(length: usize, part: Part) -> usize {
    match part {
        Part::FirstByte => 1.min(length),
        Part::Half => length / 2,
        Part::AllButOneByte => length - 1,
    }
}

/// What the caller hears.
pub fn result(fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Lost | Fault::Reordered => Ok(()),
        _ => Err(error_of(fault)),
    }
}

/// As an error.
pub fn error_of(fault: Fault) -> io::Error {
    match fault {
        Fault::NoSpace => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other("injected"),
    }
}
