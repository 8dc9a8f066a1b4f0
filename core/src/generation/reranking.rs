//! Minimum Bayes risk reranking: the best of several candidates for one request.
//!
//! The best candidate agrees most with the others and is closest to the user's style (Kumar and
//! Byrne, 2004; Eikema and Aziz, 2022). The sampled texts stand for the possible texts of the user,
//! and the best candidate has the highest expected overlap with them. The most likely text alone is
//! often short and unlike most samples.

use std::collections::HashMap;

use super::output::Written;
use crate::{
    llm::covered,
    prompt::{PromptInputs, Task},
    style::{Margin, cosine, style},
    text,
};

/// Maximum length of a title from the opening of its text, in words.
const OPENING_WORDS: usize = 10;
/// Weight of the margin to impostors. A larger weight does not improve author identification, and
/// lowers the word overlap with the user's true texts.
const MARGIN: f64 = 1.5;
/// Weights of the mean log-probability of a token, in nats, and of the share of the notes in a text,
/// for requests with notes.
const LIKELY: f64 = 0.5;
const COVERAGE: f64 = 2.0;

/// Reference texts for reranking, beside the candidates.
#[derive(Debug, Clone, Default)]
pub struct References<'t> {
    /// Other users' texts on the same item. Each counts like a candidate.
    pub others: Vec<&'t str>,
    /// The user's texts. Style similarity to them (n-grams) counts as much as all agreement.
    pub own: Vec<&'t str>,
    /// Other users' texts on any item. The margin between the similarity to the user and the
    /// similarity to the nearest impostors counts one and a half times as much as that.
    pub impostors: Vec<&'t str>,
    /// The notes of the request, if any. A candidate that holds them and is likely counts more: of
    /// several texts that hold the notes, the likeliest one joins them best.
    pub notes: Option<&'t str>,
}

/// Returns the index of the best candidate: highest sum of mean agreement and style score. Ties go
/// to the first. Returns `None` if there are no candidates.
pub fn consensus(candidates: &[Written], references: &References<'_>) -> Option<usize> {
    MbrScores::new(candidates, references).winner(&(0..candidates.len()).collect::<Vec<_>>())
}

/// The parts of a candidate's score.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Mean agreement with the other candidates and the reference texts, 0 to 1; for ratings the
    /// negative mean distance.
    pub agreement: f64,
    /// Style similarity to the user's texts, 0 to 1; 0 without history.
    pub style: f64,
    /// Style similarity to the user's texts minus that to impostors, -1 to 1, times its weight.
    pub margin: f64,
    /// Weighted share of the notes in the text, plus its weighted mean log-probability; 0 without
    /// notes.
    pub content: f64,
}

impl Score {
    /// Returns the sum. The best candidate has the highest one.
    pub fn total(&self) -> f64 {
        self.agreement + (self.style + self.margin) + self.content
    }
}

/// Precomputed scores of several candidates, to choose among all or some of them.
pub(crate) struct MbrScores {
    /// Agreement of each candidate with each other one.
    agreement: Vec<Vec<f64>>,
    /// Sum of each candidate's agreement with the reference texts, and the number of these.
    others: Vec<f64>,
    references: usize,
    /// Style score of each candidate, without agreement.
    sound: Vec<Score>,
}

impl MbrScores {
    pub(crate) fn new(candidates: &[Written], references: &References<'_>) -> Self {
        let overlap = if candidates.iter().any(|c| c.text.is_some()) { overlap } else { f1 };
        let bags: Vec<HashMap<String, usize>> = candidates.iter().map(|c| bag(said(c))).collect();
        let others: Vec<HashMap<String, usize>> = references.others.iter().map(|v| bag(v)).collect();
        let agreement = |n: usize, m: usize| match (candidates[n].rating, candidates[m].rating) {
            // Synthetic interactions have a rating too, but their words count.
            (Some(a), Some(b)) if bags[n].is_empty() => -f64::from(a.abs_diff(b)),
            _ => overlap(&bags[n], &bags[m]),
        };
        let own = references.own.join(" ");
        let style_of_own = style(&own);
        let margin = Margin::new(&own, &references.impostors);
        let sound = |c: &Written| Score {
            agreement: 0.0,
            style: cosine(&style(said(c)), &style_of_own),
            margin: MARGIN * margin.as_ref().map(|m| m.of(said(c))).unwrap_or_default(),
            content: references.notes.map_or(0.0, |notes| COVERAGE * covered(notes, said(c)) + LIKELY * c.log_prob),
        };
        Self {
            agreement: (0..bags.len()).map(|n| (0..bags.len()).map(|m| agreement(n, m)).collect()).collect(),
            others: bags.iter().map(|bag| others.iter().map(|voice| overlap(bag, voice)).sum()).collect(),
            references: others.len(),
            sound: candidates.iter().map(sound).collect(),
        }
    }

