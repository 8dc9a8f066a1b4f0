//! The real command, killed at random and without disk space: completed changes persist, unfinished
//! ones leave no trace.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::common::{self, fails, json, locket, run};
use serde_json::Value;

/// Returns the texts in a store, oldest first, with the first of `keys` that opens it.
fn texts(dir: &Path, keys: &[&str]) -> Vec<String> {
    for key in keys {
        let out = run(dir, &format!("--key-file {{}}/{key} export --store {{}}/me"));
        if out.status.success() {
            let export: Value = serde_json::from_slice(&out.stdout).unwrap();
            let records = export["records"].as_array().unwrap();
            return records.iter().map(|r| r["interaction"]["text"].as_str().unwrap().to_owned()).collect();
        }
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(said.contains("wrong key"), "{said}");
    }
    panic!("no key opens the store");
}

/// Kills the command 200 times (`LOCKET_KILLS`) at random moments of recording, importing, changing
/// keys and forgetting.
#[cfg(unix)]
#[test]
fn killed_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let kills: usize = std::env::var("LOCKET_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    json(path, "--key-file {}/a record --store {}/me --item i --text first");
    json(path, "--key-file {}/b record --store {}/other --item i --text x");
    let mut expected = vec!["first".to_owned()];
    let batch = |n: usize| (0..60).map(|m| format!("batch {n}, text {m}, {}", "word ".repeat(40))).collect::<Vec<_>>();
    let (mut key, mut killed, mut whole) = ("a", 0, 0);
    let mut draw = locket_tests::Draw(0x2545_f491_4f6c_dd1d);
    // Duration of each kind of command without a kill, so that kills are spread over all of it.
    let mut takes = [Duration::from_millis(30); 4];
    for n in 0.. {
        if killed >= kills {
            break;
        }
        let random = draw.bits();
        // Forgetting needs a record.
        let kind = if expected.is_empty() { 0 } else { n % 4 };
        let added = match kind {
            0 => vec![format!("text {n}")],
            1 => batch(n),
            _ => Vec::new(),
        };
        // The expected texts after a text is forgotten.
        let mut left = expected.clone();
        let other = if key == "a" { "b" } else { "a" };
        let args = match kind {
            0 => format!("record --store {{}}/me --item i --text '{}'", added[0]),
            1 => {
                let record = |text: &String| serde_json::json!({ "interaction": { "item": "i", "text": text }, "origin": "real" });
                let records: Vec<Value> = added.iter().map(record).collect();
                let export = serde_json::json!({ "format": "locket-export", "version": 1, "records": records });
                std::fs::write(path.join("batch.json"), export.to_string()).unwrap();
                "import --store {}/me --from {}/batch.json".to_owned()
            }
            2 => format!("rekey --store {{}}/me --new-key-file {{}}/{other}"),
            _ => {
                let history = json(path, &format!("--key-file {{}}/{key} history --store {{}}/me"));
                let at = random as usize % expected.len();
                left.remove(at);
                format!("forget --store {{}}/me --id {}", history["records"][at]["id"])
            }
        };
        let args = common::split(&format!("--key-file {{}}/{key} {args}"));
        let args = args.into_iter().map(|a| a.replace("{}", path.to_str().unwrap()));
        let begun = Instant::now();
        let mut child = locket().args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if n >= 4 {
            let share = (random % 1000) as f64 / 1000.0;
            std::thread::sleep(takes[kind].mul_f64(share));
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        if status.success() {
            takes[kind] = begun.elapsed();
        } else {
            killed += 1;
        }
        let found = texts(path, &[key, other]);
        if kind == 2 {
            let changed = run(path, &format!("--key-file {{}}/{other} history --store {{}}/me")).status.success();
            assert!(changed || !status.success(), "a change of keys that returned is not there");
            if changed {
                key = other;
            }
            assert_eq!(found, expected, "round {n}");
            continue;
        }
        let with = if kind == 3 { left } else { expected.iter().chain(&added).cloned().collect() };
        // A command that succeeded has stored everything. A killed one has stored all of it or
        // nothing.
        assert!(found == with || (!status.success() && found == expected), "round {n}: {} texts", found.len());
        whole += usize::from(found == with && !status.success());
        expected = found;
        if expected.len() > 400 {
            assert!(run(path, &format!("--key-file {{}}/{key} erase --yes --store {{}}/me")).status.success());
            json(path, &format!("--key-file {{}}/{key} record --store {{}}/me --item i --text first"));
            expected = vec!["first".into()];
        }
    }
    println!("{killed} kills: nothing lost, nothing in part ({whole} had committed before they were killed)");
}

/// On a full disk the command fails with one line, and all stored data stays.
#[cfg(unix)]
#[test]
fn a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "record --store {}/me --item i --text first");
    let before = json(dir.path(), "export --store {}/me");
    let size = |dir: &Path| {
        let files = std::fs::read_dir(dir.join("me")).unwrap();
        files.map(|f| f.unwrap().metadata().unwrap().len()).max().unwrap()
    };
    // A limit on file size fails writes as a full disk does; half a megabyte of text exceeds it.
    let limit = size(dir.path()) / 1024;
    let text = "word ".repeat(100_000);
    let export = serde_json::json!({ "format": "locket-export", "version": 1, "records":
        [{ "interaction": { "item": "i", "text": text }, "origin": "real" }] });
    std::fs::write(dir.path().join("much.json"), export.to_string()).unwrap();
    let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
    let store = dir.path().join("me");
    let from = dir.path().join("much.json");
    let command = locket();
    let out = Command::new("bash")
        .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_locket"), "import"])
        .args(["--store".as_ref(), store.as_os_str(), "--from".as_ref(), from.as_os_str()])
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && said.lines().count() == 1, "{said}");
    assert!(said.contains("File too large") || said.contains("store"), "{said}");
    assert_eq!(json(dir.path(), "export --store {}/me"), before);
    json(dir.path(), "import --store {}/me --from {}/much.json");
}

