//! How natural texts are: whether a linear classifier tells generated texts from true ones, and how
//! much their phrases vary.

use std::collections::HashMap;

use locket::internals::hash::spread;

use super::{
    prediction::Prediction,
    runs::{distinct, runs, words_and_pairs},
    stats::{Sample, roc_area},
};

/// Number of parts of the people: each is judged by a classifier that learned from the others.
const FOLDS: usize = 5;
/// Weight of the classifier's losses against its squared norm.
const COST: f64 = 1.0;
/// Passes over the texts. The order of texts by their scores no longer changes after fewer.
const PASSES: usize = 40;

/// A text as the features that occur in it, in no order.
type Features = Vec<usize>;

/// A text with its features, and whether it was generated.
type Labelled<'f> = (&'f Features, bool);

/// Returns, for each part of the people, the area under the ROC curve of a classifier that tells
/// their generated texts from their true ones: 0.5 if it cannot, 1 if it always does. The classifier
/// is a logistic regression on the words and pairs of words of a text (present or not), learnt from
/// the other people. Returns nothing for fewer than two people a part.
pub(super) fn told_apart(rows: &[Prediction]) -> Sample {
    let mut sample = Sample::default();
    let mut people: Vec<&str> = rows.iter().map(|r| r.user.as_str()).collect();
    people.sort_unstable();
    people.dedup();
    people.sort_by_cached_key(|user| spread(user));
    if people.len() < 2 * FOLDS {
        return sample;
    }
    let fold: HashMap<&str, usize> = people.iter().enumerate().map(|(n, user)| (*user, n % FOLDS)).collect();
    let mut known = HashMap::new();
    let texts: Vec<[Features; 2]> =
        rows.iter().map(|r| [&r.prediction, &r.reference].map(|text| features(text, &mut known))).collect();
    for held_out in 0..FOLDS {
        let of = |inside: bool| -> Vec<Labelled<'_>> {
            let here = rows.iter().zip(&texts).filter(|(r, _)| (fold[r.user.as_str()] == held_out) == inside);
            here.flat_map(|(_, [generated, real])| [(generated, true), (real, false)]).collect()
        };
        let weights = learnt(&of(false), known.len());
        let scored: Vec<(f64, bool)> = of(true).iter().map(|(f, label)| (score(f, &weights), *label)).collect();
        sample.push(area(&scored));
    }
    sample
}

/// Returns the features of a text: its distinct words and pairs of words, by number.
fn features(text: &str, known: &mut HashMap<u64, usize>) -> Features {
    let mut found: Vec<u64> = words_and_pairs(text).into_iter().collect();
    // A fixed order: numbers and sums depend on it.
    found.sort_unstable();
    let number = |feature| {
        let next = known.len();
        *known.entry(feature).or_insert(next)
    };
    found.into_iter().map(number).collect()
}

fn score(features: &Features, weights: &[f64]) -> f64 {
    features.iter().map(|&f| weights[f]).sum()
}

/// Returns the weights of a logistic regression (Yu, Huang & Lin, 2011: coordinate descent on the
/// dual problem). A constant feature stands for the bias.
fn learnt(texts: &[Labelled<'_>], features: usize) -> Vec<f64> {
    let mut weights = vec![0.0; features];
    let mut bias = 0.0;
    let mut alphas = vec![COST / 2.0; texts.len()];
    let sign = |generated: bool| if generated { 1.0 } else { -1.0 };
    for ((features, generated), alpha) in texts.iter().zip(&alphas) {
        features.iter().for_each(|&f| weights[f] += alpha * sign(*generated));
        bias += alpha * sign(*generated);
    }
    for _ in 0..PASSES {
        for ((features, generated), alpha) in texts.iter().zip(&mut alphas) {
            let y = sign(*generated);
            let norm = features.len() as f64 + 1.0;
            let margin = y * (score(features, &weights) + bias);
            let (mut low, mut high) = (0.0, COST);
            // The slope of the dual problem in this text's alpha rises from -inf to +inf.
            for _ in 0..50 {
                let middle: f64 = (low + high) / 2.0;
                let slope = (middle / (COST - middle)).ln() + norm * (middle - *alpha) + margin;
                if slope > 0.0 { high = middle } else { low = middle }
            }
            let change = ((low + high) / 2.0 - *alpha) * y;
            features.iter().for_each(|&f| weights[f] += change);
            bias += change;
            *alpha = (low + high) / 2.0;
        }
    }
    weights
}

/// Returns the area under the ROC curve of scored texts; `true` marks the generated ones.
fn area(scored: &[(f64, bool)]) -> f64 {
    let (generated, real): (Vec<_>, Vec<_>) = scored.iter().partition(|s| s.1);
    roc_area(&generated, &real, |s: &&(f64, bool)| (s.0, 1.0)).unwrap_or(0.5)
}

/// Returns the share of distinct pairs of words among the generated texts, divided by that of the
/// true texts, over equally many pairs: 1 if the generated texts vary as much.
pub(super) fn variety(rows: &[Prediction]) -> Option<f64> {
    let pairs = |text: fn(&Prediction) -> &str| rows.iter().flat_map(|r| runs(text(r), 2)).collect::<Vec<u64>>();
    let (generated, real) = (pairs(|r| &r.prediction), pairs(|r| &r.reference));
    let count = generated.len().min(real.len());
    (count > 0).then(|| distinct(&generated[..count]) as f64 / distinct(&real[..count]) as f64)
}

#[cfg(test)]
mod tests {
    use locket::internals::hash::draw;

    use super::*;

    fn row(user: usize, prediction: &str, reference: &str) -> Prediction {
        Prediction {
            user: format!("u{user}"),
            prediction: prediction.into(),
            reference: reference.into(),
            ..serde_json::from_value(serde_json::json!({
                "user": "", "history": 0, "prediction": "", "reference": "", "scores": [], "path": null,
                "synthetic": 0, "refused": [], "tokens": 0
            }))
            .unwrap()
        }
    }

    #[test]
    fn the_same_phrase_in_every_text_is_told_apart_and_the_same_words_are_not() {
        let words = ["tea", "mug", "lamp", "late", "warm", "door", "soap"];
        let drawn = |n: usize, place: u64| words[(draw(n as u64, place) % 7) as usize];
        let text = |n: usize| format!("{} {} {}", drawn(n, 0), drawn(n, 1), drawn(n, 2));
        let typical: Vec<Prediction> = (0..60).map(|n| row(n, &format!("I love {}", text(n)), &text(n + 60))).collect();
        assert!(told_apart(&typical).mean() > 0.99);
        let alike: Vec<Prediction> = (0..200).map(|n| row(n, &text(n), &text(n + 200))).collect();
        let area = told_apart(&alike);
        assert!((0.3..0.7).contains(&area.mean()) && area.n() == FOLDS, "{area:?}");
        assert_eq!(told_apart(&alike[..9]).n(), 0);
    }

    #[test]
    fn areas() {
        assert_eq!(area(&[(1.0, true), (0.0, false)]), 1.0);
        assert_eq!(area(&[(0.0, true), (0.0, false)]), 0.5);
        assert_eq!(area(&[(0.0, true), (1.0, false), (2.0, true)]), 0.5);
    }

    #[test]
    fn variety_is_of_equally_many_pairs() {
        let rows = [row(0, "a b a b a b", "a b c d e f g h i")];
        assert_eq!(variety(&rows), Some(2.0 / 5.0));
        assert_eq!(variety(&[row(0, "a", "a b")]), None);
    }
}
