//! Generates texts for the users of an evaluation, a few at a time, by each method.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    time::Instant,
};

use super::{
    cases::{Case, Key, capped},
    inputs::{gist, inputs, seed, sources},
    items,
    journal::Journal,
    prediction::{HALVES, Prediction},
    settings::{Method, Settings},
};
use crate::Error;
use locket::{
    LlmError, Model, Pack, Record, Sampling, Sources, Task, Written, author_key,
    internals::{
        context::{self, ContextBuilder, NEIGHBOURS, Target, selection::matching_texts},
        generation::{
            candidates, guard, request,
            reranking::{self, Choice},
            synthetic::{self, SyntheticJob},
        },
        hash::spread,
        llm::{Decoder, DecoderOptions, unsupported},
        predict::Predictor,
        prompt::{Example, PromptInputs},
        text,
    },
};
use locket_builder::profile::Profile;

/// The synthetic interactions of one case, kept between runs: generated once, used by every method.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Augmentation {
    user: String,
    #[serde(default)]
    earlier: usize,
    records: Vec<Record>,
    refused: Vec<String>,
    tokens: usize,
    #[serde(default)]
    seconds: f64,
}

impl Augmentation {
    fn key(&self) -> Key {
        (self.user.clone(), self.earlier)
    }
}

/// A generator for a few users at a time.
pub(super) struct Writer<'a> {
    pack: &'a Pack,
    predictor: Predictor<'a>,
    settings: &'a Settings,
    decoder: Option<Decoder<'a>>,
    kept: Journal<Augmentation>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        pack: &'a Pack,
        model: Option<&'a Model>,
        settings: &'a Settings,
        kept: Journal<Augmentation>,
    ) -> Result<Self, Error> {
        let decoder = match (settings.method, model) {
            (Method::Copy, _) => None,
            (_, None) => return Err(locket::Error::MissingModel.into()),
            (_, Some(model)) => {
                let (sequences, threads) = (settings.sequences, settings.threads);
                Some(model.decoder(DecoderOptions { sequences, threads, ..settings.options.decoder() })?)
            }
        };
        Ok(Self { pack, predictor: Predictor::new(pack), settings, decoder, kept })
    }

    pub(super) fn write(
        &mut self,
        cases: &[&Case],
        alive: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<Prediction>, Error> {
        let mut rows: Vec<Prediction> = cases.iter().map(|c| self.blank(c)).collect();
        let Some(decoder) = &mut self.decoder else {
            for (row, case) in rows.iter_mut().zip(cases) {
                row.prediction = copy(self.pack, self.settings.task, &case.person);
            }
            return Ok(rows);
        };
        let model = decoder.model();
        let mut synthetic: Vec<Vec<Example>> = vec![Vec::new(); cases.len()];
        if sources(self.pack, self.settings) == Sources::Synthetic {
            let known: HashSet<Key> = self.kept.rows.iter().map(Augmentation::key).collect();
            let open: Vec<&Case> = cases.iter().copied().filter(|c| !known.contains(&c.key())).collect();
            for row in write_synthetic(self.pack, &self.predictor, self.settings, decoder, &open, alive)? {
                self.kept.push(row)?;
            }
            let known: HashMap<Key, &Augmentation> = self.kept.rows.iter().map(|r| (r.key(), r)).collect();
            for ((case, row), synthetic) in cases.iter().zip(&mut rows).zip(&mut synthetic) {
                let Some(kept) = known.get(&case.key()) else { continue };
                *synthetic = kept.records.iter().map(Example::from).collect();
                row.synthetic = synthetic.len();
                row.refused.clone_from(&kept.refused);
                row.tokens += kept.tokens;
                row.seconds += kept.seconds;
            }
        }
        let begun = Instant::now();
        let materials: Vec<PromptInputs> = cases
            .iter()
            .zip(synthetic)
            .map(|(case, synthetic)| inputs(self.pack, self.settings, case.prompted(), synthetic))
            .collect();
        let options = &self.settings.options;
        // A seed per user: chance effects shared by all users would not show in intervals over
        // users.
        let requests = |(m, case): (&PromptInputs, &&Case)| {
            let seed = seed(self.settings, &case.person);
            let options = options.with_seed(seed);
            let options = options.with_sampling(options.sampling.map(|chosen| chosen.with_seed(seed)));
            candidates::candidates(model, m, &request::request(model, m, &options), &options)
        };
        let jobs: Vec<_> = materials.iter().zip(cases).flat_map(requests).collect();
        let completions = guard::run(decoder, jobs, options, &mut |_| alive(), &mut |_| ())?;
        let seconds = part(begun, cases.len());
        let completions = completions.chunks(options.candidates.max(1));
        for ((row, inputs), completions) in rows.iter_mut().zip(&materials).zip(completions) {
            let all = match guard::originals(inputs, candidates::read_all(inputs, completions)) {
                // A text without an original sentence counts as an empty one.
                Err(locket::Error::Llm(LlmError::Failed(_))) => Vec::new(),
                all => all?,
            };
            let written = if completions.len() > 1 {
                row.candidates = all.iter().map(said).collect();
                row.log_probs = all.iter().map(|written| written.log_prob).collect();
                let choice = Choice::new(inputs, all);
                row.taken = halves(&choice, row.candidates.len(), &row.user);
                choice.best()
            } else {
                reranking::best(inputs, all)
            };
            let written = written.unwrap_or_default();
            row.tokens += written.tokens;
            row.seconds += seconds;
            row.path = written.path.as_ref().map(ToString::to_string);
            row.prediction = said(&written);
            if inputs.task == Task::Text {
                row.unsupported = unsupported(&row.prediction, &inputs.given());
            }
        }
        Ok(rows)
    }

    /// Repeats the choice among the candidates of a row, since an earlier build may have written
    /// it: one file, one rule.
    pub(super) fn choose_again(&self, person: &Profile, row: &mut Prediction) {
        // Files of earlier builds have no log-probabilities.
        let log_probs = row.log_probs.iter().copied().chain(std::iter::repeat(0.0));
        let all = row.candidates.iter().zip(log_probs);
        let all: Vec<Written> = all.map(|(said, log_prob)| unsaid(self.settings.task, said, log_prob)).collect();
        if all.is_empty() {
            return;
        }
        // Synthetic texts do not affect the choice.
        let inputs = inputs(self.pack, self.settings, person, Vec::new());
        let choice = Choice::new(&inputs, all);
        row.taken = halves(&choice, row.candidates.len(), &row.user);
        let best = choice.best().map(|best| said(&best)).unwrap_or_default();
        if best != row.prediction {
            row.prediction = best;
            row.path = None;
        }
    }

    fn blank(&self, case: &Case) -> Prediction {
        Prediction {
            user: case.person.user.clone(),
            earlier: case.earlier,
            history: capped(self.settings, case.prompted()).len(),
            prediction: String::new(),
            reference: String::new(),
            scores: Vec::new(),
            path: None,
            synthetic: 0,
            refused: Vec::new(),
            tokens: 0,
            seconds: 0.0,
            gist: gist(self.settings, &case.person),
            own_run: None,
            unsupported: Vec::new(),
            candidates: Vec::new(),
            log_probs: Vec::new(),
            taken: Vec::new(),
        }
    }
}

