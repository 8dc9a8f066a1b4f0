//! The import of a person's own writing by the command.
#![allow(clippy::unwrap_used)]

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::common::{fails, json, locket, prepared, run};
use serde_json::Value;

/// Returns one message of an mbox.
fn mail(from: &str, to: &str, subject: &str, body: &str) -> String {
    format!(
        "From x@example.org Mon May 12 10:00:00 2025\nFrom: {from}\nTo: {to}\nSubject: {subject}\n\
        Date: Mon, 12 May 2025 10:00:00 +0200\n\n{body}\n\n"
    )
}

/// Writes an mbox with three mails by Ben and one by Ada.
fn mbox(dir: &Path) {
    let ben = "Ben Beispiel <ben@example.org>";
    let mails = [
        mail("Ada <ada@example.com>", ben, "Parts", "Did the parts come?"),
        mail(
            ben,
            "Ada <ada@example.com>",
            "Re: Parts",
            "Hi Ada,\n\nall six came.\n\nBest,\nBen\n\n> Did the parts come?",
        ),
        mail(ben, "cem@example.net", "Cake", "bist du da? ich bring kuchen"),
        mail(ben, "cem@example.net", "Secret", "this is confidential, please"),
    ];
    std::fs::write(dir.join("sent.mbox"), mails.concat()).unwrap();
}

fn records(dir: &Path, store: &str) -> Vec<Value> {
    json(dir, &format!("history --store {{}}/{store}"))["records"].as_array().unwrap().clone()
}

#[test]
fn a_dry_run_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    mbox(dir.path());
    let planned = json(dir.path(), "import --store {}/me --from {}/sent.mbox --dry-run");
    assert_eq!((planned["new"].as_u64(), planned["imported"].as_u64()), (Some(3), Some(0)));
    assert_eq!(planned["examples"].as_array().unwrap().len(), 3);
    assert!(!dir.path().join("me").exists());
    let said = String::from_utf8(run(dir.path(), "import --store {}/me --from {}/sent.mbox --dry-run").stdout).unwrap();
    assert!(said.contains("would import 3 texts") && said.contains("to ada@example.com, Parts"), "{said}");
    assert!(said.contains("       1  by somebody else") && said.contains("    all six came."), "{said}");
    json(dir.path(), "record --store {}/me --item i --text first");
    json(dir.path(), "import --store {}/me --from {}/sent.mbox --dry-run");
    assert_eq!(records(dir.path(), "me").len(), 1);
}

#[test]
fn importing_twice_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    mbox(dir.path());
    let first = json(dir.path(), "import --store {}/me --from {}/sent.mbox");
    assert_eq!((first["imported"].as_u64(), first["known"].as_u64()), (Some(3), Some(0)));
    assert_eq!((first["me"][0].as_str(), first["skipped"]["not_mine"].as_u64()), (Some("ben@example.org"), Some(1)));
    let again = json(dir.path(), "import --store {}/me --from {}/sent.mbox");
    assert_eq!((again["imported"].as_u64(), again["known"].as_u64()), (Some(0), Some(3)));
    let planned = json(dir.path(), "import --store {}/me --from {}/sent.mbox --dry-run");
    assert_eq!((planned["new"].as_u64(), planned["known"].as_u64()), (Some(0), Some(3)));
    assert_eq!(records(dir.path(), "me").len(), 3);
}

#[test]
fn recipients_are_stored_as_the_ids_of_the_option_to() {
    let dir = tempfile::tempdir().unwrap();
    mbox(dir.path());
    json(dir.path(), "import --store {}/me --from {}/sent.mbox");
    json(dir.path(), "record --store {}/me --kind email --to ' ADA@example.com' --text 'one more mail'");
    let records = records(dir.path(), "me");
    let audience = |text: &str| {
        let found = records.iter().find(|r| r["interaction"]["text"].as_str().unwrap().contains(text)).unwrap();
        found["interaction"]["audience"].as_str().unwrap().to_owned()
    };
    assert_eq!(audience("all six came"), audience("one more mail"));
    assert_ne!(audience("all six came"), audience("kuchen"));
    assert!(!serde_json::to_string(&records).unwrap().contains("ada@"));
    let said = run(dir.path(), "record --store {}/me --kind email --to a --audience b --text 'x y'");
    assert!(!said.status.success());
}

