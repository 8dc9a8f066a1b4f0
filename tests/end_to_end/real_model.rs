//! The default model: plans follow their grammar, history matters, and the demo ends with a text.
#![allow(clippy::unwrap_used)]

use crate::common::{self, fails, json, locket, run};

#[test]
#[ignore = "needs the default model"]
fn the_demo_tells_the_whole_story() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    let out = run(dir.path(), &format!("demo --model {}", model.display()));
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for part in [
        "What marta has written",
        "alike in: ",
        "plan: ",
        "without personalization",
        "in marta's voice",
        "(its plan: ",
        "the best of 4, ",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
    let written = said.split("in marta's voice").nth(1).unwrap().lines().nth(1).unwrap();
    assert!(written.split_whitespace().count() >= 4, "{written:?}");
}

#[test]
#[ignore = "needs the default model"]
fn a_text_follows_its_plan_and_repeats() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(locket_tests::sample(), dir.path().join("sample.jsonl")).unwrap();
    json(dir.path(), "pack build --profiles {}/sample.jsonl --holdout-targets --out {}/p.pack");
    json(
        dir.path(),
        "record --store {}/me --item k4 --title 'Loud little thing' --text 'It froths, yes, and it screams while doing so.' --rating 2",
    );
    let args = format!(
        "generate --store {{}}/me --pack {{}}/p.pack --model {} --item k1 --task text --title 'Handle too hot' --reasoning",
        model.display()
    );
    let first = json(dir.path(), &args);
    assert!(first["path"]["stance"].as_u64().is_some_and(|s| (1..=5).contains(&s)), "{first}");
    assert!(first["text"].as_str().unwrap().split_whitespace().count() >= 4, "{first}");
    assert_eq!(json(dir.path(), &args)["text"], first["text"], "greedy writing repeats");
    let augmented = json(
        dir.path(),
        &args
            .replace("generate", "augment")
            .replace(" --item k1 --task text --title 'Handle too hot' --reasoning", " -k 4"),
    );
    let kept = augmented["kept"].as_array().unwrap();
    assert!(!kept.is_empty(), "{augmented}");
    for record in kept {
        assert!(record["origin"]["synthetic"]["path"]["points"].is_array(), "{record}");
    }
}

#[test]
#[ignore = "needs the default model"]
fn a_model_is_pulled_from_a_file_whole_and_known() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    let at = |args: &[&str]| {
        let out = locket().args(args).arg("--json").env("LOCKET_MODELS", dir.path()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()
    };
    let pulled = at(&["model", "pull", "gemma-3-270m", "--from", model.to_str().unwrap()]);
    let path = pulled["path"].as_str().unwrap();
    assert_eq!(at(&["model", "verify", path])["known"], "gemma-3-270m");
    assert_eq!(at(&["model", "list"])["models"][0]["here"], true);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no partial files are left");
}

#[test]
#[ignore = "needs the default model"]
fn a_trimmed_model_writes_with_the_same_adapter() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    let trim = format!(
        "model trim --model {} --profiles {} --out {{}}/small.gguf",
        model.display(),
        locket_tests::sample().display()
    );
    let report = json(dir.path(), &trim);
    let size = std::fs::metadata(dir.path().join("small.gguf")).unwrap().len();
    assert_eq!(report["bytes"][1], size);
    assert!(size * 3 < report["bytes"][0].as_u64().unwrap(), "{report}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    assert!(fails(dir.path(), "model verify {}/small.gguf").contains("trimmed from gemma-3-270m;"));

    json(
        dir.path(),
        "record --store {}/me --item k4 --title 'Loud little thing' --text 'It froths, and it screams.' --rating 2",
    );
    json(
        dir.path(),
        &format!("pack build --profiles {} --holdout-targets --out {{}}/p.pack", locket_tests::sample().display()),
    );
    let generate =
        "generate --store {}/me --pack {}/p.pack --model {}/small.gguf --item k1 --task text --title 'Handle too hot'";
    let written =
        |adapter: &str| json(dir.path(), &format!("{generate}{adapter}"))["text"].as_str().unwrap().to_owned();
    let aligned = written("");
    assert!(aligned.split_whitespace().count() >= 4, "{aligned}");
    let adapter = locket_tests::root().join("models/gemma-3-270m-review.gguf");
    assert_eq!(written(&format!(" --adapter {}", adapter.display())), aligned);
    assert_ne!(written(" --adapter none"), aligned);
}

