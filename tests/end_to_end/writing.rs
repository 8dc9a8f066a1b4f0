//! Replies and e-mails on the default model: form, plans, drafts, rewriting, JSON, sent drafts.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::{Value, json};

use crate::common::{json, run};

/// Records the texts of a user of the writing sample.
fn user(dir: &Path, name: &str) {
    let sample = std::fs::read_to_string(locket_tests::sample().with_file_name("writing.jsonl")).unwrap();
    let profiles = sample.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let profile = profiles.into_iter().find(|p| p["user"] == name).unwrap();
    let records: Vec<Value> = profile["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| {
            let mut interaction = i.clone();
            interaction["item"] = json!("");
            json!({ "interaction": interaction, "origin": "real" })
        })
        .collect();
    let export = json!({ "format": "locket-export", "version": 1, "records": records });
    std::fs::write(dir.join("export.json"), export.to_string()).unwrap();
    json(dir, "import --store {}/me --from {}/export.json");
}

fn generate(dir: &Path, args: &str) -> Value {
    json(dir, &format!("generate --store {{}}/me --model {} {args}", locket_tests::model().display()))
}

fn text(written: &Value) -> String {
    written["text"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs the default model"]
fn a_mail_has_greeting_body_and_sign_off() {
    let dir = tempfile::tempdir().unwrap();
    user(dir.path(), "bo");
    let args = "--kind email --context 'Hi Bo, can you call the plumber?\n\nDora' --gist 'plumber comes friday'";
    let mail = text(&generate(dir.path(), args));
    assert!(mail.starts_with("Hi Dora,\n\n") && mail.ends_with("\n\nCheers\nBo"), "{mail}");
    let body = mail.trim_start_matches("Hi Dora,\n\n").trim_end_matches("\n\nCheers\nBo").to_lowercase();
    assert!(body.contains("plumber") && body.contains("friday"), "{mail}");
    let streamed = run(
        dir.path(),
        &format!("generate --store {{}}/me --model {} --stream {args}", locket_tests::model().display()),
    );
    let streamed = String::from_utf8(streamed.stdout).unwrap();
    assert!(streamed.starts_with("Hi Dora,\n\n") && streamed.trim_end().ends_with("\n\nCheers\nBo"), "{streamed}");
}

#[test]
#[ignore = "needs the default model"]
fn a_reply_is_in_lower_case_and_in_the_language_of_its_message() {
    let dir = tempfile::tempdir().unwrap();
    user(dir.path(), "juno");
    for message in ["Are you coming?", "Did you find the keys?", "Who brings the cake?", "Shall we start at 8?"] {
        let reply = text(&generate(dir.path(), &format!("--kind reply --context '{message}'")));
        assert_eq!(reply.to_lowercase(), reply);
        assert!(!reply.is_empty() && !reply.contains("Message:") && !reply.contains('¶'), "{reply}");
    }
    user(dir.path(), "tobias");
    let written =
        generate(dir.path(), "--kind reply --context 'Kommst du morgen zur Probe? Wir brauchen dich am Klavier.'");
    assert!(!text(&written).is_empty());
}

#[test]
#[ignore = "needs the default model"]
fn a_plan_is_proposed_and_written() {
    let dir = tempfile::tempdir().unwrap();
    user(dir.path(), "juno");
    let model = locket_tests::model();
    let question = "--kind reply --context 'Are you coming to the rehearsal on Friday?'";
    let args = format!("plan --store {{}}/me --model {} {question}", model.display());
    let plans = json(dir.path(), &args);
    let firsts: Vec<&str> = plans.as_array().unwrap().iter().map(|p| p["points"][0].as_str().unwrap()).collect();
    assert_eq!(firsts, ["yes", "no", "not sure yet"]);
    let lines = String::from_utf8(run(dir.path(), &args).stdout).unwrap();
    // Apostrophes quote arguments here.
    let yes = lines.lines().next().unwrap().replace('\'', "");
    assert!(yes.contains(": yes"), "{lines}");
    let written = generate(dir.path(), &format!("{question} --plan '{yes}'"));
    assert!(text(&written).to_lowercase().contains("yes"), "{written}");
    assert_eq!(written["path"]["points"][0], "yes");
    let statement =
        format!("plan --store {{}}/me --model {} -k 2 --kind reply --context 'The cake is ready.'", model.display());
    assert!(!json(dir.path(), &statement).as_array().unwrap().is_empty());
    let title = run(dir.path(), &format!("{args} --task title --text 'A cake.'"));
    assert!(!title.status.success() && String::from_utf8_lossy(&title.stderr).contains("a plan is for a text"));
    assert!(fails_to_parse(dir.path()), "a line that is no plan");
}

#[test]
#[ignore = "needs the default model"]
fn drafts_differ_and_a_rewritten_draft_changes_its_length() {
    let dir = tempfile::tempdir().unwrap();
    user(dir.path(), "juno");
    let drafts =
        generate(dir.path(), "--kind reply --context 'dinner at 8?' --gist 'late, start without me' --drafts 3");
    let texts: Vec<String> = drafts.as_array().unwrap().iter().map(text).collect();
    assert!(texts.len() > 1, "{texts:?}");
    assert!((1..texts.len()).all(|n| !texts[..n].contains(&texts[n])), "{texts:?}");
    let draft = "I am sorry that I did not answer you yesterday. The train was late and my phone was empty. I will call \
                 you tonight when I am at home, and we can talk about the trip to the lake then.";
    let words = |resize: &str| {
        text(&generate(dir.path(), &format!("--kind reply --draft '{draft}' --resize {resize}")))
            .split_whitespace()
            .count()
    };
    let (shorter, kept) = (words("shorter"), words("keep"));
    assert!(shorter < kept && shorter <= 38 * 8 / 10 + 3, "{shorter} {kept}");
}

#[test]
#[ignore = "needs the default model"]
fn a_limit_of_tokens_ends_a_text() {
    let dir = tempfile::tempdir().unwrap();
    user(dir.path(), "sam");
    let tokens = |most: usize| {
        let args = format!("--kind note --title 'Hooks' --length long --max-new-tokens {most}");
        generate(dir.path(), &args)["tokens"].as_u64().unwrap()
    };
    let (few, many) = (tokens(20), tokens(120));
    assert!(few <= 20 && few < many && many <= 120, "{few} {many}");
}

#[test]
#[ignore = "needs the default model"]
fn a_text_fits_its_json_schema() {
    let dir = tempfile::tempdir().unwrap();
    user(dir.path(), "juno");
    let schema = json!({
        "type": "object",
        "properties": { "text": { "type": "string", "maxLength": 60 }, "coming": { "type": "boolean" } },
        "required": ["text", "coming"],
    });
    std::fs::write(dir.path().join("schema.json"), schema.to_string()).unwrap();
    let written = generate(dir.path(), "--kind reply --context 'dinner at 8?' --schema {}/schema.json");
    let value: Value = serde_json::from_str(&text(&written)).unwrap();
    assert!(value["text"].is_string() && value["coming"].is_boolean(), "{value}");
    std::fs::write(dir.path().join("schema.json"), "{").unwrap();
    let args = format!(
        "generate --store {{}}/me --model {} --kind reply --schema {{}}/schema.json",
        locket_tests::model().display()
    );
    let refused = run(dir.path(), &args);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("JSON schema"));
}

fn fails_to_parse(dir: &Path) -> bool {
    let out = run(dir, "generate --store {}/me --model m --kind reply --context 'Coming?' --plan 'loud: yes'");
    !out.status.success() && String::from_utf8_lossy(&out.stderr).contains("not a reasoning path")
}

#[test]
fn sent_drafts_are_counted_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let record = |text: &str, draft: &str| {
        json(dir.path(), &format!("record --store {{}}/me --kind reply --text '{text}' --draft '{draft}'"))
    };
    for n in 0..5 {
        record(&format!("sure, at {n}"), &format!("Sure, I will be there at {n} sharp"));
    }
    let last = record("ok", "ok");
    assert_eq!(last["id"], json(dir.path(), "history --store {}/me")["records"][5]["id"]);
    let stats = json(dir.path(), "stats --store {}/me");
    assert_eq!(
        (&stats["texts"]["reply"], &stats["unchanged"], &stats["heavily_edited"]),
        (&json!(6), &json!(1), &json!(5))
    );
    assert!(stats["length"].as_f64().unwrap() < 0.6, "{stats}");
    let said = String::from_utf8(run(dir.path(), "stats --store {}/me").stdout).unwrap();
    assert!(said.contains("of the usual length"), "{said}");
    let reset = json(dir.path(), "stats --store {}/me --reset");
    assert_eq!(
        (&reset["texts"]["reply"], &reset["heavily_edited"], &reset["length"]),
        (&json!(6), &json!(0), &Value::Null)
    );
}
