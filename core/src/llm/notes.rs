//! Guidance by notes: a bonus for the words that a text has to contain.
//!
//! A small model reads the user's notes and writes about something else. The first notes that the
//! text does not contain yet get a bonus on the logits of their first token, and a note that has
//! begun gets one on its next token (lexically constrained decoding, softened: Hokamp and Liu,
//! 2017; Pascual et al., 2021). The phase does not end before it holds the notes, up to a number of
//! tokens.

use super::{Model, Token};
use crate::text;

/// Bonus of the first open notes on their first token, in nats.
const FIRST: [f32; 3] = [2.0, 1.5, 1.0];
/// Bonus on the next token of a note that has begun, in nats.
const NEXT: f32 = 8.0;
/// Tokens that a text may take for each token of its notes, and beyond, before it may end without
/// them.
const TOKENS_PER_NOTE: usize = 3;
const TOKENS_BEYOND: usize = 16;

/// The notes of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Notes {
    notes: Vec<Note>,
}

#[derive(Debug, Clone, PartialEq)]
struct Note {
    /// The word in lower case.
    word: String,
    /// The tokens of the word after a space.
    tokens: Vec<Token>,
}

impl Notes {
    /// Returns the notes of `gist`: its words without stop words. Returns `None` if there are none.
    pub fn new(model: &Model, gist: &str) -> Option<Self> {
        let note = |word: &str| Note { word: word.to_lowercase(), tokens: model.tokens(&format!(" {word}")) };
        let content = |(_, word): &(usize, &str)| !text::is_stopword(&word.to_lowercase());
        let notes: Vec<Note> = text::word_spans(gist).filter(content).map(|(_, word)| note(word)).collect();
        (!notes.is_empty()).then_some(Self { notes })
    }

    /// Returns the notes that `written` does not contain, in order.
    fn open(&self, written: &str) -> Vec<&Note> {
        let words: Vec<String> = text::words(written).collect();
        self.notes.iter().filter(|note| !holds(&words, &note.word)).collect()
    }

    /// Returns whether the phase may end after `written`, of `tokens` tokens.
    pub(super) fn may_end(&self, written: &str, tokens: usize) -> bool {
        let most = self.notes.iter().map(|note| note.tokens.len()).sum::<usize>() * TOKENS_PER_NOTE + TOKENS_BEYOND;
        tokens >= most || stalls(written) || self.open(written).is_empty()
    }

    /// Adds the bonuses to `logits`, after `written` with these tokens.
    pub(super) fn weigh(&self, written: &str, tokens: &[Token], logits: &mut [f32]) {
        let open = self.open(written);
        for note in &open {
            let begun = (1..note.tokens.len()).rev().find(|&n| tokens.ends_with(&note.tokens[..n]));
            if let Some(next) = begun.and_then(|n| note.tokens.get(n)) {
                add(logits, *next, NEXT);
                return;
            }
        }
        for (note, bonus) in open.iter().zip(FIRST) {
            if let Some(first) = note.tokens.first() {
                add(logits, *first, bonus);
            }
        }
    }
}

/// Returns the share of the words of `notes`, without stop words, that `written` contains in some form;
/// 1 if there are none.
pub fn covered(notes: &str, written: &str) -> f64 {
    let words: Vec<String> = text::words(written).collect();
    let notes: Vec<String> = text::words(notes).filter(|word| !text::is_stopword(word)).collect();
    let held = notes.iter().filter(|note| holds(&words, note)).count();
    if notes.is_empty() { 1.0 } else { held as f64 / notes.len() as f64 }
}

/// Whether a note is among the words of a text, in some form.
fn holds(words: &[String], note: &str) -> bool {
    words.iter().any(|word| same(word, note))
}

fn add(logits: &mut [f32], token: Token, bonus: f32) {
    if let Some(logit) = usize::try_from(token.0).ok().and_then(|at| logits.get_mut(at)) {
        *logit += bonus;
    }
}

/// Whether the text ends with the same mark or emoji three times: the model has nothing more to say.
fn stalls(written: &str) -> bool {
    let mut back = written.trim_end().chars().rev();
    back.next().is_some_and(|last| !last.is_alphanumeric() && back.take(2).filter(|c| *c == last).count() == 2)
}

/// Whether two lower-case words are the same but for an ending.
fn same(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let (shorter, longer) = (a.chars().count().min(b.chars().count()), a.chars().count().max(b.chars().count()));
    common >= 4 && common + 1 >= shorter && longer - common <= 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::LoadOptions;

    #[test]
    fn words_are_the_same_but_for_an_ending() {
        for (a, b) in [("parts", "part"), ("needed", "need"), ("calling", "calls"), ("noon", "noon")] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [("in", "inn"), ("contract", "contrary")] {
            assert!(!same(a, b), "{a} {b}");
        }
        // The price: some other words count as an ending.
        assert!(same("part", "party"));
    }

    #[test]
    fn the_share_of_the_notes_in_a_text() {
        assert_eq!(covered("the broken parts, call", "Two parts are broken."), 2.0 / 3.0);
        assert_eq!(covered("it is", "Two parts are broken."), 1.0);
    }

    #[test]
    fn open_notes_get_a_bonus_until_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        assert_eq!(Notes::new(&model, "it is the"), None);
        let notes = Notes::new(&model, "the broken parts").unwrap();
        let first = |n: usize| notes.notes[n].tokens[0].0 as usize;
        let mut logits = vec![0.0; 1 << 16];
        notes.weigh("", &[], &mut logits);
        assert!(logits[first(0)] >= FIRST[0]);
        assert!(!notes.may_end("Some are broken.", 3) && notes.may_end("Two parts are broken.", 3));
        assert!(notes.may_end("", 1000));
        assert!(notes.may_end("Good 😅😅😅", 3) && !notes.may_end("Good 😅😅", 3) && !notes.may_end("Zoooo", 3));
        let mut logits = vec![0.0; 1 << 16];
        notes.weigh("Two parts are broken.", &[], &mut logits);
        assert!(logits.iter().all(|&l| l == 0.0));
        let begun = &notes.notes[0].tokens[..1];
        notes.weigh("Two", begun, &mut logits);
        assert_eq!(logits[notes.notes[0].tokens[1].0 as usize], NEXT);
    }
}
