//! Benchmark of retrieval by author style against retrieval by words, on the largest candidate set:
//! 400 texts of 45 words.
//!
//! `cargo bench -p locket --bench retrieve`
#![allow(clippy::unwrap_used)]

use std::{fmt::Write, ops::ControlFlow, path::Path};

use locket::{Pack, internals::context::retriever::Retriever};
use locket_builder::pack::BuildOptions;

fn main() {
    divan::main();
}

const OWN: [&str; 2] = ["Keeps my tea warm for an hour, and my hands too!!!", "My sister LOVES it. Would buy again!!!"];
const QUERY: &str = "a kettle that keeps tea warm";

/// A pack with one item that 400 authors have written about.
fn blockbuster(dir: &Path) -> Pack {
    let words: Vec<String> = (0..900).map(|n: u32| format!("w{}", n * n % 7919)).collect();
    let mut lines = String::new();
    for person in 0..400 {
        let said: Vec<&str> = (0..45).map(|n| words[(person * 31 + n * n * 7) % words.len()].as_str()).collect();
        let text = format!("It keeps tea warm. {}", said.join(" "));
        let met = |item: &str| serde_json::json!({ "item": item, "text": text, "rating": 4 });
        let person = serde_json::json!({
            "user": format!("person {person}"), "history": [met("kettle"), met(&format!("cup {person}"))], "target": met("pot"),
        });
        writeln!(lines, "{person}").unwrap();
    }
    let (profiles, out) = (dir.join("people.jsonl"), dir.join("kettle.pack"));
    std::fs::write(&profiles, lines).unwrap();
    locket_builder::pack::build(&[profiles], &out, &BuildOptions::default(), |_| ControlFlow::Continue(())).unwrap();
    Pack::open(out).unwrap()
}

#[divan::bench(args = [false, true])]
fn four_of_400(bencher: divan::Bencher<'_, '_>, like_the_person: bool) {
    let dir = tempfile::tempdir().unwrap();
    let pack = blockbuster(dir.path());
    let item = pack.find("kettle").unwrap();
    assert_eq!(pack.texts(item).len(), 400);
    let own: &[&str] = if like_the_person { &OWN } else { &[] };
    bencher.bench(|| {
        let found = Retriever::new(&pack, None).like(own).on_item(item, QUERY, 4);
        assert_eq!(found.len(), 4);
        found.len()
    });
}
