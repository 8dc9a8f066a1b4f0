//! Author identification: whether a text resembles its user's earlier texts.
//!
//! The text is compared with the earlier texts of its author and 99 others. The features are
//! character 3- to 5-grams (log tf x idf, lower-cased, white space folded: the usual features of
//! authorship attribution), compared by cosine. The measure is the mean reciprocal rank of the true
//! author.
//!
//! The author's own true text gives the expected value (text typical of the author ranks higher
//! still). The given title, which reveals the topic but not the style, is the floor. Against
//! authors of the same category the topic helps less.

use std::{borrow::Cow, collections::HashMap};

use locket::{
    Interaction,
    internals::{
        hash::spread,
        style::{Documents, Grams, Style, cosine, grams},
    },
};
use locket_builder::profile::Profile;

use super::stats::reciprocal_rank;

/// Number of a user's latest texts that define the style.
const TEXTS: usize = 8;
/// Number of other authors in a ranking.
const OTHERS: usize = 99;

/// The styles of all users with history.
pub struct Authors {
    documents: Documents,
    people: Vec<Author>,
    place: HashMap<String, usize>,
}

struct Author {
    user: String,
    category: String,
    style: Style,
    history: Vec<String>,
}

impl Authors {
    /// Collects all users with history.
    pub fn new<'p>(profiles: impl IntoIterator<Item = &'p Profile>) -> Self {
        let with_history: Vec<&Profile> = profiles.into_iter().filter(|p| !p.history.is_empty()).collect();
        let counts: Vec<Grams> =
            with_history.iter().map(|p| grams(&latest(p.history.iter().map(|i| i.text.as_str())))).collect();
        let documents = Documents::of(&counts);
        let author = |(p, counts): (&&Profile, Grams)| Author {
            user: p.user.clone(),
            category: common_category(&p.history),
            style: documents.style(counts),
            history: p.history.iter().map(|i| i.text.clone()).collect(),
        };
        let people: Vec<Author> = with_history.iter().zip(counts).map(author).collect();
        let place = people.iter().enumerate().map(|(n, a)| (a.user.clone(), n)).collect();
        Self { documents, people, place }
    }

    /// Number of users with history.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether no user has a history.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Returns the reciprocal rank of `user` as the author of `text`, among 99 others. With
    /// `alike`, authors of the same category come first among the 99.
    ///
    /// `earlier` is the number of later texts of the user: 0 for the target, which is not in the
    /// history. If `text` stands for a text in the history, that text is excluded from the user's
    /// style. Returns `None` if the user has no history, or no other text in it.
    pub fn reciprocal_rank(&self, user: &str, earlier: usize, text: &str, alike: bool) -> Option<f64> {
        let me = *self.place.get(user)?;
        let mine = self.style(me, earlier)?;
        // N-grams outside all histories carry no information about the author.
        let grams = grams(text).into_iter().filter(|(gram, _)| self.documents.have(*gram));
        let style = self.documents.style(grams.collect());
        let mut others: Vec<usize> = (0..self.people.len()).filter(|&n| n != me).collect();
        // The same others for every text of this user.
        let drawn = |n: usize| spread(&format!("{user}\n{}", self.people[n].user));
        let elsewhere = |n: usize| alike && self.people[n].category != self.people[me].category;
        others.sort_by_cached_key(|&n| (elsewhere(n), drawn(n)));
        others.truncate(OTHERS);
        let mine = cosine(&style, &mine);
        let scores: Vec<f64> = others.iter().map(|&n| cosine(&style, &self.people[n].style)).collect();
        Some(reciprocal_rank(mine, &scores))
    }

    /// Returns a user's style, without the text that has `earlier` later texts.
    fn style(&self, person: usize, earlier: usize) -> Option<Cow<'_, Style>> {
        let Author { history, style, .. } = &self.people[person];
        if earlier == 0 {
            return Some(Cow::Borrowed(style));
        }
        let place = history.len().checked_sub(earlier)?;
        let rest = (0..history.len()).filter(|n| *n != place).map(|n| history[n].as_str());
        (history.len() > 1).then(|| Cow::Owned(self.documents.style(grams(&latest(rest)))))
    }
}

fn latest<'t>(history: impl DoubleEndedIterator<Item = &'t str>) -> String {
    let mut texts: Vec<&str> = history.rev().take(TEXTS).collect();
    texts.reverse();
    texts.join(" ")
}

/// The most frequent category of a user; ties go to the first by name.
fn common_category(history: &[Interaction]) -> String {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    history.iter().filter_map(|i| i.category.as_deref()).for_each(|c| *counts.entry(c).or_default() += 1);
    let most = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
    most.map(|m| m.0.to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(user: &str, category: &str, text: &str) -> Profile {
        let interaction = |text: &str| Interaction::new("item", text).with_category(category);
        Profile { user: user.into(), history: vec![interaction(text)], target: interaction(text) }
    }

    #[test]
    fn authors_are_known_by_how_they_write() {
        let people = [
            person("a", "tea", "OMG!!! sooo good, love love love it!!!"),
            person("b", "tea", "The item arrived on time; it performs as described."),
            person("c", "tea", "meh. its ok i guess. whatever"),
            person("d", "mugs", "Dear reader, allow me to elaborate upon this vessel."),
        ];
        let authors = Authors::new(&people);
        let rank = |user, text| authors.reciprocal_rank(user, 0, text, false);
        assert_eq!(rank("a", "OMG this is sooo good!!!"), Some(1.0));
        assert_eq!(rank("b", "The parcel arrived on time; works as described."), Some(1.0));
        assert_eq!(authors.reciprocal_rank("c", 0, "its ok, whatever", true), Some(1.0));
        assert!(rank("a", "The item arrived on time").unwrap() < 1.0);
        // No information: the middle of four.
        assert_eq!(rank("a", ""), Some(0.4));
        assert_eq!(rank("nobody", "text"), None);
    }

    /// Otherwise any text with words in common with the true text would match.
    #[test]
    fn a_text_does_not_tell_of_its_own_author() {
        let mut people: Vec<Profile> = ["OMG!!! sooo good", "it performs as described", "meh. whatever"]
            .iter()
            .enumerate()
            .map(|(n, text)| person(&n.to_string(), "tea", text))
            .collect();
        let unlike = Interaction::new("item", "Dear reader, allow me to elaborate upon this vessel.");
        people[0].history.insert(0, unlike.clone());
        let authors = Authors::new(&people);
        let rank = |user, earlier| authors.reciprocal_rank(user, earlier, &unlike.text, false).unwrap_or_default();
        assert_eq!((rank("0", 0), rank("0", 1)), (1.0, 1.0), "it is in the history");
        assert!(rank("0", 2) < 1.0, "it is the one that was to be written");
        assert_eq!((rank("0", 3), rank("1", 1)), (0.0, 0.0), "there is no such text, or none beside it");
    }
}