#[test]
#[ignore = "needs the default model"]
fn the_demo_writes_replies_and_mails() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    for (kind, person) in [("reply", "juno"), ("email", "bo"), ("note", "sam")] {
        let out = run(dir.path(), &format!("demo --kind {kind} --person {person} --model {}", model.display()));
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let written = said.split(&format!("in {person}'s style:\n")).nth(1).unwrap();
        let (written, truth) = written.split_once("really wrote:").unwrap();
        assert!(written.split_whitespace().count() >= 4 && !truth.trim().is_empty(), "{said}");
        assert!(!said.contains('¶'), "{said}");
    }
    let nobody = run(dir.path(), "demo --kind email --person juno --model gemma-3-270m");
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("who writes e-mails") && !nobody.status.success());
}

/// Every way to ask for a text of another kind than a review. The texts of a lower-case chat writer
/// are in lower case, and a mail has line breaks.
#[test]
#[ignore = "needs the default model"]
fn replies_mails_and_rewrites() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for (context, text) in [
        ("are you coming tonight?", "yep, be there around 8 :)"),
        ("did you see the match", "nah i fell asleep lol"),
        ("can i borrow your bike", "sure, its in the yard"),
        ("what do you want for lunch", "noodles again, i know i know"),
    ] {
        json(path, &format!("record --store {{}}/me --kind reply --context '{context}' --text '{text}'"));
    }
    for (subject, body) in [
        ("Parts", "Hi Ada,\n\nthe parts came this morning.\nTwo of them are bent.\n\nBest,\nBen"),
        ("Invoice", "Hi Ada,\n\nyour invoice is paid.\nTell me when it shows up.\n\nBest,\nBen"),
        ("Visit", "Hi Ada,\n\nI am in town on Tuesday.\nCan I see the new hall?\n\nBest,\nBen"),
    ] {
        std::fs::write(path.join("mail"), body).unwrap();
        json(
            path,
            &format!("record --store {{}}/me --kind email --title '{subject}' --audience ada --text-file {{}}/mail"),
        );
    }
    let written = |args: &str| {
        let model = "--model gemma-3-270m --threads 2";
        let written = json(path, &format!("generate --store {{}}/me {model} {args}"));
        let text = written["text"].as_str().unwrap().to_owned();
        assert!(!text.trim().is_empty() && !text.contains('¶') && !text.contains("Message:"), "{args}: {text}");
        text
    };
    let replies = ["are we still on for friday?", "how was the film", "do you have a pen"]
        .map(|message| written(&format!("--kind reply --context '{message}'")));
    for reply in &replies {
        assert_eq!(*reply, reply.to_lowercase(), "{replies:?}");
    }
    written("--kind reply --context 'lunch?' --gist 'yes, noon, noodles'");
    let mail = written("--kind email --title 'Hall' --audience ada --gist 'hall was great, thanks, send photos'");
    assert!(mail.starts_with("Hi Ada,\n") && mail.trim_end().ends_with("Ben"), "{mail}");
    written("--kind email --title 'Hall' --audience ada --draft 'Dear Madam, the hall was nice. Please send photos.'");
    written("--kind note --title 'Shopping'");
}

