//! Models with fewer tokens: texts within their vocabulary are read and generated as before.
#![allow(clippy::unwrap_used)]

use std::{fs, ops::ControlFlow, path::Path};

use locket::{
    LlmError, LoadOptions, Model, Sampling,
    internals::llm::{
        DecoderOptions, Phase, Prompt, Request,
        gguf::{self, GgufError},
        sha256,
    },
};
use locket_builder::{
    Error,
    profile::Profiles,
    trim::{Report, trim},
};
use locket_tests::tiny::{self, Value};

fn go(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn load(path: &Path) -> Model {
    Model::load(path, LoadOptions::default()).unwrap()
}

fn trimmed(model: &Model, out: &Path) -> Result<Report, Error> {
    trim(model, &[locket_tests::sample()], out, &mut go)
}

/// Returns the text of each token.
fn vocabulary(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let gguf = gguf::parse(&bytes).unwrap();
    gguf.array("tokenizer.ggml.tokens").unwrap().unwrap().texts().unwrap().map(<[u8]>::to_vec).collect()
}

/// Returns the token texts that a text is split into.
fn split(model: &Model, vocabulary: &[Vec<u8>], text: &str) -> Vec<Vec<u8>> {
    model.tokens(text).iter().map(|t| vocabulary[t.0 as usize].clone()).collect()
}

/// Checks that texts of the sample are split into the same tokens.
fn reads_the_sample_as(whole: (&Model, &[Vec<u8>]), cut: (&Model, &[Vec<u8>])) {
    for profile in Profiles::of_all(&[locket_tests::sample()]) {
        for (interaction, _) in profile.unwrap().interactions() {
            let said =
                format!("Title: {}\nReview: {}\n", interaction.title.as_deref().unwrap_or("-"), interaction.text);
            assert_eq!(split(cut.0, cut.1, &said), split(whole.0, whole.1, &said), "{said}");
        }
    }
}

/// Texts with characters outside the sample.
const FOREIGN: [&str; 2] = ["Quixotic zymurgy in Łódź: 漢字 🙂 \u{1}", "a  b\n\n\n\tc"];

/// Punctuation of several scripts.
const MARKS: &str = "。、，！？「」《》…—«»¿¡؟،।॥՞";

/// Decodes byte-level tokens: each character is a byte. Printable bytes stand for themselves, the
/// others are mapped from U+0100 on.
fn joined_bytes(pieces: &[Vec<u8>]) -> String {
    let prints = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..);
    let hidden: Vec<u8> = (0..=255).filter(|byte| !prints(byte)).collect();
    let text = String::from_utf8(pieces.concat()).unwrap();
    let bytes = text.chars().map(|c| hidden.get((c as usize).wrapping_sub(0x100)).copied().unwrap_or(c as u8));
    String::from_utf8(bytes.collect()).unwrap()
}

