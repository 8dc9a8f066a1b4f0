//! ROUGE-1 and ROUGE-L (Lin 2004): F1 without stemming, as defined by the `rouge_score` package.

use std::collections::HashMap;

/// Returns lower-cased runs of ASCII letters and digits, as the `rouge_score` package splits texts.
fn tokens(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_ascii_lowercase)
}

/// Unigram F1 between a prediction and its reference, 0 to 1.
pub fn rouge1(prediction: &str, reference: &str) -> f64 {
    let mut counts: HashMap<String, i64> = HashMap::new();
    let mut wanted = 0;
    for word in tokens(reference) {
        *counts.entry(word).or_default() += 1;
        wanted += 1;
    }
    let (mut hits, mut written) = (0, 0);
    for word in tokens(prediction) {
        written += 1;
        if let Some(count) = counts.get_mut(&word).filter(|c| **c > 0) {
            *count -= 1;
            hits += 1;
        }
    }
    f1(hits, written, wanted)
}

/// F1 of the longest common subsequence of words, 0 to 1.
pub fn rouge_l(prediction: &str, reference: &str) -> f64 {
    let a: Vec<String> = tokens(prediction).collect();
    let b: Vec<String> = tokens(reference).collect();
    let mut row = vec![0usize; b.len() + 1];
    for x in &a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    f1(row[b.len()], a.len(), b.len())
}

fn f1(hits: usize, written: usize, wanted: usize) -> f64 {
    if hits == 0 {
        return 0.0;
    }
    let (p, r) = (hits as f64 / written as f64, hits as f64 / wanted as f64);
    2.0 * p * r / (p + r)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(rouge1("the cat sat", "the cat sat"), 1.0);
        assert_eq!(rouge1("", "the cat"), 0.0);
        assert!((rouge1("the the cat", "the cat sat on") - 4.0 / 7.0).abs() < 1e-12);
        assert!((rouge_l("cat the sat", "the cat sat") - 2.0 / 3.0).abs() < 1e-12);
    }
}
