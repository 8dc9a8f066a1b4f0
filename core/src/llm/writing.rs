//! Text of a phase in progress: the emitted part, and the part held back.
//!
//! Text is held back if it may begin a stop string or a repetition.

use super::{NoRepeat, Token, WordLimit, follower::Follower, request::Stop};
use crate::text;

/// Output of the phase in progress.
#[derive(Default)]
pub(super) struct Writing {
    /// Bytes not emitted yet: an incomplete character, or the possible beginning of a stop string
    /// or a repetition.
    pub(super) held: Vec<u8>,
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
    pub(super) log_prob: f64,
    /// Follower of the no-repeat constraint. The next field is the number of bytes in `held` that
    /// it has received.
    pub(super) follower: Follower,
    pub(super) known: usize,
    /// Number of the text that would have been repeated.
    pub(super) source: Option<usize>,
    /// Number of bytes of the follower's text that precede the phase.
    pub(super) before: usize,
}

impl Writing {
    /// Emits whole characters that cannot become part of a stop string or a repetition. Returns
    /// true if a stop string was found.
    pub(super) fn release(&mut self, stops: &[String], mut emit: impl FnMut(&str)) -> bool {
        let whole = self.whole();
        let text = String::from_utf8_lossy(&self.held[..whole]).into_owned();
        let first = stops.iter().filter_map(|s| text.find(s.as_str())).min();
        let sure = first.unwrap_or_else(|| (text.len() - undecided(&text, stops)).min(self.clear()));
        if sure > 0 {
            emit(&text[..sure]);
            self.text.push_str(&text[..sure]);
            self.held.drain(..sure);
            self.known = self.known.saturating_sub(sure);
        }
        first.is_some()
    }

    /// Returns the text so far, with the part that is held back.
    pub(super) fn so_far(&self) -> String {
        format!("{}{}", self.text, String::from_utf8_lossy(&self.held))
    }

    /// Passes the whole characters in `held` that are new to the follower.
    pub(super) fn follow(&mut self, constraint: &NoRepeat) {
        let whole = self.whole();
        let piece = String::from_utf8_lossy(&self.held[self.known..whole]).into_owned();
        self.follower.push(constraint, &piece);
        self.known = whole;
    }

    /// Returns the number of bytes of `held` that are whole characters.
    pub(super) fn whole(&mut self) -> usize {
        match std::str::from_utf8(&self.held) {
            Ok(s) => s.len(),
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            // Invalid bytes never become a character (a byte-level vocabulary allows them). They
            // are replaced.
            Err(_) => {
                self.held = String::from_utf8_lossy(&self.held).into_owned().into_bytes();
                self.held.len()
            }
        }
    }

    /// Returns the number of bytes in `held` that cannot begin a repetition; `usize::MAX` if the
    /// follower has received none of them.
    pub(super) fn clear(&self) -> usize {
        if self.known == 0 { usize::MAX } else { self.follower.clear().saturating_sub(self.before + self.text.len()) }
    }

    /// Drops the run at the end if `run` is set, else the unit in progress.
    pub(super) fn cut(&mut self, run: bool, constraint: Option<&NoRepeat>) {
        let end = if run { self.follower.clear() } else { self.follower.complete_bytes() };
        self.source = constraint.filter(|_| run).and_then(|constraint| self.follower.source(constraint));
        self.held.truncate(end.saturating_sub(self.before + self.text.len()));
    }

    /// Returns the reason to end the text here, if it has reached a word limit.
    pub(super) fn reaches(&self, limit: WordLimit, before: &str) -> Option<Stop> {
        let written = format!("{before}{}{}", self.text, String::from_utf8_lossy(&self.held));
        let count = text::word_count(&written);
        // A word is complete when the next one begins.
        if count > limit.most {
            return Some(Stop::Length);
        }
        // A line break ends a sentence, too.
        let ends = ['.', '!', '?', '\u{3002}', '\u{ff01}', '\u{ff1f}', text::BREAK];
        let sentence = written.trim_end().ends_with(ends);
        (count >= limit.enough && sentence).then_some(Stop::End)
    }

    pub(super) fn flush(&mut self, stop: Stop, mut emit: impl FnMut(&str)) {
        if stop != Stop::Matched && !self.held.is_empty() {
            let rest = String::from_utf8_lossy(&self.held).into_owned();
            emit(&rest);
            self.text.push_str(&rest);
        }
        self.held.clear();
    }
}

/// Returns the length of the longest suffix of `text` that begins a stop string, in bytes.
fn undecided(text: &str, stops: &[String]) -> usize {
    let longest = stops.iter().map(String::len).max().unwrap_or(0);
    (1..longest.min(text.len() + 1))
        .rev()
        .find(|&n| {
            text.is_char_boundary(text.len() - n) && stops.iter().any(|s| s.starts_with(&text[text.len() - n..]))
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(pieces: &[&[u8]], stops: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let (mut writing, mut out) = (Writing::default(), Vec::new());
        for piece in pieces {
            writing.held.extend_from_slice(piece);
            if writing.release(&stops, |p| out.push(p.to_owned())) {
                return (out, true);
            }
        }
        writing.flush(Stop::End, |p| out.push(p.to_owned()));
        (out, false)
    }

    #[test]
    fn characters_and_stops_across_pieces() {
        assert_eq!(feed(&[b"caf", b"\xc3", b"\xa9!"], &[]), (vec!["caf".into(), "é!".into()], false));
        assert_eq!(feed(&[b"good", b" EN", b"D more"], &["END"]), (vec!["good".into(), " ".into()], true));
        assert_eq!(feed(&[b"EN", b"O"], &["END"]), (vec!["ENO".into()], false));
        assert_eq!(feed(&[b"EN"], &["END"]), (vec!["EN".into()], false));
        assert_eq!(feed(&[b"a\xff\xffb"], &[]), (vec!["a\u{fffd}\u{fffd}b".into()], false));
    }
}
