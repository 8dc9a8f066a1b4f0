//! Terms and their weights, for building a pack and for matching a text against it.

use crate::text;

/// Maximum length of a term in characters; longer ones are noise.
const TERM_CHARS: usize = 24;

/// Returns the smoothed inverse document frequency, never negative.
pub fn idf(texts: usize, documents: u32) -> f32 {
    let (n, d) = (texts as f32, documents as f32);
    (1.0 + (n - d + 0.5).max(0.0) / (d + 0.5)).ln()
}

/// Returns the topical terms of a text: its words without stop words, long words and, in scripts
/// with spaces, single letters.
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
        // 33 bytes, but fewer than 24 characters.
        assert_eq!(of("दुकानदारी"), ["दुकानदारी"]);
        assert_eq!(of(&"x".repeat(25)), [""; 0]);
    }
}
