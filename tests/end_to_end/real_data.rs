//! Packs and rankings of the public data sets and of generated catalogues.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use crate::common::json;
use serde_json::Value;

#[test]
#[ignore = "needs the public data"]
fn all_profile_files_make_one_pack() {
    let files = [
        "pgraphrag/amazon_dev",
        "pgraphrag/hotel_dev",
        "pgraphrag/gap_dev",
        "amazon23/profiles_dev",
        "recipes/profiles_dev",
    ];
    let dir = tempfile::tempdir().unwrap();
    let names = files.map(|f| locket_tests::data(&format!("{f}.jsonl.zst")).display().to_string());
    let report = json(dir.path(), &format!("pack build --profiles {} --out {{}}/all.pack", names.join(" ")));
    assert_eq!(report["profiles"], 2500 * 3 + 226 + 13_395);
    assert_eq!(json(dir.path(), "pack inspect {}/all.pack")["texts"], report["texts"]);
}

/// The kinds of evidence that the mixture of the link predictor weighs.
const EVIDENCE: [&str; 5] = ["popularity", "content", "people", "taste", "category"];

/// Asserts that the mixture ranks better than any one kind of evidence: the mean gain in MRR is
/// positive. For the kinds in `clearly`, the lower end of its 95 % interval is positive, too. The
/// weights are learned on the population's own held-out interactions.
fn link_prediction_beats_each_kind_of_evidence(file: &Path, n: u64, clearly: &[&str]) {
    let link = json(Path::new("."), &format!("eval link --profiles {}", file.display()));
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number: {value} in {link}"));
    assert_eq!(link["n"], n);
    for alone in EVIDENCE {
        assert!(number(&link["mrr"]) > number(&link[format!("{alone}_mrr")]), "{alone}: {link}");
        let gain = number(&link[format!("mrr_over_{alone}")]);
        let [low, high] = [0, 1].map(|end: usize| number(&link[format!("mrr_over_{alone}_interval")][end]));
        assert!(low <= gain && gain <= high, "{alone}: {gain} is not within {low} to {high}");
        assert!(low > 0.0 || !clearly.contains(&alone), "{alone}: {low} to {high}");
    }
    let sizes = ["history1", "history2", "history3", "history4plus"];
    assert_eq!(sizes.iter().map(|s| link[s]["n"].as_u64().unwrap()).sum::<u64>(), n);
}

#[test]
#[ignore = "needs the public data"]
fn link_prediction_beats_each_kind_of_evidence_on_recipes() {
    link_prediction_beats_each_kind_of_evidence(&locket_tests::data("recipes/profiles_dev.jsonl.zst"), 1249, &EVIDENCE);
}

#[test]
#[ignore = "needs the public data"]
fn link_prediction_beats_each_kind_of_evidence_on_amazon23() {
    link_prediction_beats_each_kind_of_evidence(&locket_tests::data("amazon23/profiles_dev.jsonl.zst"), 226, &EVIDENCE);
}

/// For content and taste, 30 users are too few: those intervals contain 0.
#[test]
fn link_prediction_beats_each_kind_of_evidence_on_the_sample() {
    let clearly = ["popularity", "people", "category"];
    link_prediction_beats_each_kind_of_evidence(&locket_tests::sample(), 30, &clearly);
}

#[test]
#[ignore = "needs the public data"]
fn rankings_on_gowalla_are_as_published_or_better() {
    let [train, test] = ["train", "test"].map(|part| locket_tests::data(&format!("gowalla/{part}.txt.zst")));
    let run = |more: &str| {
        let args = format!("eval graph --train {} --test {} -k 20 {more}", train.display(), test.display());
        json(Path::new("."), &args)
    };
    let linear = run("--method linear");
    assert!((linear["recall"].as_f64().unwrap() - 0.1682).abs() < 2e-4, "{linear}");
    assert!((linear["ndcg"].as_f64().unwrap() - 0.1331).abs() < 2e-4, "{linear}");
    let locket = run("");
    assert!(locket["recall"].as_f64().unwrap() >= 0.1925 && locket["ndcg"].as_f64().unwrap() >= 0.1600, "{locket}");
    assert!(locket["peak_rss_bytes"].as_u64().unwrap() < 3_000_000_000, "{locket}");
}

/// A generated catalogue: packs of any size can be built and queried in little memory.
#[test]
fn a_generated_catalogue_is_built_and_asked() {
    let dir = tempfile::tempdir().unwrap();
    let built = json(dir.path(), "eval scale --items 20000 --out {}/big.pack --set rank=64");
    assert_eq!((built["items"].as_u64(), built["dimension"].as_u64()), (Some(20_000), Some(64)));
    let asked = json(dir.path(), "eval scale --pack {}/big.pack --people 50");
    assert_eq!(asked["people"], 50);
    assert!(asked["peak_rss_bytes"].as_u64().unwrap() < 150_000_000, "{asked}");
}

/// The copy baseline, which needs no model, on 200 users per set. The protocol's own values are for
/// the test halves.
#[test]
#[ignore = "needs the public data"]
fn the_copy_floor_is_where_the_protocol_puts_it() {
    for (set, rouge1, rouge_l) in [("amazon", 0.169, 0.127), ("hotel", 0.254, 0.150), ("gap", 0.204, 0.156)] {
        let file = locket_tests::data(&format!("pgraphrag/{set}_dev.jsonl.zst"));
        let args =
            format!("eval generation --profiles {} --task text --method copy --limit 200 --seed 1", file.display());
        let floor = json(Path::new("."), &args);
        for (name, want) in [("rouge1", rouge1), ("rougeL", rouge_l)] {
            let (have, se) = (floor[name].as_f64().unwrap(), floor[format!("{name}_se")].as_f64().unwrap());
            // Two samples of the same size: the noise of their difference is sqrt(2) standard
            // errors.
            assert!((have - want).abs() < 3.0 * 2f64.sqrt() * se, "{set} {name}: {have:.4} +- {se:.4}, not {want}");
        }
    }
}
