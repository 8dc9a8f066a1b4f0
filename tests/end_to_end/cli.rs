//! The command-line contract: the whole workflow on a real (tiny) model.
#![allow(clippy::unwrap_used)]

use crate::common::{self, fails, json, run};
use serde_json::Value;
use std::collections::HashSet;

fn prepared() -> tempfile::TempDir {
    let dir = common::prepared();
    let path = dir.path();
    json(path, "record --store {}/me --item k4 --text 'It screams while it froths.' --rating 2");
    dir
}

#[test]
fn record_history_export_erase() {
    let dir = prepared();
    let history = json(dir.path(), "history --store {}/me");
    assert_eq!(history["records"].as_array().unwrap().len(), 2);
    assert_eq!(history["records"][0]["interaction"]["title"], "Slow and good");
    assert_eq!(history["records"][0]["origin"], "real");
    let export = json(dir.path(), "export --store {}/me");
    assert_eq!((export["format"].as_str(), export["version"].as_u64()), (Some("locket-export"), Some(1)));
    // The export equals the history without the ids.
    for (n, record) in export["records"].as_array().unwrap().iter().enumerate() {
        let mut listed = history["records"][n].clone();
        assert_eq!(listed.as_object_mut().unwrap().remove("id"), Some(n.into()));
        assert_eq!(record, &listed);
    }
    assert_eq!(json(dir.path(), "erase --store {}/me --yes")["erased"], 2);
    assert!(!dir.path().join("me").exists());
}

#[test]
fn pack_predict_and_explain() {
    let dir = prepared();
    assert_eq!(json(dir.path(), "pack inspect {}/p.pack")["items"], 60);
    let held = json(dir.path(), "pack build --profiles {}/sample.jsonl --holdout-targets --out {}/h.pack");
    assert_eq!((held["held_out"].as_u64(), held["edges"].as_u64()), (Some(30), Some(157)));
    let predicted = json(dir.path(), "predict --store {}/me --pack {}/p.pack -k 5 --explain");
    let predicted = predicted["predictions"].as_array().unwrap();
    assert_eq!(predicted.len(), 5);
    for p in predicted {
        assert!(p["item"] != "k9" && p["item"] != "k4");
        let shares: f64 = p["paths"].as_array().unwrap().iter().map(|s| s["share"].as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 1e-3, "{p}");
    }
    let text = run(dir.path(), "predict --store {}/me --pack {}/p.pack -k 2 --explain");
    assert!(String::from_utf8(text.stdout).unwrap().contains(" %  "));
}

#[test]
fn takes_no_more_threads_than_there_are_processors() {
    let dir = prepared();
    let command = "generate --store {}/me --pack {}/p.pack --model {}/tiny.gguf --item k1 --task text";
    for threads in [100_000, usize::MAX] {
        assert!(json(dir.path(), &format!("{command} --threads {threads}"))["text"].is_string());
    }
}