#[cfg(unix)]
#[test]
#[ignore = "needs setpriv"]
fn a_directory_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let store = dir.path().join("me");
    let arguments = ["record", "--item", "i", "--text", "x", "--store", store.to_str().unwrap()];
    let mut command = common::as_nobody();
    let key = tempfile::tempdir().unwrap();
    std::fs::set_permissions(key.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let out = command
        .args(arguments)
        .env("LOCKET_KEY_FILE", key.path().join("key"))
        .output()
        .expect("setpriv, of util-linux");
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!said.contains("setpriv"), "this test needs setpriv, and leave to become nobody: {said}");
    assert!(!out.status.success() && said.contains("cannot create the store"), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn a_store_that_is_open_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "record --store {}/me --item i --text first");
    let key = std::fs::read_to_string(common::key_file()).unwrap();
    let bytes: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&key[2 * n..2 * n + 2], 16).unwrap()).collect();
    let key = locket::Key::try_from(&bytes[..]).unwrap();
    let held = locket::Store::open(dir.path().join("me"), &key).unwrap();
    for command in ["record --store {}/me --item i --text x", "export --store {}/me", "erase --yes --store {}/me"] {
        assert!(fails(dir.path(), &format!("--wait 0 {command}")).contains("open already"), "{command}");
    }
    drop(held);
    json(dir.path(), "record --store {}/me --item i --text second");
}

#[test]
fn keys_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "--key-file {}/k record --store {}/me --item i --text first");
    let mode = std::fs::metadata(dir.path().join("k")).unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    assert!(fails(dir.path(), "history --store {}/me").contains("wrong key"));
    assert!(fails(dir.path(), "--key-file {}/none history --store {}/me").contains("no key at"));
    #[cfg(unix)]
    {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        std::fs::set_permissions(dir.path().join("k"), open).unwrap();
        let said = fails(dir.path(), "--key-file {}/k history --store {}/me");
        assert!(said.contains(&format!("chmod 600 '{}/k'", dir.path().display())), "{said}");
    }
    std::fs::write(dir.path().join("bad"), "abc").unwrap();
    assert!(fails(dir.path(), "--key-file {}/bad history --store {}/me").contains("64 hexadecimal digits"));
    // Erasing needs no key.
    assert!(run(dir.path(), "erase --yes --store {}/me").status.success());
    assert!(!dir.path().join("me").exists());
    std::fs::write(dir.path().join("x.json"), "{}").unwrap();
    assert!(fails(dir.path(), "import --store {}/me --from {}/x.json").contains("not an export"));
}
