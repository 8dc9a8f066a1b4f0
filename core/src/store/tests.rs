//! Tests of a store on a real directory.

use super::*;
use crate::{
    history::{Interaction, Origin},
    plan::ReasoningPath,
};

pub(super) const KEY: Key = Key::new([7; 32]);

/// Opens the store of [`KEY`], stopped where `step` returns an error.
pub(super) fn open_by_steps(dir: &Path, step: Step<'_>) -> Result<Store, StoreError> {
    Store::open_locked(dir, &KEY, files::lock(dir, Duration::ZERO)?, step)
}

fn synthetic(item: &str) -> Record {
    let origin = Origin::Synthetic { path: ReasoningPath::default(), model: "m".into() };
    Record { interaction: Interaction::new(item, "made up"), origin }
}

#[test]
fn records_survive_reopening_and_export() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/store");
    let store = Store::open(&path, &KEY).unwrap();
    store.append(&Record::real(Interaction::new("a", "first").with_rating(4.0))).unwrap();
    store.append(&synthetic("b")).unwrap();
    drop(store);
    let store = Store::open(&path, &KEY).unwrap();
    assert_eq!(store.len().unwrap(), 2);
    let export = store.export().unwrap();
    let json = serde_json::to_string(&export).unwrap();
    let other = Store::open(dir.path().join("other"), &KEY).unwrap();
    let imported = other.import(&serde_json::from_str(&json).unwrap()).unwrap();
    assert_eq!(imported, Imported { added: 2, known: 0 });
    assert_eq!(other.records().unwrap(), store.records().unwrap());
}

#[test]
fn a_bad_record_keeps_the_whole_batch_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &KEY).unwrap();
    let good = Record::real(Interaction::new("a", "x"));
    let bad = Record::real(Interaction::new("a", "x").with_rating(7.0));
    assert!(matches!(store.append_all(&[good, bad]), Err(StoreError::Interaction(_))));
    assert!(store.is_empty().unwrap());
}

#[test]
fn synthetic_records_are_replaced_and_real_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &KEY).unwrap();
    let real = Record::real(Interaction::new("a", "x"));
    store.append_all(&[synthetic("old"), real.clone()]).unwrap();
    store.replace_synthetic(&[synthetic("new")]).unwrap();
    assert_eq!(store.records().unwrap(), [real.clone(), synthetic("new")]);
    assert!(store.replace_synthetic(&[real]).is_err());
    assert_eq!(store.len().unwrap(), 2);
}

#[test]
fn two_openers_are_told_and_erase_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let store = Store::open(&path, &KEY).unwrap();
    assert!(matches!(Store::open(&path, &KEY), Err(StoreError::Locked(_))));
    store.append(&Record::real(Interaction::new("a", "secret"))).unwrap();
    store.erase().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for name in [keyfile::NAME, "locket.redb"] {
        fs::write(dir.path().join(name), vec![7u8; 5000]).unwrap();
        assert!(Store::open(dir.path(), &KEY).is_err());
        fs::remove_file(dir.path().join(name)).unwrap();
    }
}

/// Returns the bytes of all files in a directory.
pub(super) fn raw(dir: &Path) -> Vec<u8> {
    let files = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    files.flat_map(|f| fs::read(f).unwrap()).collect()
}

pub(super) fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle.as_bytes())
}

const OTHER: Key = Key::new([8; 32]);

fn real(item: &str, text: &str) -> Record {
    let interaction = Interaction {
        item_title: Some("A named thing".into()),
        category: Some("kitchenware".into()),
        ..Interaction::new(item, text).with_title("Headline of mine").with_rating(4.0)
    };
    Record::real(interaction)
}

const SECRETS: [&str; 6] =
    ["item-4711", "my very own words", "Headline of mine", "A named thing", "kitchenware", "made up"];

fn filled(dir: &Path) -> Vec<Record> {
    let store = Store::open(dir, &KEY).unwrap();
    let records = [real("item-4711", "These are my very own words."), synthetic("b")];
    store.append_all(&records).unwrap();
    store.append(&real("c", "Another one, längere Wörter.")).unwrap();
    store.records().unwrap()
}

