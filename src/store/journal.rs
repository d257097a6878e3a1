//! The refresh journal: what refreshes changed, packed, so that none costs a write of its own.
//!
//! The shell gathers the [`Refresh`]es of all shards and appends them each commit interval; now
//! and then it writes a snapshot of all, and what is older is dropped.
//!
//! | key                    | what |
//! |------------------------|------|
//! | `journal/r/SEQ`        | a record: refreshes one after another, in postcard |
//! | `journal/s/SEQ/INDEX`  | a chunk of the snapshot that was begun at SEQ, packed likewise |
//! | `journal/head`         | the newest complete snapshot: its SEQ and number of chunks |
//!
//! Records and snapshots draw from one row of SEQs. Replay is the head's chunks and then every
//! record after its SEQ, in order. A snapshot counts from the moment its head is durable, all its
//! chunks having been so before; only then is what is older removed, in any number of steps. So a
//! crash between any two writes leaves something to replay, and at most the refreshes that were
//! never appended are lost.
//!
//! It does not fold, compare or look up anything: whoever replays applies an entry only if its
//! binding still exists, and the later of its turns wins.

use super::limit::{JOURNAL_PRUNE, PAGE};
use super::packed::{Packed, unpack};
use super::{Expect, Key, Namespace, Prefix, Store, StoreError, Table, Txn, Value, View, key};
use crate::registrar::Refresh;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const JOURNAL: Namespace = Namespace::new("journal");
const HEAD: Table<Head> = Table::new(JOURNAL, 1);

/// The newest complete snapshot.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Head {
    seq: u64,
    chunks: u64,
}

/// The journal of one store; clones write to the same one.
#[derive(Clone, Debug)]
pub struct Journal(Arc<AtomicU64>);

/// What was found at replay.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Replayed {
    /// Refreshes given to the caller.
    pub refreshes: u64,
    /// Records and chunks read.
    pub records: u64,
    /// Those of them that could not be read to their end; what came before the fault was given.
    pub corrupt: u64,
}

/// Refreshes that are not known to be durable. They belong in front of what was gathered since.
#[derive(Debug)]
pub struct Unwritten {
    /// Why.
    pub error: StoreError,
    /// All of them, in their order.
    pub refreshes: Packed,
}

impl Journal {
    /// Replays the journal in order and opens it for what follows. Blocks.
    ///
    /// # Errors
    /// As [`View::scan`]. A record that cannot be read is no error, but counted: its refreshes are
    /// extensions only, and the next ones replace them.
    pub fn open(view: &View<'_>, mut apply: impl FnMut(Refresh)) -> Result<(Self, Replayed), StoreError> {
        let head = HEAD.get(view, &["head"])?.map(|row| row.value).unwrap_or_default();
        let mut newest = head.seq;
        let mut replayed = Replayed::default();
        let mut replay = |value: &Value| {
            replayed.records += 1;
            let whole = unpack(&value.bytes, |refresh| {
                replayed.refreshes += 1;
                apply(refresh);
            });
            replayed.corrupt += u64::from(!whole);
        };
        each(view, &JOURNAL.prefix(&["s"])?, |key, value| {
            let Some((seq, index)) = numbers(key) else { return };
            newest = newest.max(seq);
            if seq == head.seq && index < head.chunks {
                replay(value);
            }
        })?;
        each(view, &JOURNAL.prefix(&["r"])?, |key, value| {
            let Some((seq, _)) = numbers(key) else { return };
            newest = newest.max(seq);
            if seq > head.seq {
                replay(value);
            }
        })?;
        Ok((Self(Arc::new(AtomicU64::new(newest + 1))), replayed))
    }

    /// Appends what was gathered in one commit interval; `done` is called as
    /// [`Store::transact`]'s is, and gets back what is not known to be durable.
    ///
    /// To keep their order, append again only after `done` of the time before.
    ///
    /// # Errors
    /// [`Unwritten`] with [`StoreError::Busy`]; `done` is not called then.
    pub fn append(
        &self,
        store: &Store,
        refreshes: Packed,
        done: impl FnOnce(Result<(), Unwritten>) + Send + 'static,
    ) -> Result<(), Unwritten> {
        let refreshes = Arc::new(refreshes);
        let (journal, written, answered) = (self.clone(), refreshes.clone(), refreshes.clone());
        let job = move |txn: &mut Txn<'_>| journal.write(txn, &written);
        let answer = move |result: Result<(), StoreError>| {
            done(result.map_err(|error| Unwritten { error, refreshes: Arc::unwrap_or_clone(answered) }));
        };
        store
            .transact(job, answer)
            .map_err(|error| Unwritten { error, refreshes: Arc::unwrap_or_clone(refreshes) })
    }

