//! Tests that files of every released layout and export open in this build.

use super::{
    tests::{KEY, contains, open_by_steps, raw},
    *,
};
use crate::{
    codec,
    history::{Interaction, Origin},
    plan::ReasoningPath,
};

/// Decompresses a golden file to `to`.
fn unpack_golden(name: &str, to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let packed = File::open(root.join(name)).unwrap();
    fs::write(to, zstd::decode_all(packed).unwrap()).unwrap();
}

fn golden_records() -> Vec<Record> {
    let item = |item: &str, title: &str, text: &str, rating: f32| {
        Record::real(Interaction {
            item_title: Some("Copper Kettle".into()),
            category: Some("kitchen".into()),
            time: Some(1_700_000_000_000),
            ..Interaction::new(item, text).with_title(title).with_rating(rating)
        })
    };
    vec![
        item("k1", "Whistles", "It whistles like my grandmother's did.", 5.0),
        item("k2", "Leaks", "Es tropft. Naïve design, zu heiß.", 1.0),
        Record {
            interaction: Interaction::new("k3", "A synthetic text about a spout."),
            origin: Origin::Synthetic { path: ReasoningPath::default(), model: "golden.gguf".into() },
        },
    ]
}

fn records_with_kinds() -> Vec<Record> {
    let reply = Interaction::new("", "sure, see you at 8").with_kind("reply".into()).with_context("Are you coming?");
    let mail = Interaction::new("", "Hi Ada,\n\nthe parts came.\n\nBest,\nBen").with_kind("email".into());
    let mail = mail.with_title("Parts").with_audience("r1").with_time(1_700_000_000_000);
    golden_records().into_iter().chain([Record::real(reply), Record::real(mail)]).collect()
}

fn records_with_sent() -> Vec<Record> {
    let reply = Interaction::new("", "sure, at 8").with_kind("reply".into()).with_time(1_700_000_000_001);
    records_with_kinds().into_iter().chain([Record::sent(reply, "Sure, see you at 8!")]).collect()
}

/// A plain-text store of layout 1 is migrated after an interruption at any step, and its file
/// removed.
#[test]
fn a_store_of_layout_1_is_taken_over() {
    for stop in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        unpack_golden("store-layout1.redb.zst", &dir.path().join("locket.redb"));
        assert!(Store::exists(dir.path()));
        assert!(contains(&raw(dir.path()), "grandmother"));
        let mut step = 0;
        let cut_off = open_by_steps(dir.path(), &mut |_| {
            step += 1;
            if step > stop { Err(io::Error::other("killed")) } else { Ok(()) }
        });
        assert_eq!(cut_off.is_err(), stop < 5);
        drop(cut_off);
        assert_eq!(Store::open(dir.path(), &KEY).unwrap().records().unwrap(), golden_records(), "{stop}");
        assert!(!contains(&raw(dir.path()), "grandmother"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}

/// Opens the golden store `name`.
fn golden_store(name: &str) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    unpack_golden(&format!("{name}.key.zst"), &dir.path().join(keyfile::NAME));
    unpack_golden(&format!("{name}.redb.zst"), &dir.path().join(files::data_name(1)));
    let store = Store::open(dir.path(), &Key::new([0x5a; 32])).unwrap();
    (dir, store)
}

/// Returns the records of the golden store `name`.
fn records_of(name: &str) -> Vec<Record> {
    golden_store(name).1.records().unwrap()
}

/// Writes key file and data file of the store in `dir` as a golden store.
fn pack_golden(dir: &Path, name: &str) {
    let to = PathBuf::from(std::env::var_os("LOCKET_GOLDEN").unwrap());
    for (file, part) in [(keyfile::NAME.to_owned(), "key"), (files::data_name(1), "redb")] {
        let packed = zstd::encode_all(&fs::read(dir.join(file)).unwrap()[..], 19).unwrap();
        fs::write(to.join(format!("{name}.{part}.zst")), packed).unwrap();
    }
}

/// Its records are of version 1 of the codec: every text is a review.
#[test]
fn a_store_of_layout_2_is_read() {
    assert_eq!(records_of("store-layout2"), golden_records());
}

/// Version 2 of the codec has kind, context and audience.
#[test]
fn a_store_with_records_of_version_2_is_read() {
    assert_eq!(records_of("store-records2"), records_with_kinds());
    let text = include_str!("../../../tests/golden/export-kinds.json");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &KEY).unwrap();
    assert_eq!(store.import(&serde_json::from_str(text).unwrap()).unwrap(), Imported { added: 5, known: 0 });
    assert_eq!(store.records().unwrap(), records_with_kinds());
}

