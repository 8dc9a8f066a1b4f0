//! The public data sets, where they are at hand.
#![allow(clippy::unwrap_used)]

mod common;
use common::json;

#[test]
fn all_profile_files_make_one_pack() {
    let files = [
        "pgraphrag/amazon_dev",
        "pgraphrag/hotel_dev",
        "pgraphrag/gap_dev",
        "amazon23/profiles_dev",
        "recipes/profiles_dev",
    ];
    let found: Vec<_> = files.iter().map_while(|f| locket_tests::data(&format!("{f}.jsonl.zst"))).collect();
    if found.len() < files.len() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = found.iter().map(|f| f.display().to_string()).collect();
    let report = json(dir.path(), &format!("pack build --profiles {} --out {{}}/all.pack", names.join(" ")));
    assert_eq!(report["profiles"], 2500 * 3 + 226 + 13_395);
    assert_eq!(json(dir.path(), "pack inspect {}/all.pack")["texts"], report["texts"]);
}

#[test]
fn link_prediction_on_recipes_beats_popularity() {
    let Some(file) = locket_tests::data("recipes/profiles_dev.jsonl.zst") else { return };
    let link = json(std::path::Path::new("."), &format!("eval link --profiles {}", file.display()));
    assert_eq!(link["n"], 1249);
    assert!(link["mrr"].as_f64() > link["popularity_mrr"].as_f64(), "{link}");
}

#[test]
fn the_linear_filter_on_gowalla_is_as_published() {
    let (Some(train), Some(test)) =
        (locket_tests::data("gowalla/train.txt.zst"), locket_tests::data("gowalla/test.txt.zst"))
    else {
        return;
    };
    let args = format!("eval graph --train {} --test {} -k 20", train.display(), test.display());
    let graph = json(std::path::Path::new("."), &args);
    assert!((graph["recall"].as_f64().unwrap() - 0.1682).abs() < 2e-4, "{graph}");
    assert!((graph["ndcg"].as_f64().unwrap() - 0.1331).abs() < 2e-4, "{graph}");
}

/// The floor that needs no model, on 200 people a set: the protocol's own values are for the test halves.
#[test]
fn the_copy_floor_is_where_the_protocol_puts_it() {
    for (set, rouge1, rouge_l) in [("amazon", 0.169, 0.127), ("hotel", 0.254, 0.150), ("gap", 0.204, 0.156)] {
        let Some(file) = locket_tests::data(&format!("pgraphrag/{set}_dev.jsonl.zst")) else { return };
        let args =
            format!("eval generation --profiles {} --task text --method copy --limit 200 --seed 1", file.display());
        let floor = json(std::path::Path::new("."), &args);
        for (name, want) in [("rouge1", rouge1), ("rougeL", rouge_l)] {
            let (have, se) = (floor[name].as_f64().unwrap(), floor[format!("{name}_se")].as_f64().unwrap());
            // Two samples of the same size: the noise of their difference is sqrt(2) standard errors.
            assert!((have - want).abs() < 3.0 * 2f64.sqrt() * se, "{set} {name}: {have:.4} +- {se:.4}, not {want}");
        }
    }
}
