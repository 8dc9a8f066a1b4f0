//! The no-repeat constraint: runs of words, and details, that a phase must not take from given texts.
//!
//! A run is measured in units: a word, or a character of a script that writes without spaces. A given number of words in a row is
//! a repetition, and so is half as many again of such characters. Words count as equal if they differ in one letter, so that a copy with a typing error is
//! a copy. While a text is written, [`Follower`] keeps every run of the given texts that ends where the text ends, and tells which
//! tokens would complete one. The same follower checks a finished text.

use std::collections::{HashMap, HashSet};

use super::{details::Details, follower::Follower};
use crate::text;

/// Weight of a word and of a character of a script without spaces: 12 of these count as much as 8 words.
pub(super) const WORD: u16 = 3;
const CHARACTER: u16 = 2;
/// Shortest repetition, in words, of a text that a run has already followed to one word before a repetition. Otherwise a text could
/// come back with every eighth word replaced.
pub(super) const FOLLOWED: u16 = 4 * WORD;
/// Shortest word in which one letter may differ.
const FUZZY_LETTERS: usize = 5;
/// Between two texts in [`NoRepeat::units`].
pub(super) const BETWEEN: u32 = u32::MAX;

/// Texts whose runs of words must not be repeated, and details that must not be taken from them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NoRepeat {
    /// Distinct words, their numbers, and where each stands.
    numbers: HashMap<String, u32>,
    pub(super) words: Vec<String>,
    places: Vec<Vec<u32>>,
    /// The word at each place; [`BETWEEN`] behind each text.
    pub(super) units: Vec<u32>,
    /// The number of the text at each place.
    pub(super) texts: Vec<u32>,
    /// Places at which a run ends that the request itself holds.
    pub(super) granted: HashSet<u32>,
    pub(super) details: Details,
    /// Weight from which a run is a repetition.
    pub(super) limit: u16,
}

impl NoRepeat {
    /// The constraint that forbids `details`, and runs of `words` words of the texts that will be added.
    pub fn new(details: Details, words: u16) -> Self {
        Self { details, limit: words.max(2) * WORD, ..Self::default() }
    }

    /// Adds a text whose runs must not be repeated.
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

    /// Allows the runs of `text`: what a request holds may be written, whoever else wrote it.
    pub fn grant(&mut self, text: &str) {
        let mut runs = Vec::new();
        for word in units(text) {
            runs = self.extended(&runs, &word);
            let whole = runs.iter().filter(|run| run.weight >= self.limit).map(|run| run.place);
            self.granted.extend(whole);
        }
    }

    /// Whether it forbids nothing.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.details.is_empty()
    }

    /// What a finished text repeats, if anything.
    pub fn repeated(&self, text: &str) -> Option<Repeated> {
        let mut follower = Follower::default();
        follower.push(self, text);
        follower.push(self, "\n");
        if follower.repeats { Some(Repeated::Run) } else { self.details.taken(text) }
    }

    /// The weight of a unit.
    pub(super) fn weight(&self, id: u32) -> u16 {
        if self.words[id as usize].starts_with(text::is_unspaced) { CHARACTER } else { WORD }
    }

    /// Numbers of the words that count as equal to `word`.
    fn equal(&self, word: &str) -> Vec<u32> {
        let letters = word.chars().count();
        if letters < FUZZY_LETTERS {
            return self.numbers.get(word).copied().into_iter().collect();
        }
        (0..).zip(&self.words).filter(|(_, other)| alike(other, word)).map(|(id, _)| id).collect()
    }

    /// The runs that end with `word`, if `runs` ended in front of it.
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

/// What of somebody's text was written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// Eight words in a row, or twelve characters of a script without spaces.
    Run,
    /// A number.
    Number,
    /// A proper name.
    Name,
    /// A link or a mail address.
    Address,
}

/// A run of units of a given text that ends where the written text ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    /// Where its last unit stands in [`NoRepeat::units`].
    pub(super) place: u32,
    pub(super) weight: u16,
    pub(super) units: usize,
}

/// Whether two words are the same but for one letter, of five or more.
pub(super) fn alike(a: &str, b: &str) -> bool {
    // No character has more than four bytes.
    if a == b {
        return true;
    }
    let long = |word: &str| word.chars().nth(FUZZY_LETTERS - 1).is_some();
    let [first, last] = [|word: &str| word.chars().next(), |word: &str| word.chars().next_back()];
    // One letter is at one end at most.
    let near = a.len().abs_diff(b.len()) <= 4 && (first(a) == first(b) || last(a) == last(b));
    near && long(a) && long(b) && strsim::levenshtein(a, b) <= 1
}

/// The units of a text, lower-cased.
fn units(text: &str) -> impl Iterator<Item = String> + '_ {
    spans(text).map(|(_, unit)| unit.to_lowercase())
}

/// The units of a text with the bytes at which they begin.
pub(super) fn spans(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text::word_spans(text)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        // A run does not go on in the next text.
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
        // Once it was followed so far, four words of the text are one too many.
        let turned = [&seven[..], &[" sip, every"]].concat();
        assert!(!forbidden(&turned, " morning"));
        assert!(forbidden(&[&turned[..], &[" day, and pours without"]].concat(), " a"));
        assert!(forbidden(&["这个水壶烧水很快而", "且"], "倒水") && !forbidden(&["这个水壶烧水很快而"], "且"));
    }

    proptest! {
        /// What is written piece by piece and never forbidden repeats nothing in the end.
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
