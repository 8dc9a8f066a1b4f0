//! Tests that opening a store removes no other data, and tests of the order of the history.
//!
//! Cases: moved key files, copies in the directory, read-only storage, other processes.

use std::{sync::mpsc, thread};

use super::{tests::KEY, *};
use crate::history::Interaction;

fn real(item: &str, time: Option<i64>) -> Record {
    Record::real(Interaction { time, ..Interaction::new(item, "A text.") })
}

/// Returns names and bytes of all files.
fn files_in(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let file = |e: fs::DirEntry| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap());
    let mut all: Vec<_> = fs::read_dir(dir).unwrap().map(|e| file(e.unwrap())).collect();
    all.sort();
    all
}

#[test]
fn a_data_file_without_its_key_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (store, aside) = (dir.path().join("s"), dir.path().join("aside"));
    Store::open(&store, &KEY).unwrap().append(&real("a", None)).unwrap();
    fs::rename(store.join(keyfile::NAME), &aside).unwrap();
    let before = files_in(&store);
    let refused = Store::open(&store, &KEY).err().unwrap();
    assert!(matches!(refused, StoreError::KeyFileMissing { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("locket.key") && said.contains("put it back, or erase"), "{said}");
    assert!(Store::exists(&store));
    assert!(files_in(&store) == before);
    fs::rename(&aside, store.join(keyfile::NAME)).unwrap();
    assert_eq!(Store::open(&store, &KEY).unwrap().len().unwrap(), 1);
    // The alternative: erasing the store without its key.
    fs::remove_file(store.join(keyfile::NAME)).unwrap();
    Store::erase_unopened(&store).unwrap();
    assert!(!store.exists());
    Store::erase_unopened(&store).unwrap();
    assert!(!store.exists());
}

#[test]
fn files_of_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = [
        "locket-backup.redb",
        "locket-1 (conflicted copy).redb",
        "locket-1.redb.bak",
        "locket-01.redb",
        "locket-7.redb",
        "locket.key.old",
        "notes.txt",
    ];
    Store::open(dir.path(), &KEY).unwrap().append_all(&[real("a", None), real("b", None)]).unwrap();
    for name in theirs {
        fs::write(dir.path().join(name), name).unwrap();
    }
    fs::create_dir(dir.path().join(files::SESSIONS)).unwrap();
    fs::write(dir.path().join(files::SESSIONS).join("therapy.txt"), "mine").unwrap();
    let all_there = |but: &[&str]| {
        for name in theirs.iter().filter(|name| !but.contains(name)) {
            assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), *name);
        }
        assert_eq!(fs::read_to_string(dir.path().join("sessions/therapy.txt")).unwrap(), "mine");
    };
    let mut store = Store::open(dir.path(), &KEY).unwrap();
    all_there(&[]);
    store.change_key(&KEY).unwrap();
    store.forget(0).unwrap();
    drop(store);
    let store = Store::open(dir.path(), &KEY).unwrap();
    assert_eq!(store.len().unwrap(), 1);
    all_there(&[]);
    // A file with a data file's exact name counts as the store's own.
    store.erase().unwrap();
    all_there(&["locket-7.redb"]);
    assert!(!dir.path().join(keyfile::NAME).exists() && !dir.path().join("locket-7.redb").exists());
}

/// A plain-text store next to a newer one is removed only if all its records were migrated.
#[test]
fn an_unencrypted_store_that_was_not_taken_over_stays() {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/store-layout1.redb.zst");
    let clear = zstd::decode_all(File::open(golden).unwrap()).unwrap();
    let path = dir.path().join("locket.redb");
    Store::open(dir.path(), &KEY).unwrap().append(&real("a", None)).unwrap();
    fs::write(&path, &clear).unwrap();
    drop(Store::open(dir.path(), &KEY).unwrap());
    assert!(path.exists());
    Store::open(dir.path(), &KEY).unwrap().append_all(&migrate::read(dir.path()).unwrap()).unwrap();
    drop(Store::open(dir.path(), &KEY).unwrap());
    assert!(!path.exists());
}

