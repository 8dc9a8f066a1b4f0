//! The details that a text may hold: the numbers, links and names of its request and of the user's
//! texts.
//!
//! A small model invents a time, a name, a link. The sampler therefore excludes tokens that would
//! write a detail that nobody gave it.

use std::collections::HashSet;

use super::{
    Model,
    details::{address, in_mid_sentence, named, numbers, trailing},
};
use crate::text;

/// The texts that details may come from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Given {
    numbers: HashSet<String>,
    words: HashSet<String>,
    address: bool,
    /// Whether a capital letter in mid-sentence marks a name.
    names: bool,
}

/// Minimum number of words in mid-sentence that show how a language writes names.
const SEEN_WORDS: usize = 8;

impl Given {
    /// Collects the details of `given`. The texts in `seen` show whether a capital letter in
    /// mid-sentence marks a name; too few words leave names free.
    pub fn new<T: AsRef<str>>(given: &[T], seen: &[&str]) -> Self {
        let given: Vec<&str> = given.iter().map(AsRef::as_ref).collect();
        let (mut inside, mut capitals) = (0, 0);
        for line in seen.iter().flat_map(|text| text.lines()) {
            for (start, word) in text::word_spans(line).filter(|(start, _)| in_mid_sentence(&line[..*start])) {
                inside += 1;
                capitals += usize::from(start > 0 && named(word));
            }
        }
        Self {
            numbers: given.iter().flat_map(|text| numbers(text)).map(str::to_owned).collect(),
            words: given.iter().flat_map(|text| text::words(text)).collect(),
            address: given.iter().any(|text| address(text)),
            // German capitalizes all nouns.
            names: inside >= SEEN_WORDS && capitals * 6 <= inside.max(24),
        }
    }

    /// Whether `piece` after `written` begins, continues or ends a detail that was not given.
    /// `is_name` decides on the first word of a sentence, where every word has a capital letter.
    pub(super) fn lacks(&self, written: &str, piece: &str, is_name: impl Fn(&str) -> bool) -> bool {
        if !self.address && (piece.contains('@') || address(piece)) {
            return true;
        }
        let digits = trailing(written, |c| c.is_ascii_digit());
        if !digits.is_empty() || piece.contains(|c: char| c.is_ascii_digit()) {
            let joined = format!("{digits}{piece}");
            let open = trailing(&joined, |c| c.is_ascii_digit());
            let closed = numbers(&joined[..joined.len() - open.len()]).all(|n| self.numbers.contains(n));
            return !closed || !open.is_empty() && !self.numbers.iter().any(|n| n.starts_with(open));
        }
        self.names && self.names_nobody(written, piece, is_name)
    }

    /// Whether the last word of `piece` is the beginning of a name that was not given.
    fn names_nobody(&self, written: &str, piece: &str, is_name: impl Fn(&str) -> bool) -> bool {
        if !piece.ends_with(char::is_alphabetic) {
            return false;
        }
        let open = if piece.starts_with(char::is_alphabetic) { trailing(written, char::is_alphabetic) } else { "" };
        let joined = format!("{open}{piece}");
        let word = trailing(&joined, char::is_alphabetic);
        if !named(word) {
            return false;
        }
        let lower = word.to_lowercase();
        let before = format!("{}{}", &written[..written.len() - open.len()], &joined[..joined.len() - word.len()]);
        let name = || in_mid_sentence(&before) || is_name(word);
        !self.words.iter().any(|given| given.starts_with(&lower)) && name()
    }
}

/// Smallest ratio of the places of a name's two forms in the vocabulary. Words that often begin a
/// sentence, such as "However", have 0.5 to 1.6; names have 1.8 and more, or no lower-case form.
const NAME_RATIO: f64 = 1.7;

/// Whether a word with a capital letter is rather a name than the beginning of a sentence: the
/// vocabulary, which is ordered by frequency, has it well before its lower-case form, or without
/// one. A word of several tokens is none.
pub(super) fn is_name(model: &Model, word: &str) -> bool {
    let place = |word: &str| match model.tokens(&format!(" {word}"))[..] {
        [token] => Some(f64::from(token.0)),
        _ => None,
    };
    let later = |upper: f64| place(&word.to_lowercase()).is_none_or(|lower| lower > NAME_RATIO * upper);
    place(word).is_some_and(later)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_name(_: &str) -> bool {
        false
    }

    #[test]
    fn numbers_must_be_given() {
        let given = Given::new(&["Room 120 at 9:30, please"], &[]);
        for (written, piece) in
            [("in room ", "1"), ("in room 1", "2"), ("room 12", "0"), ("room 120", " is"), ("9", ":30")]
        {
            assert!(!given.lacks(written, piece, no_name), "{written}{piece}");
        }
        for (written, piece) in [("in room ", "4"), ("room 12", " is"), ("room 1", "3"), ("at 9", ":15"), ("", " 1 ")] {
            assert!(given.lacks(written, piece, no_name), "{written}{piece}");
        }
    }

    #[test]
    fn names_and_addresses_must_be_given() {
        let given = ["Tell Ada that the parts came", "see you at the station, and bring the cake"];
        let given = Given::new(&given, &given);
        for (written, piece) in
            [("I told", " Ada"), ("I told A", "da"), ("", "Yes"), ("Done.", " Maybe"), ("so", " I"), ("the", " IBM")]
        {
            assert!(!given.lacks(written, piece, no_name), "{written}{piece}");
        }
        for (written, piece) in
            [("I told", " Ingrid"), ("I told In", "grid"), ("on", " Monday"), ("write to me", "@"), ("see", " https")]
        {
            assert!(given.lacks(written, piece, no_name), "{written}{piece}");
        }
        let is_name = |word: &str| ["Ada", "Ingrid"].contains(&word);
        let opens = |written: &str, piece: &str| given.lacks(written, piece, is_name);
        assert_eq!(
            [("", "Ingrid"), ("Done.", " Ingrid"), ("", "Ada"), ("", "In")].map(|(w, p)| opens(w, p)),
            [true, true, false, false]
        );
        let german = [
            "Der Kessel steht auf dem Herd, und die Kanne mit dem Griff ist aus Kupfer. Wir haben die Teile und das Rad im Keller gelassen, die Katze schläft auf dem Sofa und der Hund vor der Tür",
        ];
        assert!(!Given::new(&["kessel"], &german).lacks("auf dem", " Tisch", no_name));
        // A few words do not show the language.
        assert!(!Given::new(&["Die Kanne"], &["Die Kanne"]).lacks("auf dem", " Tisch", no_name));
    }
}
