//! `locket show`: a page that escapes every text and loads nothing.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use crate::common::{fails, json, locket, prepared, run};

/// Markup of other resources and of scripts. None may stand in a page.
const OUTSIDE: [&str; 12] = [
    "http:",
    "https:",
    "//",
    "src=",
    "url(",
    "<script",
    "<link",
    "<img",
    "<iframe",
    "@import",
    "javascript:",
    "onload=",
];

/// Writes a page with these options and returns it.
fn page(dir: &Path, options: &str) -> String {
    let written = json(dir, &format!("show --store {{}}/me --html {{}}/me.html {options}"));
    assert_eq!(written["written"], dir.join("me.html").to_str().unwrap());
    let page = fs::read_to_string(dir.join("me.html")).unwrap();
    assert_eq!(written["bytes"], page.len());
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">") && page.ends_with("</html>\n"));
    page
}

/// Requires that the tags of a page are balanced, which they are not if a text opens one.
fn assert_balanced(page: &str) {
    let void = ["!doctype", "meta", "path", "rect", "circle"];
    let body = page.replace(&page[page.find("<style>").unwrap()..page.find("</style>").unwrap()], "<style>");
    let mut open: Vec<String> = Vec::new();
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("every tag ends");
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap().to_owned();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "{tag}"),
            None if !void.contains(&name.as_str()) => open.push(name),
            None => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn shows_the_store_without_pack_and_model() {
    let dir = prepared();
    let page = page(dir.path(), "");
    assert!(page.contains("Sundays belong to this dripper.") && page.contains("Slow and good"));
    assert!(page.contains("locket.key") && page.contains("XChaCha20-Poly1305"));
    assert!(page.contains("No pack was given") && page.contains("No text was requested"));
    assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    assert!(OUTSIDE.iter().all(|outside| !page.contains(outside)));
    assert_balanced(&page);
    let said = run(dir.path(), "show --store {}/me --html {}/me.html").stdout;
    assert!(String::from_utf8(said).unwrap().contains("1 of 1 records, 0 predictions, 0 drafts"));
}

#[test]
fn shows_predictions_with_their_paths() {
    let dir = prepared();
    let page = page(dir.path(), "--pack {}/p.pack -k 3");
    assert_eq!(page.matches("<svg class=\"graph\"").count(), 3);
    let first = json(dir.path(), "predict --store {}/me --pack {}/p.pack -k 1")["predictions"][0].clone();
    assert!(page.contains(first["item_title"].as_str().unwrap()));
    assert!(page.contains(">Pour-over Coffee Dripper</text>"), "the item of the user's text");
    assert!(OUTSIDE.iter().all(|outside| !page.contains(outside)));
    assert_balanced(&page);
}

#[test]
fn shows_the_prompt_and_the_drafts() {
    let dir = prepared();
    let request = "--pack {}/p.pack --model {}/tiny.gguf --item k1 --title 'My new kettle'";
    let planned = page(dir.path(), &format!("{request} --reasoning --candidates 1"));
    assert!(planned.contains("The plan") && planned.contains("The prompt") && planned.contains("Draft A"));
    for source in ["part heading", "part history", "part retrieved", "part request"] {
        assert!(planned.contains(source), "{source}");
    }
    assert!(planned.contains("<b>Title:</b> My new kettle"));
    assert_balanced(&planned);
    for task in ["title", "rating"] {
        let page = page(dir.path(), &format!("{request} --candidates 2 --task {task} --text 'It boils.'"));
        assert!(page.contains("Draft A"), "{task}");
        assert_balanced(&page);
    }
    // A model without a request is not loaded.
    let none = page(dir.path(), "--model {}/tiny.gguf");
    assert!(none.contains("No text was requested"));
}