#[test]
fn augment_and_generate() {
    let dir = prepared();
    let model = "--model {}/tiny.gguf --pack {}/p.pack --store {}/me";
    // Without time or tokens, nothing is generated and nothing changes.
    for nothing in ["--deadline 0", "--max-tokens 1"] {
        let stopped = json(dir.path(), &format!("augment {model} -k 3 {nothing}"));
        assert_eq!((&stopped["finished"], &stopped["unfinished"]), (&0.into(), &3.into()), "{stopped}");
    }
    assert!(fails(dir.path(), &format!("augment {model} --deadline=-1")).contains("negative"));
    assert_eq!(json(dir.path(), "history --store {}/me")["records"].as_array().unwrap().len(), 2);
    let done = json(dir.path(), &format!("augment {model} -k 3"));
    // Random weights generate noise, which the gate rejects with a reason. Kept texts are in the
    // store.
    let kept = done["kept"].as_array().unwrap().len();
    assert!(kept + done["refused"].as_array().unwrap().len() >= 3, "{done}");
    assert_eq!(json(dir.path(), "history --store {}/me")["records"].as_array().unwrap().len(), 2 + kept);
    let text = json(dir.path(), &format!("generate {model} --item k1 --task text --title 'My new kettle'"));
    assert!(text["text"].is_string() && text["tokens"].as_u64().unwrap() > 0 && text["path"].is_null(), "{text}");
    let planned = json(dir.path(), &format!("generate {model} --item k1 --task text --title Kettle --reasoning"));
    assert!(planned["path"].is_object(), "{planned}");
    assert!(fails(dir.path(), &format!("generate {model} --item k1 --task text --deadline 0")).contains("deadline"));
    let rated =
        json(dir.path(), &format!("generate {model} --item k1 --task rating --title 'Good' --text 'It boils.'"));
    assert!((1..=5).contains(&rated["rating"].as_u64().unwrap()), "{rated}");
    for length in ["brief", "long"] {
        let asked = format!("generate {model} --item k1 --task text --title Kettle --candidates 2 --length {length}");
        let text = json(dir.path(), &asked);
        assert_eq!(text["path"]["length"], length, "{text}");
    }
    let titled = json(dir.path(), &format!("generate {model} --item k1 --task title --text 'It boils.'"));
    assert!(titled["title"].is_string());
    let streamed = run(dir.path(), &format!("generate {model} --item k1 --task text --title Kettle --stream"));
    let whole = run(dir.path(), &format!("generate {model} --item k1 --task text --title Kettle"));
    assert!(streamed.status.success() && whole.status.success());
    let shown = |output: std::process::Output| String::from_utf8(output.stdout).unwrap();
    let (streamed, whole) = (shown(streamed), shown(whole));
    assert!(whole.len() > 1 && streamed.starts_with(|c: char| !c.is_whitespace()), "{streamed:?} {whole:?}");
    // With several candidates, `--stream` prints the chosen text at once.
    let best = format!("generate {model} --item k1 --task text --title Kettle --candidates 2");
    let (streamed, whole) = (shown(run(dir.path(), &format!("{best} --stream"))), shown(run(dir.path(), &best)));
    assert!(whole.len() > 1);
    assert_eq!(streamed, whole);
}

