//! Prompt-lookup drafts: what followed the last few tokens the last time that they stood in the text.
//!
//! Texts repeat their prompt (names of items, turns of phrase, the author's own formulas), so the tokens that followed an
//! earlier occurrence are a guess that costs nothing, and the model checks all of them in one call. A guess that fails is
//! dropped: what is written is what plain decoding would write.
//! Source: prompt-lookup decoding (Saxena, 2023), after Leviathan et al., arXiv 2211.17192.

use super::Token;

/// Longest run of tokens that is looked up.
const LONGEST: usize = 4;
/// Shortest: a single token says too little of what follows.
const SHORTEST: usize = 2;

/// Up to `most` tokens that followed the latest earlier occurrence of the longest known end of `text`; empty if there is none.
pub(super) fn lookup(text: &[Token], most: usize) -> &[Token] {
    for length in (SHORTEST..=LONGEST).rev() {
        let Some(begin) = text.len().checked_sub(length).filter(|&b| b > 0) else { continue };
        let end = &text[begin..];
        let earlier = text[..text.len() - 1].windows(length).rposition(|run| run == end);
        if let Some(at) = earlier {
            let next = at + length;
            return &text[next..text.len().min(next + most)];
        }
    }
    &[]
}

/// How many tokens to draft: more while guesses hold, fewer while they fail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    next: usize,
    most: usize,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Self { next: most.div_ceil(2), most }
    }

    pub(super) fn next(self) -> usize {
        self.next
    }

    /// Takes note of how many of the drafted tokens held.
    pub(super) fn judge(&mut self, drafted: usize, held: usize) {
        if drafted == 0 {
            return;
        }
        self.next = if held == drafted { (self.next * 2).min(self.most) } else { held.clamp(1, self.most) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> Vec<Token> {
        text.bytes().map(|b| Token::new(i32::from(b))).collect()
    }

    #[test]
    fn the_longest_end_counts_and_of_equals_the_latest() {
        assert_eq!(lookup(&tokens("abcd1 abcd2 bcd3 abcd"), 2), &tokens("2 ")[..]);
        assert_eq!(lookup(&tokens("xcd1 ycd2 cd"), 9), &tokens("2 cd")[..]);
        assert!(lookup(&tokens("abcdefg"), 4).is_empty());
        assert!(lookup(&tokens("aba"), 4).is_empty());
        assert!(lookup(&[], 4).is_empty());
        assert_eq!(lookup(&tokens("aaaa"), 4), &tokens("a")[..]);
    }

    #[test]
    fn the_pace_follows_success() {
        let mut pace = Pace::new(8);
        pace.judge(4, 4);
        assert_eq!(pace.next(), 8);
        pace.judge(8, 0);
        assert_eq!(pace.next(), 1);
        pace.judge(0, 0);
        assert_eq!(pace.next(), 1);
    }

    proptest! {
        #[test]
        fn a_draft_followed_the_same_tokens_before(text in "[ab]{0,40}", most in 0usize..6) {
            let text = tokens(&text);
            let draft = lookup(&text, most);
            prop_assert!(draft.len() <= most);
            if !draft.is_empty() {
                let end = &text[text.len() - 2..];
                let seen = text.windows(2 + draft.len()).any(|w| &w[..2] == end && &w[2..] == draft);
                prop_assert!(seen);
            }
        }
    }
}
