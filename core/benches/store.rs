//! What encryption costs: the same store sealed and in the clear, 1,000 records of a few lines each.
//! `cargo bench -p locket --bench store`
#![allow(clippy::unwrap_used)]

use locket::{
    interaction::{Interaction, Record},
    store::{Key, Store, StoreError},
};

fn main() {
    divan::main();
}

const KEY: Key = Key::new([7; 32]);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Clear,
    Sealed,
}

const KINDS: [Kind; 2] = [Kind::Clear, Kind::Sealed];

fn open(kind: Kind, dir: &std::path::Path) -> Result<Store, StoreError> {
    match kind {
        Kind::Clear => Store::open_clear(dir),
        Kind::Sealed => Store::open(dir, &KEY),
    }
}

fn record(n: usize) -> Record {
    let text = format!("Text number {n}. ") + &"It keeps tea warm for an hour, and my hands too. ".repeat(6);
    Record::real(Interaction::new(format!("item {n}"), text).with_title("A title of a few words").with_rating(4.0))
}

fn filled(kind: Kind) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    open(kind, dir.path()).unwrap().append_all(&(0..1000).map(record).collect::<Vec<_>>()).unwrap();
    dir
}

/// Opening the store and reading everything.
#[divan::bench(args = KINDS, sample_count = 200)]
fn open_and_read_1000(bencher: divan::Bencher<'_, '_>, kind: Kind) {
    let dir = filled(kind);
    bencher.bench_local(|| open(kind, dir.path()).unwrap().records().unwrap().len());
}

/// Reading everything from an open store.
#[divan::bench(args = KINDS, sample_count = 200)]
fn read_1000(bencher: divan::Bencher<'_, '_>, kind: Kind) {
    let dir = filled(kind);
    let store = open(kind, dir.path()).unwrap();
    bencher.bench_local(|| store.records().unwrap().len());
}

/// Recording one more, with its syncs to disk.
#[divan::bench(args = KINDS, sample_count = 100)]
fn record_one_more(bencher: divan::Bencher<'_, '_>, kind: Kind) {
    let dir = filled(kind);
    let store = open(kind, dir.path()).unwrap();
    bencher.bench_local(|| store.append(&record(1000)).unwrap());
}