#[test]
fn every_method_is_evaluated_and_a_second_run_adds_nothing() {
    let dir = prepared();
    let methods = ["none", "copy", "history", "graph", "reasoning", "synthetic", "full", "auto"];
    let others = ["copy", "full"].into_iter().flat_map(|m| [(m, "title"), (m, "rating")]);
    for (method, task) in methods.into_iter().map(|m| (m, "text")).chain(others) {
        let args = format!(
            "eval generation --profiles {{}}/sample.jsonl --model {{}}/tiny.gguf --task {task} --method {method} --limit 4 --seed 3 --out {{}}/{method}-{task}.jsonl"
        );
        let first = json(dir.path(), &args);
        assert_eq!(first["n"], 4);
        let metric = if task == "rating" { ["mae", "rmse", "mae"] } else { ["rouge1", "rougeL", "meteor"] };
        for name in metric {
            assert!(first[name].is_f64() && first[format!("{name}_se")].is_f64(), "{method} {task}: {first}");
            assert!(first["history1plus"][name].is_f64());
        }
        assert_eq!(first["history0"]["n"].as_u64().unwrap() + first["history1plus"]["n"].as_u64().unwrap(), 4);
        let file = dir.path().join(format!("{method}-{task}.jsonl"));
        let before = std::fs::read(&file).unwrap();
        assert_eq!(json(dir.path(), &args), first);
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
}

#[test]
fn the_history_cap_is_kept() {
    let dir = prepared();
    let base = "eval generation --profiles {}/sample.jsonl --task text --method copy --limit 5";
    let capped = json(dir.path(), &format!("{base} --history-cap 0"));
    assert_eq!((capped["history0"]["n"].as_u64(), capped["history1plus"]["n"].as_u64()), (Some(5), Some(0)));
}

#[test]
fn several_texts_of_each_person_are_written() {
    let dir = prepared();
    let base = "eval generation --profiles {}/sample.jsonl --model {}/tiny.gguf --task text --method full --limit 2";
    let several =
        format!("{base} --history-cap 2 --targets 3 --synthetic-file {{}}/syn.jsonl --out {{}}/several.jsonl");
    let first = json(dir.path(), &several);
    assert_eq!((first["n"].as_u64(), first["texts"].as_u64()), (Some(2), Some(6)), "{first}");
    let rows = |name: &str| -> Vec<Value> {
        let file = std::fs::read_to_string(dir.path().join(name)).unwrap();
        file.lines().skip(1).map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let written = rows("several.jsonl");
    let distinct = |of: &dyn Fn(&Value) -> String| written.iter().map(of).collect::<HashSet<_>>().len();
    assert_eq!(distinct(&|r| r["reference"].to_string()), 6, "each is another text");
    assert_eq!(distinct(&|r| format!("{} {}", r["user"], r["earlier"])), 6);
    assert_eq!(rows("syn.jsonl").len(), 6, "each has synthetic texts of its own");
    assert_eq!(json(dir.path(), &several), first, "a second run adds nothing");
    assert_eq!(rows("several.jsonl"), written);
    let given = format!("{base} --targets 2 --pack {{}}/p.pack");
    assert!(fails(dir.path(), &given).contains("leave the pack out"));
}

#[test]
fn link_graph_bench_and_models() {
    let dir = prepared();
    let link = json(dir.path(), "eval link --profiles {}/sample.jsonl");
    for key in ["n", "hit5", "hit10", "mrr", "popularity_mrr", "content_mrr", "people_mrr"] {
        assert!(link[key].is_number(), "{key}");
    }
    assert!(link["mrr"].as_f64().unwrap() > link["popularity_mrr"].as_f64().unwrap(), "{link}");
    std::fs::write(dir.path().join("train"), "0 1 2\n1 2 3\n2 1 3 4\n").unwrap();
    std::fs::write(dir.path().join("test"), "0 3\n1 1\n").unwrap();
    let graph = json(dir.path(), "eval graph --train {}/train --test {}/test -k 2");
    assert!((graph["recall"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{graph}");
    for key in ["recall", "ndcg", "seconds", "peak_rss_bytes"] {
        assert!(graph[key].is_number(), "{key}");
    }
    let bench =
        json(dir.path(), "bench --model {}/tiny.gguf --prompt 64 --tokens 8 --sequences 2 --restarts 1 --augment 2");
    let keys = [
        "load_ms",
        "prefill_tps",
        "decode_tps",
        "parallel_decode_tps",
        "ttft_cold_ms",
        "ttft_warm_ms",
        "peak_rss_bytes",
        "restart_ttft_cold_ms",
        "restart_ttft_warm_ms",
        "restart_ttft_prewarmed_ms",
        "generate_ms",
        "augment_tps",
        "augment_in_turn_tps",
        "augment_alone_tps",
    ];
    for key in keys {
        assert!(bench[key].as_f64().unwrap() > 0.0, "{key}: {bench}");
    }
    let models = json(dir.path(), "model list");
    assert_eq!(models["models"][0]["name"], "gemma-3-270m");
}

#[test]
fn help_has_examples() {
    let dir = prepared();
    for command in [
        "",
        "pack build",
        "model pull",
        "record",
        "predict",
        "augment",
        "generate",
        "show",
        "eval graph",
        "eval link",
        "eval generation",
        "bench",
    ] {
        let out = run(dir.path(), &format!("{command} --help"));
        assert!(String::from_utf8(out.stdout).unwrap().contains("Example"), "{command}");
    }
    let version: Value = Value::String(String::from_utf8(run(dir.path(), "--version").stdout).unwrap());
    assert!(version.as_str().unwrap().starts_with("locket "));
}

#[test]
fn a_pack_keeps_its_measured_policy() {
    let dir = prepared();
    let build = "pack build --profiles {}/sample.jsonl --tune {}/tiny.gguf --tune-adapter none";
    let built = json(dir.path(), &format!("{build} --tune-people 20 --out {{}}/tuned.pack"));
    let policy = &built["policy"];
    assert_eq!(policy["people"], 20);
    let measured = policy["measured"].as_array().unwrap();
    assert_eq!(
        measured.iter().map(|m| m["sources"].as_str().unwrap()).collect::<Vec<_>>(),
        ["own", "retrieved", "synthetic"]
    );
    assert_eq!(measured[0]["gain"], 0.0);
    assert!(measured.iter().all(|m| m["rouge1"].is_f64() && m["gain_se"].is_f64()), "{policy}");
    let shown = run(dir.path(), "pack inspect {}/tuned.pack");
    assert!(String::from_utf8(shown.stdout).unwrap().contains("measured with tiny"), "the evidence is shown");
    assert_eq!(json(dir.path(), "pack inspect {}/tuned.pack")["policy"], *policy);
    assert_eq!(json(dir.path(), "pack inspect {}/p.pack").get("policy"), None);
    // Nothing is written if the population is too small.
    let few = run(dir.path(), &format!("{build} --tune-people 3 --out {{}}/few.pack"));
    assert!(!few.status.success() && String::from_utf8(few.stderr).unwrap().contains("a policy needs 20 people"));
    assert!(!dir.path().join("few.pack").exists());
}
