//! Rows of one symbol. A small model that writes a symbol twice often cannot stop.

use unicode_segmentation::UnicodeSegmentation;

/// Maximum length of a row of one symbol.
const MOST: usize = 5;
/// Number of bytes before a token that are looked at.
const LOOK_BACK: usize = 160;

/// Whether `piece` after `written` makes a row of more than [`MOST`] equal symbols: marks or emoji.
pub(super) fn too_many(written: &str, piece: &str) -> bool {
    if piece.chars().all(|c| c.is_alphanumeric() || c.is_whitespace()) {
        return false;
    }
    let before = &written[written.ceil_char_boundary(written.len().saturating_sub(LOOK_BACK))..];
    let joined = format!("{before}{piece}");
    let (mut row, mut last) = (0, "");
    joined.grapheme_indices(true).any(|(at, symbol)| {
        // An emoji is the same with and without its variation selector.
        let plain = symbol.trim_end_matches('\u{fe0f}');
        row = if plain == last { row + 1 } else { 1 };
        last = plain;
        row > MOST && at >= before.len() && !symbol.contains(|c: char| c.is_alphanumeric() || c.is_whitespace())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_symbol_are_short() {
        for (written, piece) in [
            ("so good", "!!!"),
            ("so good!!!", "!!"),
            ("so good!!!!! ", "!"),
            ("⭐\u{fe0f}⭐\u{fe0f}⭐\u{fe0f}⭐\u{fe0f}", "⭐\u{fe0f}"),
            ("no", "oooooooo"),
            ("1000000", "0"),
            ("a row of before !!!!!!!!", " and"),
            ("a row of before !!!!!!!!", "?"),
            ("", "(:"),
        ] {
            assert!(!too_many(written, piece), "{written}{piece}");
        }
        for (written, piece) in [
            ("so good!!!!!", "!"),
            ("so good", "!!!!!!"),
            ("⭐\u{fe0f}⭐\u{fe0f}⭐\u{fe0f}⭐⭐", "⭐\u{fe0f}"),
            ("👍🏼👍🏼👍🏼👍🏼👍🏼", "👍🏼"),
            ("well.....", "..."),
            ("-----", "-"),
        ] {
            assert!(too_many(written, piece), "{written}{piece}");
        }
        assert!(too_many(&format!("{}!!!!!", "é".repeat(200)), "!"));
    }
}
