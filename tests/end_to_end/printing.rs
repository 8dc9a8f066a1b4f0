//! Closed or full outputs: a command ends with an exit status and without a panic.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

use std::{
    fs::File,
    path::Path,
    process::{Output, Stdio},
};

use crate::common::{self, json, locket, split};

fn prepared() -> tempfile::TempDir {
    let dir = common::prepared();
    let path = dir.path();
    let export = json(path, "export --store {}/me");
    std::fs::write(path.join("me.json"), export.to_string()).unwrap();
    dir
}

/// Commands that print, with every kind of report.
const COMMANDS: [&str; 20] = [
    "--help",
    "--version",
    "pack build --help",
    "pack build --profiles {}/sample.jsonl --out {}/again.pack",
    "pack inspect {}/p.pack",
    "pack inspect {}/p.pack --json",
    "pack keys --signing-key {}/release.key",
    "pack diff {}/p.pack {}/p.pack --signing-key {}/release.key --out {}/update.delta",
    "model list",
    "model trim --model {}/tiny.gguf --profiles {}/sample.jsonl --out {}/small.gguf",
    "record --store {}/me --item k4 --text 'It screams while it froths.'",
    "history --store {}/me",
    "history --store {}/me --json",
    "export --store {}/me",
    "import --store {}/copy --from {}/me.json",
    "predict --store {}/me --pack {}/p.pack --explain",
    "generate --store {}/me --pack {}/p.pack --model {}/tiny.gguf --item k1 --task text --title Kettle",
    "generate --store {}/me --pack {}/p.pack --model {}/tiny.gguf --item k1 --task text --title Kettle --stream",
    "eval link --profiles {}/sample.jsonl",
    "erase --store {}/copy --yes",
];

/// Runs a command with these outputs.
fn printing(dir: &Path, args: &str, out: Stdio, err: Stdio) -> Output {
    let args = split(args).into_iter().map(|a| a.replace("{}", dir.to_str().unwrap()));
    let child = locket().args(args).stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
    child.wait_with_output().unwrap()
}

/// A pipe without a reader.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A disk without space.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_reader_that_left_ends_a_command_quietly() {
    let dir = prepared();
    for args in COMMANDS {
        let out = printing(dir.path(), args, closed(), Stdio::piped());
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(0), "{args}: {said}");
        assert!(!said.contains("panicked") && !said.contains("locket: "), "{args}: {said}");
    }
    let kept = json(dir.path(), "history --store {}/me")["records"].as_array().unwrap().len();
    assert_eq!(kept, 2, "the text that was recorded is kept");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_one_line_that_tells_what_was_done() {
    let dir = prepared();
    for args in COMMANDS {
        let out = printing(dir.path(), args, full(), Stdio::piped());
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{args}: {said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("locket: ") && last.contains("No space left on device"), "{args}: {said}");
        let done = [("record", "the text is stored"), ("import", "the records are stored"), ("erase", "is erased")];
        let done = done.iter().find(|(command, _)| args.starts_with(command));
        assert!(done.is_none_or(|(_, told)| last.contains(told)), "{args}: {said}");
    }
    let kept = json(dir.path(), "history --store {}/me")["records"].as_array().unwrap().len();
    assert_eq!(kept, 2, "the text that was recorded is kept");
}

/// A failing command keeps its own exit status.
#[test]
fn errors_that_cannot_be_printed_do_not_panic() {
    let dir = prepared();
    let mut outputs: Vec<fn() -> Stdio> = vec![closed];
    if cfg!(target_os = "linux") {
        outputs.push(full);
    }
    for err in outputs {
        for args in ["history --store {}/me", "predict --store {}/me --pack {}/p.pack", "--help"] {
            let out = printing(dir.path(), args, Stdio::piped(), err());
            assert!(out.status.success() && !out.stdout.is_empty(), "{args}");
        }
        for (args, code) in [("history --store {}/nobody", 1), ("history --nonsense", 2), ("pack inspect {}/no", 1)] {
            assert_eq!(printing(dir.path(), args, Stdio::piped(), err()).status.code(), Some(code), "{args}");
        }
        let both = printing(dir.path(), "history --store {}/me", err(), err());
        assert!(matches!(both.status.code(), Some(0 | 1)), "{both:?}");
    }
}
