//! Alignment end to end: examples, a few training steps, and an adapter that llama.cpp loads.
//! llama.cpp's log-probabilities must match those of the trainer's own model.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::common::{fails, json, run};
use locket::{
    LoadOptions, Model,
    internals::llm::{DecoderOptions, Token},
};
use serde_json::Value;

/// Lock for tests that use all cores: they run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Returns a folder with the shipped sample.
fn with_sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(locket_tests::sample(), dir.path().join("sample.jsonl")).unwrap();
    dir
}

/// Returns a Python with the trainer's packages. For tests that "need PyTorch".
fn python() -> PathBuf {
    let made = locket_tests::root().join("target/venv-align/bin/python3");
    let python = std::env::var_os("LOCKET_ALIGN_PYTHON").map_or(made, PathBuf::from);
    locket_tests::needed(python, "run `make venv-align` or set LOCKET_ALIGN_PYTHON to a Python with PyTorch")
}

fn script(python: &Path, name: &str, args: &[&str]) -> Vec<Value> {
    let script = locket_tests::root().join("models/align").join(name);
    let out = Command::new(python).arg(script).args(args).output().unwrap();
    assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Mean and largest difference between two models' log-probabilities of the same tokens.
fn difference(rows: &[Value], model: &Model) -> (f64, f64) {
    let mut decoder = model.decoder(DecoderOptions { context: 1024, threads: 2, ..DecoderOptions::default() }).unwrap();
    let (mut sum, mut worst, mut n) = (0.0, 0.0f64, 0);
    for row in rows {
        let numbers = |key: &str| row[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
        let tokens: Vec<Token> = numbers("tokens").iter().map(|&t| Token::new(t as i32)).collect();
        let all =
            decoder.score_all(vec![(tokens[..1].to_vec(), tokens[1..].to_vec())], &mut |_| ControlFlow::Continue(()));
        let ours = &all.unwrap()[0];
        for (place, theirs) in numbers("learn").iter().zip(numbers("scores")) {
            let d = (ours[*place as usize - 1] - theirs).abs();
            (sum, worst, n) = (sum + d, worst.max(d), n + 1);
        }
    }
    (sum / f64::from(n), worst)
}

#[test]
#[ignore = "needs the default model and PyTorch"]
fn a_few_steps_make_an_adapter_that_says_what_the_trainer_says() {
    let (python, model) = (python(), locket_tests::model());
    let _alone = ALONE.lock();
    let dir = with_sample();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let model_path = model.display().to_string();
    let made = json(
        dir.path(),
        &format!("align examples --profiles {{}}/sample.jsonl --model {model_path} --out {{}}/e.jsonl"),
    );
    assert!(made["examples"].as_u64().unwrap() > 60, "{made}");

    let (examples, run, adapter) = (at("e.jsonl"), at("run"), at("a.gguf"));
    let mut args = vec!["--model", &model_path, "--examples", &examples, "--run", &run, "--out", &adapter];
    args.extend([
        "--step-tokens",
        "600",
        "--batch-tokens",
        "800",
        "--held-out",
        "3",
        "--threads",
        "2",
        "--rate",
        "2e-3",
    ]);
    let first = script(&python, "train.py", &[&args[..], &["--steps", "3"]].concat());
    let begun = first[0]["validation"].as_f64().unwrap();
    // The same command continues from its last step.
    let log = script(&python, "train.py", &[&args[..], &["--steps", "12"]].concat());
    let ended = log.last().unwrap();
    assert_eq!(ended["step"], 12);
    assert!(log.iter().all(|l| l["step"].as_u64().unwrap() > 3), "{log:?}");
    assert!(ended["validation"].as_f64().unwrap() < begun - 0.1, "{begun} -> {ended}");

    let scores = ["--model", &model_path, "--examples", &examples, "--limit", "6"];
    let trained = script(&python, "scores.py", &[&scores[..], &["--adapter", &adapter]].concat());
    let load = |adapter: Option<&str>| {
        let mut options = LoadOptions::default();
        options.adapter = adapter.map(PathBuf::from);
        Model::load(&model, options).unwrap()
    };
    let (mean, worst) = difference(&trained, &load(Some(&adapter)));
    let (without, _) = difference(&trained, &load(None));
    println!(
        "log-probabilities, llama.cpp against PyTorch: {mean:.3} apart on average, at most {worst:.2}; without the adapter {without:.3}"
    );
    assert!(mean < 0.1 && worst < 2.0, "{mean} {worst}");
    assert!(without > 2.0 * mean, "the adapter hardly changes anything: {without} against {mean}");
}

#[test]
#[ignore = "needs the default model and PyTorch"]
fn what_is_rewarded_grows_likelier() {
    let (python, model) = (python(), locket_tests::model());
    let _alone = ALONE.lock();
    let dir = with_sample();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let model_path = model.display().to_string();
    let align = format!("align examples --profiles {{}}/sample.jsonl --model {model_path} --neighbours 1");
    json(dir.path(), &format!("{align} --tasks 100,0,0,0 --planned 0 --limit 1 --out {{}}/text.jsonl"));
    json(dir.path(), &format!("{align} --tasks 0,0,100,0 --planned 0 --limit 4 --out {{}}/ratings.jsonl"));
    let left = json(
        dir.path(),
        &format!("{align} --left-out --tasks 100,0,0,0 --planned 100 --limit 2 --out {{}}/left-out.jsonl"),
    );
    assert_eq!(left["examples"], 2, "{left}");

    let files = ["text.jsonl", "ratings.jsonl", "left-out.jsonl", "sample.jsonl", "run", "a.gguf"].map(at);
    let adapter = locket_tests::root().join("models/gemma-3-270m-review.gguf").display().to_string();
    let [text, ratings, left_out, people, run, out] = &files;
    let mut args = vec!["--model", &model_path, "--init", &adapter, "--examples", text, ratings];
    args.extend(["--validation", left_out, "--profiles", people, "--run", run, "--out", out]);
    args.extend("--prompts 1 --each 8 --new 12 --ratings 2 --rate 1.5e-3 --near 0.01".split(' '));
    args.extend("--length 480 --snapshots 1 --threads 2 --workers 1".split(' '));
    let first = script(&python, "reinforce.py", &[&args[..], &["--steps", "3"]].concat());
    let log = script(&python, "reinforce.py", &[&args[..], &["--steps", "9"]].concat());
    // The same command continued from its last step.
    assert!(log.iter().all(|l| l["step"].as_u64().unwrap() > 3), "{log:?}");
    let reward = |log: &[Value]| -> Vec<f64> { log.iter().filter_map(|l| l["reward"].as_f64()).collect() };
    let (begun, ended) = (reward(&first), reward(&log));
    assert_eq!((begun.len(), ended.len()), (3, 6), "{log:?}");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    println!("reward of a step: {begun:.3?}, then {ended:.3?}");
    assert!(mean(&ended[3..]) > mean(&begun) + 0.05, "{begun:?} {ended:?}");
    assert!(log.iter().any(|l| l["left-out rouge1"].is_f64()), "{log:?}");

    // The trainer's model in plain PyTorch matches llama.cpp's, and its output is an adapter for
    // it.
    let scores = ["--model", &model_path, "--examples", text, left_out, "--adapter", out, "--reinforced"];
    let ours = script(&python, "scores.py", &scores);
    let loaded = Model::load(&model, LoadOptions::default().with_adapter(out)).unwrap();
    let (mean, worst) = difference(&ours, &loaded);
    assert!(mean < 0.1 && worst < 2.0, "{mean} {worst}");
}

#[test]
#[ignore = "needs PyTorch"]
fn rewards_are_what_the_evaluation_measures() {
    let python = python();
    let written = "My cat loves it, and so do I! It's OK -- 5 stars, would buy again and again.";
    let texts = [written, "Cats love it. Would buy again", "", "Nothing in common here", "again again again again"];
    let code = "import json, sys; sys.path.insert(0, sys.argv[1]); import reward; texts = json.loads(sys.argv[2])
print(json.dumps([[reward.rouge1(a, b), reward.meteor(a, b)] for a in texts for b in texts if b]))";
    let align = locket_tests::root().join("models/align");
    let out = Command::new(python).args(["-c", code]).arg(align).arg(serde_json::json!(texts).to_string()).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let values: Vec<[f64; 2]> = serde_json::from_slice(&out.stdout).unwrap();
    let pairs = texts.iter().flat_map(|a| texts.iter().filter(|b| !b.is_empty()).map(move |b| (*a, *b)));
    let meteor = locket_eval::Meteor::new();
    for ((a, b), [rouge1, recall]) in pairs.zip(values) {
        assert!((rouge1 - locket_eval::rouge1(a, b)).abs() < 1e-9, "{a} / {b}: {rouge1}");
        // The trainer's METEOR has no penalty for chunks, and neither stems nor synonyms.
        assert!(recall >= 0.0 && (a != b || recall > 0.999), "{a} / {b}: {recall}");
        assert!((recall > 0.0) == (meteor.score(a, b) > 0.0), "{a} / {b}: {recall}");
    }
}

#[test]
#[ignore = "needs the default model"]
fn golden_paths_are_found_again() {
    let model = locket_tests::model();
    let _alone = ALONE.lock();
    let dir = with_sample();
    let args = format!(
        "align paths --profiles {{}}/sample.jsonl --model {} -n 3 --limit 6 --rationalised --threads 2 --out {{}}",
        model.display()
    );
    let first = json(dir.path(), &format!("{args}/a.jsonl"));
    assert!(first["golden"].as_f64().unwrap() > first["sampled"].as_f64().unwrap(), "{first}");
    let whole = fs::read_to_string(dir.path().join("a.jsonl")).unwrap();
    // A search that stopped in the middle of a line ends with the same file.
    fs::write(dir.path().join("b.jsonl"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(json(dir.path(), &format!("{args}/b.jsonl")), first);
    assert_eq!(fs::read_to_string(dir.path().join("b.jsonl")).unwrap(), whole);
    let line = fails(dir.path(), &format!("{args}/a.jsonl --seed 2"));
    assert!(line.contains("a.jsonl"), "{line}");
}

#[test]
#[ignore = "needs the default model"]
fn synthetic_interactions_stand_in_the_examples() {
    let model = locket_tests::model();
    let _alone = ALONE.lock();
    let dir = with_sample();
    let common = format!("--profiles {{}}/sample.jsonl --model {} --limit 8 --threads 2", model.display());
    let adapter = locket_tests::root().join("models/gemma-3-270m-review.gguf");
    let synthesize =
        format!("align synthesize {common} --adapter {} --share 100 --out {{}}/s.jsonl", adapter.display());
    let first = json(dir.path(), &synthesize);
    assert!(first["examples"].as_u64().unwrap() >= 4 && first["kept"].as_u64().unwrap() >= 4, "{first}");
    let file = dir.path().join("s.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    // Texts that are already in the file are not generated again.
    assert_eq!(json(dir.path(), &synthesize), first);
    assert_eq!(fs::read_to_string(&file).unwrap(), whole);
    fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(json(dir.path(), &synthesize)["examples"], first["examples"]);

    let examples = |extra: &str| json(dir.path(), &format!("align examples {common} {extra} --out {{}}/e.jsonl"));
    let (without, with) = (examples(""), examples("--synthetic {}/s.jsonl"));
    assert_eq!((without["examples"].as_u64(), without["mixed"].as_u64()), (with["examples"].as_u64(), Some(0)));
    assert!(with["mixed"].as_u64().unwrap() >= 3, "{with}");
    assert!(with["tokens"].as_u64() > without["tokens"].as_u64(), "{without} {with}");
    let line = fails(dir.path(), &format!("align examples {common} --synthetic {{}}/sample.jsonl --out {{}}/e.jsonl"));
    assert!(line.contains("no file of synthetic interactions"), "{line}");
}

#[test]
fn tasks_plans_and_neighbours_can_be_chosen() {
    let dir = with_sample();
    let model = locket_tests::tiny::write(dir.path());
    let common = format!("align examples --profiles {{}}/sample.jsonl --model {} --out {{}}/e.jsonl", model.display());
    let tokens = |extra: &str| json(dir.path(), &format!("{common} {extra}"))["tokens"].as_u64().unwrap();
    let many = tokens("--tasks 0,0,100,0 --planned 0");
    let few = tokens("--tasks 0,0,100,0 --planned 0 --neighbours 1");
    assert!(few < many, "{few} {many}");
    let lines = fs::read_to_string(dir.path().join("e.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let ratings = lines.iter().filter(|e| e["task"] == "rating").count();
    // Interactions without a rating become text examples.
    assert!(ratings * 10 >= lines.len() * 9, "{ratings} of {}", lines.len());
    assert!(lines.iter().all(|e| e["reasoning"] == false && e["task"] != "title"));
    for wrong in ["1,2,3", "0,0,0,0", "1,2,3,many"] {
        let out = run(dir.path(), &format!("{common} --tasks {wrong}"));
        assert!(!out.status.success() && String::from_utf8(out.stderr).unwrap().contains("four numbers"), "{wrong}");
    }
}

/// Returns the text of some tokens of an example.
fn spelled(model: &Model, example: &Value, range: std::ops::Range<u64>) -> String {
    let mut bytes = Vec::new();
    let tokens = &example["tokens"].as_array().unwrap()[range.start as usize..range.end as usize];
    tokens.iter().for_each(|t| model.spell(Token::new(t.as_i64().unwrap() as i32), &mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn every_kind_is_learnt_from_notes_drafts_and_plans() {
    let dir = with_sample();
    let path = locket_tests::tiny::write(dir.path());
    let model = Model::load(&path, LoadOptions::default()).unwrap();
    fs::copy(locket_tests::root().join("tests/sample/writing.jsonl"), dir.path().join("writing.jsonl")).unwrap();
    let common = format!("align examples --profiles {{}}/writing.jsonl --model {} --out {{}}/e.jsonl", path.display());
    let made = |given: &str| {
        json(dir.path(), &format!("{common} --validation 0 --tasks 100,0,0,0 --given {given}"));
        let lines = fs::read_to_string(dir.path().join("e.jsonl")).unwrap();
        lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).collect::<Vec<_>>()
    };
    for (given, label) in [("100,0,0", "\nNotes: "), ("0,100,0", "\nDraft: "), ("0,0,100", "\nPlan: ")] {
        let examples = made(given);
        assert!(examples.len() > 20, "{}", examples.len());
        let with = |e: &&Value| format!("\n{}", spelled(&model, e, 0..e["prompt"].as_u64().unwrap())).contains(label);
        // A text without content has no plan, and two of the eight people write German: so do labels.
        let share = examples.iter().filter(with).count() * 10;
        assert!(share >= examples.len() * 7, "{given}: {share} tenths of {}", examples.len());
    }
    for example in made("60,20,10") {
        let prompt = spelled(&model, &example, 0..example["prompt"].as_u64().unwrap());
        let label = prompt.rsplit('\n').next().unwrap();
        assert!(["Reply:", "Antwort:", "E-mail:", "E-Mail:", "Note:", "Notiz:"].contains(&label), "{label}");
        // All learnt ranges are texts: the lines after the kind's label, and the answer.
        for range in example["learn"].as_array().unwrap() {
            let (start, end) = (range["start"].as_u64().unwrap(), range["end"].as_u64().unwrap());
            assert!(spelled(&model, &example, 0..start).ends_with(label), "{prompt}");
            assert!(!spelled(&model, &example, start..end).trim().is_empty(), "{prompt}");
        }
    }
    for wrong in ["1,2", "60,30,20", "a,b,c"] {
        let out = run(dir.path(), &format!("{common} --given {wrong}"));
        assert!(!out.status.success() && String::from_utf8(out.stderr).unwrap().contains("three numbers"), "{wrong}");
    }
}

#[test]
fn profiles_are_cleaned_for_training() {
    let dir = tempfile::tempdir().unwrap();
    let text = |text: &str| serde_json::json!({ "item": "a", "text": text, "kind": "reply" });
    let long = "I &quot;love&quot; it.<br/>Thanks &amp; see you at the weekend";
    let copy = "Ann: I \"love\" it. Thanks & see you at the weekend";
    let people = [
        serde_json::json!({ "user": "u", "history": [text(long), text(copy)], "target": text("x < y\u{2028}z") }),
        serde_json::json!({ "user": "unlicensed", "history": [], "target": text("Nothing of this.") }),
    ];
    fs::write(dir.path().join("p.jsonl"), people.map(|p| format!("{p}\n")).concat()).unwrap();
    let [from, to] = ["p.jsonl", "clean.jsonl"].map(|name| dir.path().join(name).display().to_string());
    let said = script(Path::new("python3"), "prepare.py", &[&from, "--out", &to, "--skip-user", "unlicensed"]);
    assert_eq!(said[0], serde_json::json!({ "people": 1, "texts": 2, "dropped": 1 }));
    let clean: Value = serde_json::from_str(fs::read_to_string(&to).unwrap().trim_end()).unwrap();
    assert_eq!(clean["history"][0]["text"], "I \"love\" it.\nThanks & see you at the weekend");
    assert_eq!(clean["target"]["text"], "x < y\u{2028}z");
}

#[test]
fn ratings_are_corrected_in_an_adapters_file() {
    let dir = with_sample();
    let model = locket_tests::tiny::write(dir.path());
    let adapter = locket_tests::tiny::write_adapter(dir.path(), 32);
    let common = format!("--profiles {{}}/sample.jsonl --model {}", model.display());
    let fit = |limit: usize, out: &str| {
        let adapter = adapter.display();
        json(dir.path(), &format!("align ratings {common} --adapter {adapter} --limit {limit} --out {{}}/{out}.gguf"))
    };
    let made = fit(24, "rated");
    assert_eq!(made["ratings"], 24, "{made}");
    let pair = |name: &str| [0, 1].map(|n: usize| made[name][n].as_f64().unwrap());
    // A model with random weights has no skill: the base rates of the ratings alone improve on it.
    let ([loss, corrected], [mae, nearer]) = (pair("loss"), pair("mae"));
    assert!(corrected < loss && nearer < mae, "{made}");
    let rated = dir.path().join("rated.gguf");
    let load = |adapter: &Path| {
        let options = LoadOptions::default().with_adapter(adapter);
        Model::load(&model, options).unwrap().stars().unwrap().calibration
    };
    let scale = made["calibration"]["scale"].as_f64().unwrap();
    assert!((load(&rated).scale - scale).abs() < 1e-6 * scale.abs(), "{made}");
    assert_eq!(load(&adapter), locket::internals::llm::Calibration::default());
    // No journal is left, and an earlier correction in the adapter has no influence.
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("ratings")), "{left:?}");
    let again = format!("align ratings {common} --adapter {} --limit 24 --out {{}}/again.gguf", rated.display());
    assert_eq!(json(dir.path(), &again), made);
    let no_ratings = dir.path().join("none.jsonl");
    let text = fs::read_to_string(dir.path().join("sample.jsonl")).unwrap();
    let stripped = text.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row["target"]["rating"] = Value::Null;
        row["history"].as_array_mut().unwrap().iter_mut().for_each(|i| i["rating"] = Value::Null);
        format!("{row}\n")
    });
    fs::write(&no_ratings, stripped.collect::<String>()).unwrap();
    let nothing = format!(
        "align ratings --profiles {} --model {} --adapter {} --out {{}}/x.gguf",
        no_ratings.display(),
        model.display(),
        adapter.display()
    );
    assert!(fails(dir.path(), &nothing).contains("no rating"));
}