#[test]
fn nothing_is_readable_in_the_files_and_erasing_leaves_not_even_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let records = filled(&path);
    // The search in the export shows that it finds these strings in plain text.
    let export = serde_json::to_vec(&records).unwrap();
    for secret in SECRETS {
        assert!(!contains(&raw(&path), secret), "{secret} lies open");
        assert!(contains(&export, secret));
    }
    // A hard link to the key file shows the bytes on the storage after the erasure.
    let link = dir.path().join("link");
    fs::hard_link(path.join(keyfile::NAME), &link).unwrap();
    let before = fs::read(&link).unwrap();
    Store::open(&path, &KEY).unwrap().erase().unwrap();
    assert!(!path.exists());
    let after = fs::read(&link).unwrap();
    assert!(keyfile::is_erased(&after) && after.len() == before.len());
    assert_eq!(after[16..], vec![0; before.len() - 16]);
}

#[test]
fn a_wrong_key_is_its_own_error_and_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let records = filled(dir.path());
    let before = raw(dir.path());
    assert!(matches!(Store::open(dir.path(), &OTHER), Err(StoreError::WrongKey(_))));
    #[cfg(unix)]
    {
        Store::open(dir.path().join("new"), &KEY).unwrap().append(&real("a", "x")).unwrap();
        let mode = fs::metadata(dir.path().join("new")).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700);
        Store::open(dir.path().join("new"), &KEY).unwrap().erase().unwrap();
    }
    assert!(raw(dir.path()) == before);
    assert_eq!(Store::open(dir.path(), &KEY).unwrap().records().unwrap(), records);
    // Erasing works without the key.
    Store::erase_unopened(dir.path()).unwrap();
    assert!(!dir.path().exists());
}

#[test]
fn every_changed_byte_of_the_key_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = dir.path().join(keyfile::NAME);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut wrong = whole.clone();
        wrong[at] ^= 0x10;
        fs::write(&path, &wrong).unwrap();
        assert!(Store::open(dir.path(), &KEY).is_err(), "byte {at}");
        // The change is noticed even with a matching checksum.
        if at < 120 {
            let crc = crc32fast::hash(&wrong[..120]).to_le_bytes();
            wrong[120..].copy_from_slice(&crc);
            fs::write(&path, &wrong).unwrap();
            assert!(Store::open(dir.path(), &KEY).is_err(), "byte {at} with its checksum");
        }
        fs::write(&path, &whole[..at]).unwrap();
        assert!(matches!(Store::open(dir.path(), &KEY), Err(StoreError::Damaged { .. })), "cut at {at}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(Store::open(dir.path(), &KEY).unwrap().len().unwrap(), 3);
    fs::remove_file(dir.path().join(files::data_name(1))).unwrap();
    assert!(matches!(Store::open(dir.path(), &KEY), Err(StoreError::Damaged { .. })));
}

