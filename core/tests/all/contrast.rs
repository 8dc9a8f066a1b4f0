//! Tests of contrastive decoding on a real (if tiny) model file.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use locket::{
    LlmError, LoadOptions, Model, Sampling,
    internals::llm::{Completion, Contrast, Decoder, DecoderOptions, Event, Phase, Prompt, Request, Token},
};

/// No repeat penalty: the token with the largest weighted logit is chosen.
fn plain() -> Sampling {
    Sampling::GREEDY.with_repeat_penalty(1.0)
}

fn tiny() -> (tempfile::TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    (dir, model)
}

fn tokens(model: &Model, body: &str) -> Vec<Token> {
    model.prompt_tokens(&Prompt { body: body.into(), lead: "go:".into() })
}

fn request(model: &Model, body: &str, against: Option<(&str, f32)>) -> Request {
    let phase = Phase::new(8, plain());
    let contrast = against.map(|(body, weight)| Contrast { prompt: tokens(model, body), weight });
    Request { prompt: tokens(model, body), phases: vec![phase], deadline: None, boundary: None, contrast }
}

fn decoder(model: &Model, sequences: usize) -> Decoder<'_> {
    let options = DecoderOptions { context: 256, sequences, threads: 1, contrast: 200, ..DecoderOptions::default() };
    model.decoder(options).unwrap()
}