/// A file of the default model under another name is recognized and gets its adapter, wherever the
/// adapter can be placed.
#[test]
#[ignore = "needs the default model"]
fn the_default_model_by_path_writes_with_its_adapter() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let mine = path.join("mine.gguf");
    std::fs::hard_link(&model, &mine).or_else(|_| std::fs::copy(&model, &mine).map(drop)).unwrap();
    std::fs::create_dir(path.join("tmp")).unwrap();
    json(path, "record --store {}/me --item k4 --title 'Loud little thing' --text 'It froths, and it screams.'");
    json(path, &format!("pack build --profiles {} --out {{}}/p.pack", locket_tests::sample().display()));
    let written = |adapter: &str| {
        let generate = "generate --store {}/me --pack {}/p.pack --model {}/mine.gguf --item k1 --task text --title Hot";
        let args = common::split(&format!("{generate} --json{adapter}").replace("{}", path.to_str().unwrap()));
        // No folder can be created below a file, so neither the models' folder nor the cache is
        // writable.
        let (never, tmp) = (mine.join("models"), path.join("tmp"));
        let mut command = locket();
        command.args(args).env("LOCKET_MODELS", &never).env("XDG_CACHE_HOME", &never).env("TMPDIR", tmp);
        let out = command.output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{said}");
        (serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()["text"].clone(), said)
    };
    let adapter = locket_tests::root().join("models/gemma-3-270m-review.gguf");
    let (with, told) = written("");
    assert!(told.contains("with the adapter review of gemma-3-270m"), "{told}");
    assert_eq!(written(&format!(" --adapter {}", adapter.display())), (with.clone(), String::new()));
    let (without, told) = written(" --adapter none");
    assert!(without != with && told.is_empty(), "{told}");
    assert_eq!(std::fs::read_dir(path.join("tmp")).unwrap().count(), 0, "nothing is left");
}

/// A chat model of another vendor: another architecture and kind of vocabulary, its own prompt
/// template, no adapter.
#[test]
#[ignore = "needs the chat model"]
fn a_chat_model_writes_and_so_does_its_trimmed_file() {
    let model = locket_tests::chat_model();
    let dir = tempfile::tempdir().unwrap();
    let sample = locket_tests::sample();
    json(dir.path(), &format!("pack build --profiles {} --holdout-targets --out {{}}/p.pack", sample.display()));
    let trim = "model trim --out {}/small.gguf";
    json(dir.path(), &format!("{trim} --model {} --profiles {}", model.display(), sample.display()));
    assert!(fails(dir.path(), "model verify {}/small.gguf").contains("trimmed from smollm2-135m;"));
    json(
        dir.path(),
        "record --store {}/me --item k4 --title 'Loud little thing' --text 'It froths, yes, and it screams while doing so.' --rating 2",
    );
    for file in [model, dir.path().join("small.gguf")] {
        let with = format!("--store {{}}/me --pack {{}}/p.pack --model {}", file.display());
        let generate = |what: &str| json(dir.path(), &format!("generate {with} --item k1 --task {what}"));
        let planned = generate("text --title 'Handle too hot' --reasoning");
        assert!(planned["path"]["stance"].as_u64().is_some_and(|s| (1..=5).contains(&s)), "{planned}");
        assert!(planned["text"].as_str().unwrap().split_whitespace().count() >= 4, "{planned}");
        let title = generate("title --text 'The handle gets far too hot to hold after a minute.'");
        assert!(!title["title"].as_str().unwrap().is_empty(), "{title}");
        let rating = generate("rating --title 'Handle too hot' --text 'The handle gets far too hot to hold.'");
        assert!(rating["rating"].as_f64().is_some_and(|r| (1.0..=5.0).contains(&r)), "{rating}");
        let kept = json(dir.path(), &format!("augment {with} -k 2"));
        assert!(!kept["kept"].as_array().unwrap().is_empty(), "{kept}");
    }
}

/// Returns all runs of eight lower-cased words.
fn runs(text: &str) -> std::collections::HashSet<Vec<String>> {
    let words: Vec<String> = locket::internals::text::words(text).collect();
    words.windows(8).map(<[String]>::to_vec).collect()
}

