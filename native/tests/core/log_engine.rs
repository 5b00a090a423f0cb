//! The running engine: against a naive model, with many callers, a full pool, and readers beside the writer.

use std::sync::Arc;

use crate::common::disk::Disk;
use crate::common::{Numbers, append, assert_holds, borrow, leaves, open, read};
use _native::error::Class;
use _native::log::storage::{Folder, Storage};
use _native::log::view::LogReader;
use _native::log::{LogEngine, Options, record};
use _native::merkle::{self, Leaves};

#[test]
fn a_random_life_equals_the_model() {
    let disk = Disk::new();
    let mut numbers = Numbers(20_261_122);
    let mut model: Vec<Vec<u8>> = Vec::new();
    let mut log = open(disk.storage());
    for _ in 0..120 {
        match numbers.below(6) {
            0 => {
                log.close().unwrap();
                log = open(disk.storage());
            }
            1 => log.sync().unwrap(),
            2 => {
                let left = disk.after(crate::common::disk::Crash::KeepsSome(numbers.next() >> 8));
                assert_holds(&open(left.storage()), left.storage(), &model);
            }
            _ => {
                let count = [1, 2, 100, 255, 256, 700][numbers.below(6) as usize];
                let fresh: Vec<Vec<u8>> = (0..count)
                    .map(|_| {
                        let length = 1 + numbers.below(40) as usize;
                        numbers.bytes(length)
                    })
                    .collect();
                assert_eq!(append(&log, &fresh), (model.len() as u64, count));
                model.extend(fresh);
            }
        }
        assert_eq!(log.root(None).unwrap(), crate::common::root(&model));
        if !model.is_empty() {
            compare_proofs(&log, &model, &mut numbers);
        }
    }
    assert_holds(&log, disk.storage(), &model);
}

fn compare_proofs(log: &LogEngine, model: &[Vec<u8>], numbers: &mut Numbers) {
    let hashes = leaves(model);
    for _ in 0..4 {
        let size = 1 + numbers.below(model.len() as u64);
        let index = numbers.below(size);
        let (naive, root) = (Leaves(&hashes), log.root(Some(size)).unwrap());
        assert_eq!(root, merkle::root(&naive, size).unwrap());
        assert_eq!(log.leaf(index).unwrap(), hashes[index as usize]);
        let proof = log.inclusion_proof(index, size).unwrap();
        assert_eq!(proof, merkle::inclusion_proof(&naive, index, size).unwrap());
        merkle::verify_inclusion(&hashes[index as usize], index, size, &root, &proof).unwrap();
        let proof = log.consistency_proof(index + 1, size).unwrap();
        merkle::verify_consistency(index + 1, size, &log.root(Some(index + 1)).unwrap(), &root, &proof).unwrap();
        let count = (1 + numbers.below(600)).min(model.len() as u64 - index);
        assert_eq!(read(log, index, count), model[index as usize..(index + count) as usize]);
    }
}

#[test]
fn three_levels_of_tiles() {
    let disk = Disk::new();
    let log = open(disk.storage());
    let entries: Vec<Vec<u8>> = (0..70_000u32).map(|number| number.to_le_bytes()[..3].to_vec()).collect();
    for chunk in entries.chunks(9_973) {
        append(&log, chunk);
    }
    assert_holds(&log, disk.storage(), &entries);
    compare_proofs(&log, &entries, &mut Numbers(5));
    let hashes = leaves(&entries);
    assert_eq!(log.hash_tile(0, 273, 112).unwrap(), hashes[273 * 256..].as_flattened());
    let tile = |level, index| merkle::fold(common_tile(&log, level, index));
    assert_eq!(log.hash_tile(1, 1, 17).unwrap()[..32], tile(0, 256));
    assert_eq!(log.hash_tile(2, 0, 1).unwrap(), tile(1, 0));
    for (level, index, width) in [(0, 273, 113), (0, 0, 0), (0, 0, 257), (1, 1, 18), (2, 0, 2), (3, 0, 1), (8, 0, 1)] {
        let error = log.hash_tile(level, index, width).unwrap_err();
        assert_eq!((error.class, error.code), (Class::NotFound, "log.tile"), "{level} {index} {width}");
    }
    let bundle = log.entry_tile(273, 112).unwrap();
    assert_eq!(bundle.len(), 112 * 5);
    assert_eq!(bundle[..5], [0, 3, entries[69_888][0], entries[69_888][1], entries[69_888][2]]);
}

