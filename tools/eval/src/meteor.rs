//! METEOR (Banerjee & Lavie 2005) as NLTK computes it: exact, then Porter stem, then WordNet
//! synonym matches; alpha = 0.9, beta = 3, gamma = 0.5.

use super::{porter::stem, wordnet::WordNet};

/// The METEOR metric, with synonyms if WordNet is installed.
pub struct Meteor {
    wordnet: Option<WordNet>,
}

impl Meteor {
    /// Opens WordNet from its [usual place](WordNet::default_dir), or works without synonyms.
    pub fn new() -> Self {
        Self { wordnet: WordNet::open(&WordNet::default_dir()).ok() }
    }

    /// Name of the variant, by the kinds of matches that count; reports must state it.
    pub fn variant(&self) -> &'static str {
        if self.wordnet.is_some() { "METEOR" } else { "METEOR-exact/stem" }
    }

    /// Returns the score of a prediction against its reference, 0 to 1. Both are lower-cased and
    /// split into runs of letters, digits and underscores and runs of other signs (NLTK's
    /// `wordpunct_tokenize`).
    pub fn score(&self, prediction: &str, reference: &str) -> f64 {
        let (hyp, reference) = (tokens(prediction), tokens(reference));
        let mut open_h: Vec<usize> = (0..hyp.len()).collect();
        let mut open_r: Vec<usize> = (0..reference.len()).collect();
        let mut matches: Vec<(usize, usize)> = Vec::new();
        align(&mut open_h, &mut open_r, &mut matches, |h| {
            let word = &hyp[h];
            let reference = &reference;
            move |r| reference[r] == *word
        });
        let stems_r: Vec<String> = reference.iter().map(|w| stem(w)).collect();
        align(&mut open_h, &mut open_r, &mut matches, |h| {
            let word = stem(&hyp[h]);
            let stems_r = &stems_r;
            move |r| stems_r[r] == word
        });
        if let Some(wordnet) = &self.wordnet {
            align(&mut open_h, &mut open_r, &mut matches, |h| {
                // NLTK looks up the stems, not the words; equality to 4 decimals requires the same.
                let synonyms = wordnet.synonyms(&stem(&hyp[h]));
                let stems_r = &stems_r;
                move |r| synonyms.contains(stems_r[r].as_str())
            });
        }
        if matches.is_empty() {
            return 0.0;
        }
        matches.sort_unstable();
        let breaks = matches.windows(2).filter(|w| w[1].0 != w[0].0 + 1 || w[1].1 != w[0].1 + 1).count();
        let n = matches.len() as f64;
        let (p, r) = (n / hyp.len() as f64, n / reference.len() as f64);
        let mean = p * r / (0.9 * p + 0.1 * r);
        let fragmentation = (breaks + 1) as f64 / n;
        (1.0 - 0.5 * fragmentation.powi(3)) * mean
    }
}

impl Default for Meteor {
    fn default() -> Self {
        Self::new()
    }
}

/// Greedy matching from the end, each word at most once.
fn align<F: Fn(usize) -> bool>(
    open_h: &mut Vec<usize>,
    open_r: &mut Vec<usize>,
    matches: &mut Vec<(usize, usize)>,
    matcher: impl Fn(usize) -> F,
) {
    for at in (0..open_h.len()).rev() {
        let fits = matcher(open_h[at]);
        if let Some(found) = open_r.iter().rposition(|&r| fits(r)) {
            matches.push((open_h.remove(at), open_r.remove(found)));
        }
    }
}

fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let kind = |c: char| {
        if c.is_whitespace() {
            0
        } else if c.is_alphanumeric() || c == '_' {
            1
        } else {
            2
        }
    };
    let mut out: Vec<String> = Vec::new();
    let mut last = 0;
    for c in lower.chars() {
        let this = kind(c);
        match out.last_mut() {
            Some(word) if this != 0 && this == last => word.push(c),
            _ if this != 0 => out.push(c.to_string()),
            _ => {}
        }
        last = this;
    }
    out
}
