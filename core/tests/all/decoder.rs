//! Tests of the decoder on a real (if tiny) model file.
#![allow(clippy::unwrap_used)]

use std::{ops::ControlFlow, sync::Arc};

use locket::{
    Length, LlmError, LoadOptions, Model, ReasoningPath, Sampling,
    internals::{
        llm::{
            Completion, Decoder, DecoderOptions, Details, Event, NoRepeat, Phase, Prompt, Request, RequestSource, Stop,
            Token, WordLimit,
        },
        plan,
    },
};

fn tiny() -> (tempfile::TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
    (dir, model)
}

fn request(model: &Model, body: &str, sampling: Sampling) -> Request {
    let phase = Phase::new(24, sampling);
    let prompt = model.prompt_tokens(&Prompt { body: body.into(), lead: "go:".into() });
    Request { prompt, phases: vec![phase], deadline: None, boundary: None, contrast: None }
}

fn options(sequences: usize) -> DecoderOptions {
    DecoderOptions { context: 256, sequences, threads: 1, ..DecoderOptions::default() }
}

fn quiet(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn run(decoder: &mut Decoder<'_>, request: &Request) -> Completion {
    decoder.run_one(request, &mut quiet).unwrap()
}

#[test]
fn streams_what_it_returns_and_repeats_by_seed() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(1)).unwrap();
    let sampled = request(&model, "hello", Sampling::VARIED.with_seed(7).with_temperature(1.5));
    let mut streamed = String::new();
    let first = decoder
        .run_one(&sampled, &mut |e| {
            streamed.push_str(e.text);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(first.phases[0].text, streamed);
    assert_eq!((first.phases[0].tokens, first.phases[0].stop), (24, Stop::Length));
    assert_eq!(run(&mut decoder, &sampled).phases[0].text, first.phases[0].text);
    let other = request(&model, "hello", Sampling::VARIED.with_seed(8).with_temperature(1.5));
    assert_ne!(run(&mut decoder, &other).phases[0].text, first.phases[0].text);
}

#[test]
fn many_at_once_write_what_each_writes_alone() {
    let (_dir, model) = tiny();
    let prefix = "a shared beginning that is long enough to be worth keeping, ";
    let requests: Vec<Request> = (0..7).map(|n| request(&model, &format!("{prefix}{n}"), Sampling::GREEDY)).collect();
    let alone: Vec<Completion> = requests.iter().map(|r| run(&mut model.decoder(options(1)).unwrap(), r)).collect();
    let mut together = model.decoder(options(3)).unwrap();
    let texts = |all: &[Completion]| all.iter().map(|c| c.phases[0].text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&together.run(&requests, &mut quiet).unwrap()), texts(&alone));
    // Every request after the first finds the shared prefix in the cache.
    assert!(together.usage().reused >= 6 * prefix.len(), "{:?}", together.usage());
}

#[test]
fn a_boundary_takes_over_whole_chunks_and_a_finished_prompt() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(1)).unwrap();
    let history = "a history of some length that stays the same from one request to the next one, ".repeat(2);
    let boundary = model.prompt_tokens(&Prompt { body: history.clone(), lead: String::new() }).len();
    let asked = |what: &str| {
        let plain = request(&model, &format!("{history}{what}"), Sampling::GREEDY);
        Request { boundary: Some(boundary), ..plain }
    };
    let read = |decoder: &mut Decoder<'_>, request: &Request| {
        let before = decoder.usage();
        let text = run(decoder, request).phases[0].text.clone();
        (text, decoder.usage().prefilled - before.prefilled, decoder.usage().reused - before.reused)
    };
    let (first, second) = (asked("the first"), asked("the other"));
    let (text, prefilled, reused) = read(&mut decoder, &first);
    assert_eq!((prefilled, reused), (first.prompt.len(), 0));
    assert_eq!(read(&mut decoder, &first), (text.clone(), 0, first.prompt.len()), "the same prompt is not read again");
    let (_, prefilled, reused) = read(&mut decoder, &second);
    assert_eq!((prefilled, reused), (second.prompt.len() - boundary, boundary));
    // The same prompt in other chunks is reused only in part.
    let other = Request { boundary: Some(boundary - 10), ..first.clone() };
    assert_eq!(read(&mut decoder, &other).2 % 64, 0);
    let unsplit = Request { boundary: None, ..first.clone() };
    assert!(read(&mut decoder, &unsplit).2 >= boundary - 10);
    let (again, _, reused) = read(&mut decoder, &first);
    assert_eq!((again, reused % 64), (text, 0));
}