    /// Appends within a job.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub fn write(&self, txn: &mut Txn<'_>, refreshes: &Packed) -> Result<(), StoreError> {
        for record in refreshes.records() {
            let seq = self.0.fetch_add(1, Ordering::Relaxed);
            let record = Value::new(record.clone());
            txn.put(&JOURNAL.key(&["r", &key::ordered(seq)])?, record, Expect::Any)?;
        }
        Ok(())
    }

    /// Begins a snapshot. Each chunk given to it must be made from state that holds every refresh
    /// appended before this call.
    #[must_use]
    pub fn begin(&self) -> Snapshot {
        Snapshot { seq: self.0.fetch_add(1, Ordering::Relaxed), chunks: 0 }
    }
}

/// A snapshot being written.
#[derive(Debug)]
pub struct Snapshot {
    seq: u64,
    chunks: u64,
}

impl Snapshot {
    /// Writes some more of the table; durable when it returns. A thousand at a time is good.
    ///
    /// # Errors
    /// As [`Store::run`]; the snapshot is then void.
    ///
    /// # Cancel safety
    /// Not cancel safe: a snapshot of which an `add` was dropped must be dropped, too.
    pub async fn add(&mut self, store: &Store, refreshes: Packed) -> Result<(), StoreError> {
        let (seq, from) = (self.seq, self.chunks);
        self.chunks += store.run(move |txn| chunk(txn, seq, from, &refreshes)).await?;
        Ok(())
    }

    /// Makes it the one that counts, then drops what is older.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a later one was finished meanwhile; as [`Store::run`].
    ///
    /// # Cancel safety
    /// Cancel safe: what remains to be dropped is dropped by the next one.
    pub async fn finish(self, store: &Store) -> Result<(), StoreError> {
        let head = Head { seq: self.seq, chunks: self.chunks };
        store.run(move |txn| install(txn, head)).await?;
        while store.run(move |txn| prune(txn, head)).await? {}
        Ok(())
    }
}

/// Writes refreshes as chunks `from`, …; says how many.
fn chunk(txn: &mut Txn<'_>, seq: u64, from: u64, refreshes: &Packed) -> Result<u64, StoreError> {
    let mut index = from;
    for record in refreshes.records() {
        let key = JOURNAL.key(&["s", &key::ordered(seq), &key::ordered(index)])?;
        txn.put(&key, Value::new(record.clone()), Expect::Any)?;
        index += 1;
    }
    Ok(index - from)
}

fn install(txn: &mut Txn<'_>, head: Head) -> Result<(), StoreError> {
    HEAD.update(txn, &["head"], |present| match present {
        Some(present) if present.seq >= head.seq => Err(StoreError::Conflict),
        _ => Ok(Some(head)),
    })
    .map(drop)
}

/// Removes some of what is older than the head; says whether there is more.
fn prune(txn: &mut Txn<'_>, head: Head) -> Result<bool, StoreError> {
    for kind in ["r", "s"] {
        let mut left = JOURNAL_PRUNE;
        for (key, _) in txn.scan(&JOURNAL.prefix(&[kind])?, None, JOURNAL_PRUNE)? {
            if numbers(&key).is_some_and(|(seq, _)| seq >= head.seq) {
                break;
            }
            txn.delete(&key, Expect::Any)?;
            left -= 1;
        }
        if left < JOURNAL_PRUNE {
            return Ok(true);
        }
    }
    Ok(false)
}

/// SEQ and INDEX of a record's or chunk's key.
fn numbers(key: &Key) -> Option<(u64, u64)> {
    let parts = key.parts()?;
    let number = |at: usize| u64::from_str_radix(parts.get(at)?, 16).ok();
    Some((number(1)?, number(2).unwrap_or(0)))
}

