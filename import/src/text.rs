//! An imported text, and helpers for words and excerpts.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use crate::date;

/// One text by the user, before its recipient is replaced by an opaque id.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct ImportedText {
    /// Name of the kind of writing, such as `email`.
    pub kind: String,
    /// Id of the item; only reviews have one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub item: String,
    /// Name of the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_title: Option<String>,
    /// Title, or a mail's subject without `Re:`.
    pub title: Option<String>,
    /// The text.
    pub text: String,
    /// The text that it answers.
    pub context: Option<String>,
    /// Address or name of the recipient. It is not stored.
    pub recipient: Option<String>,
    /// Opaque id of the recipient, from a table. It is stored as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Rating, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<f32>,
    /// Time of writing, in milliseconds since 1970-01-01 UTC.
    pub time: Option<i64>,
}

impl ImportedText {
    /// Returns the day of writing, such as `2026-05-12`, in UTC.
    pub fn day(&self) -> Option<String> {
        self.time.map(date::day)
    }
}

/// Maximum number of words of a text.
pub const MOST_WORDS: usize = 2000;
/// Maximum length of a text in bytes: 32 for each word.
pub const MOST_BYTES: usize = 64_000;
/// Maximum number of characters of a context.
pub const CONTEXT: usize = 600;
/// Maximum number of characters of a title.
pub const TITLE: usize = 300;

/// Whether a character belongs to a script without spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e01}'..='\u{edf}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3041}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Returns the number of words: the parts between white space with a letter or digit, and two words
/// for three letters of scripts without spaces.
pub(crate) fn word_count(text: &str) -> usize {
    let count = |token: &str| match token.chars().filter(|c| is_unspaced(*c)).count() {
        0 => usize::from(token.contains(char::is_alphanumeric)),
        letters => (2 * letters).div_ceil(3),
    };
    text.split_whitespace().map(count).sum()
}

/// Returns the first `most` characters.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

/// Returns the text on one line, without white space at its ends.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Returns the text without blanks at line ends, with at most one empty line in a row, and none at
/// its beginning and end.
pub(crate) fn tidy<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    let mut gap = false;
    for line in lines {
        let line = line.trim_end();
        if line.is_empty() {
            gap = !out.is_empty();
            continue;
        }
        if !out.is_empty() {
            out.push_str(if gap { "\n\n" } else { "\n" });
        }
        gap = false;
        line.chars().filter(|c| *c == '\t' || !c.is_control()).for_each(|c| out.push(c));
    }
    out
}

/// Returns the words in lower case with single spaces, and a space at both ends.
pub(crate) fn normalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        word.chars().flat_map(char::to_lowercase).for_each(|c| out.push(c));
        out.push(' ');
    }
    out
}

/// Returns equal numbers for texts with the same words and the same title.
pub(crate) fn identity(text: &str, title: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    normalized(text).hash(&mut hasher);
    normalized(title.unwrap_or_default()).hash(&mut hasher);
    hasher.finish()
}

/// Returns a name or an address in the form in which two are compared.
pub(crate) fn folded(name: &str) -> String {
    name.trim_matches(|c: char| c.is_whitespace() || is_mark(c)).to_lowercase()
}

/// Whether a character is an invisible mark of direction or byte order.
pub(crate) fn is_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words_of_any_script() {
        assert_eq!(word_count("sure, see you at 8 - ok!"), 6);
        assert_eq!(word_count("\u{1f44d} ..."), 0);
        assert_eq!(word_count("明日は行けます"), 5);
    }

    #[test]
    fn tidies_lines() {
        assert_eq!(tidy("\n\nHi Ada, \r\n\n\n\nsee you\t\n\n".lines()), "Hi Ada,\n\nsee you");
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(one_line(" a\n  b "), "a b");
    }

    #[test]
    fn identity_ignores_punctuation_and_case() {
        assert_eq!(identity("See you!", Some("Parts")), identity("see  you", Some("parts")));
        assert_ne!(identity("See you!", Some("Parts")), identity("See you!", None));
    }
}