/// A text on an item with reviews by other users, under the title of one of them: the case in which
/// a small model most often repeats the review.
#[test]
#[ignore = "needs the default model"]
fn a_text_titled_like_anothers_review_repeats_nobody() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let sample = std::fs::read_to_string(locket_tests::sample()).unwrap();
    // The details that a text must not reveal are in a review, too.
    let secret =
        "My wife Ingeborg got hers at 48 Quarry Lane, call 555 0192, and since then the tea at home has been better.";
    let spy = serde_json::json!({ "user": "spy", "history": [], "target":
        { "item": "k1", "title": "Better tea at home", "text": secret, "rating": 5 } });
    std::fs::write(path.join("people.jsonl"), format!("{sample}{spy}\n")).unwrap();
    json(path, "pack build --profiles {}/people.jsonl --out {}/p.pack");
    let people: Vec<serde_json::Value> = sample.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let marta = people.iter().find(|p| p["user"] == "marta").unwrap();
    let own = marta["history"].as_array().unwrap();
    for (n, i) in own.iter().enumerate() {
        std::fs::write(path.join(format!("{n}.txt")), i["text"].as_str().unwrap()).unwrap();
        let (item, title) = (i["item"].as_str().unwrap(), i["title"].as_str().unwrap());
        json(
            path,
            &format!("record --store {{}}/me --item {item} --title '{title}' --text-file {{}}/{n}.txt --rating 4"),
        );
    }
    let others = people.iter().filter(|p| p["user"] != "marta").flat_map(|p| p["history"].as_array().unwrap());
    let unknown = |i: &&serde_json::Value| own.iter().all(|o| o["item"] != i["item"]) && i["title"].is_string();
    let mut asked: Vec<(String, String)> = others
        .filter(unknown)
        .map(|i| (i["item"].as_str().unwrap().to_owned(), i["title"].as_str().unwrap().replace('\'', "")))
        .step_by(23)
        .take(5)
        .collect();
    asked.push(("k1".into(), "Better tea at home".into()));
    let all = people.iter().flat_map(|p| p["history"].as_array().unwrap().iter().chain([&p["target"]]));
    let texts: Vec<&str> = all.map(|i| i["text"].as_str().unwrap()).chain([secret]).collect();
    let forbidden: std::collections::HashSet<_> = texts.into_iter().flat_map(runs).collect();
    for (item, title) in asked {
        let with = format!("--store {{}}/me --pack {{}}/p.pack --model {} --user marta", model.display());
        let text = json(path, &format!("generate {with} --item {item} --task text --title '{title}'"));
        let text = text["text"].as_str().unwrap().to_owned();
        assert!(text.split_whitespace().count() >= 4, "{title}: {text}");
        assert!(runs(&text).is_disjoint(&forbidden), "{title}: {text}");
        for detail in ["Ingeborg", "Quarry", "48", "555", "0192"] {
            assert!(!text.contains(detail), "{title}: {text}");
        }
    }
}

/// The word count of a requested length holds within a factor of 1.5.
#[test]
#[ignore = "needs the default model"]
fn a_length_that_is_asked_for_bounds_the_words() {
    let model = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    json(
        dir.path(),
        &format!("pack build --profiles {} --holdout-targets --out {{}}/p.pack", locket_tests::sample().display()),
    );
    let long = "The kettle stood in the shop for a year before I bought it. ".repeat(12);
    std::fs::write(dir.path().join("long.txt"), long).unwrap();
    json(dir.path(), "record --store {}/me --item k4 --title 'A long story' --text-file {}/long.txt --rating 4");
    for (length, most) in [("brief", 18), ("short", 60), ("medium", 150)] {
        for (item, title) in [("k1", "Handle too hot"), ("d3", "A lamp for the night"), ("k2", "Sharp")] {
            let asked = format!(
                "generate --store {{}}/me --pack {{}}/p.pack --model {} --item {item} --task text --title '{title}' --length {length}",
                model.display()
            );
            let text = json(dir.path(), &asked)["text"].as_str().unwrap().to_owned();
            let words = text.split_whitespace().count();
            assert!((2..=most).contains(&words), "{length}: {words} words: {text}");
        }
    }
}
