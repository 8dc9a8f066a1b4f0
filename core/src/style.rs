//! Author style of a text, independent of its topic: character n-grams, the usual features of
//! authorship attribution.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::{hash::Fnv, text};

/// Number of nearest impostors to compare a text with.
const NEAREST: usize = 5;

/// Numbers keyed by the hash of an n-gram.
pub type Grams = HashMap<u64, f64, BuildHasherDefault<Spread>>;

/// A sparse vector of unit length.
pub type Style = Grams;

/// A hasher for keys that are hashes already: it only spreads their upper bits.
#[derive(Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(self.0 ^ u64::from(*b)));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Returns the count of each n-gram of 3 to 5 characters, in lower case with folded white space.
pub fn grams(said: &str) -> Grams {
    let folded: Vec<char> = text::one_line(said).to_lowercase().chars().collect();
    let mut counts = Grams::default();
    for start in 0..folded.len() {
        let mut hash = Fnv::default();
        for (n, c) in folded[start..].iter().take(5).enumerate() {
            hash.write(c.encode_utf8(&mut [0; 4]));
            if n >= 2 {
                *counts.entry(hash.0).or_default() += 1.0;
            }
        }
    }
    counts
}

/// Returns the style of a text without document frequencies: log tf.
pub fn style(said: &str) -> Style {
    unit(grams(said).into_iter().map(|(gram, n)| (gram, 1.0 + n.ln())).collect())
}

/// Returns the vector at unit length.
pub fn unit(mut vector: Grams) -> Style {
    let mut squares: Vec<f64> = vector.values().map(|v| v * v).collect();
    // Summed in a fixed order: sums of floats depend on the order.
    squares.sort_by(f64::total_cmp);
    let length = squares.iter().sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    vector.values_mut().for_each(|v| *v /= length);
    vector
}

/// Returns the similarity of two styles, 0 to 1.
pub fn cosine(a: &Style, b: &Style) -> f64 {
    let (a, b) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let mut products: Vec<f64> = a.iter().filter_map(|(gram, v)| Some(v * b.get(gram)?)).collect();
    products.sort_by(f64::total_cmp);
    products.iter().sum()
}

/// Document frequencies: the number of texts that contain each n-gram.
pub struct Documents {
    counts: Grams,
    texts: f64,
}

impl Documents {
    /// Counts the texts that contain each n-gram.
    pub fn of(texts: &[Grams]) -> Self {
        let mut counts = Grams::default();
        texts.iter().flat_map(HashMap::keys).for_each(|gram| *counts.entry(*gram).or_default() += 1.0);
        Self { counts, texts: texts.len() as f64 }
    }

    /// Whether any of the texts contains the n-gram.
    pub fn have(&self, gram: u64) -> bool {
        self.counts.contains_key(&gram)
    }

    /// Returns the style of a text from its n-grams: log tf x idf, smoothed.
    pub fn style(&self, grams: Grams) -> Style {
        let documents = |gram| self.counts.get(&gram).copied().unwrap_or_default();
        let idf = |gram| ((1.0 + self.texts) / (1.0 + documents(gram))).ln() + 1.0;
        unit(grams.into_iter().map(|(gram, n)| (gram, (1.0 + n.ln()) * idf(gram))).collect())
    }
}

/// Margin of a text's similarity to the user over its similarity to impostors, as in authorship
/// verification (Koppel and Winter, 2014).
pub struct Margin {
    documents: Documents,
    own: Style,
    impostors: Vec<Style>,
}

impl Margin {
    /// Returns `None` without a text by the user or without impostors.
    pub fn new(own: &str, impostors: &[&str]) -> Option<Self> {
        if own.is_empty() || impostors.is_empty() {
            return None;
        }
        let impostors: Vec<Grams> = impostors.iter().map(|text| grams(text)).collect();
        let documents = Documents::of(&impostors);
        let own = documents.style(grams(own));
        let impostors = impostors.into_iter().map(|grams| documents.style(grams)).collect();
        Some(Self { documents, own, impostors })
    }

    /// Returns the cosine with the user's texts minus the mean cosine with the five nearest
    /// impostors, -1 to 1.
    pub fn of(&self, said: &str) -> f64 {
        let style = self.documents.style(grams(said));
        let mut others: Vec<f64> = self.impostors.iter().map(|other| cosine(&style, other)).collect();
        others.sort_by(|a, b| b.total_cmp(a));
        others.truncate(NEAREST);
        cosine(&style, &self.own) - others.iter().sum::<f64>() / others.len() as f64
    }
}
