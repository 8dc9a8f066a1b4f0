//! Rating-stance agreement: whether the sentiment of a text matches the user's rating.
//!
//! A naive Bayes classifier separates texts of content users (4 or 5 stars) from others (1 to 3).
//! It learns from all rated texts. Its features are words and pairs of words, each counted once per
//! text, with add-one smoothing (Wang and Manning, ACL 2012).
//!
//! The measure is the area under the ROC curve: the probability that a text for a content user has
//! a more positive sentiment than a text for another; .5 by chance. A text that shares words with
//! its reference would gain from a classifier trained on that reference. So the reference is
//! removed from the counts first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Sample,
    cases::Key,
    runs::words_and_pairs,
    stats::{resamples, roc_area},
};
use locket::Interaction;
use locket_builder::profile::Profile;

/// Feature counts of texts by content users and by others.
pub(super) struct Stance {
    /// Number of texts with each feature: by others, and by content users.
    counts: HashMap<u64, [f64; 2]>,
    /// Sums of these counts over all features.
    sums: [f64; 2],
}

/// Whether the author was content; `None` without a rating.
fn content(interaction: &Interaction) -> Option<bool> {
    interaction.stars().map(|stars| stars >= 4)
}

impl Stance {
    pub(super) fn new(people: &[Profile]) -> Self {
        let mut out = Self { counts: HashMap::new(), sums: [0.0; 2] };
        for interaction in people.iter().flat_map(|p| p.interactions().map(|(i, _)| i)) {
            let Some(content) = content(interaction) else { continue };
            for feature in words_and_pairs(&interaction.text) {
                out.counts.entry(feature).or_default()[usize::from(content)] += 1.0;
                out.sums[usize::from(content)] += 1.0;
            }
        }
        out
    }

    /// Returns whether the author of `target` was content, and the sentiment of `said` in nats. The
    /// sentiment is the mean log-odds of its known features, without the counts of `target`. A sum
    /// would grow with the length, and content users write shorter texts.
    pub(super) fn of(&self, said: &str, target: &Interaction) -> Option<(bool, f64)> {
        let content = content(target)?;
        let (side, learnt) = (usize::from(content), words_and_pairs(&target.text));
        let kinds = self.counts.len() as f64;
        let mut sums = self.sums;
        sums[side] -= learnt.len() as f64;
        let odds = |feature: &u64| {
            let mut counts = *self.counts.get(feature)?;
            counts[side] -= f64::from(u8::from(learnt.contains(feature)));
            let likelihood = |side: usize| ((counts[side] + 1.0) / (sums[side] + kinds)).ln();
            // A feature without other texts carries no information.
            (counts != [0.0; 2]).then(|| likelihood(1) - likelihood(0))
        };
        let mut odds: Vec<f64> = words_and_pairs(said).iter().filter_map(odds).collect();
        // A fixed order: the sum depends on it.
        odds.sort_by(f64::total_cmp);
        Some((content, odds.iter().sum::<f64>() / (odds.len() as f64).max(1.0)))
    }
}

/// Whether the authors of texts were content, and the sentiment of the texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(BTreeMap<Key, (bool, f64)>);

impl FromIterator<(Key, (bool, f64))> for Heard {
    fn from_iter<I: IntoIterator<Item = (Key, (bool, f64))>>(texts: I) -> Self {
        Self(texts.into_iter().collect())
    }
}

impl Heard {
    /// Whether there are texts of both kinds.
    pub(super) fn both(&self) -> bool {
        [false, true].iter().all(|content| self.0.values().any(|t| t.0 == *content))
    }

    /// Returns the area under the ROC curve, and its standard error: the standard deviation over
    /// 1,000 bootstrap samples of users (always the same ones). `None` unless there are texts of
    /// both kinds.
    pub(super) fn area(&self) -> Option<(f64, f64)> {
        let (area, resampled) = self.areas()?;
        Some((area, deviation(resampled.into_iter().flatten())))
    }

    /// Returns the area minus that of `other`, over the texts in both, and the standard error of
    /// the difference.
    pub(super) fn minus(&self, other: &Self) -> Option<(f64, f64)> {
        let shared = |a: &Self, b: &Self| -> Self {
            a.0.iter().filter(|t| b.0.contains_key(t.0)).map(|(key, t)| (key.clone(), *t)).collect()
        };
        let ((mine, ours), (theirs, others)) = (shared(self, other).areas()?, shared(other, self).areas()?);
        // The same users in each sample.
        Some((mine - theirs, deviation(ours.into_iter().zip(others).filter_map(|(a, b)| Some(a? - b?)))))
    }

    /// Returns the area, and the areas of resampled users.
    fn areas(&self) -> Option<(f64, Vec<Option<f64>>)> {
        let people: BTreeSet<&str> = self.0.keys().map(|key| key.0.as_str()).collect();
        let place: BTreeMap<&str, usize> = people.into_iter().enumerate().map(|(n, user)| (user, n)).collect();
        let people = place.len();
        let side = |content: bool| -> Vec<(usize, f64)> {
            self.0.iter().filter(|t| t.1.0 == content).map(|(key, t)| (place[key.0.as_str()], t.1)).collect()
        };
        let (others, content) = (side(false), side(true));
        let weighed = |weights: &[f64]| roc_area(&content, &others, |&(person, score)| (score, weights[person]));
        let resampled = |drawn: Vec<usize>| {
            let mut weights = vec![0.0; people];
            drawn.into_iter().for_each(|person| weights[person] += 1.0);
            weighed(&weights)
        };
        Some((weighed(&vec![1.0; people])?, resamples(people).map(resampled).collect()))
    }
}