/// Version 3 of the codec has texts that were sent from a draft.
#[test]
fn a_store_with_records_of_version_3_is_read() {
    assert_eq!(records_of("store-records3"), records_with_sent());
    let text = include_str!("../../../tests/golden/export-sent.json");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &KEY).unwrap();
    assert_eq!(store.import(&serde_json::from_str(text).unwrap()).unwrap(), Imported { added: 6, known: 0 });
    assert_eq!(store.records().unwrap(), records_with_sent());
    store.forget_drafts().unwrap();
    assert!(store.records().unwrap().iter().all(|r| !matches!(r.origin, Origin::Sent { .. })));
    assert_eq!(store.len().unwrap(), 6);
}

/// Its root holds the secret behind the ids of recipients.
#[test]
fn a_store_with_ids_of_recipients_keeps_them() {
    let (_dir, mut store) = golden_store("store-recipients");
    let ada = include_str!("../../../tests/golden/store-recipients.txt").trim();
    assert_eq!(store.audience("ada@example.org").unwrap(), ada);
    assert_eq!(store.records().unwrap(), records_with_kinds());
    store.change_key(&KEY).unwrap();
    assert_eq!(store.audience("ada@example.org").unwrap(), ada);
}

/// An export of version 1 can be imported into any later store.
#[test]
fn an_export_of_version_1_is_imported() {
    let text = include_str!("../../../tests/golden/export-v1.json");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &KEY).unwrap();
    assert_eq!(store.import(&serde_json::from_str(text).unwrap()).unwrap(), Imported { added: 3, known: 0 });
    assert_eq!(store.records().unwrap(), golden_records());
    let newer = Export { version: 2, ..store.export().unwrap() };
    assert!(matches!(store.import(&newer), Err(StoreError::Export(_))));
    assert_eq!(store.len().unwrap(), 3);
}

/// Writes the golden files of the current version of records; run once for each released version:
/// `LOCKET_GOLDEN=tests/golden cargo test --workspace --lib write_golden -- --ignored`
#[test]
#[ignore = "writes files into the repository"]
fn write_golden() {
    let to = PathBuf::from(std::env::var_os("LOCKET_GOLDEN").unwrap());
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path(), &Key::new([0x5a; 32])).unwrap().append_all(&records_with_sent()).unwrap();
    let export =
        serde_json::to_string_pretty(&Store::open(dir.path(), &Key::new([0x5a; 32])).unwrap().export().unwrap());
    fs::write(to.join("export-sent.json"), export.unwrap() + "\n").unwrap();
    pack_golden(dir.path(), &format!("store-records{}", codec::VERSION));
}

/// Writes the golden store with a secret for ids of recipients, and the id of one.
#[test]
#[ignore = "writes files into the repository"]
fn write_golden_recipients() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &Key::new([0x5a; 32])).unwrap();
    store.append_all(&records_with_kinds()).unwrap();
    let id = store.audience("ada@example.org").unwrap();
    drop(store);
    pack_golden(dir.path(), "store-recipients");
    let to = PathBuf::from(std::env::var_os("LOCKET_GOLDEN").unwrap());
    fs::write(to.join("store-recipients.txt"), id + "\n").unwrap();
}

/// Writes seeds for the fuzzer: `LOCKET_SEEDS=DIR cargo test ... -- --ignored`.
#[test]
#[ignore = "writes seeds for the fuzzer"]
fn write_seeds() {
    let dir = PathBuf::from(std::env::var_os("LOCKET_SEEDS").unwrap());
    fs::create_dir_all(&dir).unwrap();
    let records: Numbered = (0..).zip(golden_records()).collect();
    fs::write(dir.join("records"), &records::pack(&records).unwrap()[..700]).unwrap();
    fs::write(dir.join("key"), KeyFile::generate(1).unwrap().wrap(&KEY).unwrap()).unwrap();
}