/// Another process may have died while it wrote. redb would repair the file, which is not possible
/// on read-only storage.
#[test]
fn a_store_that_cannot_be_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (place, copy) = (dir.path().join("s"), dir.path().join("copy"));
    let store = Store::open(&place, &KEY).unwrap();
    store.append_all(&[real("a", None), real("b", None)]).unwrap();
    fs::create_dir(&copy).unwrap();
    for (name, bytes) in files_in(&place) {
        fs::write(copy.join(name), bytes).unwrap();
    }
    let cannot = || {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        StoreError::Io { action: "lock", path: copy.clone(), source }
    };
    let open = |key: &Key| Store::open_read_only(&copy, key, files::shared_lock(&copy, Duration::ZERO)?, cannot());
    let before = files_in(&copy);
    let read = open(&KEY).unwrap();
    let second = open(&KEY).unwrap();
    assert_eq!(read.records().unwrap(), store.records().unwrap());
    assert_eq!(second.export().unwrap(), store.export().unwrap());
    let refused = |done: Result<(), StoreError>| assert!(matches!(done, Err(StoreError::ReadOnly(_))), "{done:?}");
    refused(read.append(&real("c", None)).map(drop));
    refused(read.import(&store.export().unwrap()).map(drop));
    refused(read.replace_synthetic(&[]));
    refused(read.forget(0).map(drop));
    refused(second.erase());
    let mut read = read;
    refused(read.change_key(&KEY));
    assert!(!read.caches().keep("unfinished", b"sealed"));
    assert!(files_in(&copy) == before);
    assert!(matches!(open(&Key::new([9; 32])), Err(StoreError::WrongKey(_))));
    // A reader's lock excludes writers.
    assert!(matches!(Store::open(&copy, &KEY), Err(StoreError::Locked(_))));
    drop(read);
    let writing = Store::open(&copy, &KEY).unwrap();
    assert!(matches!(open(&KEY), Err(StoreError::Locked(_))));
    drop(writing);
    fs::remove_file(copy.join(files::LOCK)).unwrap();
    assert_eq!(open(&KEY).unwrap().len().unwrap(), 2);
    assert!(!copy.join(files::LOCK).exists());
    // A plain-text store cannot be migrated on read-only storage.
    fs::remove_file(copy.join(keyfile::NAME)).unwrap();
    fs::write(copy.join("locket.redb"), "").unwrap();
    assert!(matches!(open(&KEY), Err(StoreError::ReadOnly(_))));
}

#[test]
fn an_opener_waits_for_another_even_if_that_one_erases() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    for erases in [false, true] {
        let held = Store::open(&path, &KEY).unwrap();
        held.append(&real("a", None)).unwrap();
        let (tell, told) = mpsc::channel();
        let waiting = path.clone();
        let waiter = thread::spawn(move || {
            tell.send(()).unwrap();
            Store::open_within(waiting, &KEY, Duration::from_secs(3600)).unwrap()
        });
        told.recv().unwrap();
        // Long enough for the other thread to wait, usually.
        thread::sleep(Duration::from_millis(50));
        if erases {
            held.erase().unwrap()
        } else {
            drop(held)
        }
        let store = waiter.join().unwrap();
        assert_eq!(store.is_empty().unwrap(), erases);
        // The new holder's lock is effective for others.
        assert!(matches!(Store::open(&path, &KEY), Err(StoreError::Locked(_))));
    }
}

#[test]
fn records_stand_in_the_order_of_their_times() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &KEY).unwrap();
    let ms = 1_700_000_000_000;
    store.append(&real("second", Some(ms))).unwrap();
    store.append(&real("after the second", None)).unwrap();
    store.append(&real("first", Some(ms / 1000 - 60))).unwrap();
    assert!(store.append(&real("never", Some(-3))).is_err());
    // Times as earlier versions stored them.
    let old = [real("old, in seconds", Some(ms / 1000 - 3600)), real("old, negative", Some(-7))];
    store.now().records.append(&old).unwrap();
    let records = store.records().unwrap();
    let found: Vec<_> = records.iter().map(|r| (r.interaction.item.as_str(), r.interaction.time)).collect();
    let expected = [
        ("old, in seconds", Some(ms - 3_600_000)),
        ("old, negative", None),
        ("first", Some(ms - 60_000)),
        ("second", Some(ms)),
        ("after the second", None),
    ];
    assert_eq!(found, expected);
    assert_eq!(store.export().unwrap().records, records);
    assert_eq!(store.entries().unwrap().iter().map(|e| e.id).collect::<Vec<_>>(), [3, 4, 2, 0, 1]);
}
