//! How a text sounds, whatever it is about: the characters that stand together in it, the usual features of authorship attribution.

use std::collections::HashMap;

use crate::{pack::hash, text};

/// A sparse vector of unit length: n-grams by their hash.
pub(crate) type Style = HashMap<u64, f64>;

/// How often each n-gram of 3 to 5 characters occurs, lower-cased, white space folded.
pub(crate) fn grams(said: &str) -> HashMap<u64, f64> {
    let folded: Vec<char> = text::one_line(said).to_lowercase().chars().collect();
    let mut counts = HashMap::new();
    for n in 3..=5 {
        for gram in folded.windows(n) {
            *counts.entry(hash(&gram.iter().collect::<String>())).or_default() += 1.0;
        }
    }
    counts
}

/// The style of a text where nothing is known about how common an n-gram is: log tf.
pub(crate) fn style(said: &str) -> Style {
    unit(grams(said).into_iter().map(|(gram, n)| (gram, 1.0 + n.ln())).collect())
}

/// The same vector of unit length.
pub(crate) fn unit(mut vector: HashMap<u64, f64>) -> Style {
    let mut squares: Vec<f64> = vector.values().map(|v| v * v).collect();
    // In a fixed order: sums of floats depend on it.
    squares.sort_by(f64::total_cmp);
    let length = squares.iter().sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    vector.values_mut().for_each(|v| *v /= length);
    vector
}

/// How alike two styles are, 0 to 1.
pub(crate) fn cosine(a: &Style, b: &Style) -> f64 {
    let mut products: Vec<f64> = a.iter().filter_map(|(gram, v)| Some(v * b.get(gram)?)).collect();
    products.sort_by(f64::total_cmp);
    products.iter().sum()
}