/// Counts how often each of `n` candidates is chosen from a random half of them. The halves are the
/// same for every method.
fn halves(choice: &Choice, n: usize, user: &str) -> Vec<u32> {
    let mut taken = vec![0; n];
    for round in 0..HALVES {
        let mut places: Vec<usize> = (0..n).collect();
        places.sort_by_cached_key(|place| spread(&format!("{user}\n{round}\n{place}")));
        places.truncate(n.div_ceil(2));
        // The opening that may stand for a title is not a candidate.
        if let Some(times) = choice.among(&places).and_then(|place| taken.get_mut(place)) {
            *times += 1;
        }
    }
    taken
}

/// Generates the synthetic interactions of a few users together.
fn write_synthetic(
    pack: &Pack,
    predictor: &Predictor<'_>,
    settings: &Settings,
    decoder: &mut Decoder<'_>,
    cases: &[&Case],
    alive: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Vec<Augmentation>, Error> {
    let begun = Instant::now();
    let mut owners = Vec::new();
    let mut jobs = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        for job in synthetic_jobs(pack, predictor, settings, case.prompted()) {
            owners.push(n);
            jobs.push(job);
        }
    }
    let options = settings.options.with_sampling(Sampling::VARIED);
    let attempts = synthetic::write(decoder, &jobs, &options.into(), &mut |_, _| (), &mut |_| alive())?;
    let seconds = part(begun, cases.len());
    let blank = |case: &&Case| {
        let ((user, earlier), records, refused) = (case.key(), Vec::new(), Vec::new());
        Augmentation { user, earlier, records, refused, tokens: 0, seconds }
    };
    let mut out: Vec<Augmentation> = cases.iter().map(blank).collect();
    for (owner, attempt) in owners.into_iter().zip(attempts.into_iter().flatten()) {
        let row = &mut out[owner];
        row.tokens += attempt.tokens;
        row.records.extend(attempt.kept);
        row.refused.extend(attempt.refused.iter().map(|r| r.reason.word().to_owned()));
    }
    Ok(out)
}

/// Returns the seconds since `begun`, divided by `people`.
fn part(begun: Instant, people: usize) -> f64 {
    begun.elapsed().as_secs_f64() / people.max(1) as f64
}

/// Returns the jobs before the request: one synthetic interaction per item.
fn synthetic_jobs(pack: &Pack, predictor: &Predictor<'_>, settings: &Settings, person: &Profile) -> Vec<SyntheticJob> {
    let grounding = ContextBuilder::new(pack, Some(author_key(&person.user)));
    let target = Target::of(&person.target, settings.task);
    let words = grounding.target_words(&target);
    let history = capped(settings, person);
    let query = locket::internals::predict::Query {
        target: pack.find(target.item),
        target_text: Some(&words),
        ..context::query(pack, history)
    };
    let items = items::choose(pack, predictor, &query, settings, person);
    let seed = seed(settings, person);
    let job = |item| SyntheticJob {
        item: pack.item(item).to_owned(),
        inputs: grounding.synthetic(item, matching_texts(history, &words, NEIGHBOURS)),
        topics: grounding.topics(item, history),
        seed,
    };
    items.into_iter().map(job).collect()
}

