//! Simulated power cuts: redb on a disk that stops at any write.
//!
//! The disk then keeps any part of the unsynced writes, torn and in any order. After each cut
//! exactly the committed records must be there.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::{Builder, Database, StorageBackend};

use super::{change::without, keyfile::KeyFile, records::Records, *};
use crate::history::{Interaction, Origin};

/// A random generator: seed and counter. Equal seeds give equal sequences.
struct Random(u64, u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.1 += 1;
        crate::hash::draw(self.0, self.1) % n
    }
}

enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>, most: usize) {
        match self {
            Self::Length(length) => image.resize(*length as usize, 0),
            Self::Bytes(at, bytes) => {
                let bytes = &bytes[..bytes.len().min(most)];
                let end = *at as usize + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*at as usize..end].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Default)]
struct Disk {
    /// Bytes that survive a power cut.
    durable: Vec<u8>,
    /// Bytes visible to reads.
    seen: Vec<u8>,
    /// Changes since the last sync.
    pending: Vec<Change>,
    changes: u64,
    /// Number of the change at which the power fails.
    cut: Option<u64>,
    /// Reports a sync without syncing.
    lies: bool,
}

/// A handle on a disk, owned by redb.
#[derive(Clone)]
struct Handle(Arc<Mutex<Disk>>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl Handle {
    fn new(image: Vec<u8>, cut: Option<u64>) -> Self {
        Self(Arc::new(Mutex::new(Disk { seen: image.clone(), durable: image, cut, ..Disk::default() })))
    }

    /// An empty file on the same machine: one power cut stops both.
    fn beside(&self) -> Self {
        let disk = self.disk();
        let (changes, cut) = (disk.changes, disk.cut);
        drop(disk);
        Self(Arc::new(Mutex::new(Disk { changes, cut, ..Disk::default() })))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> Result<Database, redb::DatabaseError> {
        Builder::new().create_with_backend(self.clone())
    }

    /// Returns the disk, or an error after the power cut.
    fn alive(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk();
        if disk.cut.is_some_and(|cut| disk.changes >= cut) { Err(io::Error::other("no power")) } else { Ok(disk) }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut disk = self.disk();
        disk.changes += 1;
        // The change in progress may still reach the disk, completely or partly.
        change.apply(&mut disk.seen, usize::MAX);
        disk.pending.push(change);
        drop(disk);
        self.alive().map(drop)
    }

    /// Returns the disk's bytes after a power cut: any part of the unsynced changes, torn, in any
    /// order.
    fn after_power_loss(&self, random: &mut Random) -> Vec<u8> {
        let disk = self.disk();
        let mut image = disk.durable.clone();
        let mut order: Vec<usize> = (0..disk.pending.len()).collect();
        match random.below(4) {
            // No change, all changes, the first ones, or a shuffled selection.
            0 => order.clear(),
            1 => {}
            2 => order.truncate(random.below(order.len() as u64 + 1) as usize),
            _ => {
                for n in (1..order.len()).rev() {
                    order.swap(n, random.below(n as u64 + 1) as usize);
                }
                order.retain(|_| random.below(3) > 0);
            }
        }
        for n in order {
            let torn = random.below(4) == 0;
            let most = match &disk.pending[n] {
                Change::Bytes(_, bytes) if torn => random.below(bytes.len() as u64 + 1) as usize,
                _ => usize::MAX,
            };
            disk.pending[n].apply(&mut image, most);
        }
        image
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.alive()?;
        let from = offset as usize;
        let bytes = disk.seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.alive()?;
        if !disk.lies {
            disk.durable = disk.seen.clone();
            disk.pending.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes(offset, data.to_vec()))
    }
}

#[derive(Debug, Clone)]
enum Op {
    Append(Vec<Record>),
    Replace(Vec<Record>),
    /// Forgets one record, if there are any; the others are written to a new file.
    Forget(usize),
    Reopen,
}

fn record(random: &mut Random, synthetic: bool) -> Record {
    // One record in eight has up to several pages, the others a few lines.
    let length = if random.below(8) == 0 { random.below(12_000) } else { random.below(600) };
    let text: String = (0..=length).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
    let origin = match synthetic {
        true => Origin::Synthetic { path: Default::default(), model: "m".into() },
        false => Origin::Real,
    };
    Record { interaction: Interaction::new(format!("item {}", random.below(1 << 30)), text), origin }
}

fn operations(random: &mut Random) -> Vec<Op> {
    let count = 2 + random.below(8);
    let mut some = |synthetic, most| (0..random.below(most)).map(|_| record(random, synthetic)).collect::<Vec<_>>();
    let mut ops = Vec::new();
    for n in 0..count {
        ops.push(match some(false, 9).len() {
            0..5 => Op::Append(some(false, 4)),
            5..7 => Op::Replace(some(true, 4)),
            7 if n > 0 => Op::Reopen,
            8 if n > 0 => Op::Forget(n as usize * 7),
            _ => Op::Append(some(false, 2)),
        });
    }
    ops
}

/// Applies an operation to the reference model.
fn apply(model: &mut Vec<Record>, op: &Op) {
    match op {
        Op::Append(records) => model.extend(records.iter().cloned()),
        Op::Replace(records) => {
            model.retain(|r| !r.is_synthetic());
            model.extend(records.iter().cloned());
        }
        Op::Forget(_) if model.is_empty() => {}
        Op::Forget(n) => {
            if !model.remove(n % model.len()).is_synthetic() {
                model.retain(|r| !r.is_synthetic());
            }
        }
        Op::Reopen => {}
    }
}

/// Forgets a record as a store does. The new file replaces the old one when it is complete.
fn forget(store: &Records, n: usize, disk: &mut Handle, file: &mut KeyFile) -> Result<Option<Records>, StoreError> {
    let (records, lasting) = store.read_whole()?;
    let Some((id, _)) = records.get(n % records.len().max(1)) else { return Ok(None) };
    let ids = [*id];
    let (fresh, key) = (disk.beside(), KeyFile::generate(file.generation + 1)?);
    let made = Records::create(fresh.database()?, cipher(&key), Path::new("simulated"))?;
    made.fill(&without(records, &ids)?, &lasting)?;
    (*disk, *file) = (fresh, key);
    Ok(Some(made))
}

/// Runs the operations until one fails, and returns the number of successes.
fn run(mut store: Records, disk: &mut Handle, file: &mut KeyFile, ops: &[Op]) -> usize {
    let dir = Path::new("simulated");
    for (n, op) in ops.iter().enumerate() {
        let done = match op {
            Op::Append(records) => store.append(records).map(drop),
            Op::Replace(records) => store.replace(|r| !r.is_synthetic(), records).map(drop),
            Op::Forget(n) => forget(&store, *n, disk, file).map(|made| {
                if let Some(made) = made {
                    store = made;
                }
            }),
            Op::Reopen => {
                drop(store);
                match disk.database().map_err(StoreError::from).and_then(|db| Records::open(db, cipher(file), dir)) {
                    Ok(opened) => {
                        store = opened;
                        continue;
                    }
                    Err(_) => return n,
                }
            }
        };
        if done.is_err() {
            return n;
        }
    }
    ops.len()
}

/// Number of simulated power cuts per test run: LOCKET_CRASHES, or 12,000.
fn wanted() -> u64 {
    std::env::var("LOCKET_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(12_000)
}

#[test]
#[allow(clippy::print_stdout)]
fn after_any_power_cut_exactly_the_committed_records_are_there() {
    let dir = Path::new("simulated");
    let file = KeyFile::generate(1).unwrap();
    let (mut cuts, mut sequences, mut unfinished_kept) = (0u64, 0u64, 0u64);
    for seed in 0.. {
        let mut random = Random(seed, 0);
        let ops = operations(&mut random);
        // Every sequence starts from a new store after a sync.
        let disk = Handle::new(Vec::new(), None);
        drop(Records::create(disk.database().unwrap(), cipher(&file), dir).unwrap());
        let start = disk.disk().durable.clone();
        let mut whole = Handle::new(start.clone(), None);
        let opened = Records::open(whole.database().unwrap(), cipher(&file), dir).unwrap();
        assert_eq!(run(opened, &mut whole, &mut file.clone(), &ops), ops.len());
        sequences += 1;
        let changes = whole.disk().changes;
        for cut in 1..=changes {
            let (mut disk, mut file) = (Handle::new(start.clone(), Some(cut)), file.clone());
            let opened = disk.database().map_err(StoreError::from);
            let finished = opened
                .and_then(|db| Records::open(db, cipher(&file), dir))
                .map_or(0, |store| run(store, &mut disk, &mut file, &ops));
            let mut model = Vec::new();
            ops[..finished].iter().for_each(|op| apply(&mut model, op));

            let image = disk.after_power_loss(&mut random);
            let again = Handle::new(image, None);
            let found = Records::open(again.database().unwrap(), cipher(&file), dir).unwrap();
            let records: Vec<Record> = found.read().unwrap().into_iter().map(|(_, r)| r).collect();
            if records != model {
                // The interrupted operation may have become durable just before the cut, but only
                // as a whole.
                let op = ops.get(finished).unwrap_or_else(|| panic!("seed {seed}, cut {cut}: records were lost"));
                apply(&mut model, op);
                assert!(records == model, "seed {seed}, cut {cut} in operation {finished}: {op:?}");
                unfinished_kept += 1;
            }
            // The store accepts further records.
            let more = record(&mut random, false);
            found.append(std::slice::from_ref(&more)).unwrap();
            assert_eq!(found.read().unwrap().last().map(|r| r.1.clone()), Some(more));
            cuts += 1;
        }
        if cuts >= wanted() {
            break;
        }
    }
    println!(
        "{cuts} power cuts in {sequences} sequences: nothing lost, nothing in part ({unfinished_kept} unreturned commits whole)"
    );
}

/// A disk that fails one write and then recovers: the operation fails, the store is unchanged.
#[test]
fn a_failed_write_leaves_what_was() {
    let dir = Path::new("simulated");
    let file = KeyFile::generate(1).unwrap();
    let disk = Handle::new(Vec::new(), None);
    let store = Records::create(disk.database().unwrap(), cipher(&file), dir).unwrap();
    let mut random = Random(1, 0);
    let first = record(&mut random, false);
    store.append(std::slice::from_ref(&first)).unwrap();
    let now = disk.disk().changes;
    disk.disk().cut = Some(now + 1);
    assert!(store.append(&[record(&mut random, false)]).is_err());
    disk.disk().cut = None;
    drop(store);
    let store = Records::open(disk.database().unwrap(), cipher(&file), dir).unwrap();
    assert_eq!(store.read().unwrap().into_iter().map(|r| r.1).collect::<Vec<_>>(), [first]);
}

/// Checks the simulation itself: a disk that does not sync loses committed records.
#[test]
fn a_lying_disk_is_noticed() {
    let dir = Path::new("simulated");
    let file = KeyFile::generate(1).unwrap();
    let lost = (0..40).filter(|&seed| {
        let mut random = Random(seed, 0);
        let disk = Handle::new(Vec::new(), None);
        let store = Records::create(disk.database().unwrap(), cipher(&file), dir).unwrap();
        disk.disk().lies = true;
        store.append(&[record(&mut random, false)]).unwrap();
        let again = Handle::new(disk.after_power_loss(&mut random), None);
        let found = again.database().map_err(StoreError::from).and_then(|db| Records::open(db, cipher(&file), dir));
        found.and_then(|f| f.read()).map_or(0, |records| records.len()) == 0
    });
    assert!(lost.count() > 5);
}