    /// Returns the score of candidate `n` among those at `places`, which include it.
    fn score(&self, n: usize, places: &[usize]) -> Score {
        let among: f64 = places.iter().filter(|&&m| m != n).map(|&m| self.agreement[n][m]).sum();
        let count = places.len().saturating_sub(1) + self.references;
        Score { agreement: (among + self.others[n]) / count.max(1) as f64, ..self.sound[n] }
    }

    /// Returns the candidate that [`consensus`] chooses among those at `places`.
    pub(crate) fn winner(&self, places: &[usize]) -> Option<usize> {
        let values = places.iter().map(|&n| (self.score(n, places).total(), n));
        values.max_by(|(a, m), (b, n)| a.total_cmp(b).then(n.cmp(m))).map(|(_, n)| n)
    }
}

/// Returns the requested part: the text, else the title.
fn said(written: &Written) -> &str {
    written.text.as_deref().or(written.title.as_deref()).unwrap_or_default()
}

fn bag(text: &str) -> HashMap<String, usize> {
    let mut bag = HashMap::new();
    text::words(text).for_each(|word| *bag.entry(word).or_default() += 1);
    bag
}

/// The mean of ROUGE-1 and recall. METEOR weights recall most.
fn overlap(words: &HashMap<String, usize>, wanted: &HashMap<String, usize>) -> f64 {
    let recall = shared(words, wanted) / size(wanted).max(1.0);
    (f1(words, wanted) + recall) / 2.0
}

/// ROUGE-1, for titles: recall alone would favour the longest.
fn f1(words: &HashMap<String, usize>, wanted: &HashMap<String, usize>) -> f64 {
    2.0 * shared(words, wanted) / (size(words) + size(wanted)).max(1.0)
}

fn shared(words: &HashMap<String, usize>, wanted: &HashMap<String, usize>) -> f64 {
    words.iter().map(|(word, n)| n.min(wanted.get(word).unwrap_or(&0))).sum::<usize>() as f64
}

fn size(bag: &HashMap<String, usize>) -> f64 {
    bag.values().sum::<usize>() as f64
}

/// Returns the candidate that [`consensus`](crate::generation::reranking::consensus) chooses, with
/// the `tokens` of all candidates. The opening of a text is one more candidate for its title.
/// Returns `None` if there are no candidates.
pub fn best(inputs: &PromptInputs, mut all: Vec<Written>) -> Option<Written> {
    // With fewer than two candidates, there is nothing to score.
    if all.len() < 2 { all.pop() } else { Choice::new(inputs, all).best() }
}

/// The candidates of one request, to choose among all or some of them.
#[doc(hidden)]
pub struct Choice {
    /// The candidates, then the opening of the text if it may be its title.
    all: Vec<Written>,
    opening: Option<usize>,
    scores: MbrScores,
}

impl Choice {
    pub fn new(inputs: &PromptInputs, mut all: Vec<Written>) -> Self {
        let opening = opening(inputs).filter(|_| all.len() > 1);
        let mut references = references(inputs);
        references.others.extend(opening.as_deref());
        let place = opening.as_ref().map(|_| all.len());
        all.extend(opening.clone().map(|title| Written { title: Some(title), ..Written::default() }));
        let scores = MbrScores::new(&all, &references);
        Self { all, opening: place, scores }
    }

    /// Returns the result of [`best`] for all candidates.
    pub fn best(mut self) -> Option<Written> {
        let tokens = self.all.iter().map(|w| w.tokens).sum();
        let written = self.opening.unwrap_or(self.all.len());
        let best = self.among(&(0..written).collect::<Vec<_>>())?;
        Some(Written { tokens, ..self.all.swap_remove(best) })
    }

    /// Returns all candidates with their scores, the opening of the text last, and the index of
    /// the best one.
    pub(crate) fn scored(self) -> (Vec<(Written, Score)>, Option<usize>) {
        let places: Vec<usize> = (0..self.all.len()).collect();
        let scores: Vec<Score> = places.iter().map(|&n| self.scores.score(n, &places)).collect();
        let best = self.scores.winner(&places);
        (self.all.into_iter().zip(scores).collect(), best)
    }

