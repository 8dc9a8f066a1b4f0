//! Line breaks in prompts and outputs.
//!
//! A prompt value is one line, so that no value can forge a line of its own. The texts of kinds
//! with paragraphs keep their line breaks as [`BREAK`], a symbol that the model reads in the user's
//! texts and writes itself.

use super::one_line;

/// The symbol for a line break in prompts and raw outputs. In texts it is dropped.
pub(crate) const BREAK: char = '¶';

/// Returns `text` on one line with the symbol `¶` for each line break, and at most two in a row.
pub fn folded(text: &str) -> String {
    let lines = text.lines().map(|line| one_line(&line.replace(BREAK, " ")));
    let mut out = String::new();
    let mut breaks = 0;
    for line in lines {
        if line.is_empty() {
            breaks += usize::from(!out.is_empty());
            continue;
        }
        if !out.is_empty() {
            (0..(breaks + 1).min(2)).for_each(|_| out.push_str(" ¶"));
            out.push(' ');
        }
        out.push_str(&line);
        breaks = 0;
    }
    out
}

/// Returns the text with line breaks for the symbols `¶` of a raw output.
pub fn unfolded(text: &str) -> String {
    Unfolder::default().push(text).trim().to_owned()
}

/// Replaces [`BREAK`]s in the chunks of a raw output, which may cut one off from the spaces around
/// it.
#[derive(Debug, Default)]
pub(crate) struct Unfolder {
    /// White space and breaks at the end of the output so far.
    held: String,
}

impl Unfolder {
    /// Returns the text to show for the next chunk of a raw output.
    pub(crate) fn push(&mut self, chunk: &str) -> String {
        self.held.push_str(chunk);
        let gap = |c: char| c == BREAK || c.is_whitespace();
        let whole = self.held.trim_end_matches(gap).len();
        let ready: String = self.held.drain(..whole).collect();
        let mut out = String::with_capacity(ready.len());
        let mut rest = ready.as_str();
        while let Some(at) = rest.find(BREAK) {
            out.push_str(rest[..at].trim_end());
            let after = rest[at..].trim_start_matches(gap);
            let breaks = rest[at..rest.len() - after.len()].matches(BREAK).count().min(2);
            (0..breaks).for_each(|_| out.push('\n'));
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAIL: &str = "Hi Ada,\n\nthe parts came.\nAll of them.\n\nBest,\nBen";

    #[test]
    fn line_breaks_survive() {
        assert_eq!(folded(MAIL), "Hi Ada, ¶ ¶ the parts came. ¶ All of them. ¶ ¶ Best, ¶ Ben");
        assert_eq!(unfolded(&folded(MAIL)), MAIL);
        assert_eq!(folded("\n\na\r\n\r\n\r\n\r\nb ¶ c\n"), "a ¶ ¶ b c");
        assert_eq!(unfolded("a¶¶¶¶b ¶"), "a\n\nb");
    }

    proptest! {
        #[test]
        fn chunks_make_the_whole(text in "[ab ¶]{0,40}", cuts in proptest::collection::vec(0usize..40, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|n| (0..=n.min(text.len())).rev().find(|&n| text.is_char_boundary(n)).unwrap_or(0)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut unfolder = Unfolder::default();
            let shown: String = cuts.windows(2).map(|w| unfolder.push(&text[w[0]..w[1]])).collect();
            prop_assert_eq!(shown.trim_start().to_owned(), unfolded(&text).trim_start().to_owned());
        }
    }
}
