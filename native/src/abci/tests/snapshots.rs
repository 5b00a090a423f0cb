//! A node that joins late, from what others offer.

use std::fs;
use std::path::Path;
use std::time::Instant;

use alloy_consensus::TxEip1559;
use sha2::{Digest, Sha256};
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestListSnapshots, RequestLoadSnapshotChunk, RequestOfferSnapshot,
    ResponseApplySnapshotChunk, Snapshot, response_apply_snapshot_chunk::Result as Applied,
    response_offer_snapshot::Result as Offered,
};

use super::*;
use crate::abci::snapshot::folder::Folder;
use crate::abci::snapshot::{CHUNK, Metadata};
use crate::chain::rules::DEPLOYER;
use crate::chain::tests::{BLOCK_GAS, draft, put, sign, write};

impl Client {
    fn snapshots(&mut self) -> Vec<Snapshot> {
        match self.ask(request::Value::ListSnapshots(RequestListSnapshots {})) {
            Ok(response::Value::ListSnapshots(answer)) => answer.snapshots,
            other => panic!("{other:?}"),
        }
    }

    fn chunk(&mut self, height: u64, chunk: u32) -> Vec<u8> {
        let request = RequestLoadSnapshotChunk { height, format: 1, chunk };
        match self.ask(request::Value::LoadSnapshotChunk(request)) {
            Ok(response::Value::LoadSnapshotChunk(answer)) => answer.chunk.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    fn chunks(&mut self, of: &Snapshot) -> Vec<Vec<u8>> {
        (0..of.chunks).map(|index| self.chunk(of.height, index)).collect()
    }

    fn offer(&mut self, snapshot: &Snapshot, app_hash: &[u8]) -> Offered {
        let request = RequestOfferSnapshot { snapshot: Some(snapshot.clone()), app_hash: app_hash.to_vec().into() };
        match self.ask(request::Value::OfferSnapshot(request)) {
            Ok(response::Value::OfferSnapshot(answer)) => Offered::try_from(answer.result).expect("known"),
            other => panic!("{other:?}"),
        }
    }

    fn apply(&mut self, index: usize, chunk: &[u8]) -> (Applied, ResponseApplySnapshotChunk) {
        self.send(applying(index, chunk));
        match self.receive() {
            Some(response::Value::ApplySnapshotChunk(answer)) => {
                (Applied::try_from(answer.result).expect("known"), answer)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn applying(index: usize, chunk: &[u8]) -> request::Value {
    let (index, chunk) = (index as u32, chunk.to_vec().into());
    request::Value::ApplySnapshotChunk(RequestApplySnapshotChunk { index, chunk, sender: "somebody".into() })
}

fn maker(folder: &Path) -> Option<Maker> {
    Some(Maker::new(Folder::open(&folder.join("snapshots")).expect("opens"), 2))
}

/// Wait until a node has written the snapshot of a height.
fn written(node: &Node, count: u64) {
    let deadline = Instant::now() + PATIENCE;
    let made =
        || node.application.stats().into_iter().find(|(name, _)| *name == "snapshots_made").map(|(_, made)| made);
    while made() < Some(count) {
        assert!(Instant::now() < deadline, "no snapshot");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Nine heights whose state is more than a chunk, a snapshot every second; of 6 and 8 they are kept, of 6 it is offered.
struct Rich {
    node: Node,
    client: Client,
    /// App hash by height.
    hashes: Vec<Vec<u8>>,
    folder: TempDir,
}

fn rich() -> Rich {
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = Node::found_with(2, maker(folder.path()));
    let mut client = node.begin();
    let mut hashes = vec![Vec::new()];
    for height in 1..=9_u64 {
        let fill = |n: u8| {
            let first = (height * 2 + u64::from(n)) * 1000;
            let input = put(U256::from(first), U256::from(first + 850));
            let gas_limit = BLOCK_GAS / 2;
            sign(&member(n), TxEip1559 { gas_limit, ..draft(height - 1, Some(DEPLOYER.create(2)), input) })
        };
        let txs = match height {
            1..=4 => vec![fill(1), fill(2)],
            // Empty heights too.
            6 | 8 => Vec::new(),
            5 => vec![write(&member(1), 4, 1, height)],
            7 => vec![write(&member(1), 5, 1, height)],
            _ => vec![write(&member(1), 6, 1, height)],
        };
        let made = node.height(&mut client, height as i64, &txs);
        assert!(made.tx_results.iter().all(|result| result.code == 0 && result.data.as_ref() == [1]));
        hashes.push(made.app_hash.to_vec());
        if height % 2 == 0 {
            written(&node, height / 2);
        }
    }
    Rich { node, client, hashes, folder }
}

#[test]
fn a_late_joiner_gets_the_state_and_goes_on_alike() {
    let mut rich = rich();
    let offered = rich.client.snapshots();
    // 8 is too new: the light client needs two heights after it.
    assert_eq!(offered.iter().map(|snapshot| (snapshot.height, snapshot.format)).collect::<Vec<_>>(), [(6, 1)]);
    let chunks = rich.client.chunks(&offered[0]);
    assert!(chunks.len() >= 2 && chunks[..chunks.len() - 1].iter().all(|chunk| chunk.len() == CHUNK));
    assert!(rich.client.chunk(6, offered[0].chunks).is_empty() && rich.client.chunk(5, 0).is_empty());
    let own = tempfile::tempdir().expect("a folder");
    let mut late = Node::join(rich.node.file.clone(), maker(own.path()));
    let mut client = late.connect();
    assert_eq!(client.offer(&offered[0], &rich.hashes[6]), Offered::Accept);
    // Somebody sends another thing than announced: it is asked for again, elsewhere.
    let mut wrong = chunks[0].clone();
    wrong[500] ^= 1;
    for wrong in [&wrong[..], &chunks[0][1..], &[], &chunks[1]] {
        let (result, answer) = client.apply(0, wrong);
        assert_eq!(
            (result, answer.refetch_chunks, answer.reject_senders),
            (Applied::Retry, vec![0], vec!["somebody".to_owned()])
        );
    }
    let (last, first) = chunks.split_last().expect("some");
    for (index, chunk) in first.iter().enumerate() {
        assert_eq!(client.apply(index, chunk).0, Applied::Accept);
    }
    assert_eq!(late.chain.head().sealed.header.number, 0);
    client.send(applying(first.len(), last));
    let commit = late.keep();
    assert!(commit.block.is_none() && commit.restored.is_some());
    assert_eq!((commit.height, commit.validators.clone()), (6, vec![key(1), key(2)]));
    late.application.committed().expect("stored");
    assert!(matches!(client.receive(), Some(response::Value::ApplySnapshotChunk(answer)) if answer.result == 1));
    let info = client.info();
    assert_eq!((info.last_block_height, info.last_block_app_hash.to_vec()), (6, rich.hashes[6].clone()));
    // The same again: CometBFT died before it knew.
    assert_eq!(client.offer(&offered[0], &rich.hashes[6]), Offered::Accept);
    // What it stored is enough to start again, and the heights after the snapshot come out alike.
    let mut late = late.crash_with(maker(own.path()));
    let mut client = late.connect();
    assert_eq!(late.chain.oldest(), 0);
    for (height, txs) in [(7, vec![write(&member(1), 5, 1, 7)]), (8, Vec::new()), (9, vec![write(&member(1), 6, 1, 9)])]
    {
        assert_eq!(late.height(&mut client, height, &txs).app_hash.to_vec(), rich.hashes[height as usize]);
    }
    assert_eq!(late.root(), rich.node.root());
    // Nothing older than what it has is taken.
    assert_eq!(client.offer(&offered[0], &rich.hashes[6]), Offered::Reject);
    assert_eq!(client.apply(0, &chunks[0]).0, Applied::Abort);
    // Also its snapshot of a height is the same, byte for byte.
    written(&late, 1);
    late.height(&mut client, 10, &[]);
    rich.node.height(&mut rich.client, 10, &[]);
    let of_8 =
        |client: &mut Client| client.snapshots().into_iter().find(|snapshot| snapshot.height == 8).expect("offered");
    assert_eq!(of_8(&mut client), of_8(&mut rich.client));
}

/// A snapshot of changed rows whose hashes are right for them.
fn forged(of: &Snapshot, stream: &[u8]) -> (Snapshot, Vec<Vec<u8>>) {
    let digest = |bytes: &[u8]| B256::from_slice(&Sha256::digest(bytes));
    let chunks: Vec<_> = stream.chunks(CHUNK).map(<[u8]>::to_vec).collect();
    let metadata = Metadata::decode(&of.metadata).expect("whole");
    let length = stream.len() as u64;
    let metadata = Metadata { length, chunks: chunks.iter().map(|chunk| digest(chunk)).collect(), ..metadata };
    let snapshot = Snapshot {
        chunks: chunks.len() as u32,
        hash: digest(stream).to_vec().into(),
        metadata: metadata.encode().into(),
        ..of.clone()
    };
    (snapshot, chunks)
}

#[test]
fn a_forged_snapshot_is_refused_at_its_end() {
    let mut rich = rich();
    let offered = rich.client.snapshots().remove(0);
    let stream = rich.client.chunks(&offered).concat();
    let late = Node::join(rich.node.file.clone(), None);
    let mut client = late.connect();
    let mut ends = |snapshot: &Snapshot, chunks: &[Vec<u8>]| {
        assert_eq!(client.offer(snapshot, &rich.hashes[6]), Offered::Accept);
        chunks
            .iter()
            .enumerate()
            .map(|(index, chunk)| client.apply(index, chunk).0)
            .find(|result| *result != Applied::Accept)
    };
    // The value of a slot; a value's length; rows at the end gone; half a row; a row too many; the whole hash.
    let slot =
        stream.windows(6).rposition(|window| window[..5] == [65, 0, 0, 0, 32] && window[5] == b's').expect("a slot");
    let mut value = stream.clone();
    value[slot + 5 + 65 + 3] ^= 1;
    let mut length = stream.clone();
    length[slot + 1] = 0xff;
    let short = &stream[..stream.len() - 700];
    let more = [&stream[..], &[1, 0, 0, 0, 1, b'z', 0]].concat();
    for changed in [&value[..], &length, short, &stream[..slot + 20], &more, &[1, 0, 0, 0, 0]] {
        let (snapshot, chunks) = forged(&offered, changed);
        assert_eq!(ends(&snapshot, &chunks), Some(Applied::RejectSnapshot));
    }
    let (snapshot, chunks) = forged(&offered, &stream);
    assert_eq!(snapshot, offered);
    let other = Snapshot { hash: vec![7; 32].into(), ..snapshot.clone() };
    assert_eq!(ends(&other, &chunks), Some(Applied::RejectSnapshot));
    // Not the one that is next.
    assert_eq!(client.offer(&snapshot, &rich.hashes[6]), Offered::Accept);
    assert_eq!(client.apply(1, &chunks[1]).0, Applied::RejectSnapshot);
    assert_eq!(client.apply(0, &chunks[0]).0, Applied::Abort);
    assert_eq!(late.chain.head().sealed.header.number, 0);
    assert!(late.application.failure().is_none());
}

#[test]
fn what_is_offered_is_judged_before_anything_is_taken() {
    let mut rich = rich();
    let good = rich.client.snapshots().remove(0);
    let hash = rich.hashes[6].clone();
    let metadata = Metadata::decode(&good.metadata).expect("whole");
    let late = Node::join(rich.node.file.clone(), None);
    let mut client = late.connect();
    let with = |changed: Metadata| Snapshot { metadata: changed.encode().into(), ..good.clone() };
    let more = Metadata { chunks: [metadata.chunks.clone(), vec![B256::ZERO]].concat(), ..metadata.clone() };
    for (snapshot, expected) in [
        (Snapshot { format: 2, ..good.clone() }, Offered::RejectFormat),
        (Snapshot { chunks: good.chunks + 1, ..good.clone() }, Offered::Reject),
        (Snapshot { height: 0, ..good.clone() }, Offered::Reject),
        (Snapshot { hash: vec![1; 31].into(), ..good.clone() }, Offered::Reject),
        (Snapshot { metadata: good.metadata.slice(1..), ..good.clone() }, Offered::Reject),
        (Snapshot { metadata: Default::default(), ..good.clone() }, Offered::Reject),
        (with(Metadata { genesis: B256::ZERO, ..metadata.clone() }), Offered::Reject),
        (with(Metadata { head: B256::ZERO, ..metadata.clone() }), Offered::Reject),
        (with(Metadata { length: u64::MAX, ..metadata.clone() }), Offered::Reject),
        (with(more), Offered::Reject),
        (good.clone(), Offered::Accept),
    ] {
        assert_eq!(client.offer(&snapshot, &hash), expected, "{snapshot:?}");
    }
    // Another hash than the light client verified.
    assert_eq!(client.offer(&good, &rich.hashes[4]), Offered::Reject);
    assert_eq!(client.offer(&good, b"short"), Offered::Reject);
    assert_eq!(client.apply(0, b"x").0, Applied::Abort);
    // A node that makes none offers none.
    assert!(client.snapshots().is_empty() && client.chunk(6, 0).is_empty());
}

#[test]
fn files_that_are_not_whole_are_removed_and_rotten_ones_not_served() {
    let rich = rich();
    let files = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("there")
            .map(|entry| entry.expect("readable").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    };
    let folder = rich.folder.path().join("snapshots");
    assert_eq!(files(&folder), ["6.meta", "6.rows", "8.meta", "8.rows"]);
    for name in ["10.half", "12.rows", "6.half", "notes.txt"] {
        fs::write(folder.join(name), b"x").expect("written");
    }
    // One byte of 6 rots, 8 loses its end.
    let rows = folder.join("6.rows");
    let mut bytes = fs::read(&rows).expect("there");
    bytes[CHUNK + 5] ^= 1;
    fs::write(&rows, bytes).expect("written");
    let last = fs::OpenOptions::new().write(true).open(folder.join("8.rows")).expect("there");
    last.set_len(9).expect("shorter");
    let mut node = rich.node.crash_with(maker(rich.folder.path()));
    assert_eq!(files(&folder), ["6.meta", "6.rows", "notes.txt"]);
    let mut client = node.connect();
    assert_eq!(client.snapshots().len(), 1);
    assert_eq!(client.chunk(6, 0).len(), CHUNK);
    assert!(client.chunk(6, 1).is_empty());
    assert!(client.snapshots().is_empty());
    assert_eq!(files(&folder), ["notes.txt"]);
    // The next one is made all the same.
    node.height(&mut client, 10, &[]);
    written(&node, 1);
    node.height(&mut client, 11, &[]);
    node.height(&mut client, 12, &[]);
    assert_eq!(client.snapshots().iter().map(|snapshot| snapshot.height).collect::<Vec<_>>(), [10]);
}