#[test]
fn a_prompt_with_a_boundary_is_read_once_for_many() {
    let (_dir, model) = tiny();
    let body = "a history of some length that stays the same from one request to the next; ".repeat(2);
    let one = Request { boundary: Some(100), ..request(&model, &body, Sampling::GREEDY) };
    let alone = run(&mut model.decoder(options(1)).unwrap(), &one).phases[0].text.clone();
    let mut together = model.decoder(options(4)).unwrap();
    let all = together.run(&vec![one.clone(); 4], &mut quiet).unwrap();
    assert!(all.iter().all(|c| c.phases[0].text == alone));
    // The others prefill only the last chunk, because they need its logits.
    assert!(together.usage().prefilled <= one.prompt.len() + 3 * 64, "{:?}", together.usage());
}

#[test]
fn a_cancelled_run_leaves_the_decoder_as_good_as_new() {
    let (_dir, model) = tiny();
    let wanted = request(&model, "undisturbed", Sampling::GREEDY);
    let fresh = run(&mut model.decoder(options(2)).unwrap(), &wanted);
    let mut decoder = model.decoder(options(2)).unwrap();
    for stop_after in 0..30 {
        let mut seen = 0;
        let batch =
            [request(&model, "one", Sampling::GREEDY), request(&model, "another", Sampling::GREEDY), wanted.clone()];
        let result = decoder.run(&batch, &mut |_| {
            seen += 1;
            if seen > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(LlmError::Cancelled)), "{stop_after}");
        assert_eq!(run(&mut decoder, &wanted).phases[0].text, fresh.phases[0].text, "after a stop at {stop_after}");
    }
}

#[test]
fn grammars_bind_and_phases_follow_each_other() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(1)).unwrap();
    let base = request(&model, "rate it", Sampling::GREEDY);
    let digit = Phase {
        grammar: Some("root ::= \" \" [1-5] \"\\n\"".into()),
        stop: vec!["\n".into()],
        ..base.phases[0].clone()
    };
    let word =
        Phase { lead: "\nword:".into(), grammar: Some("root ::= \"yes\" | \"no\"".into()), ..base.phases[0].clone() };
    let done = run(&mut decoder, &Request { phases: vec![digit, word], ..base });
    assert!((1..=5).any(|n| done.phases[0].text == format!(" {n}")), "{done:?}");
    assert_eq!(done.phases[0].stop, Stop::Matched);
    assert!(["yes", "no"].contains(&done.phases[1].text.as_str()), "{done:?}");
}

#[test]
fn nothing_ends_before_its_least_tokens() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(1)).unwrap();
    let (mut early, mut late) = (0, 0);
    for seed in 0..8 {
        let mut r = request(&model, "go on", Sampling::VARIED.with_seed(seed).with_temperature(1.5));
        r.phases[0].stop = ('a'..='z').map(String::from).collect();
        let free = run(&mut decoder, &r).phases[0].clone();
        early += usize::from(free.tokens < 12 && free.stop != Stop::Length);
        r.phases[0].min_new_tokens = 12;
        let held = run(&mut decoder, &r).phases[0].clone();
        assert!(held.tokens >= 12, "{held:?}");
        late += usize::from(held.stop == Stop::Matched);
        // If only an end can follow, the text ends.
        r.phases[0].grammar = Some("root ::= \"a\"".into());
        assert_eq!(run(&mut decoder, &r).phases[0].tokens, 1);
    }
    assert!(early > 0 && late > 0, "{early} ended early left alone, {late} later on: this showed nothing");
}

#[test]
fn no_run_of_words_is_repeated() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(1)).unwrap();
    let mut constraint = NoRepeat::new(Details::default(), 3);
    ["a b a", "b b b", "a, a, b!"].iter().for_each(|text| constraint.add(text));
    let constraint = Arc::new(constraint);
    let (mut free, mut held) = (0, 0);
    for seed in 0..8 {
        let wide = Sampling::VARIED.with_seed(seed).with_temperature(1.5).with_top_p(1.0).with_top_k(256);
        let mut r = request(&model, "write", wide);
        r.phases[0].grammar = Some("root ::= ([a-c] \" \"){9}".into());
        let mut written = |r: &Request| run(&mut decoder, r).phases[0].text.clone();
        free += usize::from(constraint.repeated(&written(&r)).is_some());
        r.phases[0].no_repeat = Some(constraint.clone());
        held += usize::from(constraint.repeated(&written(&r)).is_some());
        // If nothing else can follow, decoding continues.
        r.phases[0].grammar = Some("root ::= \"b b b b\"".into());
        assert_eq!(written(&r), "b b b b");
    }
    assert!(free > 4 && held == 0, "{free} of 8 texts repeat a run left alone, {held} under the constraint");
}