/// Returns the requested text, title or rating as a string.
fn said(written: &Written) -> String {
    let rating = written.rating.map(|r| r.to_string());
    written.text.clone().or_else(|| written.title.clone()).or(rating).unwrap_or_default()
}

/// Inverse of [`said`], with the fields that the choice depends on.
fn unsaid(task: Task, said: &str, log_prob: f64) -> Written {
    let mut written = Written::default();
    written.log_prob = log_prob;
    match task {
        Task::Text | Task::Synthetic => written.text = Some(said.to_owned()),
        Task::Title => written.title = Some(said.to_owned()),
        Task::Rating => written.rating = said.parse().ok(),
    }
    written
}

/// Returns the prediction of the baseline without a model.
fn copy(pack: &Pack, task: Task, person: &Profile) -> String {
    let target = Target::of(&person.target, task);
    let neighbours = ContextBuilder::new(pack, Some(author_key(&person.user))).neighbours(&target, &[], NEIGHBOURS);
    match task {
        Task::Title => {
            let text = text::one_line(target.text.unwrap_or_default());
            text::first_sentence(&text).to_owned()
        }
        Task::Rating => {
            let mut stars: Vec<u8> = neighbours.iter().filter_map(|n| n.text.stars).collect();
            stars.sort_unstable();
            stars.get(stars.len() / 2).copied().unwrap_or(5).to_string()
        }
        // A substitute for the user's own text, without a model: another user's text on the item,
        // or on a similar item.
        Task::Synthetic => {
            let on_item = pack.find(target.item).map(|n| pack.texts(n)).into_iter().flatten();
            let others = on_item.filter(|t| t.author != author_key(&person.user)).map(|t| t.text);
            let mut others: Vec<&str> = others.collect();
            if others.is_empty() {
                others.extend(neighbours.iter().map(|n| n.text.text));
            }
            let drawn = spread(&person.user) >> 33;
            others.get(drawn as usize % others.len().max(1)).map(|text| (*text).to_owned()).unwrap_or_default()
        }
        Task::Text => format!(
            "{} {}",
            target.title.unwrap_or_default(),
            neighbours.first().map(|n| n.text.text).unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locket::Interaction;

    #[test]
    fn what_an_earlier_rule_chose_is_chosen_again() {
        let dir = tempfile::tempdir().unwrap();
        let interaction = |text: &str| Interaction::new("item", text);
        let person = |n: usize| {
            let history = vec![interaction("My dog loves it."), interaction("The cat hates it.")];
            Profile { user: format!("u{n}"), history, target: interaction("My dog likes this.") }
        };
        let people: Vec<Profile> = (0..3).map(person).collect();
        let case = Case { person: person(0), earlier: 0, swapped: None };
        let path = dir.path().join("eval.pack");
        let profiles = dir.path().join("people.jsonl");
        let lines: Vec<String> = people.iter().map(|p| serde_json::to_string(p).unwrap()).collect();
        std::fs::write(&profiles, lines.join("\n")).unwrap();
        locket_builder::pack::build(&[profiles], &path, &locket_builder::pack::BuildOptions::default(), |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
        let pack = Pack::open(&path).unwrap();
        let settings = Settings::new(Task::Text, Method::Copy);
        let writer =
            Writer::new(&pack, None, &settings, Journal::open(None, &serde_json::Value::Null).unwrap()).unwrap();
        let texts = ["A parcel came.", "My dog loves this.", "My dog loves this one."].map(str::to_owned);
        let mut row = Prediction { prediction: texts[0].clone(), path: Some("a plan".into()), ..writer.blank(&case) };
        writer.choose_again(&people[0], &mut row);
        assert_eq!((row.prediction.as_str(), row.path.is_some()), ("A parcel came.", true), "there was no choice");
        row.candidates = texts.to_vec();
        writer.choose_again(&people[0], &mut row);
        assert_eq!((row.prediction.as_str(), row.path.as_deref()), ("My dog loves this.", None));
        assert_eq!(row.taken.iter().sum::<u32>() as usize, HALVES);
        let again = row.clone();
        writer.choose_again(&people[0], &mut row);
        assert_eq!(row, again);
    }

    #[test]
    fn random_halves_take_what_agrees() {
        let inputs = PromptInputs::default();
        let texts =
            ["it broke after a week", "it broke after one week", "it broke in a week", "love", "pretty colours"];
        let all = texts.map(|text| unsaid(Task::Text, text, 0.0));
        let choice = Choice::new(&inputs, all.into());
        let taken = halves(&choice, texts.len(), "somebody");
        assert_eq!(taken.iter().sum::<u32>() as usize, HALVES);
        assert!(taken[..3].iter().sum::<u32>() > 2 * taken[3..].iter().sum::<u32>(), "{taken:?}");
        assert_eq!(halves(&choice, texts.len(), "somebody"), taken);
        assert_ne!(halves(&choice, texts.len(), "somebody else"), taken);
    }
}