fn quiet(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn text(decoder: &mut Decoder<'_>, request: &Request) -> String {
    decoder.run_one(request, &mut quiet).unwrap().phases[0].text.clone()
}

#[test]
fn the_token_with_the_largest_weighed_logit_is_written() {
    let (_dir, model) = tiny();
    let (own, other, weight) = ("what the person wrote, and the request", "the request", 1.5);
    let mut asked = request(&model, own, Some((other, weight)));
    asked.phases[0].max_new_tokens = 1;
    let written = decoder(&model, 1).run_one(&asked, &mut quiet).unwrap();
    // Scores of the whole vocabulary. Logits and log-probabilities differ by a constant.
    let mut scorer = decoder(&model, 4);
    let vocabulary: Vec<Token> = (0..).map(Token::new).take(model.facts().vocabulary as usize).collect();
    let mut scores = |prompt: &[Token]| {
        let pairs = vocabulary.iter().map(|&t| (prompt.to_vec(), vec![t])).collect();
        scorer.score_all(pairs, &mut quiet).unwrap().concat()
    };
    let (behind, against) = (scores(&asked.prompt), scores(&asked.contrast.as_ref().unwrap().prompt));
    let weighed: Vec<f64> = behind.iter().zip(&against).map(|(l, other)| l + f64::from(weight) * (l - other)).collect();
    let best = (0..weighed.len()).max_by(|&a, &b| weighed[a].total_cmp(&weighed[b])).unwrap();
    let likeliest = behind.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // The reported log-probability is the one after the request's own prompt.
    let told = written.phases[0].log_prob;
    assert!((told - behind[best]).abs() < 2e-2, "{told} {}", behind[best]);
    assert!(likeliest - told > 0.1, "the contrast changes what is written, or this shows nothing");
}

#[test]
fn nothing_to_differ_from_changes_nothing() {
    let (_dir, model) = tiny();
    let mut decoder = decoder(&model, 1);
    let plain = text(&mut decoder, &request(&model, "the request", None));
    for against in [("the request", 2.0), ("something else", 0.0)] {
        assert_eq!(text(&mut decoder, &request(&model, "the request", Some(against))), plain, "{against:?}");
    }
    let other = text(&mut decoder, &request(&model, "the request", Some(("something else", 2.0))));
    assert_ne!(other, plain);
    // The second run finds both prompts in the cache.
    assert_eq!(text(&mut decoder, &request(&model, "the request", Some(("something else", 2.0)))), other);
}

#[test]
fn many_at_once_write_what_each_writes_alone() {
    let (_dir, model) = tiny();
    // Long and short prompts, with and without a contrast, and more of them than sequences.
    let (long, short) = ("a long beginning of what one has to say about it, ".repeat(3), "brief");
    let asked: Vec<Request> = (0..9)
        .map(|n| {
            let against = [Some((long.as_str(), 1.0)), None, Some((short, 1.0))][n % 3];
            let body = if n % 2 == 0 { format!("{long}{n}") } else { format!("{n}") };
            Request { boundary: (n % 3 == 0).then_some(1), ..request(&model, &body, against) }
        })
        .collect();
    let alone: Vec<String> = asked.iter().map(|r| text(&mut decoder(&model, 1), r)).collect();
    for sequences in [1, 2, 3, 5] {
        let mut together = decoder(&model, sequences);
        for round in 0..2 {
            let all: Vec<Completion> = together.run(&asked, &mut quiet).unwrap();
            let texts: Vec<&str> = all.iter().map(|c| c.phases[0].text.as_str()).collect();
            assert_eq!(texts, alone, "{sequences} sequences, round {round}");
        }
    }
}

#[test]
fn the_same_text_again_reads_neither_prompt() {
    let (_dir, model) = tiny();
    let mut decoder = decoder(&model, 1);
    let asked =
        |body: &str, against: &str| Request { boundary: Some(9), ..request(&model, body, Some((against, 1.0))) };
    let (one, other) = (asked("the history, the request", "the request"), asked("the history, another", "another"));
    let mut read = |asked: &Request| {
        let before = decoder.usage().prefilled;
        let written = text(&mut decoder, asked);
        (written, decoder.usage().prefilled - before)
    };
    let beside = |asked: &Request| asked.contrast.as_ref().unwrap().prompt.len();
    let (first, prefilled) = read(&one);
    assert_eq!(prefilled, one.prompt.len() + beside(&one));
    assert_eq!(read(&one), (first.clone(), 0));
    // Another request reuses only the history.
    assert_eq!(read(&other).1, other.prompt.len() - 9 + beside(&other));
    assert_eq!(read(&one), (first, one.prompt.len() - 9 + beside(&one)));
}

#[test]
fn as_many_are_written_at_once_as_there_is_room_for() {
    let (_dir, model) = tiny();
    let options = DecoderOptions { context: 250, sequences: 3, threads: 1, contrast: 40, ..DecoderOptions::default() };
    let mut decoder = model.decoder(options).unwrap();
    // The longest requests that fit, with different first tokens.
    let asked: Vec<Request> = (0..8).map(|n| request(&model, &n.to_string().repeat(238), None)).collect();
    assert!(asked.iter().all(|r| r.prompt.len() + 8 == 250), "{}", asked[0].prompt.len());
    assert_eq!(decoder.run(&asked, &mut quiet).unwrap().len(), 8);
}

#[test]
fn a_grammar_is_followed_by_the_prompt_alone() {
    let (_dir, model) = tiny();
    let digit = Phase {
        grammar: Some("root ::= \" \" [1-5] \"\\n\"".into()),
        stop: vec!["\n".into()],
        ..request(&model, "", None).phases[0].clone()
    };
    let phases = |r: Request| {
        let text = Phase { lead: "\ntext:".into(), ..r.phases[0].clone() };
        Request { phases: vec![digit.clone(), text], ..r }
    };
    let mut decoder = decoder(&model, 2);
    let mut written = |against| {
        let asked = phases(request(&model, "rate it, then say why", against));
        decoder.run_one(&asked, &mut quiet).unwrap().phases
    };
    let (plain, other) = (written(None), written(Some(("say why", 3.0))));
    assert_eq!((other.len(), &plain[0].text), (2, &other[0].text));
    assert_ne!(plain[1].text, other[1].text);
}

#[test]
fn a_cancelled_run_leaves_the_decoder_as_good_as_new() {
    let (_dir, model) = tiny();
    let wanted = request(&model, "undisturbed", Some(("otherwise", 1.0)));
    let fresh = text(&mut decoder(&model, 2), &wanted);
    let mut decoder = decoder(&model, 2);
    for stop_after in 0..30 {
        let mut seen = 0;
        let all = [request(&model, "one", None), wanted.clone(), request(&model, "another", Some(("no", 1.0)))];
        let result = decoder.run(&all, &mut |_| {
            seen += 1;
            if seen > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(LlmError::Cancelled)), "{stop_after}");
        assert_eq!(text(&mut decoder, &wanted), fresh, "after a stop at {stop_after}");
    }
}

#[test]
fn a_deadline_frees_both_sequences() {
    let (_dir, model) = tiny();
    let mut decoder = decoder(&model, 1);
    let whole = request(&model, "in good time", Some(("in time", 1.0)));
    let past = Request { deadline: Some(std::time::Instant::now()), ..whole.clone() };
    let done = decoder.run(&[past.clone(), whole.clone(), past], &mut quiet).unwrap();
    assert!(done[0].phases.is_empty() && done[2].phases.is_empty());
    assert_eq!(done[1].phases[0].text, text(&mut decoder, &whole));
}

#[test]
fn what_has_no_room_is_refused_before_it_starts() {
    let (_dir, model) = tiny();
    let asked = request(&model, "x", Some(("y", 1.0)));
    let mut alone = model.decoder(DecoderOptions { context: 256, ..DecoderOptions::default() }).unwrap();
    assert!(matches!(alone.run_one(&asked, &mut quiet), Err(LlmError::Request(_))));
    let mut decoder = decoder(&model, 1);
    let long = "y".repeat(190);
    let long = request(&model, "x", Some((&long, 1.0)));
    assert!(matches!(decoder.run_one(&long, &mut quiet), Err(LlmError::ContextOverflow { context: 200, .. })));
    let mut none = asked.clone();
    none.contrast.as_mut().unwrap().prompt.clear();
    assert!(matches!(decoder.run_one(&none, &mut quiet), Err(LlmError::Request(_))));
    assert!(!text(&mut decoder, &asked).is_empty());
}
