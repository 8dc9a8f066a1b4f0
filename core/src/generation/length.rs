//! Length control: the requested length, else the user's usual length, else the length of other
//! users' texts.
//!
//! Without control, a small model plans too little, writes less than its plan, and ends its texts
//! early. The grammar fixes the plan's length, and a minimum number of tokens keeps a text from
//! ending early.

use crate::{
    llm::WordLimit,
    plan::Length,
    prompt::{Example, PromptInputs, Resize, Task},
    text,
};

/// Minimum number of tokens per word of the median length. A word has about 1.3 tokens, so a text
/// may have seven tenths of the median length.
const LEAST_TOKENS_PER_WORD: f64 = 0.9;

/// Words of a text for each word of its notes: from the first number on the text ends with its
/// sentence, and the second one bounds it.
const ENOUGH_PER_NOTE: usize = 2;
const MOST_PER_NOTE: usize = 4;

impl PromptInputs {
    /// Returns the length to plan for: the requested one, else the upper median of the usual
    /// lengths. Returns `None` if there is no text to measure, or if the task writes no text.
    pub(crate) fn length(&self) -> Option<Length> {
        let writes = matches!(self.task, Task::Text | Task::Synthetic);
        let usual = || {
            let words = self.lengths();
            words.get(words.len() / 2).map(|&words| Length::of_words(words))
        };
        writes.then(|| self.ask.length.or_else(usual)).flatten()
    }

    /// Returns the minimum number of tokens of a text: from the requested length, else from the
    /// lower median of the usual lengths.
    pub(crate) fn min_new_tokens(&self) -> usize {
        let usual = || {
            let words = self.lengths();
            self.scaled(words.get(words.len().saturating_sub(1) / 2).copied().unwrap_or(0))
        };
        // A text has at least the words of its notes or of most of its draft.
        let draft = self.ask.draft.as_deref().map(|draft| resized(self.ask.resize, text::word_count(draft)).0);
        let given = self.ask.gist.as_deref().map(text::word_count).max(draft);
        let words = self.ask.length.map(Length::least_words).or(given).unwrap_or_else(usual);
        if self.task == Task::Text { (words as f64 * LEAST_TOKENS_PER_WORD) as usize } else { 0 }
    }

    /// Returns the word limit of a text: one and a half times the maximum of a requested length; else
    /// a multiple of the words of its notes.
    pub(crate) fn word_limit(&self) -> Option<WordLimit> {
        if self.task != Task::Text {
            return None;
        }
        if let Some(length) = self.ask.length {
            let enough = length.most_words()?;
            return Some(WordLimit { enough, most: enough * 3 / 2 });
        }
        if let Some(draft) = self.ask.draft.as_deref().filter(|_| !self.kind.rated) {
            let (enough, most) = resized(self.ask.resize, text::word_count(draft));
            return Some(WordLimit { enough, most });
        }
        let notes = self.ask.gist.as_deref().filter(|_| !self.kind.rated)?;
        let words = text::word_count(notes);
        let most = self.scaled(words * MOST_PER_NOTE) + MOST_PER_NOTE;
        Some(WordLimit { enough: self.scaled(words * ENOUGH_PER_NOTE), most })
    }

    /// Returns a number of words in the length that the user gives to drafts.
    fn scaled(&self, words: usize) -> usize {
        (words as f32 * self.length_factor.unwrap_or(1.0)) as usize
    }

    /// Returns the sorted word counts of the user's texts, else of the retrieved texts. Synthetic
    /// texts are ignored.
    fn lengths(&self) -> Vec<usize> {
        let count = |e: &Example| text::word_count(&e.text);
        let mut words: Vec<usize> = self.own().map(count).collect();
        if words.is_empty() {
            words = self.neighbours.iter().map(count).collect();
        }
        words.sort_unstable();
        words
    }
}

/// Returns the number of words from which a rewritten draft of `words` words may end, and its
/// maximum.
fn resized(resize: Resize, words: usize) -> (usize, usize) {
    // A draft of a few words may change by a few words.
    const FEW: usize = 3;
    match resize {
        Resize::Keep => (words * 8 / 10, words * 13 / 10 + FEW),
        Resize::Shorter => (words * 3 / 10, words * 6 / 10 + FEW),
        Resize::Longer => (words * 15 / 10, words * 2 + FEW),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(n: usize) -> Example {
        Example { text: "word ".repeat(n), ..Example::default() }
    }

    fn inputs(task: Task, history: Vec<Example>, neighbours: Vec<Example>) -> PromptInputs {
        PromptInputs { task, reasoning: true, history, neighbours, ..PromptInputs::default() }
    }

    #[test]
    fn plans_are_as_long_as_the_person_writes_else_as_others_do() {
        let mut m = inputs(Task::Text, vec![words(9), words(30), words(200)], vec![words(300)]);
        assert_eq!(m.length(), Some(Length::Short));
        m.history.pop();
        assert_eq!(m.length(), Some(Length::Short));
        m.history.pop();
        assert_eq!(m.length(), Some(Length::Brief));
        m.history.push(Example { synthetic: true, ..words(50) });
        assert_eq!(m.length(), Some(Length::Brief));
        m.history.remove(0);
        m.neighbours = vec![words(60), words(70), words(8)];
        assert_eq!(m.length(), Some(Length::Medium));
        m.task = Task::Synthetic;
        assert_eq!(m.length(), Some(Length::Medium));
        m.task = Task::Title;
        assert_eq!(m.length(), None);
        m = PromptInputs { task: Task::Text, neighbours: Vec::new(), ..m };
        assert_eq!(m.length(), None);
        m.ask.length = Some(Length::Long);
        m.history = vec![words(9)];
        assert_eq!(m.length(), Some(Length::Long));
    }

    #[test]
    fn texts_do_not_end_far_before_the_person_would() {
        let least = |history: &[usize], neighbours: &[usize]| {
            let all = |n: &[usize]| n.iter().map(|&n| words(n)).collect();
            inputs(Task::Text, all(history), all(neighbours)).min_new_tokens()
        };
        assert_eq!(least(&[200, 30, 10], &[500]), 27);
        assert_eq!(least(&[200, 10], &[500]), 9);
        assert_eq!(least(&[], &[20, 40, 60]), 36);
        assert_eq!(least(&[], &[]), 0);
        let mut m = inputs(Task::Text, vec![words(100)], Vec::new());
        m.history[0].synthetic = true;
        assert_eq!(m.min_new_tokens(), 0);
        m.ask.length = Some(Length::Medium);
        assert_eq!(m.min_new_tokens(), 36);
        for task in [Task::Title, Task::Rating, Task::Synthetic] {
            m.task = task;
            assert_eq!(m.min_new_tokens(), 0, "{task:?}");
        }
    }
}
