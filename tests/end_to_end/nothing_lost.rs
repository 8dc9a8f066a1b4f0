//! Changes to a store's files by hand, and concurrent commands: no data is lost, and each error
//! names the remedy.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use crate::common::{self, fails, json, locket, run};
use serde_json::Value;

fn texts(dir: &Path) -> Vec<String> {
    let records = json(dir, "history --store {}/me")["records"].clone();
    records.as_array().unwrap().iter().map(|r| r["interaction"]["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_file_that_was_moved_can_be_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let (key, aside) = (dir.path().join("me/locket.key"), dir.path().join("aside"));
    json(dir.path(), "record --store {}/me --item i --text first");
    std::fs::rename(&key, &aside).unwrap();
    let data = std::fs::read(dir.path().join("me/locket-1.redb")).unwrap();
    for command in ["record --item i --text x", "history", "export", "import --from {}/e.json", "forget --id 0"] {
        std::fs::write(dir.path().join("e.json"), r#"{"format":"locket-export","version":1,"records":[]}"#).unwrap();
        let said = fails(dir.path(), &format!("{command} --store {{}}/me"));
        assert!(said.contains("locket.key is missing") && said.contains("put it back, or erase"), "{said}");
    }
    assert!(std::fs::read(dir.path().join("me/locket-1.redb")).unwrap() == data && !key.exists());
    std::fs::rename(&aside, &key).unwrap();
    assert_eq!(texts(dir.path()), ["first"]);
    std::fs::remove_file(&key).unwrap();
    json(dir.path(), "erase --yes --store {}/me");
    assert!(!dir.path().join("me").exists());
}

#[test]
fn copies_beside_the_store_stay() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "record --store {}/me --item i --text first");
    let copies = ["locket-backup.redb", "locket-1 (conflicted copy).redb", "locket.key.old"];
    for name in copies {
        std::fs::copy(dir.path().join("me/locket-1.redb"), dir.path().join("me").join(name)).unwrap();
    }
    json(dir.path(), "history --store {}/me");
    json(dir.path(), "record --store {}/me --item i --text second");
    json(dir.path(), "forget --store {}/me --id 0");
    assert_eq!(texts(dir.path()), ["second"]);
    json(dir.path(), "erase --yes --store {}/me");
    let left = std::fs::read_dir(dir.path().join("me")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.collect::<BTreeSet<_>>(), copies.map(str::to_owned).into_iter().collect());
}

#[test]
fn a_missing_key_leaves_no_new_one_behind() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "--key-file {}/k record --store {}/me --item i --text first");
    std::fs::rename(dir.path().join("k"), dir.path().join("moved")).unwrap();
    std::fs::write(dir.path().join("e.json"), r#"{"format":"locket-export","version":1,"records":[]}"#).unwrap();
    for command in ["record --item i --text x", "import --from {}/e.json"] {
        assert!(fails(dir.path(), &format!("--key-file {{}}/k {command} --store {{}}/me")).contains("no key at"));
        assert!(!dir.path().join("k").exists());
    }
}

#[test]
fn single_records_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["first", "second", "third"] {
        json(dir.path(), &format!("record --store {{}}/me --item i --text {text}"));
    }
    let history = json(dir.path(), "history --store {}/me");
    let id = |n: usize| history["records"][n]["id"].as_u64().unwrap();
    let shown = run(dir.path(), "history --store {}/me");
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!((0..3).all(|n| shown.contains(&format!("{:>4}  i\n", id(n)))), "{shown}");
    assert!(fails(dir.path(), "forget --store {}/me --id 77").contains("no record has the id 77"));
    assert!(fails(dir.path(), &format!("forget --store {{}}/me --id {} --id 77", id(0))).contains("77"));
    assert_eq!(texts(dir.path()).len(), 3);
    let gone = json(dir.path(), &format!("forget --store {{}}/me --id {} --id {}", id(0), id(2)));
    assert_eq!((gone["forgotten"].as_u64(), gone["records"].as_u64()), (Some(2), Some(1)));
    assert_eq!(texts(dir.path()), ["second"]);
    assert_eq!(json(dir.path(), "history --store {}/me")["records"][0]["id"], id(1));
}

#[test]
fn importing_twice_is_importing_once() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "record --store {}/me --item i --text first");
    json(dir.path(), "record --store {}/me --item i --text second");
    let export = json(dir.path(), "export --store {}/me");
    std::fs::write(dir.path().join("e.json"), export.to_string()).unwrap();
    for (store, added, known) in [("me", 0, 2), ("copy", 2, 0), ("copy", 0, 2)] {
        let said = json(dir.path(), &format!("import --store {{}}/{store} --from {{}}/e.json"));
        assert_eq!((said["imported"].as_u64(), said["known"].as_u64()), (Some(added), Some(known)));
    }
    assert_eq!(json(dir.path(), "export --store {}/copy"), export);
    assert_eq!(json(dir.path(), "export --store {}/me"), export);
}

