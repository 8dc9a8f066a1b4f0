//! The share of copied text: a model that repeats a user's own sentences matches the style without
//! new content.

use std::collections::{HashMap, HashSet};

use locket::{Interaction, internals::hash::hash};
use locket_builder::profile::Profile;

/// Number of words in a run; longer runs are rarely shared by chance.
const RUN: usize = 8;

/// Authors of runs of words.
pub(super) struct Copying {
    /// Hash of the only author of each run; `None` for several authors.
    by: HashMap<u64, Option<u64>>,
}

/// Counts of the word runs of one text: all, and copied ones.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    all: usize,
    own: usize,
    /// Number of runs in other users' texts.
    pub(super) others: usize,
}

fn runs(said: &str) -> Vec<u64> {
    crate::runs::runs(said, RUN)
}

impl Copying {
    pub(super) fn new(people: &[Profile]) -> Self {
        let mut by: HashMap<u64, Option<u64>> = HashMap::new();
        for person in people {
            let author = hash(&person.user);
            let all = person.interactions().flat_map(|(i, _)| runs(&i.text));
            all.for_each(|run| {
                let first = by.entry(run).or_insert(Some(author));
                *first = first.filter(|first| *first == author);
            });
        }
        Self { by }
    }

    /// Counts the runs of `said` in the user's history, and in other users' texts.
    pub(super) fn of(&self, user: &str, history: &[Interaction], said: &str) -> Copied {
        let own: HashSet<u64> = history.iter().flat_map(|i| runs(&i.text)).collect();
        let (author, runs) = (hash(user), runs(said));
        let others = |run: &&u64| self.by.get(run).is_some_and(|by| *by != Some(author));
        Copied {
            all: runs.len(),
            own: runs.iter().filter(|run| own.contains(run)).count(),
            others: runs.iter().filter(others).count(),
        }
    }
}

/// Returns the shares of all runs that are in the user's history, and in other users' texts.
pub(super) fn parts(of: impl Iterator<Item = Copied>) -> (f64, f64) {
    let sum = of.fold(Copied::default(), |a, b| Copied {
        all: a.all + b.all,
        own: a.own + b.own,
        others: a.others + b.others,
    });
    let part = |n: usize| n as f64 / sum.all.max(1) as f64;
    (part(sum.own), part(sum.others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_eight_words_are_told_apart_by_who_wrote_them() {
        let said = |text: &str| Interaction::new("item", text);
        let person = |user: &str, texts: &[&str]| {
            let mut history: Vec<Interaction> = texts.iter().map(|t| said(t)).collect();
            let target = history.pop().unwrap();
            Profile { user: user.into(), history, target }
        };
        let (mine, everyones) = ("one two three four five six seven eight", "a b c d e f g h i");
        let people = [
            person("me", &[mine, everyones, "I had not yet written this long sentence then"]),
            person("you", &[everyones, "nine ten eleven twelve and so on we count"]),
        ];
        let copying = Copying::new(&people);
        let of = |text: &str| copying.of("me", &people[0].history, text);
        assert_eq!(of("ONE two, three four five six seven eight!"), Copied { all: 1, own: 1, others: 0 });
        // Two runs, both in the texts of both users.
        assert_eq!(of(everyones), Copied { all: 2, own: 2, others: 2 });
        assert_eq!(of(&people[1].target.text), Copied { all: 2, own: 0, others: 2 });
        assert_eq!(of(&people[0].target.text), Copied { all: 2, own: 0, others: 0 }, "it is no copy of itself");
        assert_eq!(of("seven words in a row are few"), Copied::default());
        let (own, others) =
            parts([mine, everyones, "and eight words that nobody has ever written"].map(of).into_iter());
        assert_eq!((own, others), (3.0 / 4.0, 2.0 / 4.0));
        assert_eq!(parts(std::iter::empty()), (0.0, 0.0));
    }
}
