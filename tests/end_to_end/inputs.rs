//! Unusual input texts: with a leading hyphen, in files of several encodings, without visible
//! characters.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use crate::common::{fails, json, locket, run};
use serde_json::{Value, json};

/// Returns the latest record of the store `me`.
fn latest(dir: &Path) -> Value {
    let history = json(dir, "history --store {}/me");
    history["records"].as_array().unwrap().last().unwrap()["interaction"].clone()
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(bytes).collect()
}

/// Returns the same text in every supported encoding.
fn encodings(text: &str) -> [Vec<u8>; 4] {
    let marked = format!("\u{feff}{text}").into_bytes();
    [text.into(), marked, utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)]
}

fn with_input(dir: &Path, args: &str, input: &[u8]) -> Output {
    let args = args.split(' ').map(|a| a.replace("{}", dir.to_str().unwrap()));
    let mut child =
        locket().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn texts_and_titles_may_begin_with_a_hyphen() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "record --store {}/me --item k1 --title '- hm' --text '- great stuff' --rating 4");
    let kept = latest(dir.path());
    assert_eq!((&kept["title"], &kept["text"]), (&json!("- hm"), &json!("- great stuff")));
    json(dir.path(), "record --store {}/me --item k1 --text -5");
    assert_eq!(latest(dir.path())["text"], "-5");
    json(dir.path(), "record --store {}/me --item k1 --text --");
    assert_eq!(latest(dir.path())["text"], "--");
    // An option after `--text` is not taken for the text.
    let forgotten = run(dir.path(), "record --store {}/me --item k1 --text --json");
    assert_eq!(forgotten.status.code(), Some(2));
    assert!(String::from_utf8(forgotten.stderr).unwrap().contains("this is an option"));
}

#[test]
fn texts_come_from_files_and_from_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let text = "Grüße!\n\nIt froths, 好 🙂";
    for (n, bytes) in encodings(&format!("{text}\r\n")).into_iter().enumerate() {
        fs::write(dir.path().join("text"), &bytes).unwrap();
        json(dir.path(), &format!("record --store {{}}/me --item k{n} --text-file {{}}/text"));
        assert_eq!(latest(dir.path())["text"], text, "{n}");
        let item = format!("s{n}");
        let out = with_input(dir.path(), &format!("record --store {{}}/me --item {item} --text-file -"), &bytes);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let kept = latest(dir.path());
        assert_eq!((&kept["item"], &kept["text"]), (&json!(item), &json!(text)));
    }
    // A text longer than the system's limit for an argument.
    let long = "It froths. ".repeat(20_000);
    fs::write(dir.path().join("text"), &long).unwrap();
    json(dir.path(), "record --store {}/me --item long --text-file {}/text");
    assert_eq!(latest(dir.path())["text"], long.as_str());

    fs::write(dir.path().join("text"), b"Tr\xe8s bon caf\xe9, tr\xe8s l\xe9ger").unwrap();
    let said = fails(dir.path(), "record --store {}/me --item k1 --text-file {}/text");
    assert!(said.contains("windows-1252") && said.contains("iconv"), "{said}");
    assert!(fails(dir.path(), "record --store {}/me --item k1 --text-file {}/none").contains("cannot read"));
    assert!(fails(dir.path(), "record --store {}/me --item k1").contains("--text-file"));
    let both = run(dir.path(), "record --store {}/me --item k1 --text a --text-file {}/text");
    assert_eq!(both.status.code(), Some(2));
    if Path::new("/dev/zero").exists() {
        assert!(fails(dir.path(), "record --store {}/me --item k1 --text-file /dev/zero").contains("longer than"));
    }
}

#[test]
fn texts_without_anything_that_shows_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for blank in ["", " ", "\u{200b}", "\u{feff}\u{200d} \u{2060}"] {
        fs::write(dir.path().join("text"), blank).unwrap();
        let said = fails(dir.path(), "record --store {}/me --item k1 --text-file {}/text");
        assert!(said.contains("both text and title are empty"), "{blank:?}: {said}");
    }
}

fn person(user: &str, items: &[&str], text: &str) -> String {
    let one = |item: &&str| json!({ "item": item, "text": text });
    let (target, history) = (one(&items[0]), items[1..].iter().map(one).collect::<Vec<_>>());
    json!({ "user": user, "history": history, "target": target }).to_string() + "\n"
}

