use super::*;

fn write_run(dir: &Path, name: &str, method: &str, texts: &[(&str, &str, &str)]) {
    let mut out = format!(
        "{{\"files\":[\"data/amazon_dev.jsonl\"],\"task\":\"Text\",\"method\":\"{method}\",\"model\":\"m.gguf\"}}\n"
    );
    for (user, prediction, reference) in texts {
        let row = Prediction {
            user: (*user).into(),
            history: 0,
            prediction: (*prediction).into(),
            reference: (*reference).into(),
            scores: vec![9.0; 3],
            path: None,
            synthetic: 0,
            refused: Vec::new(),
            tokens: 5,
            candidates: Vec::new(),
        };
        out += &serde_json::to_string(&row).unwrap();
        out.push('\n');
    }
    fs::write(dir.join(name), out).unwrap();
}

#[test]
fn runs_are_compared_by_person() {
    let dir = tempfile::tempdir().unwrap();
    let (runs, out) = (dir.path().join("runs"), dir.path().join("out"));
    fs::create_dir(&runs).unwrap();
    assert!(report(&runs, &out).is_err(), "nothing to report");
    write_run(&runs, "a.jsonl", "Full", &[("u", "good <tea>", "good tea"), ("v", "bad", "bad mug"), ("w", "x", "y")]);
    write_run(&runs, "b.jsonl", "Graph", &[("v", "cup", "bad mug"), ("u", "good", "good tea")]);
    fs::write(runs.join("a.syn.jsonl"), "{\"synthetic\":2}\n").unwrap();
    assert_eq!(report(&runs, &out).unwrap(), 2);
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains("## amazon, text"), "{markdown}");
    // Scored anew: (1 + 2/3 + 0) / 3, and by person (1 - 2/3 + 2/3 - 0) / 2.
    assert!(markdown.contains("| full | 3 | 0.556 ±"), "{markdown}");
    assert!(markdown.contains("| graph | 2 | +0.500 ± 0.167 |"), "{markdown}");
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("good &lt;tea&gt;") && !page.contains("<tea>"), "{page}");
}

#[test]
fn sets_are_named_after_their_files() {
    assert_eq!(set_name("../data/pgraphrag/hotel_dev.jsonl.zst"), "hotel");
    assert_eq!(set_name("amazon23/profiles_dev.jsonl.zst"), "amazon23");
}
