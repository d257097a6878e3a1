//! Durability against kill -9: what was acknowledged is there, whenever the process dies.
//!
//! The test starts itself again as a child that writes to a store and says on stdout what is
//! durable; it is killed at a random moment, and the next child's store must hold all that was
//! said. One folder serves all rounds, so each round also recovers from the crashes before it.

// Helpers of a test fail it by panicking, and the child speaks on stdout.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use stationmaster::base::rng::Rng;
use stationmaster::base::time::Wall;
use stationmaster::store::{Expect, Namespace, Options, Store, StoreError, StoreUrl, Value};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const FOLDER: &str = "STATIONMASTER_STORE_KILL_FOLDER";
const ROUND: &str = "STATIONMASTER_STORE_KILL_ROUND";
const ROUNDS: u64 = 24;
const KEYS: u64 = 64;
const T: Namespace = Namespace::new("t");

fn open(folder: &Path) -> Store {
    let options = Options { cache_bytes: 1 << 20, ..Options::default() };
    Store::open(&StoreUrl::Sled(folder.into()), Arc::new(|| Wall::from_secs(1)), options).unwrap()
}

/// The child: counters under few keys, each write one higher than the last, and a pair of records
/// whose second must never be ahead of its first.
fn write_until_killed(folder: &Path, round: u64) {
    let store = open(folder);
    let mut rng = Rng::from_number(round);
    let (sender, said) = std::sync::mpsc::sync_channel::<String>(32);
    std::thread::spawn(move || {
        let mut out = std::io::stdout().lock();
        for line in said {
            writeln!(out, "{line}").unwrap();
            out.flush().unwrap();
        }
    });
    loop {
        let name = format!("k{:02}", rng.below(KEYS));
        let padding = usize::try_from(rng.below(2_000)).unwrap();
        let (key, sender) = (T.key(&[&name]).unwrap(), sender.clone());
        let job = move |txn: &mut stationmaster::store::Txn<'_>| {
            let present = txn.get(&key)?;
            let count = present.as_ref().map_or(0, |record| number(&record.value.bytes)) + 1;
            let mut bytes = count.to_be_bytes().to_vec();
            bytes.resize(8 + padding, b'x');
            let expect = present.map_or(Expect::Absent, |record| Expect::At(record.revision));
            let revision = txn.put(&key, Value::new(bytes), expect)?;
            for half in ["first", "second"] {
                txn.put(&T.key(&[half])?, Value::new(revision.0.to_be_bytes().to_vec()), Expect::Any)?;
            }
            Ok::<_, StoreError>((count, revision))
        };
        let done = move |result: Result<_, StoreError>| {
            let (count, revision): (u64, stationmaster::store::Revision) = result.unwrap();
            // Blocks when the pipe is full, which also makes groups of many jobs.
            let _ = sender.send(format!("durable {name} {count} {}", revision.0));
        };
        if store.transact(job, done).is_err() {
            std::thread::yield_now();
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap())
}

/// What has been acknowledged: count and revision of each key.
type Acknowledged = BTreeMap<String, (u64, u64)>;

/// Runs the child, kills it after some lines, and reads to the end of its words.
fn run_child(folder: &Path, round: u64, rng: &mut Rng, acknowledged: &mut Acknowledged) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "acknowledged_writes_survive_kill_9", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut read, wanted) = (0, 1 + rng.below(400));
    let mut learn = |line: String| {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["durable", name, count, revision] = words[..] {
            let told = (count.parse().unwrap(), revision.parse().unwrap());
            let before = acknowledged.insert(name.to_owned(), told).unwrap_or_default();
            assert!(told > before && told.1 > before.1, "{name}: {told:?} after {before:?}");
            read += 1;
        }
        read
    };
    while learn(lines.next().unwrap().unwrap()) < wanted {}
    // The child is ahead of its words by as much as the pipe holds, at any moment of a group.
    child.kill().unwrap();
    // The last line may have been cut by the kill; it then lacks its newline and is not counted.
    let mut rest = Vec::new();
    lines.for_each(|line| rest.extend(line));
    rest.pop();
    let read = rest.into_iter().map(&mut learn).last().unwrap_or(wanted);
    child.wait().unwrap();
    read
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let round = std::env::var(ROUND).unwrap().parse().unwrap();
        return write_until_killed(Path::new(&folder), round);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::from_number(2);
    let mut acknowledged = Acknowledged::new();
    let mut writes = 0;
    for round in 0..ROUNDS {
        writes += run_child(folder.path(), round, &mut rng, &mut acknowledged);
        let store = open(folder.path());
        let mut newest = 0;
        for (name, (count, revision)) in &acknowledged {
            let found = store.view().get(&T.key(&[name]).unwrap()).unwrap();
            let found = found.unwrap_or_else(|| panic!("round {round}: {name} is gone"));
            let kept = (number(&found.value.bytes), found.revision.0);
            assert!(kept >= (*count, *revision), "round {round}: {name} is {kept:?}, not {count} {revision}");
            newest = newest.max(*revision);
        }
        let [first, second] = ["first", "second"].map(|half| {
            store.view().get(&T.key(&[half]).unwrap()).unwrap().map_or(0, |it| number(&it.value.bytes))
        });
        assert!(first >= second && second >= newest, "round {round}: {first} {second} {newest}");
        store.close();
    }
    println!("{ROUNDS} kills, {writes} acknowledged writes, all there");
}
