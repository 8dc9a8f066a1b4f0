//! Text helpers shared by retrieval, prompts, gates and metrics.

pub mod escapes;
mod gist;
mod lines;
mod neutral;

pub use gist::{gist, notes};
pub(crate) use lines::{BREAK, Unfolder};
pub use lines::{folded, unfolded};
pub use neutral::neutral;

use std::sync::LazyLock;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

/// Returns the lower-case words of a text in any script: the tokens of retrieval, gates and packs.
///
/// Words follow Unicode's UAX #29. They are split further at characters that are neither letters,
/// digits nor combining marks. In scripts without spaces each character is a word, and so is each
/// run of Katakana. The Spark job has the same rule as a regular expression.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    word_spans(text).map(|(_, word)| word.to_lowercase())
}

/// Returns the same words as written in the text, each with the byte offset of its beginning.
pub fn word_spans(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let parts = text.unicode_words().flat_map(|word| word.split(|c: char| !c.is_alphanumeric() && !is_mark(c)));
    let words = parts.map(|word| word.trim_start_matches(is_mark)).filter(|word| !word.is_empty());
    words.map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// Whether a character belongs to the letter before it: a combining mark, or a half-width Katakana
/// sound mark.
pub fn is_mark(c: char) -> bool {
    c >= '\u{300}' && (c.general_category_group() == GeneralCategoryGroup::Mark || matches!(c, '\u{ff9e}' | '\u{ff9f}'))
}

/// Ranges of scripts without spaces between words: Thai, Lao, Myanmar, Khmer, Hiragana, Katakana
/// and Han.
pub(crate) const UNSPACED: [(char, char); 19] = [
    ('\u{e01}', '\u{e3a}'),
    ('\u{e40}', '\u{e4e}'),
    ('\u{e81}', '\u{ece}'),
    ('\u{edc}', '\u{edf}'),
    ('\u{1000}', '\u{103f}'),
    ('\u{1050}', '\u{108f}'),
    ('\u{109a}', '\u{109d}'),
    ('\u{1780}', '\u{17d3}'),
    ('\u{a9e0}', '\u{a9ef}'),
    ('\u{a9fa}', '\u{a9fe}'),
    ('\u{aa60}', '\u{aa7f}'),
    ('\u{3005}', '\u{3007}'),
    ('\u{3041}', '\u{309f}'),
    ('\u{30a1}', '\u{30fa}'),
    ('\u{30fc}', '\u{30ff}'),
    ('\u{31f0}', '\u{31ff}'),
    ('\u{3400}', '\u{9fff}'),
    ('\u{f900}', '\u{faff}'),
    ('\u{20000}', '\u{3ffff}'),
];

/// Whether a character is a letter of a script without spaces between words: Han, Hiragana,
/// Katakana, Thai, Lao, Khmer or Myanmar.
pub fn is_unspaced(c: char) -> bool {
    c >= UNSPACED[0].0
        && UNSPACED.iter().any(|&(first, last)| (first..=last).contains(&c))
        && c.is_alphabetic()
        && !is_mark(c)
}

/// Returns `text` on one line. Runs of white space and control characters become one space, and so
/// do HTML line breaks, which are common in product reviews.
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

/// Maximum number of characters of a prompt value for each of its words, which also limits texts
/// without spaces.
const CHARS_PER_WORD: usize = 12;

/// Returns the first `max` words of `text`, as [`word_count`] counts them, on one line, with at
/// most 12 characters per word.
pub fn clip_words(text: &str, max: usize) -> String {
    let line = one_line(text);
    let chars = line.char_indices().nth(max.saturating_mul(CHARS_PER_WORD));
    let line = &line[..chars.map_or(line.len(), |c| c.0)];
    let mut count = Count::default();
    let mut end = 0;
    for token in line.split(' ').filter(|t| !t.is_empty()) {
        let start = token.as_ptr() as usize - line.as_ptr() as usize;
        for (at, counted) in count.token(token) {
            if counted > max {
                return line[..end].trim_end().to_owned();
            }
            end = start + at;
        }
        end = start + token.len();
    }
    line[..end].to_owned()
}

/// Framing of prompts: the markers of chat templates, and the labels of Locket's own templates.
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
/// Labels and last words of headings in the prompts for reviews.
const LABELS: [&str; 8] = ["Item", "Title", "Plan", "Review", "Rating", "author", "people", "plan"];

/// Returns `text` as data for a review's prompt, see [`quoted_for`].
pub fn quoted(text: &str, max: usize) -> String {
    quoted_for(text, max, LABELS.into_iter())
}

/// Returns `text` as data for a prompt. It is clipped like [`clip_words`], and has no invisible
/// characters, which hide words from readers or reverse lines. Every template marker and each of
/// the prompt's `labels` is broken up.
pub fn quoted_for<'l>(text: &str, max: usize, labels: impl Iterator<Item = &'l str>) -> String {
    let mut out: String = clip_words(text, max).chars().filter(|c| !is_invisible(*c)).collect();
    // Breaking one marker can leave another: `<|<|`.
    while let Some(marker) = MARKERS.iter().find(|m| out.contains(**m)) {
        // Inserts a space after the first character.
        let first = marker.chars().next().map_or(0, char::len_utf8);
        out = out.replace(marker, &format!("{} {}", &marker[..first], &marker[first..]));
    }
    for label in labels {
        if out.contains(label) {
            out = out.replace(&format!("{label}:"), &format!("{label} -"));
        }
    }
    out
}

