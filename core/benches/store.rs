//! Speed of the encrypted store with 1,000 records of a few lines each.
//!
//! `cargo bench -p locket --bench store`
#![allow(clippy::unwrap_used)]

use locket::{Interaction, Key, Record, Store};

fn main() {
    divan::main();
}

const KEY: Key = Key::new([7; 32]);

fn open(dir: &std::path::Path) -> Store {
    Store::open(dir, &KEY).unwrap()
}

fn record(n: usize) -> Record {
    let text = format!("Text number {n}. ") + &"It keeps tea warm for an hour, and my hands too. ".repeat(6);
    Record::real(Interaction::new(format!("item {n}"), text).with_title("A title of a few words").with_rating(4.0))
}

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).append_all(&(0..1000).map(record).collect::<Vec<_>>()).unwrap();
    dir
}

/// Opens the store and reads all records.
#[divan::bench(sample_count = 200)]
fn open_and_read_1000(bencher: divan::Bencher<'_, '_>) {
    let dir = filled();
    bencher.bench_local(|| open(dir.path()).records().unwrap().len());
}

/// Reads all records from an open store.
#[divan::bench(sample_count = 200)]
fn read_1000(bencher: divan::Bencher<'_, '_>) {
    let dir = filled();
    let store = open(dir.path());
    bencher.bench_local(|| store.records().unwrap().len());
}

/// Appends one record, with its syncs to disk.
#[divan::bench(sample_count = 100)]
fn record_one_more(bencher: divan::Bencher<'_, '_>) {
    let dir = filled();
    let store = open(dir.path());
    bencher.bench_local(|| store.append(&record(1000)).unwrap());
}
