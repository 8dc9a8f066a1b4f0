//! Compares the metrics with the public Python packages on the same strings, to 4 decimals.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use locket_builder::profile::Profiles;
use locket_eval::{Meteor, WordNet, rouge_l, rouge1, stem};
use serde_json::{Value, json};

/// Returns a Python with the packages of tests/metrics/requirements.txt. For tests that "need NLTK
/// and WordNet".
fn python() -> PathBuf {
    locket_tests::needed(WordNet::default_dir().join("data.noun"), "install WordNet (Debian: wordnet-base)");
    let made = locket_tests::root().join("target/venv/bin/python3");
    let python = std::env::var_os("LOCKET_PYTHON").map_or(made, PathBuf::from);
    locket_tests::needed(python, "run `make venv` or set LOCKET_PYTHON to a Python with nltk and rouge-score")
}

fn reference(python: PathBuf, lines: &[Value]) -> Vec<Value> {
    let mut child = Command::new(python)
        .arg(locket_tests::root().join("tests/metrics/reference.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input: String = lines.iter().map(|l| format!("{l}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(out.status.success());
    String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
#[ignore = "needs NLTK and WordNet"]
fn rouge_and_meteor_are_those_of_the_public_packages() {
    let python = python();
    let mut texts: Vec<String> = Vec::new();
    for profile in Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap) {
        texts.extend(
            profile.interactions().map(|(i, _)| format!("{}. {}", i.title.clone().unwrap_or_default(), i.text)),
        );
    }
    let mut pairs: Vec<(String, String)> = texts.windows(2).map(|w| (w[0].clone(), w[1].clone())).collect();
    // The same text truncated, rotated and with other words, so that long matches, stems and
    // synonyms occur.
    for text in texts.iter().step_by(3) {
        let mut words: Vec<&str> = text.split(' ').collect();
        pairs.push((words[words.len() / 3..].join(" "), text.clone()));
        let half = words.len() / 2;
        words.rotate_left(half);
        pairs.push((words.join(" ").replace("ing", "ed").replace("big", "large"), text.clone()));
    }
    for odd in
        ["", " ", "!!!", "It's 5-star — café, naïve; 100%!", "the the the the", "Über ÉCOLE 日本語 😀 ok", "a_b c__d"]
    {
        pairs.push((odd.into(), "the café is a 5-star école, the best".into()));
        pairs.push(("the café is a 5-star école, the best".into(), odd.into()));
    }
    let lines: Vec<Value> = pairs.iter().map(|(p, r)| json!({ "prediction": p, "reference": r })).collect();
    let meteor = Meteor::new();
    assert_eq!(meteor.variant(), "METEOR");
    for ((p, r), want) in pairs.iter().zip(reference(python, &lines)) {
        let have = [rouge1(p, r), rouge_l(p, r), meteor.score(p, r)];
        for (n, name) in ["ROUGE-1", "ROUGE-L", "METEOR"].into_iter().enumerate() {
            assert!(
                (have[n] - want[n].as_f64().unwrap()).abs() < 5e-5,
                "{name} {} {} of {p:?} / {r:?}",
                have[n],
                want[n]
            );
        }
    }
    println!("{} pairs compared", pairs.len());
}

#[test]
#[ignore = "needs NLTK and WordNet"]
fn stems_are_those_of_nltk() {
    let python = python();
    let index = std::fs::read_to_string(WordNet::default_dir().join("index.noun")).unwrap();
    let verbs = std::fs::read_to_string(WordNet::default_dir().join("index.verb")).unwrap();
    let lemmas = index.lines().chain(verbs.lines()).filter_map(|l| l.split(' ').next()).filter(|w| !w.is_empty());
    let mut words: Vec<String> = lemmas.step_by(19).map(str::to_owned).collect();
    for text in Profiles::open(locket_tests::sample()).unwrap().map(Result::unwrap) {
        for (i, _) in text.interactions() {
            words.extend(locket::internals::text::words(&i.text));
        }
    }
    for end in ["s", "ed", "ing", "ly", "ational", "fulness", "ically"] {
        words.extend(["relat", "hop", "happi", "geolog", "agree", "fizz", "ty", "sky"].map(|w| format!("{w}{end}")));
    }
    let lines: Vec<Value> = words.iter().map(|w| json!({ "word": w })).collect();
    for (word, want) in words.iter().zip(reference(python, &lines)) {
        assert_eq!(stem(word), want.as_str().unwrap(), "{word}");
    }
    println!("{} words compared", words.len());
}
