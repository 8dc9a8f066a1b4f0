//! Failures give one clear line and an exit code, and lose no data.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use crate::common::{fails, json, locket, run};

fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    locket_tests::tiny::write(dir.path());
    std::fs::copy(locket_tests::sample(), dir.path().join("sample.jsonl")).unwrap();
    json(dir.path(), "pack build --profiles {}/sample.jsonl --out {}/p.pack");
    json(dir.path(), "record --store {}/me --item k9 --text 'Sundays belong to this dripper.'");
    dir
}

#[test]
fn a_truncated_pack() {
    let dir = prepared();
    let whole = std::fs::read(dir.path().join("p.pack")).unwrap();
    std::fs::write(dir.path().join("cut.pack"), &whole[..whole.len() - 100]).unwrap();
    assert!(fails(dir.path(), "pack inspect {}/cut.pack").contains("truncated"));
    assert!(fails(dir.path(), "predict --store {}/me --pack {}/cut.pack").contains("truncated"));
    std::fs::write(dir.path().join("cut.pack"), "hello").unwrap();
    assert!(fails(dir.path(), "pack inspect {}/cut.pack").contains("not a pack"));
    assert!(fails(dir.path(), "pack inspect {}/none.pack").contains("cannot open"));
}

#[test]
fn a_missing_model_and_a_three_byte_one() {
    let dir = prepared();
    let generate = "generate --store {}/me --pack {}/p.pack --item k1 --task text --title T --model";
    assert!(fails(dir.path(), &format!("{generate} {{}}/none.gguf")).contains("locket model pull"));
    assert!(fails(dir.path(), &format!("{generate} nosuchmodel")).contains("no model named nosuchmodel"));
    std::fs::write(dir.path().join("three.gguf"), "GGU").unwrap();
    assert!(fails(dir.path(), &format!("{generate} {{}}/three.gguf")).contains("does not begin with GGUF"));
    assert!(fails(dir.path(), "model verify {}/three.gguf").contains("does not begin with GGUF"));
    assert!(fails(dir.path(), "model verify {}/tiny.gguf").contains("none that is known"));
    assert!(
        fails(dir.path(), &format!("{generate} {{}}/tiny.gguf --adapter {{}}/tiny.gguf")).contains("not an adapter")
    );
}

/// A file that is not the model is rejected, and nothing stays in the models' folder.
#[test]
fn a_wrong_model_file_is_not_pulled() {
    let dir = prepared();
    let models = dir.path().join("models");
    let from = dir.path().join("tiny.gguf");
    let pull = ["model", "pull", "gemma-3-270m", "--from", from.to_str().unwrap()];
    let out = locket().args(pull).env("LOCKET_MODELS", &models).output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && said.contains("the file is not gemma-3-270m"), "{said}");
    let left = std::fs::read_dir(&models).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file());
    assert_eq!(left.count(), 0);
    assert!(fails(dir.path(), "model pull nosuchmodel").contains("no model named"));
}

#[test]
fn bad_lines() {
    let dir = prepared();
    let good = std::fs::read_to_string(dir.path().join("sample.jsonl")).unwrap();
    std::fs::write(dir.path().join("bad.jsonl"), format!("{good}{{\"user\": 7}}\n")).unwrap();
    let said = fails(dir.path(), "pack build --profiles {}/bad.jsonl --out {}/b.pack");
    assert!(said.contains("bad.jsonl:31: not a profile"), "{said}");
    let report = json(dir.path(), "pack build --profiles {}/bad.jsonl --skip-bad --out {}/b.pack");
    assert_eq!((report["profiles"].as_u64(), report["bad"][0]["line"].as_u64()), (Some(30), Some(31)));
    assert!(fails(dir.path(), "eval link --profiles {}/bad.jsonl").contains(":31:"));
    std::fs::write(dir.path().join("edges"), "0 1\nx 2\n").unwrap();
    assert!(fails(dir.path(), "eval graph --train {}/edges --test {}/edges").contains("edges:2"));
}

