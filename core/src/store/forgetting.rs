//! Tests of forgetting records and of importing them again.

use super::{
    tests::{KEY, contains, raw},
    *,
};
use crate::{
    history::{Interaction, Origin},
    plan::ReasoningPath,
};

fn real(item: &str) -> Record {
    Record::real(Interaction::new(item, format!("What I wrote about {item}.")))
}

fn synthetic(item: &str) -> Record {
    let origin = Origin::Synthetic { path: ReasoningPath::default(), model: "m".into() };
    Record { interaction: Interaction::new(item, "made up"), origin }
}

/// Returns ids and item ids.
fn listed(store: &Store) -> Vec<(u64, String)> {
    store.entries().unwrap().into_iter().map(|e| (e.id, e.record.interaction.item)).collect()
}

fn named(entries: &[(u64, &str)]) -> Vec<(u64, String)> {
    entries.iter().map(|(id, item)| (*id, (*item).to_owned())).collect()
}

#[test]
fn a_forgotten_record_is_gone_with_all_that_was_made_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &KEY).unwrap();
    store.append_all(&[real("a"), real("b"), synthetic("s"), real("c")]).unwrap();
    let caches = store.caches();
    assert!(caches.keep("unfinished", b"sealed"));
    // A hard link shows the old key file's bytes after the change.
    let link = dir.path().join("link");
    fs::hard_link(dir.path().join(keyfile::NAME), &link).unwrap();

    assert!(store.forget(1).unwrap());
    assert_eq!(listed(&store), named(&[(0, "a"), (3, "c")]));
    assert!(!dir.path().join(files::SESSIONS).exists());
    let old = fs::read(&link).unwrap();
    assert_eq!(old, vec![0; old.len()]);
    fs::remove_file(link).unwrap();
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["locket-2.redb", "locket.key", "locket.lock"]);

    // A cache is not kept under the old lease, but under the new one.
    assert!(!caches.keep("unfinished", b"sealed"));
    assert!(!caches.lease.holds() && !dir.path().join(files::SESSIONS).exists());
    assert!(!store.replace_synthetic_under(&caches.lease, &[synthetic("of b")]).unwrap());
    assert!(store.replace_synthetic_under(&store.caches().lease, &[synthetic("of a")]).unwrap());

    // Ids are not reused, and the same key opens the store.
    drop(store);
    let store = Store::open(dir.path(), &KEY).unwrap();
    assert_eq!(store.append(&real("d")).unwrap(), 5);
    assert_eq!(listed(&store), named(&[(0, "a"), (3, "c"), (4, "of a"), (5, "d")]));
    assert!(!contains(&raw(dir.path()), "about b"));
}

#[test]
fn several_are_forgotten_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &KEY).unwrap();
    store.append_all(&[real("a"), real("b"), synthetic("s"), synthetic("t")]).unwrap();
    assert!(!store.forget(9).unwrap());
    let refused = store.forget_all(&[0, 9]).unwrap_err();
    assert!(matches!(refused, StoreError::NoRecord(9)) && refused.to_string().contains("the id 9"));
    assert_eq!(store.len().unwrap(), 4);
    // A synthetic record can be forgotten alone.
    assert!(store.forget(2).unwrap());
    assert_eq!(listed(&store), named(&[(0, "a"), (1, "b"), (3, "t")]));
    store.forget_all(&[1, 0, 1]).unwrap();
    assert!(store.is_empty().unwrap());
    assert_eq!(store.append(&real("c")).unwrap(), 4);
}

/// Stops forgetting at each of its steps, as a kill would, and opens the store again.
#[test]
fn forgetting_can_be_cut_off_at_any_step() {
    for stop in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &KEY).unwrap();
        store.append_all(&[real("a"), real("b"), real("c")]).unwrap();
        assert!(store.caches().keep("unfinished", b"sealed"));
        let mut step = 0;
        let forgotten = store.forget_by_steps(&[1], &mut |_| {
            step += 1;
            if step > stop { Err(io::Error::other("killed")) } else { Ok(()) }
        });
        drop(store);
        let store = Store::open(dir.path(), &KEY).unwrap();
        let found = listed(&store);
        let without = named(&[(0, "a"), (2, "c")]);
        if stop < 3 {
            assert_eq!(found, named(&[(0, "a"), (1, "b"), (2, "c")]), "{stop}");
        } else {
            assert_eq!(found, without, "{stop}");
            let names = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name());
            assert_eq!(names.count(), 3, "key, data and lock: {stop}");
        }
        // The store remains usable.
        if stop < 3 {
            assert!(store.forget(1).unwrap());
        }
        assert_eq!(listed(&store), without);
        if forgotten.is_ok() {
            assert_eq!(stop, 5);
            break;
        }
    }
}

#[test]
fn what_is_there_is_not_imported_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("a"), &KEY).unwrap();
    let mut seconds = real("timed");
    seconds.interaction.time = Some(1_700_000_000);
    // A user may record the same text twice.
    store.append_all(&[real("a"), real("a"), synthetic("s"), seconds.clone()]).unwrap();
    let export = store.export().unwrap();
    assert_eq!(store.import(&export).unwrap(), Imported { added: 0, known: 4 });
    assert_eq!(store.export().unwrap(), export);
    let other = Store::open(dir.path().join("b"), &KEY).unwrap();
    assert_eq!(other.import(&export).unwrap(), Imported { added: 4, known: 0 });
    assert_eq!(other.import(&export).unwrap(), Imported { added: 0, known: 4 });
    assert_eq!(other.export().unwrap(), export);

    // A time in other units is equal, another origin is not, and one defect rejects the whole
    // import.
    let made_up = Record { interaction: real("a").interaction, ..synthetic("s") };
    let records = vec![seconds, made_up, real("new")];
    let more = Export { records, ..export.clone() };
    assert_eq!(other.import(&more).unwrap(), Imported { added: 2, known: 1 });
    let mut bad = real("newer");
    bad.interaction.time = Some(-1);
    let bad = Export { records: vec![real("newest"), bad], ..export };
    assert!(matches!(other.import(&bad), Err(StoreError::Interaction(what)) if what.contains("negative")));
    assert_eq!(other.len().unwrap(), 6);
}