#[test]
fn a_limit_of_words_ends_a_text() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(1)).unwrap();
    let mut r = request(&model, "write", Sampling::GREEDY);
    let written = |decoder: &mut Decoder<'_>, r: &Request| {
        let phase = run(decoder, r).phases[0].clone();
        (phase.text, phase.stop)
    };
    r.phases[0].grammar = Some("root ::= \"a b c d. e f g h\"".into());
    for (enough, most, text, stop) in
        [(3, 9, "a b c d.", Stop::End), (5, 9, "a b c d. e f g h", Stop::End), (5, 6, "a b c d. e f g", Stop::Length)]
    {
        r.phases[0].words = Some(WordLimit { enough, most });
        assert_eq!(written(&mut decoder, &r), (text.to_owned(), stop), "{enough} to {most} words");
    }
}

#[test]
fn the_path_grammar_gives_paths() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(DecoderOptions { context: 512, ..options(4) }).unwrap();
    for length in [None, Some(Length::Brief), Some(Length::Long)] {
        let requests: Vec<Request> = (0..4)
            .map(|seed| {
                let mut r = request(&model, "plan", Sampling::VARIED.with_seed(seed).with_temperature(1.0));
                r.phases[0] = Phase {
                    grammar: Some(plan::grammar(length, true, None)),
                    stop: vec!["\n".into()],
                    max_new_tokens: 200,
                    ..r.phases[0].clone()
                };
                r
            })
            .collect();
        for done in decoder.run(&requests, &mut quiet).unwrap() {
            let phase = &done.phases[0];
            assert_eq!(phase.stop, Stop::Matched, "{phase:?}");
            let path = phase.text.parse::<ReasoningPath>().unwrap();
            assert!(length.is_none_or(|length| path.length == length), "{phase:?}");
        }
    }
}

#[test]
fn scores_are_the_log_probabilities_of_what_was_written() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(1)).unwrap();
    let mut asked = request(&model, "score me", Sampling::GREEDY.with_repeat_penalty(1.0));
    asked.phases[0].max_new_tokens = 1;
    let written = run(&mut decoder, &asked).phases[0].log_prob;
    // The probabilities of the whole vocabulary of 354 tokens add up to 1, and greedy decoding took
    // the largest.
    let every = (0..354).map(|t| decoder.score(&asked.prompt, &[Token::new(t)]).unwrap()[0]);
    let every: Vec<f64> = every.collect();
    assert!((every.iter().map(|l| l.exp()).sum::<f64>() - 1.0).abs() < 1e-3);
    assert!((every.iter().copied().fold(f64::NEG_INFINITY, f64::max) - written).abs() < 1e-3);
    // A continuation is scored token by token, independent of the steps it is decoded in.
    let tokens = model.tokens(&"a longer continuation ".repeat(5));
    let scores = decoder.score(&asked.prompt, &tokens).unwrap();
    assert_eq!(scores.len(), tokens.len());
    let prompt = [&asked.prompt[..], &tokens[..70]].concat();
    assert!((scores[70] - decoder.score(&prompt, &tokens[70..71]).unwrap()[0]).abs() < 1e-3);
    assert!(matches!(decoder.score(&[], &tokens), Err(LlmError::Request(_))));
}

#[test]
fn scores_of_many_are_those_of_each() {
    let (_dir, model) = tiny();
    let prefix = "a beginning that all of them have in common, and that is read once: ";
    let pairs: Vec<_> = (0..9)
        .map(|n| {
            (
                request(&model, &format!("{prefix}{}", n / 3), Sampling::GREEDY).prompt,
                model.tokens(&"so it goes ".repeat(1 + n)),
            )
        })
        .collect();
    let mut decoder = model.decoder(options(4)).unwrap();
    let together = decoder.score_all(pairs.clone(), &mut quiet).unwrap();
    assert!(decoder.usage().reused > 8 * prefix.len(), "{:?}", decoder.usage());
    let mut alone = model.decoder(options(1)).unwrap();
    for ((prompt, continuation), scores) in pairs.iter().zip(&together) {
        let each = alone.score(prompt, continuation).unwrap();
        assert_eq!(scores.len(), continuation.len());
        assert!(scores.iter().zip(&each).all(|(a, b)| (a - b).abs() < 2e-2), "{scores:?} {each:?}");
    }
    let mut stop = |_: Event<'_>| ControlFlow::Break(());
    assert!(matches!(decoder.score_all(pairs.clone(), &mut stop), Err(LlmError::Cancelled)));
    let again = decoder.score_all(pairs, &mut quiet).unwrap();
    assert!(again.concat().iter().zip(together.concat()).all(|(a, b)| (a - b).abs() < 2e-2));
}

