//! Terms and their weights: the same when a pack is built and when a text is matched against it.

use crate::text;

/// Longest term, in characters; longer ones are noise.
const TERM_CHARS: usize = 24;

/// Smoothed inverse document frequency, never negative.
pub fn idf(texts: usize, documents: u32) -> f32 {
    let (n, d) = (texts as f32, documents as f32);
    (1.0 + (n - d + 0.5).max(0.0) / (d + 0.5)).ln()
}

/// The topical terms of a text: its words without single letters (of scripts with spaces), long ones and stop words.
pub fn terms(text: &str) -> impl Iterator<Item = String> + '_ {
    text::words(text).filter(|word| {
        let chars = word.chars().count();
        (chars > 1 || word.starts_with(text::is_unspaced)) && chars <= TERM_CHARS && !text::is_stopword(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_in_any_script() {
        let of = |text| terms(text).collect::<Vec<_>>();
        assert_eq!(of("The tea is a hit, Übergröße и чайник"), ["tea", "hit", "übergröße", "чайник"]);
        assert_eq!(of("茶壶"), ["茶", "壶"]);
        // 33 bytes.
        assert_eq!(of("दुकानदारी"), ["दुकानदारी"]);
        assert_eq!(of(&"x".repeat(25)), [""; 0]);
    }
}
