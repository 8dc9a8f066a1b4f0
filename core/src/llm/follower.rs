//! Incremental matching of generated text against the texts it must not repeat.
//!
//! It also finds the tokens that would complete a repetition.

use std::collections::HashSet;

use super::details::Repeated;
use super::no_repeat::{BETWEEN, FOLLOWED, NoRepeat, Run, WORD, alike, spans};
use crate::text;

/// Position of a text in progress within the constraint's texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Follower {
    pub(super) text: String,
    /// Byte up to which all units are complete and part of `runs`.
    done: usize,
    /// Byte at which each complete unit begins.
    starts: Vec<usize>,
    runs: Vec<Run>,
    /// Numbers of the texts that a run has followed to within one word of a repetition.
    followed: HashSet<u32>,
    /// Whether the text repeats a run.
    pub(super) repeats: bool,
}

/// Repetitions that the next token could complete, computed once for all candidates.
pub(super) struct Risks<'a> {
    constraint: &'a NoRepeat,
    follower: &'a Follower,
    /// Words that would complete a repetition as the unit in progress. The next fields hold the
    /// runs after that unit, and the words that would complete a repetition after it.
    within: Vec<u32>,
    after: Vec<Run>,
    after_ids: Vec<u32>,
    /// The incomplete unit at the end, lower-cased; empty if there is none.
    open: String,
}

impl Follower {
    /// Appends `piece` and updates the runs with every unit that it completes.
    pub(super) fn push(&mut self, constraint: &NoRepeat, piece: &str) {
        self.text.push_str(piece);
        let tail = self.text[self.done..].to_owned();
        for (start, unit) in spans(&tail) {
            let end = start + unit.len();
            // A run of Katakana is one word and may continue.
            let character =
                unit.starts_with(text::is_unspaced) && !unit.ends_with(|c| ('\u{30a1}'..='\u{30ff}').contains(&c));
            if end == tail.len() && !character {
                break;
            }
            self.complete(constraint, &unit.to_lowercase());
            let offset = self.text.len() - tail.len();
            self.starts.push(offset + start);
            self.done = offset + end;
        }
    }

    fn complete(&mut self, constraint: &NoRepeat, word: &str) {
        self.runs = constraint.extended(&self.runs, word);
        for run in &self.runs {
            let text = constraint.texts[run.place as usize];
            if run.weight >= self.limit(constraint, text) && !constraint.granted.contains(&run.place) {
                self.repeats = true;
            }
        }
        let nearly = self.runs.iter().filter(|run| run.weight + WORD >= constraint.limit);
        let nearly: Vec<u32> = nearly.map(|run| constraint.texts[run.place as usize]).collect();
        self.followed.extend(nearly);
    }

    /// Returns the number of bytes before anything that may begin a repetition: the longest run and
    /// the text after it.
    pub(super) fn clear(&self) -> usize {
        let units = self.runs.iter().map(|run| run.units).max().unwrap_or(0);
        let end = if units == 0 { self.done } else { self.starts[self.starts.len() - units] };
        self.text[..end].trim_end().len()
    }

    /// Returns the number of bytes before the unit in progress.
    pub(super) fn complete_bytes(&self) -> usize {
        self.text[..self.done].trim_end().len()
    }

    /// Returns the number of the text that holds the longest run, counted in the order of
    /// [`NoRepeat::add`].
    pub(super) fn source(&self, constraint: &NoRepeat) -> Option<usize> {
        let longest = self.runs.iter().max_by_key(|run| run.weight)?;
        constraint.texts.get(longest.place as usize).map(|&number| number as usize)
    }

    fn limit(&self, constraint: &NoRepeat, text: u32) -> u16 {
        if self.followed.contains(&text) { FOLLOWED.min(constraint.limit) } else { constraint.limit }
    }

