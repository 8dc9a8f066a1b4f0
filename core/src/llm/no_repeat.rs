//! No-repeat n-gram constraint: runs of words, and details, that a phase must not copy from given
//! texts.
//!
//! A run is measured in units. A unit is a word, or a character of a script without spaces. A run
//! of a given number of words is a repetition, and so is a run of 1.5 times as many such
//! characters. Words that differ in one letter count as equal, so that a copy with a typing error
//! is still a copy. During generation, [`Follower`] keeps every run of the given texts that ends at
//! the end of the generated text. From these it finds the tokens that would complete a repetition.
//! The same follower checks a finished text.

use std::collections::{HashMap, HashSet};

use super::details::Details;
use crate::text;

/// Weights of a word and of a character of a script without spaces: 12 such characters count as
/// much as 8 words.
pub(super) const WORD: u16 = 3;
const CHARACTER: u16 = 2;
/// Lower limit, as a weight of four words, for a text that a run has followed to one word before a
/// repetition. Without it, a copy with every eighth word replaced would pass.
pub(super) const FOLLOWED: u16 = 4 * WORD;
/// Minimum length of a word, in letters, in which one letter may differ.
const FUZZY_LETTERS: usize = 5;
/// Separator between two texts in [`NoRepeat::units`].
pub(super) const BETWEEN: u32 = u32::MAX;

/// Texts with runs of words that must not be repeated, and details that must not be copied from
/// them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NoRepeat {
    /// Number of each distinct word. The next fields hold the words by number, and the places of
    /// each.
    numbers: HashMap<String, u32>,
    pub(super) words: Vec<String>,
    places: Vec<Vec<u32>>,
    /// Number of the word at each place; [`BETWEEN`] after each text.
    pub(super) units: Vec<u32>,
    /// Number of the text at each place.
    pub(super) texts: Vec<u32>,
    /// Places at which a run from the request itself ends: these runs are allowed.
    pub(super) granted: HashSet<u32>,
    pub(super) details: Details,
    /// Minimum weight of a repetition.
    pub(super) limit: u16,
}

impl NoRepeat {
    /// Creates a constraint that forbids `details`, and runs of `words` words (at least 2) of the
    /// texts added later.
    pub fn new(details: Details, words: u16) -> Self {
        Self { details, limit: words.max(2) * WORD, ..Self::default() }
    }

    /// Adds a text with runs that must not be repeated.
    pub fn add(&mut self, text: &str) {
        let number = self.texts.last().map_or(0, |n| n + 1);
        for word in units(text) {
            let id = match self.numbers.get(&word) {
                Some(&id) => id,
                None => {
                    let id = self.words.len() as u32;
                    self.numbers.insert(word.clone(), id);
                    self.words.push(word);
                    self.places.push(Vec::new());
                    id
                }
            };
            self.places[id as usize].push(self.units.len() as u32);
            self.units.push(id);
            self.texts.push(number);
        }
        self.units.push(BETWEEN);
        self.texts.push(number);
    }

    /// Allows the runs of `text`, even if an added text holds them too. The text of a request may
    /// be written.
    pub fn grant(&mut self, text: &str) {
        let mut runs = Vec::new();
        for word in units(text) {
            runs = self.extended(&runs, &word);
            let whole = runs.iter().filter(|run| run.weight >= self.limit).map(|run| run.place);
            self.granted.extend(whole);
        }
    }

    /// Whether the constraint forbids no run, number or name.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.details.is_empty()
    }

    /// Returns the weight of a unit.
    pub(super) fn weight(&self, id: u32) -> u16 {
        if self.words[id as usize].starts_with(text::is_unspaced) { CHARACTER } else { WORD }
    }

    /// Returns the numbers of the words that count as equal to `word`.
    fn equal(&self, word: &str) -> Vec<u32> {
        let letters = word.chars().count();
        if letters < FUZZY_LETTERS {
            return self.numbers.get(word).copied().into_iter().collect();
        }
        (0..).zip(&self.words).filter(|(_, other)| alike(other, word)).map(|(id, _)| id).collect()
    }

    /// Returns the runs that end with `word`, given the `runs` that end before it.
    pub(super) fn extended(&self, runs: &[Run], word: &str) -> Vec<Run> {
        let mut next = Vec::new();
        for id in self.equal(word) {
            let weight = self.weight(id);
            for &place in &self.places[id as usize] {
                let before = place.checked_sub(1).and_then(|p| runs.binary_search_by_key(&p, |run| run.place).ok());
                let (before, units) = before.map_or((0, 0), |at| (runs[at].weight, runs[at].units));
                next.push(Run { place, weight: weight + before, units: units + 1 });
            }
        }
        next.sort_unstable_by_key(|run| run.place);
        next
    }
}

/// A run of units of a given text that ends at the end of the generated text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    /// Place of its last unit in [`NoRepeat::units`].
    pub(super) place: u32,
    pub(super) weight: u16,
    pub(super) units: usize,
}