    /// Returns all candidates, the best first, without equal ones.
    pub fn ranked(self) -> Vec<Written> {
        let mut open: Vec<usize> = (0..self.all.len()).collect();
        let mut ranked: Vec<Written> = Vec::new();
        while let Some(best) = self.scores.winner(&open) {
            open.retain(|&n| n != best);
            if ranked.iter().all(|other| said(other) != said(&self.all[best])) {
                ranked.push(self.all[best].clone());
            }
        }
        ranked
    }

    /// Returns the index of the best candidate among those at `places` and the opening.
    pub fn among(&self, places: &[usize]) -> Option<usize> {
        self.scores.winner(&places.iter().copied().chain(self.opening).collect::<Vec<_>>())
    }
}

/// Returns the opening of the text, for tasks that write its title. Many authors open a text with
/// its title.
pub(crate) fn opening(inputs: &PromptInputs) -> Option<String> {
    let text = inputs.ask.text.as_deref().filter(|_| inputs.task == Task::Title)?;
    let line = text::one_line(text);
    Some(text::clip_words(text::first_sentence(&line), OPENING_WORDS)).filter(|o| !o.is_empty())
}

/// Returns the reference texts of a request: other users' texts on the same item, and the user's
/// texts on other items. Other users' texts count only if the user has no history. Titles have only
/// other users' titles as references, and ratings have none.
fn references(inputs: &PromptInputs) -> References<'_> {
    let others = inputs.neighbours.iter();
    match inputs.task {
        Task::Text | Task::Synthetic => {
            let own: Vec<&str> = inputs.own().map(|e| e.text.as_str()).collect();
            References {
                others: others.filter(|_| own.is_empty()).map(|n| n.text.as_str()).collect(),
                own,
                impostors: inputs.impostors.iter().map(String::as_str).collect(),
                notes: inputs.ask.gist.as_deref().filter(|notes| !text::is_blank(notes)),
            }
        }
        Task::Title => {
            References { others: others.filter_map(|n| n.title.as_deref()).collect(), ..References::default() }
        }
        Task::Rating => References::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::{Ask, Example};

    const NONE: References<'_> = References { others: Vec::new(), own: Vec::new(), impostors: Vec::new(), notes: None };

    fn others(voice: &str) -> References<'_> {
        References { others: vec![voice], ..NONE }
    }

    fn text(said: &str) -> Written {
        Written { text: Some(said.into()), ..Written::default() }
    }

    #[test]
    fn the_middle_of_the_crowd() {
        let all =
            ["I love it.", "It broke after a week of use.", "It broke after one week.", "Broke within a week, sadly."];
        let all: Vec<Written> = all.map(text).into();
        assert_eq!(consensus(&all, &NONE), Some(1));
        assert_eq!(consensus(&all[..1], &NONE), Some(0));
        assert_eq!(consensus(&[], &NONE), None);
        let same = vec![text("the same"); 3];
        assert_eq!(consensus(&same, &NONE), Some(0), "of equals the first");
        assert_eq!(consensus(&[text(""), text("something"), text("something else")], &NONE), Some(2));
    }

    #[test]
    fn voices_count_like_candidates() {
        let two = [text("it was loud"), text("it was warm")];
        assert_eq!(consensus(&two, &NONE), Some(0));
        assert_eq!(consensus(&two, &others("warm and good")), Some(1));
    }

    #[test]
    fn of_equal_texts_the_one_that_sounds_like_the_person() {
        let two = [text("Excellent product, recommended."), text("sooo good!!! love love love it")];
        assert_eq!(consensus(&two, &NONE), Some(0));
        let own = References { own: vec!["OMG!!! sooo cute, love it!!!"], ..NONE };
        assert_eq!(consensus(&two, &own), Some(1));
    }

    #[test]
    fn of_texts_as_like_the_person_the_one_that_is_less_like_others() {
        let own = vec!["great product, works great, my wife loves it"];
        let two = [text("great product, works great"), text("my wife loves it")];
        assert_eq!(consensus(&two, &References { own: own.clone(), ..NONE }), Some(0));
        let impostors = vec!["It is a great product.", "Works great!", "Great product, works great."];
        assert_eq!(consensus(&two, &References { own, impostors: impostors.clone(), ..NONE }), Some(1));
        // Without history, there is no style to compare with the impostors'.
        assert_eq!(consensus(&two, &References { impostors, ..NONE }), consensus(&two, &NONE));
    }

    #[test]
    fn the_choice_among_some_is_that_of_these_alone() {
        let all =
            ["it broke after a week", "love it", "it broke after one week", "i love it so", "i love it"].map(text);
        let own = References { own: vec!["so so so good"], ..others("it broke") };
        let scores = MbrScores::new(&all, &own);
        for places in [vec![0, 1, 2], vec![1, 3, 4], vec![3], vec![0, 4]] {
            let some: Vec<Written> = places.iter().map(|&n: &usize| all[n].clone()).collect();
            assert_eq!(scores.winner(&places), consensus(&some, &own).map(|n| places[n]), "{places:?}");
        }
        assert_eq!(scores.winner(&[]), None);
    }

    #[test]
    fn titles_are_not_chosen_for_their_length() {
        let say = |long: &str, short: &str| {
            let title = |said: &str| Written { title: Some(said.into()), ..Written::default() };
            consensus(&[title(long), title(short)], &others("works well"))
        };
        assert_eq!(say("it works well for me and for all of my family", "works great"), Some(1));
        let texts = [text("it works well for me and for all of my family"), text("works great")];
        assert_eq!(consensus(&texts, &others("works well")), Some(0));
    }

    #[test]
    fn scores_explain_the_choice() {
        let own = Example { text: "it broke, sadly, after a week".into(), ..Example::default() };
        let inputs = PromptInputs {
            history: vec![own],
            impostors: vec!["Great product.".into(), "Love it.".into()],
            ..PromptInputs::default()
        };
        let all: Vec<Written> = ["love it", "it broke after a week", "it broke within a week, sadly"].map(text).into();
        let (scored, place) = Choice::new(&inputs, all.clone()).scored();
        let chosen = place.unwrap();
        assert_eq!(Some(&scored[chosen].0), best(&inputs, all).as_ref());
        let total = scored[chosen].1.total();
        assert!(scored.iter().all(|(_, score)| score.total() <= total));
        let Score { agreement, style, margin, content } = scored[chosen].1;
        assert!((agreement + style + margin - total).abs() < 1e-12 && agreement > 0.0 && style > 0.0 && margin > 0.0);
        assert_eq!(content, 0.0);
    }

    #[test]
    fn of_texts_for_notes_the_likely_one_that_holds_them() {
        let likely = |said: &str, log_prob| Written { log_prob, ..text(said) };
        let notes = References { notes: Some("broken part, send again"), ..NONE };
        let all = [likely("Thank you.", -0.5), likely("Part broken send again.", -3.0)];
        assert_eq!(consensus(&all, &notes), Some(1), "holds the notes");
        let all = [all[1].clone(), likely("The part is broken, please send it again.", -1.0)];
        assert_eq!(consensus(&all, &notes), Some(1), "joins them");
    }

    #[test]
    fn ratings_take_the_median() {
        let stars = |n| Written { rating: Some(n), ..Written::default() };
        assert_eq!(consensus(&[stars(1), stars(5), stars(4), stars(5), stars(3)], &NONE), Some(2));
    }

    fn shown(text: &str) -> Example {
        Example { text: text.into(), ..Example::default() }
    }

    fn titled(titles: &[&str]) -> Option<String> {
        let text = "The lid does not close. I wrote to them twice and nobody answered.".to_owned();
        let inputs = PromptInputs {
            task: Task::Title,
            ask: Ask { text: Some(text), ..Ask::default() },
            ..PromptInputs::default()
        };
        let titled = |t: &&str| Written { title: Some((*t).to_owned()), tokens: 2, ..Written::default() };
        let written = best(&inputs, titles.iter().map(titled).collect()).unwrap();
        assert_eq!(written.tokens, 2 * titles.len());
        written.title
    }

    #[test]
    fn the_opening_of_a_text_may_be_its_title() {
        assert_eq!(titled(&["Great", "A nice present", "Five stars"]).unwrap(), "The lid does not close.");
        assert_eq!(titled(&["Great value", "Great value", "Great value"]).unwrap(), "Great value");
        assert_eq!(
            titled(&["Lid does not close", "Lid will not close", "Lid does not close"]).unwrap(),
            "Lid does not close"
        );
        // A single candidate is returned as it is.
        assert_eq!(titled(&["Great"]).unwrap(), "Great");
    }

    #[test]
    fn others_have_a_say_where_the_person_has_written_nothing() {
        let (invented, own) = (Example { synthetic: true, ..shown("An invented text.") }, shown("An own text."));
        let neighbours = vec![shown("A text by another.")];
        let mut inputs = PromptInputs { history: vec![invented, own], neighbours, ..PromptInputs::default() };
        assert_eq!((references(&inputs).others, references(&inputs).own), (vec![], vec!["An own text."]));
        inputs.history.truncate(1);
        assert_eq!((references(&inputs).others, references(&inputs).own), (vec!["A text by another."], vec![]));
    }
}