fn common_tile(log: &LogEngine, level: u64, index: u64) -> Vec<merkle::Hash> {
    _native::log::levels::to_hashes(&log.hash_tile(level, index, 256).unwrap())
}

#[test]
fn many_callers_share_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(Folder::lock(folder.path()).unwrap());
    let log = open(Arc::clone(&storage));
    let placed: Vec<(u64, Vec<u8>)> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8u64)
            .map(|caller| {
                let log = &log;
                scope.spawn(move || {
                    let mut numbers = Numbers(caller + 1);
                    let mut placed = Vec::new();
                    for round in 0..40u64 {
                        let fresh: Vec<Vec<u8>> = (0..=numbers.below(5)).map(|_| numbers.bytes(30)).collect();
                        let batch = (round % 3 == 0).then_some((*b"a batch of 16 by", 0)).map(|(mut id, now)| {
                            id[0] = caller as u8;
                            id[1] = round as u8;
                            (id, now)
                        });
                        let (first, count) = log.append(&borrow(&fresh), batch).unwrap();
                        assert!(log.size() >= first + count);
                        placed.extend((first..).zip(fresh));
                    }
                    placed
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let mut placed = placed;
    placed.sort();
    assert!(placed.iter().map(|(index, _)| *index).eq(0..placed.len() as u64));
    let entries: Vec<Vec<u8>> = placed.into_iter().map(|(_, entry)| entry).collect();
    assert_holds(&log, storage, &entries);
}

#[test]
fn one_id_from_many_callers_appends_once() {
    let disk = Disk::new();
    let log = open(disk.storage());
    let answers: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let log = &log;
        let callers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| log.append(&[b"x", b"y"], Some(([9; 16], 0))).unwrap())).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(answers, vec![(0, 2); 8]);
    assert_eq!(log.size(), 2);
    for other in [vec![b"x" as &[u8]], vec![b"y", b"x"], vec![b"x", b"y", b"z"]] {
        let error = log.append(&other, Some(([9; 16], 0))).unwrap_err();
        assert_eq!((error.class, error.code), (Class::Conflict, "log.batch-conflict"));
    }
}

#[test]
fn a_full_pool_refuses_and_recovers() {
    let disk = Disk::new();
    let log = LogEngine::open(disk.storage(), Options { pool_bytes: 4_000, now_ms: 0 }).unwrap();
    let error = log.append(&[&[1; 5_000]], None).unwrap_err();
    assert_eq!((error.class, error.code), (Class::InvalidInput, "log.batch-size"));
    disk.hold();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| log.append(&[&[1; 2_500]], None).unwrap());
        disk.wait_for_sync();
        assert_eq!(log.size(), 0);
        let error = log.append(&[&[2; 2_500]], None).unwrap_err();
        assert_eq!((error.class, error.code), (Class::Unavailable, "log.saturated"));
        assert!(log.stat().pool_bytes > 2_500);
        disk.let_go();
        assert_eq!(waiting.join().unwrap(), (0, 1));
    });
    assert_eq!(log.append(&[&[2; 2_500]], None).unwrap(), (1, 1));
    assert_eq!(log.stat().pool_bytes, 0);
}