/// Decodes tokens, including byte tokens.
fn joined(pieces: &[Vec<u8>]) -> String {
    let byte = |piece: &[u8]| {
        let digits = piece.strip_prefix(b"<0x")?.strip_suffix(b">")?;
        u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let bytes = pieces.iter().flat_map(|piece| byte(piece).map_or_else(|| piece.clone(), |b| vec![b]));
    String::from_utf8(bytes.collect()).unwrap().replace('▁', " ")
}

/// Returns the log-probability of each of `next` after `text`, relative to the first.
fn likelier(model: &Model, text: &str, next: &[&str]) -> Vec<f64> {
    let options = DecoderOptions { context: 256, sequences: 1, threads: 1, ..DecoderOptions::default() };
    let prompt = model.prompt_tokens(&Prompt { body: text.into(), lead: String::new() });
    // A new decoder for each word: a prompt that is prefilled in another way rounds differently.
    let score = |word: &&str| model.decoder(options).unwrap().score(&prompt, &model.tokens(word)[..1]).unwrap()[0];
    let scores: Vec<f64> = next.iter().map(score).collect();
    scores.iter().map(|score| score - scores[0]).collect()
}

/// Checks that both models give the same relative log-probabilities of `next` after `text`, up to
/// rounding.
fn weighs_as(whole: &Model, cut: &Model, text: &str, next: &[&str]) {
    let (before, after) = (likelier(whole, text, next), likelier(cut, text, next));
    for (word, (before, after)) in next.iter().zip(before.iter().zip(&after)) {
        assert!((before - after).abs() < 1e-3, "{word:?}: {before} and {after}");
    }
}

fn write(model: &Model, text: &str, tokens: usize) -> String {
    let options = DecoderOptions { context: 512, sequences: 1, threads: 1, ..DecoderOptions::default() };
    let prompt = model.prompt_tokens(&Prompt { body: text.into(), lead: String::new() });
    let phases = vec![Phase::new(tokens, Sampling::GREEDY)];
    let request = Request { prompt, phases, deadline: None, boundary: None, contrast: None };
    let written = model.decoder(options).unwrap().run_one(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    written.phases[0].text.clone()
}

#[test]
#[ignore = "needs the default model"]
fn the_default_model_reads_and_weighs_as_before() {
    let path = locket_tests::model();
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small.gguf");
    let whole = load(&path);
    let report = trimmed(&whole, &small).unwrap();
    assert_eq!(report.interactions, 187);
    assert_eq!(report.bytes[1], fs::metadata(&small).unwrap().len());
    assert!(report.tokens[1] * 20 < report.tokens[0] && report.bytes[1] * 3 < report.bytes[0], "{report:?}");
    let cut = load(&small);
    assert_eq!(cut.facts().vocabulary as usize, report.tokens[1]);
    assert_eq!(cut.facts().trimmed_from, Some(sha256(&path, &mut |_| ControlFlow::Continue(())).unwrap()));

    let (all, left) = (vocabulary(&path), vocabulary(&small));
    reads_the_sample_as((&whole, &all), (&cut, &left));
    // Sentence marks of every script stay.
    for mark in MARKS.chars().map(String::from) {
        assert!(left.contains(&mark.clone().into_bytes()) || !all.contains(&mark.clone().into_bytes()), "{mark}");
    }
    assert!(left.contains(&"。".as_bytes().to_vec()) && !left.contains(&"\u{3099}".as_bytes().to_vec()));
    // Texts outside the vocabulary are split into smaller tokens.
    for foreign in FOREIGN {
        let pieces = split(&cut, &left, foreign);
        assert_eq!(joined(&pieces), foreign);
        assert!(pieces.len() >= split(&whole, &all, foreign).len());
    }

    let text = "Title: Honest wood\nReview: Solid board, no smell of";
    weighs_as(&whole, &cut, text, &[" glue", " the", " tea", " it", ".", "\n"]);
    // At most ten: the sample has no eleven, so beyond ten the output depends on the CPU's
    // rounding.
    assert_eq!(write(&cut, "one two three four", 6), write(&whole, "one two three four", 6));

    // Trimmed again: the origin stays the same, and no more tokens are removed.
    let again = dir.path().join("again.gguf");
    assert_eq!(trimmed(&cut, &again).unwrap().tokens, [report.tokens[1]; 2]);
    assert!(fs::read(&again).unwrap() == fs::read(&small).unwrap());
}

#[test]
#[ignore = "needs the chat model"]
fn a_chat_model_with_merges_reads_and_weighs_as_before() {
    let path = locket_tests::chat_model();
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small.gguf");
    let whole = load(&path);
    let report = trimmed(&whole, &small).unwrap();
    assert!(report.tokens[1] * 10 < report.tokens[0], "{report:?}");
    let cut = load(&small);
    let (all, left) = (vocabulary(&path), vocabulary(&small));
    reads_the_sample_as((&whole, &all), (&cut, &left));
    for foreign in FOREIGN {
        let pieces = split(&cut, &left, foreign);
        assert_eq!(joined_bytes(&pieces), foreign);
        assert!(pieces.len() > split(&whole, &all, foreign).len());
    }
    assert!(whole.has_chat_template() && cut.has_chat_template());
    // The tokens of the chat template.
    let frame = |model: &Model, vocabulary: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let tokens = model.prompt_tokens(&Prompt { body: String::new(), lead: String::new() });
        tokens.iter().map(|t| vocabulary[t.0 as usize].clone()).collect()
    };
    assert!(joined_bytes(&frame(&whole, &all)).contains("assistant"));
    assert_eq!(frame(&cut, &left), frame(&whole, &all));
    weighs_as(&whole, &cut, "The handle gets", &[" hot", " the", " tea", " it", ".", " warm"]);
    // Trimmed again: no more tokens are removed.
    let again = dir.path().join("again.gguf");
    assert_eq!(trimmed(&cut, &again).unwrap().tokens, [report.tokens[1]; 2]);
    assert!(fs::read(&again).unwrap() == fs::read(&small).unwrap());
}

#[test]
fn a_model_with_an_output_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let parts =
        tiny::parts().set("llama.vocab_size", Value::U32(354)).set("tokenizer.ggml.eot_token_id", Value::U32(353));
    let (path, small) = (dir.path().join("tiny.gguf"), dir.path().join("small.gguf"));
    fs::write(&path, parts.bytes()).unwrap();
    let whole = load(&path);
    let report = trimmed(&whole, &small).unwrap();
    assert!((257..354).contains(&report.tokens[1]), "{report:?}");
    let cut = load(&small);
    let (all, left) = (vocabulary(&path), vocabulary(&small));
    let bytes = fs::read(&small).unwrap();
    let gguf = gguf::parse(&bytes).unwrap();
    assert_eq!(gguf.u32("llama.vocab_size").unwrap(), Some(report.tokens[1] as u32));
    let special = |name: &str| gguf.u32(&format!("tokenizer.ggml.{name}_token_id")).unwrap().unwrap() as usize;
    assert_eq!((special("unknown"), special("bos"), special("eos")), (0, 1, 2));
    // A token that stands for text and for an end stays because of the end.
    assert_eq!(left[special("eot")], all[353]);
    weighs_as(&whole, &cut, "The tea", &["a", "t", " ", "\n", "."]);
}