    /// Returns the repetitions that the next token must not complete.
    pub(super) fn risks<'a>(&'a self, constraint: &'a NoRepeat) -> Risks<'a> {
        let tail = &self.text[self.done..];
        let open = spans(tail).last().filter(|(start, unit)| start + unit.len() == tail.len());
        let open = open.map(|(_, unit)| unit.to_lowercase()).unwrap_or_default();
        let after = if open.is_empty() { self.runs.clone() } else { constraint.extended(&self.runs, &open) };
        let within = if open.is_empty() { Vec::new() } else { self.ends(constraint, &self.runs) };
        let after_ids = self.ends(constraint, &after);
        Risks { constraint, follower: self, within, after, after_ids, open }
    }

    /// Returns the numbers of the words that would complete a repetition after `runs`.
    fn ends(&self, constraint: &NoRepeat, runs: &[Run]) -> Vec<u32> {
        let end = |run: &Run| {
            let next = run.place + 1;
            let id = constraint.units.get(next as usize).copied().filter(|&id| id != BETWEEN)?;
            let limit = self.limit(constraint, constraint.texts[next as usize]);
            let ends = run.weight + constraint.weight(id) >= limit && !constraint.granted.contains(&next);
            ends.then_some(id)
        };
        let mut ids: Vec<u32> = runs.iter().filter_map(end).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl NoRepeat {
    /// Returns the kind of repetition in a finished text, if any.
    pub fn repeated(&self, text: &str) -> Option<Repeated> {
        let mut follower = Follower::default();
        follower.push(self, text);
        follower.push(self, "\n");
        if follower.repeats { Some(Repeated::Run) } else { self.details.taken(text) }
    }
}

impl Risks<'_> {
    /// Whether a token with the text `piece` would complete a repetition or add a forbidden detail.
    pub(super) fn forbid(&self, piece: &str) -> bool {
        self.repeats(piece) || self.constraint.details.would_take(&self.follower.text, piece)
    }

    /// Whether a token with the text `piece` would complete a repetition.
    pub(super) fn repeats(&self, piece: &str) -> bool {
        let nothing_near = self.within.is_empty() && self.after_ids.is_empty();
        if piece.is_empty() || nothing_near && spans(piece).nth(1).is_none() {
            return false;
        }
        let joined = format!("{}{piece}", self.open);
        let mut units = spans(&joined).map(|(start, unit)| (start + unit.len() == joined.len(), unit.to_lowercase()));
        // The first unit begins in this token, or it is the open unit, continued or ended by this
        // token.
        let Some(first) = units.next() else { return false };
        let same = !self.open.is_empty() && first.1 == self.open && !first.0;
        let rest: Vec<(bool, String)> = units.collect();
        if !self.open.is_empty() && !same {
            if self.completes(&self.within, &first) {
                return true;
            }
            let runs = self.constraint.extended(&self.follower.runs, &first.1);
            return self.any_completes(runs, &rest);
        }
        let new: Vec<(bool, String)> = if same { rest } else { std::iter::once(first).chain(rest).collect() };
        match new.as_slice() {
            [] => false,
            [one] => self.completes(&self.after_ids, one),
            several => self.any_completes(self.after.clone(), several),
        }
    }

    /// Whether one of several consecutive units after `runs` completes a repetition.
    fn any_completes(&self, mut runs: Vec<Run>, units: &[(bool, String)]) -> bool {
        units.iter().any(|unit| {
            let completes = self.completes(&self.follower.ends(self.constraint, &runs), unit);
            runs = self.constraint.extended(&runs, &unit.1);
            completes
        })
    }

    /// Whether a unit equals one of these words. If it is the `last` of its token, it may continue,
    /// so the beginning of a word counts too.
    fn completes(&self, ids: &[u32], (last, unit): &(bool, String)) -> bool {
        ids.iter().any(|&id| {
            let word = &self.constraint.words[id as usize];
            alike(word, unit) || *last && word.starts_with(unit.as_str())
        })
    }
}