#[test]
fn stores_and_arguments() {
    let dir = prepared();
    assert!(fails(dir.path(), "history --store {}/nobody").contains("no store at"));
    assert!(!dir.path().join("nobody").exists());
    assert!(fails(dir.path(), "record --store {}/me --item k1 --text x --rating 9").contains("rating"));
    assert!(fails(dir.path(), "record --store {}/sample.jsonl --item k1 --text x").contains("cannot create the store"));
    let erased = run(dir.path(), "erase --store {}/me");
    assert!(!erased.status.success());
    assert_eq!(json(dir.path(), "history --store {}/me")["records"].as_array().unwrap().len(), 1);
    let base = "generate --store {}/me --pack {}/p.pack --model {}/tiny.gguf --item k1";
    assert!(fails(dir.path(), &format!("{base} --task title")).contains("needs the text"));
    assert!(
        fails(dir.path(), "eval generation --profiles {}/sample.jsonl --task text --method full")
            .contains("needs a model")
    );
}

const EVAL: &str = "eval generation --profiles {}/sample.jsonl --model {}/tiny.gguf --task text --method full --seed 5";

/// A killed run with a truncated last line continues: whole rows stay, and each user appears once.
#[test]
fn a_killed_evaluation_resumes() {
    let dir = prepared();
    json(dir.path(), &format!("{EVAL} --out {{}}/whole.jsonl"));
    let args: Vec<String> = format!("{EVAL} --out {{}}/killed.jsonl --json")
        .replace("{}", dir.path().to_str().unwrap())
        .split(' ')
        .map(str::to_owned)
        .collect();
    let out = dir.path().join("killed.jsonl");
    let lines = || std::fs::read(&out).map_or(0, |b| b.iter().filter(|b| **b == b'\n').count());
    let mut child = locket().args(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while lines() < 3 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert!(lines() >= 3);
    // Simulates a kill in the middle of a write.
    let mut cut = std::fs::read(&out).unwrap();
    cut.truncate(cut.len() - 20);
    std::fs::write(&out, &cut).unwrap();
    let resumed = json(dir.path(), &format!("{EVAL} --out {{}}/killed.jsonl"));
    assert_eq!(resumed["n"], 30);
    let whole_lines = cut.iter().rposition(|b| *b == b'\n').unwrap() + 1;
    assert_eq!(std::fs::read(&out).unwrap()[..whole_lines], cut[..whole_lines]);
    let users = |name: &str| {
        let file = std::fs::File::open(dir.path().join(name)).unwrap();
        let mut users: Vec<String> = BufReader::new(file)
            .lines()
            .skip(1)
            .map(|l| serde_json::from_str::<serde_json::Value>(&l.unwrap()).unwrap()["user"].to_string())
            .collect();
        users.sort();
        users
    };
    assert_eq!(users("killed.jsonl"), users("whole.jsonl"));
    let foreign = fails(dir.path(), &EVAL.replace("--seed 5", "--seed 6 --out {}/whole.jsonl"));
    assert!(foreign.contains("other settings"), "{foreign}");
}

/// Ctrl-C during a text ends with one line, and the store is unchanged.
#[cfg(unix)]
#[test]
fn an_interrupted_augmentation_leaves_the_store_alone() {
    let dir = prepared();
    let before = json(dir.path(), "export --store {}/me");
    let args =
        "augment --store {}/me --pack {}/p.pack --model {}/tiny.gguf -k 40".replace("{}", dir.path().to_str().unwrap());
    let child = locket().args(args.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(150));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    // The signal may arrive before the handler is set (killed) or after the work is done (success);
    // otherwise the code is 130.
    match out.status.code() {
        Some(130) => assert!(String::from_utf8(out.stderr).unwrap().contains("cancelled")),
        Some(0) => return,
        _ => {}
    }
    assert_eq!(json(dir.path(), "export --store {}/me"), before);
}
