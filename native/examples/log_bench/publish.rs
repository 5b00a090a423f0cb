//! Checkpoints under load, as `ledger.log.DepartmentLog.publish` makes them: root, comparison with the last head,
//! Ed25519 signature, then the head durably into `signed` and into `checkpoint`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use _native::log::LogEngine;
use _native::log::storage::Storage;
use _native::sign;
use serde_json::{Value, json};

use crate::percentile;

/// When which size was published, microseconds after the start of the load.
pub type Published = Vec<(u64, u64)>;

/// Publish every `interval` until the load is `done` and everything is published.
pub fn publish(
    log: &LogEngine,
    storage: &dyn Storage,
    start: Instant,
    interval: Duration,
    done: &AtomicBool,
) -> Published {
    let seed = [7; 32];
    let (mut published, mut last) = (Published::new(), None);
    loop {
        std::thread::sleep(interval);
        let loaded = done.load(Ordering::Acquire);
        let size = log.size();
        if last.is_none_or(|(signed, _)| signed < size) {
            let root = log.root(Some(size)).unwrap();
            if let Some((signed, old)) = last {
                assert_eq!(log.root(Some(signed)).unwrap(), old);
            }
            let hex = alloy_primitives::hex::encode(root);
            let text = format!("civicledger.cn/bench/log/1\n{size}\n{hex}\n");
            let signature = alloy_primitives::hex::encode(sign::ed25519_sign(&seed, text.as_bytes()));
            let note = format!("{text}\n\u{2014} civicledger.cn/bench/log/1 {signature}\n");
            storage.replace("signed", note.as_bytes()).unwrap();
            storage.replace("checkpoint", note.as_bytes()).unwrap();
            published.push((start.elapsed().as_micros() as u64, size));
            last = Some((size, root));
        } else if loaded {
            return published;
        }
    }
}

/// From asking for an append to the checkpoint that covers it. `asked`: (microseconds after the start, last index).
pub fn figures(published: &Published, asked: &[(u64, u64)]) -> Value {
    let wait = |(time, index): &(u64, u64)| {
        let covering = published.partition_point(|(_, size)| size <= index);
        published[covering].0 - time
    };
    let mut waits: Vec<u64> = asked.iter().map(wait).collect();
    waits.sort_unstable();
    json!({
        "checkpoints": published.len(), "p50_us": percentile(&waits, 50), "p99_us": percentile(&waits, 99),
        "max_us": waits[waits.len() - 1],
    })
}
