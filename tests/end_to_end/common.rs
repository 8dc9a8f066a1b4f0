//! Helpers that run the command.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use std::{
    path::Path,
    process::{Command, Output},
};

/// The command under test, on one thread, because several tests share the cores.
pub fn locket() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locket"));
    command.env("LOCKET_THREADS", "1");
    command.env("LOCKET_KEY_FILE", key_file());
    command
}

/// The command as a user without write permission everywhere: as `nobody`, if root runs the tests.
pub fn as_nobody() -> Command {
    let binary = env!("CARGO_BIN_EXE_locket");
    if Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0") {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", binary]);
        command
    } else {
        Command::new(binary)
    }
}

/// Returns a folder with the tiny model, the sample, its pack, and a store `me` with one text.
pub fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    locket_tests::tiny::write(path);
    std::fs::copy(locket_tests::sample(), path.join("sample.jsonl")).unwrap();
    json(path, "pack build --profiles {}/sample.jsonl --out {}/p.pack");
    json(
        path,
        "record --store {}/me --item k9 --title 'Slow and good' --text 'Sundays belong to this dripper.' --rating 5",
    );
    dir
}

/// Path of the key for all stores of a test run.
pub fn key_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("stores.key")
}

/// Runs the command with space-separated arguments; `{}` stands for `dir`.
pub fn run(dir: &Path, args: &str) -> Output {
    let args: Vec<String> = split(args).into_iter().map(|a| a.replace("{}", dir.to_str().unwrap())).collect();
    locket().args(args).output().unwrap()
}

/// Splits arguments like a shell: single quotes keep spaces.
pub fn split(args: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (n, part) in args.split('\'').enumerate() {
        match n % 2 {
            0 => out.extend(part.split_whitespace().map(str::to_owned)),
            _ => out.push(part.to_owned()),
        }
    }
    out
}

/// Runs the command, requires success, and parses the one JSON object on stdout.
pub fn json(dir: &Path, args: &str) -> serde_json::Value {
    let out = run(dir, &format!("{args} --json"));
    assert!(out.status.success(), "{args}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{args}: {e}: {}", String::from_utf8_lossy(&out.stdout)))
}

/// Runs the command, requires failure with exactly one line on stderr and nothing on stdout, and
/// returns the line.
pub fn fails(dir: &Path, args: &str) -> String {
    let out = run(dir, args);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success(), "{args} succeeded");
    assert_eq!(said.trim_end().lines().count(), 1, "{args}: {said}");
    assert!(said.starts_with("locket: "), "{said}");
    assert!(out.stdout.is_empty());
    said
}