fn each(view: &View<'_>, prefix: &Prefix, mut see: impl FnMut(&Key, &Value)) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = view.scan(prefix, after.as_ref(), PAGE)?;
        page.iter().for_each(|(key, record)| see(key, &record.value));
        match page.into_iter().next_back() {
            Some((key, _)) => after = Some(key),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limit::JOURNAL_RECORD_BYTES;
    use super::super::packed::tests::refresh;
    use super::*;
    use crate::base::time::Wall;
    use crate::store::Backend;
    use crate::store::memory::Memory;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Last CSeq of each binding.
    type Bindings = BTreeMap<u32, u32>;

    fn replay(memory: &Memory) -> (Journal, Bindings, Replayed) {
        let mut table = Bindings::new();
        let view = View::new(memory, Wall::default());
        let (journal, replayed) =
            Journal::open(&view, |refresh| table.extend([(refresh.number, refresh.cseq)])).unwrap();
        (journal, table, replayed)
    }

    fn on<T>(memory: &Memory, job: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError>) -> T {
        job(&mut Txn::new(memory, Wall::default(), &mut Vec::new())).unwrap()
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// A phone refreshes this binding: in memory only.
        Refresh(u32),
        /// What was gathered is appended.
        Append,
        /// The group is flushed.
        Flush,
        /// The snapshot goes on by one step: begin, chunk …, head, prune ….
        Snapshot,
        /// The process dies; of what was staged this many writes were kept.
        Crash(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..6_u32).prop_map(Step::Refresh),
            3 => Just(Step::Append),
            2 => Just(Step::Flush),
            4 => Just(Step::Snapshot),
            1 => (0..6_usize).prop_map(Step::Crash),
        ];
        prop::collection::vec(step, 0..120)
    }

    /// A snapshot under way in the test: what is still to be written of it.
    enum Writing {
        Chunks(Snapshot, u32),
        Pruning(Head),
    }

    fn snapshot_step(
        memory: &Memory,
        journal: &Journal,
        table: &Bindings,
        writing: Option<Writing>,
    ) -> Option<Writing> {
        match writing {
            None => Some(Writing::Chunks(journal.begin(), 0)),
            Some(Writing::Chunks(mut snapshot, at)) if at < 6 => {
                // Two bindings a chunk, as they are by now.
                let mut rows = Packed::default();
                table.range(at..at + 2).for_each(|(n, cseq)| rows.add(&refresh(*n, *cseq)));
                snapshot.chunks += on(memory, |txn| chunk(txn, snapshot.seq, snapshot.chunks, &rows));
                Some(Writing::Chunks(snapshot, at + 2))
            }
            Some(Writing::Chunks(snapshot, _)) => {
                let head = Head { seq: snapshot.seq, chunks: snapshot.chunks };
                on(memory, |txn| install(txn, head));
                Some(Writing::Pruning(head))
            }
            Some(Writing::Pruning(head)) => {
                on(memory, |txn| prune(txn, head)).then_some(Writing::Pruning(head))
            }
        }
    }

    proptest! {
        #[test]
        fn a_crash_at_any_point_loses_only_what_was_not_flushed(steps in steps()) {
            let memory = Memory::new();
            let (mut journal, mut table, _) = replay(&memory);
            let (mut gathered, mut appended, mut durable) = (Vec::<Refresh>::new(), Bindings::new(), Bindings::new());
            let mut writing = None;
            for step in steps.into_iter().chain([Step::Crash(0)]) {
                match step {
                    Step::Refresh(number) => {
                        let cseq = table.entry(number).and_modify(|cseq| *cseq += 1).or_insert(1);
                        gathered.push(refresh(number, *cseq));
                    }
                    Step::Append => {
                        on(&memory, |txn| journal.write(txn, &gathered.iter().collect()));
                        appended.extend(gathered.drain(..).map(|refresh| (refresh.number, refresh.cseq)));
                    }
                    Step::Flush => {
                        memory.flush().unwrap();
                        durable = appended.clone();
                    }
                    Step::Snapshot => writing = snapshot_step(&memory, &journal, &table, writing),
                    Step::Crash(kept) => {
                        memory.crash(kept);
                        let (again, replayed, counts) = replay(&memory);
                        prop_assert_eq!(counts.corrupt, 0);
                        for (number, cseq) in &durable {
                            prop_assert!(replayed.get(number) >= Some(cseq), "{replayed:?} of {durable:?}");
                        }
                        for (number, cseq) in &replayed {
                            prop_assert!(table.get(number) >= Some(cseq), "{replayed:?} of {table:?}");
                        }
                        (journal, writing) = (again, None);
                        gathered.clear();
                        (table, appended, durable) = (replayed.clone(), replayed.clone(), replayed);
                    }
                }
            }
        }
    }

    fn one(number: u32, cseq: u32) -> Packed {
        [&refresh(number, cseq)].into_iter().collect()
    }

    fn keys(memory: &Memory) -> usize {
        memory.scan(&Prefix::everything(), None, 10_000).unwrap().len()
    }

    #[test]
    fn records_are_packed_and_a_snapshot_drops_them() {
        let memory = Arc::new(Memory::new());
        let clock: Arc<dyn Fn() -> Wall + Send + Sync> = Arc::new(Wall::default);
        let store = Store::start(memory.clone(), clock, metrics::Histogram::noop()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (journal, _, _) = replay(&memory);
        let (sender, receiver) = std::sync::mpsc::channel();
        for round in 1..=700 {
            let sender = sender.clone();
            let gathered: Vec<_> = (0..10).map(|number| refresh(number, round)).collect();
            let done = move |result: Result<(), Unwritten>| sender.send(result.is_ok()).unwrap();
            journal.append(&store, gathered.iter().collect(), done).unwrap();
        }
        assert!(receiver.iter().take(700).all(|good| good));
        assert_eq!(keys(&memory), 700, "one record an interval");
        let (_, table, counts) = replay(&memory);
        assert_eq!(counts, Replayed { refreshes: 7_000, records: 700, corrupt: 0 });
        for _ in 0..2 {
            let mut snapshot = journal.begin();
            for (number, cseq) in &table {
                runtime.block_on(snapshot.add(&store, one(*number, *cseq))).unwrap();
            }
            runtime.block_on(snapshot.finish(&store)).unwrap();
            assert_eq!(keys(&memory), 11, "ten chunks of the newest snapshot, and its head");
        }
        assert_eq!(replay(&memory).1, table);
        let many: Vec<_> = (0..2_000).map(|number| refresh(number, 1)).collect();
        let many: Packed = many.iter().collect();
        store.run_blocking(move |txn| journal.write(txn, &many)).unwrap();
        let values = memory.scan(&JOURNAL.prefix(&["r"]).unwrap(), None, 1_000).unwrap();
        assert!(values.len() > 2 && values.iter().all(|it| it.value.len() < JOURNAL_RECORD_BYTES + 100));
        store.close();
    }

    #[test]
    fn what_cannot_be_queued_or_kept_comes_back() {
        let clock: Arc<dyn Fn() -> Wall + Send + Sync> = Arc::new(Wall::default);
        let (store, committer) =
            Store::with_committer(Arc::new(Memory::new()), clock, metrics::Histogram::noop());
        let (journal, _) = Journal::open(&store.view(), drop).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        journal.append(&store, one(1, 1), move |it| sender.send(it).unwrap()).unwrap();
        while store.transact(|_| Ok::<_, StoreError>(()), |_| {}).is_ok() {}
        let unwritten = journal.append(&store, one(2, 2), |_| panic!("it was refused")).unwrap_err();
        assert_eq!((unwritten.error, unwritten.refreshes), (StoreError::Busy, one(2, 2)));
        drop(committer);
        assert_eq!(receiver.recv().unwrap().unwrap_err().refreshes, one(1, 1));
    }

    #[test]
    fn an_older_snapshot_does_not_replace_a_newer_one() {
        let memory = Memory::new();
        let (journal, _, _) = replay(&memory);
        let (old, new) = (journal.begin(), journal.begin());
        on(&memory, |txn| install(txn, Head { seq: new.seq, chunks: 0 }));
        let late = install(
            &mut Txn::new(&memory, Wall::default(), &mut Vec::new()),
            Head { seq: old.seq, chunks: 0 },
        );
        assert_eq!(late, Err(StoreError::Conflict));
    }
}