#[test]
fn a_text_to_an_imported_recipient_is_generated() {
    let dir = prepared();
    mbox(dir.path());
    json(dir.path(), "import --store {}/me --from {}/sent.mbox");
    let command = "generate --store {}/me --model {}/tiny.gguf --kind email --title Parts --to Ada@example.com";
    assert!(json(dir.path(), command)["text"].is_string());
    assert!(!run(dir.path(), &format!("{command} --audience x")).status.success());
}

#[test]
fn texts_are_excluded() {
    let dir = tempfile::tempdir().unwrap();
    mbox(dir.path());
    let count = |options: &str| {
        let said = json(dir.path(), &format!("import --store {{}}/me --from {{}}/sent.mbox --dry-run {options}"));
        said["new"].as_u64().unwrap()
    };
    assert_eq!(count(""), 3);
    assert_eq!(count("--exclude-to example.net"), 1);
    assert_eq!(count("--exclude-word confidential --exclude-word KUCHEN"), 1);
    assert_eq!(count("--exclude-folder sent"), 0);
    assert_eq!(count("--latest 2"), 2);
    assert_eq!(count("--since 2025-05-12"), 3);
    assert_eq!(count("--since 2025-05-13"), 0);
}

#[test]
fn errors_name_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    mbox(dir.path());
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let said = fails(dir.path(), "import --store {}/me --from {}/sent.mbox --me cem@example.net");
    assert!(
        said.contains("no message is by cem@example.net") && said.contains("ben@example.org (3 messages)"),
        "{said}"
    );
    assert!(said.contains("`--me NAME`"), "{said}");
    write("chat.txt", "12/05/26, 14:03 - Ada: Are you coming?\n12/05/26, 14:05 - Ben: sure, see you at 8\n");
    let said = fails(dir.path(), "import --store {}/me --from {}/chat.txt");
    assert!(said.contains("Ada (1 message), Ben (1 message)") && said.contains("`--me NAME`"), "{said}");
    assert!(fails(dir.path(), "import --store {}/me --from {}/none.mbox").contains("cannot read"));
    write("odd.txt", "Dear diary");
    assert!(
        fails(dir.path(), "import --store {}/me --from {}/odd.txt")
            .contains("give mbox, eml, json, csv, chat or notes")
    );
    assert!(fails(dir.path(), "import --store {}/me --from {}/odd.txt --format mbox").contains("no message"));
    write("e.json", r#"{"format":"locket-export","version":1,"records":[]}"#);
    assert!(fails(dir.path(), "import --store {}/me --from {}/e.json --me Ben").contains("imported as a whole"));
    // A failed import creates no store.
    assert!(!dir.path().join("me").exists());
}

#[test]
fn chats_tables_and_notes_are_imported() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("chat.txt", "12/05/26, 14:03 - Ada: Are you coming?\n12/05/26, 14:05 - Ben: sure, see you at 8\n");
    write("table.csv", "text,kind,title\n\"Hi all,\nthe garden opens.\",post,Garden\n");
    write("notes/peas.md", "# Peas\n\nsow them in april\n");
    json(dir.path(), "import --store {}/me --from {}/chat.txt --me Ben");
    json(dir.path(), "import --store {}/me --from {}/table.csv");
    json(dir.path(), "import --store {}/me --from {}/notes");
    let kinds: Vec<_> = records(dir.path(), "me").iter().map(|r| r["interaction"]["kind"].clone()).collect();
    assert_eq!(kinds.len(), 3);
    assert!(["reply", "post", "note"].iter().all(|kind| kinds.contains(&Value::from(*kind))), "{kinds:?}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_import_leaves_the_store_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    mbox(dir.path());
    json(dir.path(), "record --store {}/me --item i --text first");
    // Through a pipe the command waits for the rest of the file, so that the signal arrives while it
    // reads.
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = locket()
        .args(["import", "--format", "mbox", "--me", "ben@example.org", "--store"])
        .arg(dir.path().join("me"))
        .arg("--from")
        .arg(&pipe)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mails = std::fs::read(dir.path().join("sent.mbox")).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    file.write_all(&mails).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(100));
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not stop");
        if file.write_all(&mails).is_err() {
            break;
        }
    }
    drop(file);
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&out.stderr).contains("cancelled: nothing was imported"));
    assert_eq!(records(dir.path(), "me").len(), 1);
}