#[test]
fn profiles_edges_and_exports_are_read_in_every_encoding() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let people = person("Zoë", &["a", "b"], "Grüße, 好 🙂") + &person("b", &["a", "c"], "It froths.");
    json(path, "record --store {}/me --item k1 --title Grüße --text '好 🙂'");
    let export = json(path, "export --store {}/me").to_string();
    let mut first = None;
    for (n, ((profiles, edges), export)) in
        encodings(&people).into_iter().zip(encodings("é a b\nü b c\n")).zip(encodings(&export)).enumerate()
    {
        fs::write(path.join("p.jsonl"), &profiles).unwrap();
        fs::write(path.join("e.txt"), &edges).unwrap();
        fs::write(path.join("export.json"), &export).unwrap();
        fs::write(path.join("gone"), utf16("b\n", u16::to_le_bytes)).unwrap();
        let report = json(path, "pack build --profiles {}/p.jsonl --out {}/p.pack");
        assert_eq!((&report["texts"], &report["profiles"]), (&json!(4), &json!(2)), "{n}");
        let pack = fs::read(path.join("p.pack")).unwrap();
        assert!(*first.get_or_insert_with(|| pack.clone()) == pack, "{n}: the packs are the same");
        assert_eq!(json(path, "pack build --profiles {}/p.jsonl --remove {}/gone --out {}/r.pack")["texts"], 2);
        assert_eq!(json(path, "pack build --edges {}/e.txt --out {}/e.pack")["edges"], 4);
        json(path, &format!("import --store {{}}/copy{n} --from {{}}/export.json"));
        let copied = json(path, &format!("history --store {{}}/copy{n}"));
        assert_eq!(copied["records"][0]["interaction"]["text"], "好 🙂");
    }
    fs::write(path.join("e.txt"), b"caf\xe9 a b\n").unwrap();
    let said = fails(path, "pack build --edges {}/e.txt --out {}/e.pack");
    assert!(said.contains("e.txt:1") && said.contains("iconv -f"), "{said}");
}

#[test]
fn half_of_a_surrogate_pair_does_not_refuse_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let people = person("a", &["x", "y"], "cut CUT") + &person("b", &["x", "z"], "whole");
    fs::write(path.join("p.jsonl"), people.replace("CUT", "\\ud83d")).unwrap();
    assert_eq!(json(path, "pack build --profiles {}/p.jsonl --out {}/p.pack")["texts"], 4);
    json(path, "record --store {}/me --item k1 --text 'cut CUT'");
    let export = json(path, "export --store {}/me").to_string();
    fs::write(path.join("export.json"), export.replace("CUT", "\\ud83d")).unwrap();
    json(path, "import --store {}/copy --from {}/export.json");
    let copied = json(path, "history --store {}/copy");
    assert_eq!(copied["records"][0]["interaction"]["text"], "cut \u{fffd}");
}

#[test]
fn an_empty_text_has_no_rating_and_no_title() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    locket_tests::tiny::write(path);
    fs::write(path.join("p.jsonl"), person("a", &["x", "y"], "It froths.")).unwrap();
    json(path, "pack build --profiles {}/p.jsonl --out {}/p.pack");
    json(path, "record --store {}/me --item k1 --text 'It froths.'");
    let generate = "generate --store {}/me --pack {}/p.pack --model {}/tiny.gguf --item x";
    for task in ["rating", "title"] {
        for blank in ["''", "' '", "\u{200b}"] {
            let said = fails(path, &format!("{generate} --task {task} --text {blank}"));
            assert!(said.contains("empty"), "{said}");
        }
        assert!(fails(path, &format!("{generate} --task {task}")).contains("needs the text"));
        json(path, &format!("{generate} --task {task} --text '- it leaks'"));
    }
}

#[test]
fn where_every_item_is_known_nothing_is_predicted_and_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::write(path.join("p.jsonl"), person("a", &["x", "y"], "It froths.")).unwrap();
    json(path, "pack build --profiles {}/p.jsonl --out {}/p.pack");
    json(path, "record --store {}/me --item x --text 'It froths.'");
    let predict = "predict --store {}/me --pack {}/p.pack --exclude y";
    let out = run(path, predict);
    assert!(out.status.success() && out.stdout.is_empty());
    assert!(String::from_utf8(out.stderr).unwrap().starts_with("nothing to predict:"));
    assert_eq!(json(path, predict), json!({ "predictions": [] }));
    let out = run(path, "predict --store {}/me --pack {}/p.pack");
    assert!(!out.stdout.is_empty() && out.stderr.is_empty());
}