#[test]
fn readers_need_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let missing = LogReader::open(folder.path(), 0).err().unwrap();
    assert_eq!((missing.class, missing.code), (Class::NotFound, "log.missing"));
    let log = open(Arc::new(Folder::lock(folder.path()).unwrap()));
    let entries: Vec<Vec<u8>> = (0..900u32).map(|number| number.to_be_bytes().to_vec()).collect();
    for chunk in entries.chunks(150) {
        let (first, count) = append(&log, chunk);
        let (size, root) = (first + count, log.root(None).unwrap());
        let reader = LogReader::open(folder.path(), size).unwrap();
        let view = reader.view();
        assert_eq!(view.root(size).unwrap(), root);
        assert_eq!(view.inclusion_proof(3, size).unwrap(), log.inclusion_proof(3, size).unwrap());
        assert_eq!(view.entry_tile(0, 100, size).unwrap(), log.entry_tile(0, 100).unwrap());
        let behind = LogReader::open(folder.path(), size + 1).err().unwrap();
        assert_eq!((behind.class, behind.code), (Class::Unavailable, "log.not-yet"));
    }
    let locked = Folder::lock(folder.path()).err().unwrap();
    assert_eq!((locked.class, locked.code), (Class::Conflict, "log.locked"));
    log.close().unwrap();
    log.close().unwrap();
    assert_eq!(log.append(&[b"late"], None).unwrap_err().code, "log.closed");
    drop(open(Arc::new(Folder::lock(folder.path()).unwrap())));
}

#[test]
fn bounds_are_refused_before_anything_is_written() {
    let disk = Disk::new();
    let log = open(disk.storage());
    let long = vec![0; 65_536];
    assert_eq!(log.append(&[], None).unwrap_err().code, "log.empty-batch");
    for entry in [&[] as &[u8], &long] {
        assert_eq!(log.append(&[b"good", entry], None).unwrap_err().code, "log.entry-size");
    }
    assert_eq!(log.append(&[&long[1..]], None).unwrap(), (0, 1));
    assert_eq!(log.read(0, 2).unwrap_err().code, "log.range");
    assert_eq!(log.read(u64::MAX, 2).unwrap_err().code, "log.range");
    assert_eq!(log.leaf(1).unwrap_err().code, "log.range");
    assert_eq!(log.root(Some(2)).unwrap_err().code, "log.range");
    assert_eq!(log.inclusion_proof(1, 1).unwrap_err().code, "merkle.index");
    assert_eq!(read(&log, 1, 0), Vec::<Vec<u8>>::new());
    assert_eq!(log.size(), 1);
}

#[test]
fn records_are_checked_whole_before_the_append() {
    let good = br#"{"body":{"a":[1,"x"]},"member":"11310000MB2F30000X","time":"2024-02-29T23:59:59.999Z","type":"exchange.half","v":1}"#;
    record::check(good).unwrap();
    let text = std::str::from_utf8(good).unwrap();
    let cases = [
        (text.replace("\"v\":1", "\"v\":2"), "record.fields"),
        (text.replace("{\"a\":[1,\"x\"]}", "[]"), "record.fields"),
        (text.replace("\"11310000MB2F30000X\"", "7"), "record.fields"),
        (text.replace("000X", "000x"), "record.member"),
        (text.replace("11310000MB2F30000X", "1131"), "record.member"),
        (text.replace("2024-02-29", "2023-02-29"), "record.time"),
        (text.replace("T23:", "T24:"), "record.time"),
        (text.replace(".999Z", ".99Z"), "record.time"),
        (text.replace("exchange.half", "exchange"), "record.type"),
        (text.replace("exchange.half", "exchange..half"), "record.type"),
        (text.replace("[1,", "[1.5,"), "json.number"),
        (text.replace("\"a\":[1,\"x\"]", "\"b\":1,\"a\":1"), "json.key-order"),
        (text.replace("\"body\"", "\"extra\":1,\"body\""), "json.key-order"),
        (format!("{text} "), "json.trailing"),
        (text.replace("[1,\"x\"]", &format!("{}{}", "[".repeat(15), "]".repeat(15))), "json.depth"),
        (text.replace("\"x\"", &format!("\"{}\"", "x".repeat(60_000))), "json.size"),
    ];
    let disk = Disk::new();
    let log = open(disk.storage());
    for (case, code) in cases {
        let error = log.append_records(&[good, case.as_bytes()], None).unwrap_err();
        assert_eq!((error.class, error.code), (Class::InvalidInput, code), "{case}");
        assert!(error.message.contains("record 1"));
    }
    record::check(text.replace("[1,\"x\"]", &format!("{}{}", "[".repeat(14), "]".repeat(14))).as_bytes()).unwrap();
    assert_eq!(log.size(), 0);
    assert_eq!(log.append_records(&[good, good], None).unwrap(), (0, 2));
}
