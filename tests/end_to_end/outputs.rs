//! `--out`: a new or replaceable file, never a device, a folder or an input. Links stay.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

use crate::common::{fails, json};

fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    locket_tests::tiny::write(path);
    locket_tests::tiny::write_adapter(path, 32);
    fs::copy(locket_tests::sample(), path.join("sample.jsonl")).unwrap();
    fs::write(path.join("edges"), "1 1 2\n2 2 3\n3 1 3\n").unwrap();
    fs::write(path.join("asked"), "nobody\n").unwrap();
    let run = r#"{"files":["sample.jsonl"],"task":"Text"}
{"user":"marta","history":1,"prediction":"a","reference":"b","scores":[],"path":null,"synthetic":0,"refused":[],"tokens":1}
"#;
    fs::write(path.join("run.jsonl"), run).unwrap();
    fs::create_dir(path.join("folder")).unwrap();
    json(path, "pack build --edges {}/edges --out {}/old.pack");
    json(path, "pack build --profiles {}/sample.jsonl --out {}/new.pack");
    json(path, "pack keys --signing-key {}/release.key");
    json(path, "pack diff {}/old.pack {}/new.pack --signing-key {}/release.key --out {}/update.delta");
    dir
}

/// Every command that writes a file, and the inputs that it must not replace.
const WRITERS: [(&str, &[&str]); 12] = [
    ("pack build --profiles {}/sample.jsonl --remove {}/asked", &["sample.jsonl", "asked"]),
    ("pack build --edges {}/edges", &["edges"]),
    ("pack diff {}/old.pack {}/new.pack --signing-key {}/release.key", &["old.pack", "new.pack", "release.key"]),
    ("pack apply {}/old.pack {}/update.delta --public-key KEY", &["old.pack", "update.delta"]),
    ("model trim --model {}/tiny.gguf --profiles {}/sample.jsonl", &["tiny.gguf", "sample.jsonl"]),
    ("eval population --interactions 100", &[]),
    ("eval scale --train {}/edges", &["edges"]),
    (
        "eval generation --profiles {}/sample.jsonl --model {}/tiny.gguf --task text --method history --limit 1",
        &["sample.jsonl", "tiny.gguf"],
    ),
    ("eval judge --runs {}/run.jsonl --data {}", &["run.jsonl", "sample.jsonl"]),
    ("align examples --profiles {}/sample.jsonl --model {}/tiny.gguf", &["sample.jsonl", "tiny.gguf"]),
    ("align paths --profiles {}/sample.jsonl --model {}/tiny.gguf --limit 1", &["sample.jsonl", "tiny.gguf"]),
    (
        "align ratings --profiles {}/sample.jsonl --model {}/tiny.gguf --adapter {}/lora-32.gguf",
        &["sample.jsonl", "tiny.gguf", "lora-32.gguf"],
    ),
];

/// Returns the files of a folder by name.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|path| path.is_file());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

fn public_key(dir: &Path) -> String {
    json(dir, "pack keys --signing-key {}/release.key")["public_key"].as_str().unwrap().to_owned()
}

#[test]
fn folders_and_inputs_are_not_replaced() {
    let dir = prepared();
    let key = public_key(dir.path());
    let before = files(dir.path());
    for (command, inputs) in WRITERS {
        let command = command.replace("KEY", &key);
        let said = fails(dir.path(), &format!("{command} --out {{}}/folder"));
        assert!(said.contains("it is a directory"), "{command}: {said}");
        for input in inputs {
            for name in [input.to_string(), format!("folder/../{input}")] {
                let said = fails(dir.path(), &format!("{command} --out {{}}/{name}"));
                assert!(said.contains("it is also an input"), "{command}: {said}");
            }
        }
    }
    let synthetic =
        "eval generation --profiles {}/sample.jsonl --model {}/tiny.gguf --task text --method full --limit 1";
    let said = fails(dir.path(), &format!("{synthetic} --synthetic-file {{}}/sample.jsonl"));
    assert!(said.contains("it is also an input"), "{said}");
    let said = fails(dir.path(), &format!("{synthetic} --synthetic-file {{}}/one --out {{}}/one"));
    assert!(said.contains("it is also an input"), "{said}");
    assert!(files(dir.path()) == before, "nothing was written");
}

#[cfg(unix)]
#[test]
fn devices_pipes_and_inputs_behind_links_are_not_replaced() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let dir = prepared();
    let (path, key) = (dir.path(), public_key(dir.path()));
    let pipe = path.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let before = files(path);
    for (command, inputs) in WRITERS {
        let command = command.replace("KEY", &key);
        assert!(fails(path, &format!("{command} --out /dev/null")).contains("it is a device"), "{command}");
        assert!(fails(path, &format!("{command} --out {{}}/pipe")).contains("it is a pipe"), "{command}");
        for input in inputs {
            for hard in [false, true] {
                let link = path.join("link");
                if hard { fs::hard_link(path.join(input), &link) } else { symlink(input, &link) }.unwrap();
                let said = fails(path, &format!("{command} --out {{}}/link"));
                assert!(said.contains("it is also an input"), "{command}: {said}");
                fs::remove_file(&link).unwrap();
            }
        }
    }
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(files(path) == before, "nothing was written");
}

#[cfg(unix)]
#[test]
fn links_are_followed() {
    use std::os::unix::fs::symlink;
    let dir = prepared();
    let (path, key) = (dir.path(), public_key(dir.path()));
    let link = path.join("link");
    for (n, (command, _)) in WRITERS.into_iter().enumerate() {
        let _ = fs::remove_file(&link);
        // Through links to an existing file and to a new one.
        let file = path.join(format!("folder/file{n}"));
        if n % 2 == 0 && !command.starts_with("eval generation") && !command.starts_with("align paths") {
            fs::write(&file, "old").unwrap();
        }
        symlink(format!("folder/file{n}"), &link).unwrap();
        json(path, &format!("{} --out {{}}/link", command.replace("KEY", &key)));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{command}");
        assert!(fs::metadata(&file).unwrap().len() > 3, "{command}");
    }
    // `pack apply` updates the pack that the link points to.
    let _ = fs::remove_file(&link);
    fs::copy(path.join("old.pack"), path.join("folder/shop.pack")).unwrap();
    symlink("folder/shop.pack", &link).unwrap();
    json(path, &format!("pack apply {{}}/link {{}}/update.delta --public-key {key}"));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(path.join("folder/shop.pack")).unwrap() == fs::read(path.join("new.pack")).unwrap());
}