#[test]
fn punctuation_that_no_profile_holds_stays() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tiny::with_tokens(&["。", "好", "\u{3099}", "¿"]);
    let (path, small) = (dir.path().join("tiny.gguf"), dir.path().join("small.gguf"));
    fs::write(&path, bytes).unwrap();
    trimmed(&load(&path), &small).unwrap();
    let left = vocabulary(&small);
    let has = |token: &str| left.contains(&token.as_bytes().to_vec());
    assert_eq!(["。", "¿", "好", "\u{3099}"].map(has), [true, true, false, false]);
}

#[test]
fn what_is_not_understood_is_refused_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let model = load(&tiny::write(dir.path()));
    let out = dir.path().join("out.gguf");
    fs::write(&out, b"as it was").unwrap();
    let empty = dir.path().join("empty.jsonl");
    fs::write(&empty, b"").unwrap();
    assert!(matches!(trim(&model, &[empty], &out, &mut go), Err(Error::Engine(locket::Error::Argument(_)))));
    let missing = trim(&model, &[dir.path().join("none.jsonl")], &out, &mut go);
    assert!(matches!(missing, Err(Error::Profile(_))));
    let stopped = trim(&model, &[locket_tests::sample()], &out, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(Error::Engine(locket::Error::Cancelled))));
    let nowhere = trimmed(&model, &dir.path().join("no/such/folder.gguf"));
    assert!(matches!(nowhere, Err(Error::Engine(locket::Error::Io { .. }))));
    let odd = dir.path().join("odd.gguf");
    let list = Value::I32s(vec![1, 2]);
    fs::write(&odd, tiny::parts().set("tokenizer.ggml.suppressed", list).bytes()).unwrap();
    let refused = trimmed(&load(&odd), &out);
    assert!(
        matches!(
            refused,
            Err(Error::Engine(locket::Error::Llm(LlmError::File { source: GgufError::Vocabulary(_), .. })))
        ),
        "{refused:?}"
    );
    assert_eq!(fs::read(&out).unwrap(), b"as it was");
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 4, "the models, the profiles and what was there");
}