/// Segments that are swapped, dropped, repeated, or taken from an earlier state.
#[test]
fn parts_of_another_place_or_time_do_not_pass() {
    use redb::{ReadableDatabase, ReadableTable, TableDefinition};
    const SEGMENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("segments");
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(3000);
    let store = Store::open(dir.path(), &KEY).unwrap();
    store.append_all(&(0..3).map(|n| real(&n.to_string(), &long)).collect::<Vec<_>>()).unwrap();
    drop(store);
    let path = dir.path().join(files::data_name(1));
    let segments = |path: &Path| -> Vec<Vec<u8>> {
        let db = Database::open(path).unwrap();
        let table = db.begin_read().unwrap().open_table(SEGMENTS).unwrap();
        table.iter().unwrap().map(|e| e.unwrap().1.value().to_vec()).collect()
    };
    let old = segments(&path);
    assert_eq!(old.len(), 3);
    // A fourth record shares the last segment or starts another. `old` holds the earlier third
    // segment.
    Store::open(dir.path(), &KEY).unwrap().append(&real("3", "short")).unwrap();
    let new = segments(&path);
    let whole = fs::read(&path).unwrap();
    let forge = |parts: Vec<Vec<u8>>| {
        fs::write(&path, &whole).unwrap();
        let db = Database::open(&path).unwrap();
        let txn = db.begin_write().unwrap();
        {
            let mut table = txn.open_table(SEGMENTS).unwrap();
            table.retain(|_, _| false).unwrap();
            for (n, part) in (0u64..).zip(&parts) {
                table.insert(n, part.as_slice()).unwrap();
            }
        }
        txn.commit().unwrap();
        drop(db);
        let store = Store::open(dir.path(), &KEY).unwrap();
        // A forged store neither reads nor appends.
        (store.records().is_ok(), store.append(&real("4", "more")).is_ok())
    };
    assert_eq!(forge(new.clone()), (true, true));
    let mut swapped = new.clone();
    swapped.swap(0, 1);
    assert_eq!(forge(swapped), (false, false));
    assert_eq!(forge(new[..2].to_vec()), (false, false));
    assert_eq!(forge([&new[..], &new[..1]].concat()), (false, false));
    let mut earlier = new.clone();
    earlier[2] = old[2].clone();
    assert_ne!(earlier, new);
    assert_eq!(forge(earlier), (false, false));
}

/// One record and a dozen take the same size: it does not reveal their number.
#[test]
fn the_number_of_records_does_not_show_in_the_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let size = |name: &str, count: usize| {
        let path = dir.path().join(name);
        let store = Store::open(&path, &KEY).unwrap();
        store.append_all(&(0..count).map(|n| real(&n.to_string(), "Short.")).collect::<Vec<_>>()).unwrap();
        drop(store);
        raw(&path).len()
    };
    assert_eq!(size("one", 1), size("dozen", 12));
}

/// Stops the key change at each of its steps, as a kill would, and opens the store again.
#[test]
fn a_change_of_keys_can_be_cut_off_at_any_step() {
    let mut steps_seen = 0;
    for stop in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let records = filled(dir.path());
        let store = Store::open(dir.path(), &KEY).unwrap();
        let mut step = 0;
        let changed = store.change_key_by_steps(&OTHER, &mut |_| {
            step += 1;
            if step > stop { Err(io::Error::other("killed")) } else { Ok(()) }
        });
        drop(store);
        let old = Store::open(dir.path(), &KEY).and_then(|s| s.records());
        let new = Store::open(dir.path(), &OTHER).and_then(|s| s.records());
        match (&old, &new) {
            (Ok(found), Err(StoreError::WrongKey(_))) => assert_eq!((found, changed.is_err()), (&records, true)),
            (Err(StoreError::WrongKey(_)), Ok(found)) => assert_eq!(found, &records),
            other => panic!("stopped at {stop}: {other:?}"),
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "key, data and lock, nothing else");
        if changed.is_ok() {
            assert!(new.is_ok());
            steps_seen = stop;
            break;
        }
    }
    assert_eq!(steps_seen, 5);
}

#[test]
fn making_and_erasing_can_be_cut_off_at_any_step() {
    for stop in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut step = 0;
        let mut stopping = |_: &'static str| {
            step += 1;
            if step > stop { Err(io::Error::other("killed")) } else { Ok(()) }
        };
        assert!(open_by_steps(&path, &mut stopping).is_err());
        assert!(Store::open(&path, &KEY).unwrap().is_empty().unwrap(), "{stop}");

        let records = filled(&path);
        let mut step = 0;
        let stopped = Store::open(&path, &KEY).unwrap().erase_by_steps(&mut |_| {
            step += 1;
            if step > stop { Err(io::Error::other("killed")) } else { Ok(()) }
        });
        assert_eq!(stopped.is_err(), stop < 3);
        let found = Store::open(&path, &KEY).unwrap().records().unwrap();
        // All records before the key is destroyed, none after.
        assert_eq!(found, if stop == 0 { records } else { Vec::new() }, "{stop}");
    }
}

#[test]
fn a_newer_store_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = dir.path().join(keyfile::NAME);
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] = 2;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(Store::open(dir.path(), &KEY), Err(StoreError::Layout(3))));
}
