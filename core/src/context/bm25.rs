//! BM25 as the PGraphRAG benchmark computes it.

use std::collections::HashMap;

use crate::text;

/// BM25Okapi (Robertson & Zaragoza 2009; k1 = 1.5, b = 0.75), fitted on a handful of candidates.
///
/// A term in more than half of the candidates would get a negative weight. It gets a quarter of the
/// mean weight instead, as in the `rank_bm25` package that the benchmark uses.
pub struct Bm25<'d> {
    frequencies: Vec<HashMap<&'d str, f64>>,
    lengths: Vec<f64>,
    mean_length: f64,
    idf: HashMap<&'d str, f64>,
}

const K1: f64 = 1.5;
const B: f64 = 0.75;
const EPSILON: f64 = 0.25;

impl<'d> Bm25<'d> {
    /// Fits on tokenised documents.
    pub fn new(documents: &'d [Vec<String>]) -> Self {
        let mut frequencies = Vec::with_capacity(documents.len());
        let mut containing: HashMap<&str, f64> = HashMap::new();
        for document in documents {
            let mut frequency: HashMap<&str, f64> = HashMap::new();
            document.iter().for_each(|w| *frequency.entry(w).or_default() += 1.0);
            frequency.keys().for_each(|w| *containing.entry(w).or_default() += 1.0);
            frequencies.push(frequency);
        }
        let n = documents.len() as f64;
        let mut idf: HashMap<&str, f64> =
            containing.iter().map(|(w, c)| (*w, (n - c + 0.5).ln() - (c + 0.5).ln())).collect();
        // Summed in a fixed order, so that the same candidates always rank the same way.
        let mut all: Vec<f64> = idf.values().copied().collect();
        all.sort_by(f64::total_cmp);
        let floor = EPSILON * all.iter().sum::<f64>() / (all.len() as f64).max(1.0);
        idf.values_mut().filter(|v| **v < 0.0).for_each(|v| *v = floor);
        let lengths: Vec<f64> = documents.iter().map(|d| d.len() as f64).collect();
        let mean_length = lengths.iter().sum::<f64>() / n.max(1.0);
        Self { frequencies, lengths, mean_length, idf }
    }

    /// Returns the score of every document for a tokenised query. Length: the number of documents.
    pub fn scores(&self, query: &[String]) -> Vec<f64> {
        self.frequencies
            .iter()
            .zip(&self.lengths)
            .map(|(frequency, length)| {
                let norm = K1 * (1.0 - B + B * length / self.mean_length.max(1.0));
                query
                    .iter()
                    .filter_map(|w| Some((frequency.get(w.as_str())?, self.idf.get(w.as_str())?)))
                    .map(|(f, idf)| idf * f * (K1 + 1.0) / (f + norm))
                    .sum()
            })
            .collect()
    }
}

/// Returns the score of each (title, text) pair for `query`, fitted on these texts alone.
pub fn score_texts<'t>(texts: impl Iterator<Item = (&'t str, &'t str)>, query: &str) -> Vec<f64> {
    let query: Vec<String> = text::words(query).collect();
    if query.is_empty() {
        return texts.map(|_| 0.0).collect();
    }
    let documents: Vec<Vec<String>> =
        texts.map(|(title, text)| text::words(title).chain(text::words(text)).collect()).collect();
    Bm25::new(&documents).scores(&query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    /// Values computed with rank_bm25 0.2.2.
    #[test]
    fn scores_are_those_of_rank_bm25() {
        let documents = ["hello there good man", "it is quite windy in london", "how is the weather today"].map(split);
        let scores = Bm25::new(&documents).scores(&split("windy london"));
        assert!((scores[1] - 0.937_294_2).abs() < 1e-6, "{scores:?}");
        assert_eq!((scores[0], scores[2]), (0.0, 0.0));
        // For a term in every document, the floor keeps its sign, as in the package.
        let documents = ["a b c c", "a b d", "a e"].map(split);
        let scores = Bm25::new(&documents).scores(&split("a c b"));
        for (have, want) in scores.iter().zip([0.578_759_5, -0.092_425_89, -0.054_368_17]) {
            assert!((have - want).abs() < 1e-6, "{scores:?}");
        }
    }

    #[test]
    fn no_documents_and_empty_documents_are_fine() {
        assert!(Bm25::new(&[]).scores(&split("a")).is_empty());
        assert_eq!(Bm25::new(&[vec![], vec![]]).scores(&split("a")), [0.0, 0.0]);
    }
}
