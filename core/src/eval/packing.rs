//! Which of a person's own texts serve best in a prompt: the log-probability of what they really wrote after each choice.

use std::{ops::ControlFlow, path::PathBuf};

use serde_json::{Map, Value, json};

use super::{
    Sample,
    cases::{draw, pack_for},
    generation::Settings,
};
use crate::{
    Error, choose, generate,
    ground::{Grounding, NEIGHBOURS, Target},
    interaction::Interaction,
    llm::{DecoderOptions, Model, Token, common_prefix},
    pack::{Pack, author_key},
    prompt::Example,
};

type Choice = fn(&[Interaction], &str, usize) -> Vec<Example>;

fn latest(history: &[Interaction], _: &str, k: usize) -> Vec<Example> {
    history[history.len().saturating_sub(k)..].iter().map(Example::from).collect()
}

const CHOICES: [(&str, Choice); 3] =
    [("latest", latest), ("matching", choose::matching_texts), ("base_and_matching", choose::own_texts)];

/// For every drawn person with more than `k` texts: the mean log-probability of a token of their real
/// text after a prompt with `k` of their texts, chosen as the latest, as the best matches, and as a base with matches; and how
/// much of the prompt's beginning stays the same for a request on the last text but one of their history. Differences to
/// `matching` are paired.
///
/// # Errors
/// [`crate::llm::LlmError`], [`Error::Cancelled`].
pub fn packing(
    files: &[PathBuf],
    pack: Option<Pack>,
    model: &Model,
    settings: &Settings,
    k: usize,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Value, Error> {
    let (pack, _scratch) = pack_for(files, pack, settings, progress)?;
    let people: Vec<_> = draw(files, settings)?.into_iter().map(|c| c.person).filter(|p| p.history.len() > k).collect();
    let threads = settings.threads;
    let mut out = Map::new();
    let options = settings.options;
    let context = options.context() + 512;
    let mut decoder = model.decoder(DecoderOptions { context, threads, ..DecoderOptions::default() })?;
    let mut scores: Vec<(Sample, Sample, Sample)> = CHOICES.map(|_| Default::default()).into();
    for (n, person) in people.iter().enumerate() {
        let grounding = Grounding::new(&pack, Some(author_key(&person.user)));
        let prompt = |choice: Choice, target: &Interaction| -> Vec<Token> {
            let target = Target::of(target, settings.task);
            let history = choice(&person.history, &target.query(), k);
            let material = grounding.material(settings.task, false, history, &target, NEIGHBOURS);
            generate::request(model, &material, &options).prompt
        };
        let mut text = model.tokens(&format!(" {}", crate::text::quoted(&person.target.text, 200)));
        text.truncate(400);
        // Another request of the same person, as it might have come before.
        let other = &person.history[person.history.len() - 2];
        let mut row = Vec::new();
        for (name, choice) in CHOICES {
            let asked = prompt(choice, &person.target);
            let same = common_prefix(&asked, &prompt(choice, other)) as f64 / asked.len() as f64;
            let all = decoder.score_all(vec![(asked, text.clone())], &mut |_| progress(n, people.len()))?;
            let mean = all.concat().iter().sum::<f64>() / text.len() as f64;
            row.push((name, mean, same));
        }
        for ((_, mean, same), (means, sames, gains)) in row.iter().zip(&mut scores) {
            means.push(*mean);
            sames.push(*same);
            gains.push(mean - row[1].1);
        }
    }
    for ((name, _), (means, sames, gains)) in CHOICES.iter().zip(&scores) {
        let mut cell = Map::new();
        means.write("log_prob", &mut cell);
        gains.write("gain", &mut cell);
        sames.write("stable", &mut cell);
        out.insert((*name).into(), Value::Object(cell));
    }
    out.insert("n".into(), json!(people.len()));
    Ok(Value::Object(out))
}
