use super::*;
use locket::Interaction;
use locket_builder::profile::Profile;

fn write_run(dir: &Path, name: &str, method: &str, texts: &[(&str, &str, &str)]) {
    write_with(dir, name, &format!("\"method\":\"{method}\",\"model\":\"m.gguf\""), texts);
}

/// A user that occurs again contributes an earlier text.
fn write_with(dir: &Path, name: &str, settings: &str, texts: &[(&str, &str, &str)]) {
    let mut out = format!("{{\"files\":[\"data/amazon_dev.jsonl\"],\"task\":\"Text\",{settings}}}\n");
    for (n, (user, prediction, reference)) in texts.iter().enumerate() {
        let row = Prediction {
            user: (*user).into(),
            earlier: texts[..n].iter().filter(|t| t.0 == *user).count(),
            history: usize::from(*user == "w"),
            prediction: (*prediction).into(),
            reference: (*reference).into(),
            scores: vec![9.0; 3],
            path: None,
            synthetic: 0,
            refused: Vec::new(),
            tokens: 5,
            seconds: 2.0,
            gist: None,
            own_run: None,
            unsupported: Vec::new(),
            log_probs: Vec::new(),
            candidates: vec![(*prediction).into(), "nothing at all".into()],
            taken: vec![3, 1],
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
    assert!(report(&runs, dir.path(), 3, &out).is_err(), "nothing to report");
    write_run(&runs, "a.jsonl", "Full", &[("u", "good <tea>", "good tea"), ("v", "bad", "bad mug"), ("w", "x", "y")]);
    write_run(&runs, "b.jsonl", "Graph", &[("v", "cup", "bad mug"), ("u", "good", "good tea")]);
    fs::write(runs.join("a.syn.jsonl"), "{\"synthetic\":2}\n").unwrap();
    assert_eq!(report(&runs, dir.path(), 3, &out).unwrap(), 2);
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains("## amazon, text"), "{markdown}");
    // Scored again: (1 + 2/3 + 0) / 3, and per user (1 - 2/3 + 2/3 - 0) / 2.
    assert!(markdown.contains("| full | 3 | 0.556 ±"), "{markdown}");
    assert!(markdown.contains("| graph | 2 | +0.500 ± 0.167 ["), "{markdown}");
    // The generated text three times of four, otherwise a text without overlap: 3/4 of the
    // difference.
    assert!(markdown.contains("expected of a random half"), "{markdown}");
    assert!(markdown.contains("| graph | 2 | +0.375 ± 0.125 ["), "{markdown}");
    // Only w has history.
    assert!(markdown.contains("| full | none | 2 | 0.833 ±"), "{markdown}");
    assert!(markdown.contains("| full | some | 1 | 0.000 ±"), "{markdown}");
    assert!(markdown.contains("| 5 | 2.0 |"), "{markdown}");
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("good &lt;tea&gt;") && !page.contains("<tea>"), "{page}");
}

#[test]
fn of_several_texts_the_mean_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (runs, out) = (dir.path().join("runs"), dir.path().join("out"));
    fs::create_dir(&runs).unwrap();
    let first = [("u", "good tea", "good tea"), ("u", "x", "y"), ("u", "x", "z"), ("v", "mug", "mug")];
    let settings = |method: &str| format!("\"method\":\"{method}\",\"model\":\"m.gguf\",\"targets\":3");
    write_with(&runs, "a.jsonl", &settings("Full"), &first);
    write_with(&runs, "b.jsonl", &settings("Graph"), &[("u", "good", "good tea"), ("u", "x", "y"), ("v", "x", "mug")]);
    report(&runs, dir.path(), 0, &out).unwrap();
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains("## amazon, text, up to 3 of each person"), "{markdown}");
    // A third for u, 1 for v.
    assert!(markdown.contains("| full | 2, 4 texts | 0.667 ± 0.333 ["), "{markdown}");
    // The third text of u is not in both: (1/3 + 0) / 2 and 1.
    assert!(markdown.contains("| graph | 2 | +0.583 ± 0.417 ["), "{markdown}");
}

#[test]
fn sets_are_named_after_their_files() {
    assert_eq!(set_name("../data/pgraphrag/hotel_dev.jsonl.zst"), "hotel");
    assert_eq!(set_name("amazon23/profiles_dev.jsonl.zst"), "amazon23");
}

