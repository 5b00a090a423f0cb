//! Making a block: on our own from what waits, or again from what another made.

use std::sync::{Arc, mpsc};

use alloy_primitives::{Address, B256};
use rayon::prelude::*;

use super::block::{Frame, Included, Sealed, first_difference, seal};
use super::consortium::check_version;
use super::engine::{Chain, Executed};
use super::evm::{BlockHashes, Machine};
use super::fail;
use super::known::Entry;
use super::rules::{self, Judge, block_full};
use super::standing::Standing;
use super::store::block_rows;
use super::tx::Transaction;
use super::window::{Held, Snapshot};
use crate::error::{Class, Error};

/// Transactions whose senders are recovered together, ahead of their execution.
const CHUNK: usize = 32;

/// So few are opened where they are.
const FEW: usize = 4;

/// A decoded transaction with its sender.
pub type Opened = Result<Entry, Error>;

/// A pending block, or why each transaction was left out.
pub type Built = Result<Arc<Executed>, Vec<(usize, Error)>>;

/// What a block is made of.
enum Source<'a, R> {
    Raw(&'a [R]),
    Opened(&'a [Entry]),
}

/// What the transactions of a block came to.
#[derive(Default)]
struct Ran {
    included: Vec<Included>,
    refused: Vec<(usize, Error)>,
}

impl Chain {
    /// Decode and recover, once per transaction while it waits. What was opened before fits the limits: they never change.
    pub fn open(&self, raw: &[u8]) -> Opened {
        if let Some(known) = self.known.get(raw) {
            return Ok(known);
        }
        let tx = Arc::new(Transaction::decode(raw, self.limits().tx_bytes)?);
        let from = tx.recover()?;
        self.known.put(&tx, from);
        Ok((tx, from))
    }

    /// The same of many: what is new among them on all cores, when that is worth waking them.
    pub fn open_all<R: AsRef<[u8]> + Sync>(&self, raws: &[R]) -> Vec<Opened> {
        let known = self.known.get_all(raws);
        let open = |(known, raw): (Option<Entry>, &R)| known.map_or_else(|| self.open(raw.as_ref()), Ok);
        match known.iter().filter(|known| known.is_none()).count() {
            0..FEW => known.into_iter().zip(raws).map(open).collect(),
            _ => known.into_par_iter().zip(raws).map(open).collect(),
        }
    }

    /// Admission on the committed state: the transaction and its sender. Errors: `tx.*`.
    pub fn admit(&self, raw: &[u8]) -> Result<(Arc<Transaction>, Address), Error> {
        let (tx, from) = self.open(raw)?;
        let head = self.head();
        self.judge_waiting(&head, &self.standing(&head, from), &tx, from)?;
        Ok((tx, from))
    }

    /// What the head's state says of a sender.
    pub fn standing(&self, head: &Snapshot, from: Address) -> Standing {
        self.standings.of(head, self.limits(), from)
    }

    /// Whether a transaction may wait at this head. Errors: `tx.*`.
    pub fn judge_waiting(
        &self,
        head: &Snapshot,
        standing: &Standing,
        tx: &Transaction,
        from: Address,
    ) -> Result<(), Error> {
        standing.judge(&head.state, self.limits(), tx, from)
    }

    /// Admission on the committed state: (hash, sender, nonce). Errors: `tx.*`.
    pub fn check_tx(&self, raw: &[u8]) -> Result<(B256, Address, u64), Error> {
        self.admit(raw).map(|(tx, from)| (tx.hash, from, tx.nonce))
    }

    /// Make a pending block of what is valid; None when nothing is. Errors: `block.consensus-height`, `chain.version`.
    pub fn execute<R: AsRef<[u8]> + Sync>(
        &self,
        raws: &[R],
        time_ms: u64,
        consensus_height: u64,
        cap: usize,
    ) -> Result<Option<Arc<Executed>>, Error> {
        self.finalize(raws, time_ms, consensus_height, cap).map(Result::ok)
    }

    /// `execute` that says why nothing is valid.
    pub fn finalize<R: AsRef<[u8]> + Sync>(
        &self,
        raws: &[R],
        time_ms: u64,
        consensus_height: u64,
        cap: usize,
    ) -> Result<Built, Error> {
        self.finalize_from(&Source::Raw(raws), time_ms, consensus_height, cap)
    }

    /// The same of transactions that were opened.
    pub fn finalize_opened(&self, opened: &[Entry], time_ms: u64, consensus_height: u64) -> Result<Built, Error> {
        self.finalize_from(&Source::<&[u8]>::Opened(opened), time_ms, consensus_height, usize::MAX)
    }

    fn finalize_from<R: AsRef<[u8]> + Sync>(
        &self,
        source: &Source<'_, R>,
        time_ms: u64,
        consensus_height: u64,
        cap: usize,
    ) -> Result<Built, Error> {
        let _writer = self.lock();
        let head = self.head();
        let before = head.sealed.consensus_height();
        if consensus_height <= before {
            let error = fail::invalid("block.consensus-height", "the consensus height must grow with every block");
            return Err(error.values(format!("over {before}"), consensus_height));
        }
        let timestamp = (time_ms / 1000).max(head.sealed.header.timestamp);
        self.build(&head, source, timestamp, consensus_height, cap)
    }

    /// Re-execute a foreign block into pending. Errors: `block.*`, naming what differs first.
    pub fn verify_block<R: AsRef<[u8]> + Sync>(&self, header: &[u8], raws: &[R]) -> Result<Arc<Executed>, Error> {
        let _writer = self.lock();
        let head = self.head();
        let theirs = Sealed::decode(header).map_err(|error| fail::untrusted("block.header", error.message))?;
        follows(&head.sealed, &theirs)?;
        if raws.is_empty() {
            return Err(fail::untrusted("block.empty", "a block without transactions is never made"));
        }
        let built =
            self.build(&head, &Source::Raw(raws), theirs.header.timestamp, theirs.consensus_height(), usize::MAX)?;
        let built = built.ok();
        let checked = same(built.as_deref(), &theirs);
        if checked.is_err() {
            self.drop_pending();
        }
        checked?;
        built.ok_or_else(|| fail::untrusted("block.transaction", "none of the block's transactions is valid"))
    }

    fn build<R: AsRef<[u8]> + Sync>(
        &self,
        head: &Snapshot,
        source: &Source<'_, R>,
        timestamp: u64,
        consensus_height: u64,
        cap: usize,
    ) -> Result<Built, Error> {
        self.drop_pending();
        let number = head.sealed.header.number + 1;
        check_version(&head.state, number)?;
        let frame =
            Frame { parent: head.sealed.hash, number, timestamp, gas_limit: self.limits().block_gas, consensus_height };
        let hashes = |number| self.hash_at(number);
        let context = seal(frame, B256::ZERO, &[]).context(self.limits().chain_id);
        let mut machine = Machine::new(&head.state, context, &hashes as BlockHashes<'_>);
        let judge = Judge::new(&head.state, self.limits());
        let ran = match source {
            Source::Opened(opened) => run(&mut machine, judge, opened.iter().cloned().map(Ok), cap)?,
            // The next senders are recovered while the last transactions run: both take about as long.
            Source::Raw(raws) => std::thread::scope(|scope| {
                let (send, opened) = mpsc::sync_channel(8);
                scope.spawn(move || {
                    for chunk in raws.chunks(CHUNK) {
                        if send.send(self.open_all(chunk)).is_err() {
                            return;
                        }
                    }
                });
                run(&mut machine, judge, opened.into_iter().flatten(), cap)
            })?,
        };
        if ran.included.is_empty() {
            return Ok(Err(ran.refused));
        }
        let changes = machine.finish();
        let mut state = head.state.clone();
        let undo = state.apply(&changes);
        let sealed = Arc::new(seal(frame, state.root(), &ran.included));
        let mut writes = block_rows(&sealed, &state, &changes, &undo);
        writes.extend(self.set_pending(Held::new(Arc::clone(&sealed), state, undo)));
        Ok(Ok(Arc::new(Executed { sealed, included: ran.included, refused: ran.refused, writes })))
    }
}

/// Judge and run transactions in order.
fn run(
    machine: &mut Machine<'_>,
    mut judge: Judge<'_>,
    opened: impl Iterator<Item = Opened>,
    cap: usize,
) -> Result<Ran, Error> {
    let (mut ran, mut gas) = (Ran::default(), 0_u64);
    for (index, opened) in opened.enumerate() {
        let admitted = opened.and_then(|(tx, from)| {
            if ran.included.len() >= cap {
                return Err(block_full());
            }
            judge.admit(&tx, from).map(|()| (tx, from))
        });
        let (tx, from) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                ran.refused.push((index, error));
                continue;
            }
        };
        match machine.transact(&tx.request(from)).map_err(rules::rejected) {
            Ok(outcome) => {
                gas += outcome.gas_used;
                ran.included.push(Included { tx, from, outcome, cumulative_gas: gas });
            }
            Err(error) if error.class == Class::Fatal => return Err(error),
            Err(error) => {
                judge.withdraw(&tx, from);
                ran.refused.push((index, error));
            }
        }
    }
    Ok(ran)
}

