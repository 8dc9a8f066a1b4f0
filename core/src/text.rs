//! Small text helpers shared by retrieval, prompts, gates and metrics.

use std::sync::LazyLock;

/// Lower-cased runs of ASCII letters and digits, the tokens of ROUGE and of BM25 here.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_ascii_lowercase)
}

/// `text` on one line: runs of white space and control characters become one space, HTML line breaks
/// too (product reviews are full of them).
pub fn one_line(text: &str) -> String {
    let text = text.replace("<br />", " ").replace("<br/>", " ").replace("<br>", " ");
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Longest value in a prompt, in characters for each of its words: a text without spaces is clipped too.
const CHARS_PER_WORD: usize = 12;

/// The first `max` white-space separated words of `text`, on one line, and no more characters than such words have.
pub fn clip_words(text: &str, max: usize) -> String {
    let line = one_line(text);
    let end = match line.match_indices(' ').nth(max.saturating_sub(1)) {
        Some((end, _)) if max > 0 => end,
        None if max > 0 => line.len(),
        _ => 0,
    };
    let chars = line[..end].char_indices().nth(max.saturating_mul(CHARS_PER_WORD));
    line[..chars.map_or(end, |c| c.0)].trim_end().to_owned()
}

/// What frames prompts: chat templates' own markers, and the labels of ours.
const MARKERS: [&str; 20] = [
    "<|",
    "|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<start_of_image>",
    "<\u{ff5c}",
    "<0x",
];
const LABELS: [&str; 8] = ["Item", "Title", "Plan", "Review", "Rating", "author", "people", "plan"];

/// `text` as data within a prompt: clipped like [`clip_words`], without characters that do not show (they hide words from
/// people and turn lines around), and with every marker of a template or label of a prompt broken up.
pub fn quoted(text: &str, max: usize) -> String {
    let mut out: String = clip_words(text, max).chars().filter(|c| !is_invisible(*c)).collect();
    // Breaking one up can leave another: `<|<|`.
    while let Some(marker) = MARKERS.iter().find(|m| out.contains(**m)) {
        // A space behind the first character.
        let first = marker.chars().next().map_or(0, char::len_utf8);
        out = out.replace(marker, &format!("{} {}", &marker[..first], &marker[first..]));
    }
    for label in LABELS {
        if out.contains(label) {
            out = out.replace(&format!("{label}:"), &format!("{label} -"));
        }
    }
    out
}

/// Format characters that change how text around them is shown or read: zero-width spaces, byte order marks, direction
/// overrides, tags. Joiners stay: Persian and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether nothing of `text` shows: it is empty, or holds nothing but white space, control characters and characters without a shape.
pub fn is_blank(text: &str) -> bool {
    let shapeless = |c| {
        matches!(c, '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
    };
    text.chars().all(|c| c.is_whitespace() || c.is_control() || is_invisible(c) || shapeless(c))
}

/// Two lower-case hexadecimal digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Number of white-space separated words.
pub fn word_count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// `text` up to its last sentence end (`.`, `!` or `?`); all of it if there is none.
pub fn whole_sentences(text: &str) -> &str {
    match text.rfind(['.', '!', '?']) {
        Some(end) => &text[..=end],
        None => text,
    }
}

/// `text` up to its first sentence end, a `.`, `!` or `?` with white space behind it; all of it if there is none.
pub fn first_sentence(text: &str) -> &str {
    let mut ends = text.match_indices(['.', '!', '?']).map(|(at, end)| at + end.len());
    let end = ends.find(|&end| text[end..].starts_with(char::is_whitespace));
    &text[..end.unwrap_or(text.len())]
}

/// English words that carry no topic, for term statistics and points.
pub fn is_stopword(word: &str) -> bool {
    STOPWORDS.binary_search(&word).is_ok()
}

/// Sorted, so that it can be searched by halves. The Spark job reads the same file.
static STOPWORDS: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("stopwords.txt").lines().collect());

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stopwords_are_sorted() {
        assert!(STOPWORDS.is_sorted());
        assert!(is_stopword("the") && !is_stopword("soup"));
    }

    #[test]
    fn lines_fold() {
        assert_eq!(one_line(" a\n\tb<br /><br />c \u{7} d "), "a b c d");
        assert_eq!(clip_words("a b\nc d", 3), "a b c");
        assert_eq!(clip_words("a b", 5), "a b");
        assert_eq!(clip_words("a b", 0), "");
        assert_eq!(clip_words(&"文".repeat(100), 2), "文".repeat(24));
        assert_eq!(whole_sentences("Good. Very goo"), "Good.");
        assert_eq!(first_sentence("It is 2.5 inches long! Good."), "It is 2.5 inches long!");
        assert_eq!((first_sentence("no end"), first_sentence("One."), first_sentence("")), ("no end", "One.", ""));
        assert_eq!(words("It's 5-star!").collect::<Vec<_>>(), ["it", "s", "5", "star"]);
    }

    #[test]
    fn texts_without_a_shape_are_blank() {
        for blank in ["", " \n\t", "\u{200b}", "\u{feff}\u{200d}\u{2060}", "\u{3164}\u{2800}", "\u{ad}\u{fe0f}\u{0}"] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for shown in [".", " a ", "好", "\u{200b}x", "👩\u{200d}🚀", "می\u{200c}خواهم", "\u{3099}"] {
            assert!(!is_blank(shown), "{shown:?}");
        }
    }

    proptest! {
        #[test]
        fn clipping_never_exceeds(text in "\\PC{0,60}", max in 0usize..8) {
            prop_assert!(word_count(&clip_words(&text, max)) <= max);
        }
    }
}