fn deviation(values: impl Iterator<Item = f64>) -> f64 {
    let sample: Sample = values.collect();
    sample.standard_error() * (sample.n() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use locket::internals::hash::draw;

    fn said(text: &str, stars: f32) -> Interaction {
        Interaction::new("item", text).with_rating(stars)
    }

    #[test]
    fn a_text_is_read_by_what_others_wrote() {
        let people: Vec<Profile> = [
            ("lovely soup", 5.0),
            ("lovely tea", 4.0),
            ("not good soup", 2.0),
            ("not a good tea", 1.0),
            ("good tea", 5.0),
            ("unheard of", 3.0),
        ]
        .iter()
        .map(|(text, stars)| Profile { user: (*text).into(), history: Vec::new(), target: said(text, *stars) })
        .collect();
        let stance = Stance::new(&people);
        let other = said("something else", 5.0);
        let of = |text: &str| stance.of(text, &other).unwrap().1;
        assert!(of("a lovely tea") > 0.0 && of("not good") < 0.0);
        // Pairs carry information that single words lack.
        assert!(of("good tea") > of("tea not good"));
        assert_eq!((of(""), of("xyzzy")), (0.0, 0.0));
        // The reference is removed from the counts.
        assert!(of("unheard") < 0.0);
        assert_eq!(stance.of("unheard of", &people[5].target), Some((false, 0.0)));
        assert_eq!(stance.of("a lovely tea", &Interaction::new("item", "not rated")), None);
    }

    fn heard(texts: impl IntoIterator<Item = (usize, bool, f64)>) -> Heard {
        texts
            .into_iter()
            .enumerate()
            .map(|(n, (user, content, score))| ((user.to_string(), n), (content, score)))
            .collect()
    }

    fn area_of(others: &[f64], content: &[f64]) -> Option<(f64, f64)> {
        let all = others.iter().map(|o| (false, *o)).chain(content.iter().map(|c| (true, *c)));
        heard(all.enumerate().map(|(n, (content, score))| (n, content, score))).area()
    }

    #[test]
    fn areas() {
        assert_eq!(area_of(&[0.0, 1.0], &[2.0, 3.0]), Some((1.0, 0.0)));
        assert_eq!(area_of(&[2.0, 3.0], &[0.0, 1.0]), Some((0.0, 0.0)));
        assert_eq!(area_of(&[1.0, 1.0], &[1.0]), Some((0.5, 0.0)));
        assert_eq!(area_of(&[], &[1.0, 2.0]), None);
        // Three of four pairs.
        assert_eq!(area_of(&[0.0, 2.0], &[1.0, 3.0]).unwrap().0, 0.75);
        // Uninformative scores: sqrt((m + n + 1) / (12 m n)) as in Mann and Whitney's test.
        let (others, content): (Vec<u64>, Vec<u64>) = (0..200).partition(|n| n % 4 == 0);
        let scores = |of: Vec<u64>| of.into_iter().map(|n| draw(7, n) as f64).collect::<Vec<_>>();
        let (mean, error) = area_of(&scores(others), &scores(content)).unwrap();
        let expected = (201.0_f64 / (12.0 * 50.0 * 150.0)).sqrt();
        assert!(
            (mean - 0.5).abs() < 3.0 * expected && (error / expected - 1.0).abs() < 0.2,
            "{mean} {error} {expected}"
        );
    }

    #[test]
    fn several_texts_of_one_person_are_one_draw() {
        let texts = |copies: usize| {
            let text = |n: usize| (n, n.is_multiple_of(2), (draw(3, n as u64) % 100) as f64);
            heard((0..40).flat_map(|n| vec![text(n); copies])).area().unwrap()
        };
        let ((one, error), (three, same)) = (texts(1), texts(3));
        assert!((one - three).abs() < 1e-9 && (error - same).abs() < 1e-9 && error > 0.0, "{error} {same}");
    }

    #[test]
    fn differences_are_of_the_same_texts() {
        let texts = |of: usize, bias: f64| {
            let score = |n: usize| (draw(3, n as u64) % 100) as f64 + if n.is_multiple_of(2) { bias } else { 0.0 };
            heard((0..of).map(|n| (n, n.is_multiple_of(2), score(n))))
        };
        let (plain, better) = (texts(40, 0.0), texts(60, 30.0));
        assert_eq!(plain.minus(&plain), Some((0.0, 0.0)));
        let ((more, error), (less, same)) = (better.minus(&plain).unwrap(), plain.minus(&better).unwrap());
        assert!(more > 0.05 && (more + less).abs() < 1e-12 && (error - same).abs() < 1e-12, "{more} {less}");
        assert!((more - (texts(40, 30.0).area().unwrap().0 - plain.area().unwrap().0)).abs() < 1e-12);
        // Both share most of their scores, so the difference has a smaller error than either.
        assert!(error < plain.area().unwrap().1, "{error}");
        assert!(plain.minus(&Heard::default()).is_none());
    }
}