/// Whether a foreign header can stand on our head at all.
fn follows(parent: &Sealed, theirs: &Sealed) -> Result<(), Error> {
    let agree = |code, what: &str, expected: String, actual: String, holds: bool| {
        if holds {
            return Ok(());
        }
        Err(fail::untrusted(code, format!("the block's {what} does not fit our head")).values(expected, actual))
    };
    let (ours, next) = (&parent.header, &theirs.header);
    let number = ours.number + 1;
    agree("block.height", "number", number.to_string(), next.number.to_string(), next.number == number)?;
    let (hash, named) = (parent.hash, next.parent_hash);
    agree("block.parent", "parent hash", hash.to_string(), named.to_string(), hash == named)?;
    let (least, time) = (ours.timestamp, next.timestamp);
    agree("block.time", "time", format!("{least} or later"), time.to_string(), time >= least)?;
    let (before, height) = (parent.consensus_height(), theirs.consensus_height());
    agree("block.consensus-height", "consensus height", format!("over {before}"), height.to_string(), height > before)
}

/// Whether the block we built is the one they announced.
fn same(built: Option<&Executed>, theirs: &Sealed) -> Result<(), Error> {
    let Some(block) = built else { return Ok(()) };
    if let Some((index, error)) = block.refused.first() {
        let (why, code) = (&error.message, error.code);
        return Err(fail::untrusted("block.transaction", format!("transaction {index} is not valid: {why} [{code}]")));
    }
    if let Some((code, field, expected, actual)) = first_difference(&block.sealed.header, &theirs.header) {
        let error = fail::untrusted(code, format!("the block's {field} is not what its transactions give"));
        return Err(error.values(expected, actual).hint("keep the block and report its maker to the supervisor"));
    }
    if block.sealed.hash != theirs.hash {
        let error = fail::untrusted("block.hash", "the block's hash is not what its transactions give");
        return Err(error.values(block.sealed.hash, theirs.hash));
    }
    Ok(())
}