#[test]
fn escapes_markup_in_every_field() {
    let dir = prepared();
    let hostile =
        "</p></pre></title><script>alert(1)</script><img src=x onerror=\"a\" b='c'> & &lt; ]]> <!-- https://a.example";
    let record = |args: &[&str]| {
        let store = dir.path().join("me");
        let out = locket().args(["record", "--store", store.to_str().unwrap()]).args(args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    record(&["--item", hostile, "--item-title", hostile, "--title", hostile, "--text", hostile, "--rating", "4"]);
    record(&["--kind", "email", "--title", hostile, "--audience", hostile, "--context", hostile, "--text", hostile]);
    let out = dir.path().join("me.html");
    let [store, model] = ["me", "tiny.gguf"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    for kind in ["review", "email"] {
        let mut show = locket();
        show.args(["show", "--store", &store, "--model", &model, "--kind", kind, "--html", out.to_str().unwrap()]);
        show.args([
            "--item",
            hostile,
            "--title",
            hostile,
            "--context",
            hostile,
            "--gist",
            hostile,
            "--audience",
            hostile,
        ]);
        let shown = show.output().unwrap();
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        let page = fs::read_to_string(&out).unwrap();
        for outside in ["//", "<script", "<img", "<!--", "]]>", "onerror=\"", "src=\""] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("&lt;&#47;title&gt;&lt;script&gt;alert(1)"), "the text is shown");
        assert!(page.contains("&amp; &amp;lt; ]]&gt; &lt;!-- https:&#47;&#47;a.example"), "the text is shown");
        assert_balanced(&page);
    }
}

#[test]
fn shows_texts_of_any_script_and_length() {
    let dir = prepared();
    let long = "donaudampfschiff".repeat(400);
    let texts = [&long, "שלום עולם \u{202e}reversed", "👩‍👩‍👧 🎉 é\u{301}", "line one\n\n\tline two"];
    for text in texts {
        let store = dir.path().join("me");
        let args = ["record", "--store", store.to_str().unwrap(), "--item", text, "--text", text];
        assert!(locket().args(args).output().unwrap().status.success());
    }
    let page = page(dir.path(), "--pack {}/p.pack");
    assert!(texts.iter().all(|text| page.contains(text)));
    assert_balanced(&page);
}

#[test]
fn the_newest_records_are_shown_and_the_number_is_given() {
    let dir = prepared();
    let record = |n: usize| serde_json::json!({ "origin": "real", "interaction": { "item": "k1", "text": format!("Text {n}."), "time": n + 1 } });
    let records: Vec<_> = (0..5000).map(record).collect();
    let export = serde_json::json!({ "format": "locket-export", "version": 1, "records": records });
    fs::write(dir.path().join("export.json"), export.to_string()).unwrap();
    json(dir.path(), "import --store {}/many --from {}/export.json");
    let written = json(dir.path(), "show --store {}/many --html {}/many.html");
    assert_eq!((&written["records"], &written["shown"]), (&5000.into(), &1000.into()));
    let page = fs::read_to_string(dir.path().join("many.html")).unwrap();
    assert!(page.contains("1,000 of 5,000 texts are shown"));
    assert!(page.contains("Text 4999.") && page.contains("Text 4000.") && !page.contains("Text 3999."));
    let written = json(dir.path(), "show --store {}/many --html {}/many.html --records 9000");
    assert_eq!(written["shown"], 5000);
}

#[test]
fn a_failure_leaves_no_file() {
    let dir = prepared();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let show = "show --store {}/me --html {}/me.html";
    assert!(fails(dir.path(), "show --store {}/none --html {}/me.html").contains("no store"));
    assert!(fails(dir.path(), &format!("{show} --pack {{}}/sample.jsonl")).contains("sample.jsonl"));
    assert!(fails(dir.path(), &format!("{show} --model {{}}/none.gguf --item k1")).contains("none.gguf"));
    fails(dir.path(), &format!("{show} --model {{}}/tiny.gguf --item k1 --task title"));
    fails(dir.path(), &format!("{show} --model {{}}/tiny.gguf --item k1 --deadline 0"));
    assert_eq!(names(), before);
    // An output that is an input, or no file, is refused. An existing page stays until the new one
    // is complete.
    assert!(fails(dir.path(), "show --store {}/me --pack {}/p.pack --html {}/p.pack").contains("also an input"));
    assert!(fails(dir.path(), "show --store {}/me --html {}/me/locket.key").contains("also an input"));
    assert!(fails(dir.path(), "show --store {}/me --html {}/me").contains("directory"));
    fs::write(dir.path().join("me.html"), "earlier").unwrap();
    fails(dir.path(), &format!("{show} --model {{}}/tiny.gguf --item k1 --deadline 0"));
    assert_eq!(fs::read_to_string(dir.path().join("me.html")).unwrap(), "earlier");
}

#[cfg(unix)]
#[test]
fn only_the_user_can_read_the_page() {
    use std::os::unix::fs::PermissionsExt;
    let dir = prepared();
    page(dir.path(), "");
    assert_eq!(fs::metadata(dir.path().join("me.html")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
#[ignore = "needs the default model"]
fn shows_the_text_that_generate_writes() {
    let model = locket_tests::model();
    let dir = prepared();
    let request = format!("--model {} --pack {{}}/p.pack --item k1 --title 'Handle too hot'", model.display());
    let page = page(dir.path(), &format!("{request} --candidates 1"));
    let written = json(dir.path(), &format!("generate --store {{}}/me {request}"));
    let words: Vec<&str> = written["text"].as_str().unwrap().split(['\'', '"', '&', '/', '<', '>']).collect();
    assert!(words.iter().all(|words| page.contains(words)), "{written}");
    assert!(OUTSIDE.iter().all(|outside| !page.contains(outside)));
    assert_balanced(&page);
}