/// Each completion adds a further request, until there are enough.
#[test]
fn answers_may_lead_to_requests() {
    struct Chain(Vec<Request>, Vec<usize>, Request);
    impl RequestSource for Chain {
        fn next(&mut self) -> Option<Request> {
            self.0.pop()
        }
        fn done(&mut self, number: usize, completion: Completion) {
            assert_eq!(completion.phases.len(), 1);
            self.1.push(number);
            if self.1.len() + self.0.len() < 9 {
                self.0.push(self.2.clone());
            }
        }
    }
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(2)).unwrap();
    let one = request(&model, "one leads to another", Sampling::GREEDY);
    let mut chain = Chain(vec![one.clone(), one.clone(), one.clone()], Vec::new(), one.clone());
    decoder.run_feed(&mut chain, &mut quiet).unwrap();
    chain.1.sort_unstable();
    assert!(chain.1.len() >= 9 && chain.1 == (0..chain.1.len()).collect::<Vec<_>>(), "{:?}", chain.1);
    let long = request(&model, &"x".repeat(300), Sampling::GREEDY);
    let mut chain = Chain(vec![long, one.clone()], Vec::new(), one);
    assert!(matches!(decoder.run_feed(&mut chain, &mut quiet), Err(LlmError::ContextOverflow { .. })));
}

#[test]
fn a_deadline_ends_a_text_where_it_is() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(2)).unwrap();
    let whole = request(&model, "in good time", Sampling::GREEDY);
    let text = run(&mut decoder, &whole).phases[0].text.clone();
    let past = Request { deadline: Some(std::time::Instant::now()), ..whole.clone() };
    let never =
        Request { deadline: Some(std::time::Instant::now() + std::time::Duration::from_secs(3600)), ..whole.clone() };
    let done = decoder.run(&[past, never], &mut quiet).unwrap();
    assert!(done[0].phases.is_empty());
    assert_eq!(done[1].phases[0].text, text);
    // The deadline passes during the callback of the third chunk.
    let late = Request { deadline: Some(std::time::Instant::now() + std::time::Duration::from_millis(300)), ..whole };
    let (mut chunks, mut streamed) = (0, String::new());
    let done = decoder
        .run_one(&late, &mut |e| {
            streamed.push_str(e.text);
            chunks += usize::from(!e.text.is_empty());
            if chunks == 3 {
                std::thread::sleep(std::time::Duration::from_millis(301));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(done.phases[0].stop, Stop::Deadline);
    assert_eq!(done.phases[0].text, streamed);
    assert!(text.starts_with(&streamed) && streamed.len() < text.len());
}

#[test]
fn what_does_not_fit_is_refused_before_it_starts() {
    let (_dir, model) = tiny();
    let mut decoder = model.decoder(options(1)).unwrap();
    let long = request(&model, &"x".repeat(300), Sampling::GREEDY);
    assert!(matches!(decoder.run_one(&long, &mut quiet), Err(LlmError::ContextOverflow { context: 256, .. })));
    let mut bad = request(&model, "x", Sampling::GREEDY);
    bad.phases[0].grammar = Some("root ::= (".into());
    assert!(matches!(decoder.run_one(&bad, &mut quiet), Err(LlmError::Grammar(_))));
    bad.phases.clear();
    assert!(matches!(decoder.run_one(&bad, &mut quiet), Err(LlmError::Request(_))));
}

#[test]
fn files_that_are_no_models() {
    let dir = tempfile::tempdir().unwrap();
    let load = |bytes: &[u8]| {
        let path = dir.path().join("m.gguf");
        std::fs::write(&path, bytes).unwrap();
        Model::load(&path, LoadOptions::default()).err().unwrap()
    };
    assert!(matches!(load(b"GGU"), LlmError::File { .. }));
    assert!(matches!(load(b""), LlmError::File { .. }));
    assert!(matches!(Model::load(dir.path().join("none.gguf"), LoadOptions::default()), Err(LlmError::FileMissing(_))));
    let path = locket_tests::tiny::write(dir.path());
    let small = LoadOptions::default().with_allowed_bytes(1000);
    assert!(matches!(Model::load(&path, small), Err(LlmError::WouldNotFit { allowed: 1000, .. })));
    let stopped = LoadOptions::default().with_progress(|_| ControlFlow::Break(()));
    assert!(matches!(Model::load(&path, stopped), Err(LlmError::Cancelled)));
    for wrong in [path.clone(), locket_tests::tiny::write_adapter(dir.path(), 16)] {
        let adapter = LoadOptions::default().with_adapter(wrong);
        assert!(matches!(Model::load(&path, adapter), Err(LlmError::File { .. })));
    }
}

#[test]
fn an_adapter_changes_what_is_written() {
    let (dir, model) = tiny();
    let adapter = locket_tests::tiny::write_adapter(dir.path(), 32);
    let adapted = Model::load(model.path(), LoadOptions::default().with_adapter(adapter)).unwrap();
    let asked = request(&model, "hello", Sampling::GREEDY);
    let plain = run(&mut model.decoder(options(1)).unwrap(), &asked);
    let other = run(&mut adapted.decoder(options(1)).unwrap(), &asked);
    assert_ne!(plain.phases[0].text, other.phases[0].text);
}