/// Whether two words are equal, or differ in one letter and have at least five each.
pub(super) fn alike(a: &str, b: &str) -> bool {
    // Fast path: equal words need no further test.
    if a == b {
        return true;
    }
    let long = |word: &str| word.chars().nth(FUZZY_LETTERS - 1).is_some();
    let [first, last] = [|word: &str| word.chars().next(), |word: &str| word.chars().next_back()];
    // Lengths differ by at most one character, which has at most four bytes. One changed letter
    // leaves the first or the last letter equal.
    let near = a.len().abs_diff(b.len()) <= 4 && (first(a) == first(b) || last(a) == last(b));
    near && long(a) && long(b) && strsim::levenshtein(a, b) <= 1
}

/// Returns the units of a text, lower-cased.
fn units(text: &str) -> impl Iterator<Item = String> + '_ {
    spans(text).map(|(_, unit)| unit.to_lowercase())
}

/// Returns the units of a text with the bytes at which they begin.
pub(super) fn spans(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text::word_spans(text)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{details::Repeated, follower::Follower},
        *,
    };
    use proptest::prelude::*;

    fn constraint(texts: &[&str], granted: &[&str]) -> NoRepeat {
        let mut constraint = NoRepeat::new(Details::default(), 8);
        texts.iter().for_each(|text| constraint.add(text));
        granted.iter().for_each(|text| constraint.grant(text));
        constraint
    }

    const KETTLE: &str = "It boils fast and pours without a single drip, every morning.";

    #[test]
    fn eight_words_are_a_repetition_and_seven_are_not() {
        let constraint = constraint(&["The lid is loose.", KETTLE], &[]);
        assert_eq!(constraint.repeated("Well: it BOILS fast -- and pours without a drip"), None);
        assert_eq!(constraint.repeated("Well: it BOILS fast -- and pours without a single"), Some(Repeated::Run));
        // A run does not continue in the next text.
        assert_eq!(constraint.repeated("the lid is loose it boils fast and pours"), None);
    }

    #[test]
    fn one_letter_does_not_hide_a_copy_and_a_word_in_eight_neither() {
        let constraint = constraint(&[KETTLE], &[]);
        let wrong = "It boils fast and pours withuot a single drip, every mornin.";
        assert_eq!(constraint.repeated(wrong), None, "two letters are another word");
        let typing = "It boils fast and pours witout a single drip, every mornin.";
        assert_eq!(constraint.repeated(typing), Some(Repeated::Run));
        let stitched = "It boils fast and pours without a whole single drip, every morning.";
        assert_eq!(
            constraint.repeated(stitched),
            Some(Repeated::Run),
            "four words of a text that was followed for seven"
        );
    }

    #[test]
    fn what_the_request_holds_may_be_written() {
        let title = "It boils fast and pours without a single drip";
        assert_eq!(constraint(&[KETTLE], &[title]).repeated(title), None);
        let more = format!("{title}, every morning");
        assert_eq!(constraint(&[KETTLE], &[title]).repeated(&more), Some(Repeated::Run));
    }

    #[test]
    fn twelve_characters_of_a_script_without_spaces_are_a_repetition() {
        let constraint = constraint(&["这个水壶烧水很快而且倒水的时候不会漏"], &[]);
        assert_eq!(constraint.repeated("我觉得这个水壶烧水很快而且好"), None);
        assert_eq!(constraint.repeated("我觉得这个水壶烧水很快而且倒水"), Some(Repeated::Run));
    }

    #[test]
    fn tokens_that_complete_a_repetition_are_told() {
        let constraint = constraint(&[KETTLE, "这个水壶烧水很快而且倒水的时候不会漏"], &[]);
        let forbidden = |written: &[&str], piece: &str| {
            let mut follower = Follower::default();
            written.iter().for_each(|piece| follower.push(&constraint, piece));
            follower.risks(&constraint).forbid(piece)
        };
        let seven = ["It", " boils fast", " and", " po", "urs without", " a"];
        assert!(!forbidden(&seven[..5], " a"), "the seventh word");
        assert!(forbidden(&seven, " sin") && forbidden(&seven, " single,") && !forbidden(&seven, " sip"));
        assert!(!forbidden(&seven, "") && !forbidden(&seven, "."));
        // After a run of seven words, four words of the text count as a repetition.
        let turned = [&seven[..], &[" sip, every"]].concat();
        assert!(!forbidden(&turned, " morning"));
        assert!(forbidden(&[&turned[..], &[" day, and pours without"]].concat(), " a"));
        assert!(forbidden(&["这个水壶烧水很快而", "且"], "倒水") && !forbidden(&["这个水壶烧水很快而"], "且"));
    }

    proptest! {
        /// Text of tokens that are never forbidden contains no repetition.
        #[test]
        fn unforbidden_tokens_repeat_nothing(choices in proptest::collection::vec(0usize..6, 0..60)) {
            let constraint = constraint(&["a b c a b c a b c a b c a b c", "b a b a b a b a b a"], &[]);
            let pieces = [" a", " b", " c", "b", ",", " a b"];
            let mut follower = Follower::default();
            for choice in choices {
                let risks = follower.risks(&constraint);
                if !risks.forbid(pieces[choice]) {
                    drop(risks);
                    follower.push(&constraint, pieces[choice]);
                }
            }
            prop_assert_eq!(constraint.repeated(&follower.text), None);
        }
    }
}
