//! Expected scores of a run over random halves of its candidates. The score of a single choice
//! among sampled texts is mostly chance, and methods differ by less than this noise.

use std::collections::BTreeMap;

use super::Rows;
use crate::{Meteor, cases::Key, prediction::Prediction, rouge1};

/// ROUGE-1, METEOR and, if author identification applies, the reciprocal rank of the author.
pub(super) type Expected = BTreeMap<Key, Vec<f64>>;

/// Names of the measures.
pub(super) const MEASURES: [&str; 3] = ["ROUGE-1", "METEOR", "author found"];

/// Returns the mean over the choices from random halves ([`Prediction::taken`]), for each text with
/// such choices.
pub(super) fn expected(rows: &Rows, meteor: &Meteor, rank: &dyn Fn(&Key, &str) -> Option<f64>) -> Expected {
    let of = |(key, row): (&Key, &Prediction)| {
        let all = f64::from(row.taken.iter().sum::<u32>());
        let mut sums: Vec<f64> = Vec::new();
        for (text, times) in row.candidates.iter().zip(&row.taken).filter(|(_, times)| **times > 0) {
            let mut scores = vec![rouge1(text, &row.reference), meteor.score(text, &row.reference)];
            scores.extend(rank(key, text));
            sums.resize(scores.len(), 0.0);
            sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += f64::from(*times) * score / all);
        }
        (!sums.is_empty()).then(|| (key.clone(), sums))
    };
    rows.iter().filter_map(of).collect()
}