/// Whether a character is an invisible format character that changes the display or reading of the
/// text around it: a zero-width space, byte order mark, direction override or tag. Joiners are
/// allowed: Persian and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether `text` displays nothing: it holds only white space, control characters and characters
/// without a shape, or is empty.
pub fn is_blank(text: &str) -> bool {
    let shapeless = |c| {
        matches!(c, '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
    };
    text.chars().all(|c| c.is_whitespace() || c.is_control() || is_invisible(c) || shapeless(c))
}

/// Returns two lower-case hexadecimal digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Returns the number of words: the parts between white space, and two words for every three
/// letters in scripts without spaces.
pub fn word_count(text: &str) -> usize {
    let mut count = Count::default();
    text.split_whitespace().for_each(|token| _ = count.token(token));
    count.words()
}

/// Counter of the words so far.
#[derive(Default)]
struct Count {
    spaced: usize,
    /// Number of letters in scripts without spaces.
    letters: usize,
}

impl Count {
    fn words(&self) -> usize {
        self.spaced + (2 * self.letters).div_ceil(3)
    }

    /// Counts the words of a token between two spaces. Returns the end of each word or letter, with
    /// the number of words up to there.
    fn token(&mut self, token: &str) -> Vec<(usize, usize)> {
        if !token.contains(is_unspaced) {
            self.spaced += 1;
            return vec![(token.len(), self.words())];
        }
        let mut ends = Vec::new();
        let mut within = false;
        for (at, c) in token.char_indices() {
            let end = at + c.len_utf8();
            if is_unspaced(c) {
                self.letters += 1;
                within = false;
            } else if is_mark(c) || (within && c.is_alphanumeric()) {
                if let Some(last) = ends.last_mut() {
                    *last = (end, self.words());
                }
                continue;
            } else if c.is_alphanumeric() {
                self.spaced += 1;
                within = true;
            } else {
                within = false;
                continue;
            }
            ends.push((end, self.words()));
        }
        ends
    }
}

/// Sentence ends that need white space after them: `2.5` does not end a sentence.
const ENDS_BEFORE_SPACE: [char; 3] = ['.', '!', '?'];
/// Sentence ends anywhere, in CJK, Indic, Arabic, Urdu, Armenian, Ethiopic, Khmer and Myanmar
/// texts.
const ENDS: [char; 13] = [
    '\u{3002}', '\u{ff01}', '\u{ff1f}', '\u{ff61}', '\u{964}', '\u{965}', '\u{61f}', '\u{6d4}', '\u{589}', '\u{1362}',
    '\u{17d4}', '\u{104a}', '\u{104b}',
];

fn ends_sentence(c: char) -> bool {
    ENDS_BEFORE_SPACE.contains(&c) || ENDS.contains(&c)
}

/// Returns `text` up to its last sentence end: a full stop, exclamation or question mark of any
/// script. A line break of a folded text ends a sentence, too. Returns all of it if there is none.
pub fn whole_sentences(text: &str) -> &str {
    let whole = match text.char_indices().rfind(|&(_, c)| ends_sentence(c) || c == BREAK) {
        Some((end, BREAK)) => text[..end].trim_end_matches([BREAK, ' ']),
        Some((end, c)) => &text[..end + c.len_utf8()],
        None => text,
    };
    if whole.is_empty() { text } else { whole }
}

/// Returns `text` up to its first sentence end, or all of it if there is none. A `.`, `!` or `?`
/// ends a sentence only before white space.
pub fn first_sentence(text: &str) -> &str {
    let end = text.char_indices().find_map(|(at, c)| {
        let rest = &text[at + c.len_utf8()..];
        if ENDS.contains(&c) {
            // `?!` is one sentence end.
            return Some(text.len() - rest.trim_start_matches(ends_sentence).len());
        }
        (ENDS_BEFORE_SPACE.contains(&c) && rest.starts_with(char::is_whitespace)).then(|| text.len() - rest.len())
    });
    &text[..end.unwrap_or(text.len())]
}

/// Whether `word` is an English word without a topic, for term statistics and points.
pub fn is_stopword(word: &str) -> bool {
    STOPWORDS.binary_search(&word).is_ok()
}

/// Sorted for binary search. The Spark job reads the same file.
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
        assert_eq!(clip_words(&"x".repeat(100), 2), "x".repeat(24));
        assert_eq!(whole_sentences("Good. Very goo"), "Good.");
        assert_eq!(whole_sentences("sure ¶ ¶ see you the"), "sure");
        assert_eq!(whole_sentences("Sure? ¶ i am ¶ see you the"), "Sure? ¶ i am");
        assert_eq!(whole_sentences("¶ see you the"), "¶ see you the");
        assert_eq!(first_sentence("It is 2.5 inches long! Good."), "It is 2.5 inches long!");
        assert_eq!((first_sentence("no end"), first_sentence("One."), first_sentence("")), ("no end", "One.", ""));
        assert_eq!(words("It's 5-star!").collect::<Vec<_>>(), ["it", "s", "5", "star"]);
    }

    #[test]
    fn words_are_those_of_every_script() {
        let of = |text| words(text).collect::<Vec<_>>();
        assert_eq!(of("Größe: Übergroß, naïve cafe\u{301}"), ["größe", "übergroß", "naïve", "cafe\u{301}"]);
        assert_eq!(of("Чайник не течёт."), ["чайник", "не", "течёт"]);
        assert_eq!(of("ΟΔΟΣ"), ["οδο\u{3c2}"]);
        assert_eq!(of("यह अच्छी चाय है।"), ["यह", "अच्छी", "चाय", "है"]);
        assert_eq!(of("茶壶好用。"), ["茶", "壶", "好", "用"]);
        assert_eq!(of("このケトルは3回"), ["こ", "の", "ケトル", "は", "3", "回"]);
        assert_eq!(of("ที่ดี"), ["ที่", "ดี"]);
        assert_eq!(of("한국어 좋아요"), ["한국어", "좋아요"]);
        // A mark without a letter is no word.
        assert_eq!(of(" \u{301}a \u{93e}b"), ["a", "b"]);
        assert_eq!(of("می\u{200c}خواهم"), ["می", "خواهم"]);
    }

    #[test]
    fn scripts_without_spaces_have_words_too() {
        assert!("文のカไລကខ".chars().all(is_unspaced), "{:?}", "文のカไລកခ".chars().map(is_unspaced));
        assert!(!"aéжन한5。、".chars().any(is_unspaced));
        assert_eq!((word_count("Good tea, really - yes"), word_count("文")), (5, 1));
        assert_eq!(word_count(&"文".repeat(200)), 134);
        assert_eq!(word_count("USB线很好, 3米。"), 2 + 3);
        assert_eq!(clip_words(&"文".repeat(100), 2), "文".repeat(3));
        assert_eq!(clip_words("good 茶壶很好用。", 3), "good 茶壶很");
        assert_eq!(clip_words("ที่ดีมาก", 2), "ที่ดีม");
    }

    #[test]
    fn sentences_end_as_their_script_ends_them() {
        assert_eq!(whole_sentences("很好。我喜"), "很好。");
        assert_eq!(whole_sentences("यह अच्छा है। और"), "यह अच्छा है।");
        assert_eq!(whole_sentences("هل هو جيد؟ نعم"), "هل هو جيد؟");
        assert_eq!(first_sentence("很好！！我喜欢。"), "很好！！");
        assert_eq!(first_sentence("यह अच्छा है। और"), "यह अच्छा है।");
        assert_eq!(first_sentence("1.5米。长"), "1.5米。");
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
        fn words_of_ascii_texts_are_runs_of_letters_and_digits(text in "[ -~\\n\\t]{0,80}") {
            let runs = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
            let runs: Vec<String> = runs.map(str::to_ascii_lowercase).collect();
            prop_assert_eq!(words(&text).collect::<Vec<_>>(), runs);
        }

        #[test]
        fn words_begin_with_a_letter_or_digit(text in "[\\PC\\pM文ไ ]{0,60}") {
            for word in words(&text) {
                prop_assert!(word.starts_with(|c: char| c.is_alphanumeric() && !is_mark(c)), "{word:?}");
            }
        }

        #[test]
        fn clipping_never_exceeds(text in "[\\PC文字a. ]{0,60}", max in 0usize..8) {
            let clipped = clip_words(&text, max);
            prop_assert!(word_count(&clipped) <= max, "{clipped:?}");
            prop_assert!(one_line(&text).starts_with(&clipped));
        }
    }
}