#[test]
fn the_history_is_in_the_order_of_times() {
    let dir = tempfile::tempdir().unwrap();
    let record = |text: &str, time: i64| serde_json::json!({ "interaction": { "item": "i", "text": text, "time": time }, "origin": "real" });
    let import = |records: Vec<Value>| {
        let export = serde_json::json!({ "format": "locket-export", "version": 1, "records": records });
        std::fs::write(dir.path().join("e.json"), export.to_string()).unwrap();
    };
    json(dir.path(), "record --store {}/me --item i --text now");
    import(vec![record("ms", 1_600_000_000_000), record("s", 1_500_000_000)]);
    json(dir.path(), "import --store {}/me --from {}/e.json");
    assert_eq!(texts(dir.path()), ["s", "ms", "now"]);
    assert_eq!(json(dir.path(), "export --store {}/me")["records"][0]["interaction"]["time"], 1_500_000_000_000_i64);
    import(vec![record("never", -1_500_000_000)]);
    assert!(fails(dir.path(), "import --store {}/me --from {}/e.json").contains("the time is negative"));
    assert_eq!(texts(dir.path()).len(), 3);
}

#[test]
fn twenty_commands_at_once_all_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("me");
    // As the default, with a longer wait, so that the test passes on slow machines.
    let start = |n: usize| {
        let mut command = locket();
        command.args(["record", "--item", "i", "--text", &format!("text {n}")]).arg("--store").arg(&store);
        command.env("LOCKET_WAIT", "600").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..20).map(start).collect();
    for child in children {
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let mut found = texts(dir.path());
    found.sort();
    let mut expected: Vec<String> = (0..20).map(|n| format!("text {n}")).collect();
    expected.sort();
    assert_eq!(found, expected);
    let refused = run(dir.path(), "--wait never history --store {}/me");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("a number of seconds"));
}

/// Runs the command as a user with read permission only: as `nobody` on root's files, or on files
/// without write permission.
#[cfg(unix)]
fn as_reader(args: &[&str], key: &Path) -> Output {
    let mut command = common::as_nobody();
    command.args(args).env("LOCKET_KEY_FILE", key).env("LOCKET_THREADS", "1").output().unwrap()
}

/// Makes `nobody` the owner of a file that this user could not read otherwise. Does nothing if the
/// tests do not run as root.
#[cfg(unix)]
fn give(path: &Path) {
    let _ = std::os::unix::fs::chown(path, Some(65534), Some(65534));
}

#[cfg(unix)]
#[test]
fn a_store_on_read_only_storage_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    mode(dir.path(), 0o755);
    let key: PathBuf = dir.path().join("k");
    std::fs::copy(locket_tests::sample(), dir.path().join("sample.jsonl")).unwrap();
    json(dir.path(), "pack build --profiles {}/sample.jsonl --out {}/p.pack");
    json(dir.path(), "--key-file {}/k record --store {}/me --item k9 --text first --rating 5");
    json(dir.path(), "--key-file {}/k record --store {}/me --item k4 --text second");
    let export = json(dir.path(), "--key-file {}/k export --store {}/me");
    give(&key);
    let store = dir.path().join("me");
    let before: Vec<_> = std::fs::read_dir(&store).unwrap().map(|e| e.unwrap().path()).collect();
    before.iter().for_each(|file| mode(file, 0o444));
    mode(&store, 0o555);
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (me, pack) = (at("me"), at("p.pack"));
    let read = |args: &[&str]| {
        let out = as_reader(args, &key);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<Value>(&out.stdout).unwrap()
    };
    let lock = store.join("locket.lock");
    for without_lock in [false, true] {
        if without_lock {
            mode(&store, 0o755);
            std::fs::remove_file(&lock).unwrap();
            mode(&store, 0o555);
        }
        assert_eq!(read(&["export", "--json", "--store", &me]), export);
        assert_eq!(read(&["history", "--json", "--store", &me])["records"].as_array().unwrap().len(), 2);
        let predicted = read(&["predict", "--json", "--store", &me, "--pack", &pack, "-k", "3"]);
        assert_eq!(predicted["predictions"].as_array().unwrap().len(), 3);
        let writing: [&[&str]; 3] =
            [&["record", "--item", "i", "--text", "x"], &["forget", "--id", "0"], &["erase", "--yes"]];
        for args in writing {
            let out = as_reader(&[args, &["--store", &me]].concat(), &key);
            let said = String::from_utf8(out.stderr).unwrap();
            assert!(!out.status.success() && said.contains("make its directory writable, or copy it"), "{said}");
            assert_eq!(said.lines().count(), 1);
        }
        assert_eq!(std::fs::read_dir(&store).unwrap().count(), before.len() - usize::from(without_lock));
    }
    mode(&store, 0o755);
}