#[test]
fn authors_are_looked_for_and_histories_make_curves() {
    let dir = tempfile::tempdir().unwrap();
    let (runs, data, out) = (dir.path().join("runs"), dir.path().join("data"), dir.path().join("out"));
    fs::create_dir(&runs).unwrap();
    fs::create_dir(&data).unwrap();
    let style =
        |n: usize| format!("{0}ish {0}ly {0}ness", ["zor", "kel", "mip", "tav", "ruf", "bon"][n % 6].repeat(1 + n / 6));
    // Every second user is content, and uses a positive word.
    let said = |n: usize| if n.is_multiple_of(2) { "lovely" } else { "awful" };
    let profiles: Vec<String> = (0..40)
        .map(|n| {
            let target = Interaction::new("item", format!("{}! {}", style(n), said(n))).with_title("a title");
            let target = target.with_rating(if n.is_multiple_of(2) { 5.0 } else { 2.0 });
            let person = Profile { user: format!("u{n}"), history: vec![Interaction::new("other", style(n))], target };
            serde_json::to_string(&person).unwrap()
        })
        .collect();
    fs::write(data.join("amazon_dev.jsonl"), profiles.join("\n")).unwrap();
    let texts: Vec<[String; 3]> = (0..40)
        .map(|n| [format!("u{n}"), format!("{} {}", style(n), said(n)), format!("{}! {}", style(n), said(n))])
        .collect();
    let own: Vec<_> = texts.iter().map(|[u, p, r]| (u.as_str(), p.as_str(), r.as_str())).collect();
    let anybodys: Vec<_> = texts.iter().map(|[u, _, r]| (u.as_str(), "nothing", r.as_str())).collect();
    for cap in [1, 2] {
        let settings = |rest: &str| format!("\"history_cap\":{cap},\"model\":\"m.gguf + a.gguf\",{rest}");
        write_with(&runs, &format!("f{cap}.jsonl"), &settings("\"method\":\"Full\",\"items\":\"Predicted\""), &own);
        write_with(&runs, &format!("r{cap}.jsonl"), &settings("\"method\":\"Full\",\"items\":\"Random\""), &anybodys);
    }
    let few = "\"history_cap\":1,\"model\":\"m.gguf\",\"method\":\"Graph\"";
    write_with(&runs, "few.jsonl", few, &own[..10]);
    assert_eq!(report(&runs, dir.path(), 0, &out).unwrap(), 5);
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains("## amazon, text, history cut to 2"), "{markdown}");
    let row = |name: &str| markdown.lines().find(|l| l.starts_with(name)).unwrap_or_default().to_owned();
    // Every history is three words long: no run of eight is copied.
    assert!(row("| full, aligned ").ends_with("| 0.00, 0.00 | 1.000 ± 0.000 | 1.000 ± 0.000 |"), "{markdown}");
    // A text unlike all authors ranks in the middle, and its sentiment is neutral.
    assert!(row("| full, random items, aligned ").ends_with("| 0.500 ± 0.000 | 0.049 ± 0.000 |"), "{markdown}");
    assert!(markdown.contains("the true texts 1.000 ± 0.000, the titles alone 0.500 ± 0.000"), "{markdown}");
    assert!(markdown.contains("against full, random items, aligned +0.500 ± 0.000"), "{markdown}");
    assert!(markdown.contains("by the true text: 1.000 ± 0.000"), "{markdown}");
    assert!(markdown.contains("| +0.951 ± 0.000 [+0.951, +0.951] |"), "{markdown}");
    // With too few authors the cell stays empty instead of a difference of zero.
    let against = markdown.lines().filter(|l| l.starts_with("| graph | 10 | +")).collect::<Vec<_>>();
    assert!(against.len() == 2 && against.iter().all(|l| l.ends_with("] | |")), "{markdown}");
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("ROUGE-1 by size of the history") && page.contains("<polyline"), "{page}");
    assert!(!page.contains("Best and worst"), "none were asked for");
}

#[test]
fn the_scorecard_has_a_table_and_fronts() {
    let dir = tempfile::tempdir().unwrap();
    let (runs, out) = (dir.path().join("runs"), dir.path().join("out"));
    fs::create_dir(&runs).unwrap();
    let people: Vec<String> = (0..12).map(|n| format!("person {n}")).collect();
    let texts: Vec<(&str, &str, &str)> =
        people.iter().map(|p| (p.as_str(), "I love my tea", "the mug broke at once")).collect();
    let settings = "\"method\":\"History\",\"model\":\"m.gguf\",\"gist\":0.5";
    write_with(&runs, "greedy.jsonl", settings, &texts);
    write_with(&runs, "sampled.jsonl", settings, &texts);
    report(&runs, dir.path(), 0, &out).unwrap();
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains("## amazon, text, with notes of 50 % of the content words"), "{markdown}");
    assert!(
        markdown.contains("| history (greedy) | 1.00 ± 0.00 |") && markdown.contains("| goal | <= 0.75 |"),
        "{markdown}"
    );
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert_eq!(page.matches("<circle").count(), 2, "ROUGE-1 against AUC; nobody gave notes");
}
