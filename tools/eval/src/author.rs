//! Author identification: does a text sound like the person it was written for?
//!
//! The text is compared with what its author and 99 others wrote before, by the cosine of character 3- to 5-grams (log tf x idf,
//! lower-cased, white space folded: the usual features of authorship attribution). The measure is the mean reciprocal rank of the
//! true author. A real text of the author tells what to expect (what is typical of the author is found oftener still); the title that
//! was given, which says what the person writes about but nothing of how, is the floor. Against authors of the same category the
//! topic helps less.

use std::{borrow::Cow, collections::HashMap};

use locket::{
    Interaction,
    internals::{
        hash::spread,
        style::{Documents, Grams, Style, cosine, grams},
    },
};
use locket_builder::profile::Profile;

/// How many of a person's latest texts say how they write.
const TEXTS: usize = 8;
/// The others that the true author is ranked among.
const OTHERS: usize = 99;

/// The styles of all people who have written before.
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
    /// Everybody with a history.
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

    /// Number of people with a history.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether nobody has one.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The reciprocal rank of `user` as the author of `text`, among 99 others, or, `alike`, among 99 of whom as many as there are
    /// write in the same category. If `text` stands for the last but `earlier` of the person's texts (0: for the target, which is not
    /// in the history), that one says nothing of how they write. `None` without a history beside it.
    pub fn reciprocal_rank(&self, user: &str, earlier: usize, text: &str, alike: bool) -> Option<f64> {
        let me = *self.place.get(user)?;
        let mine = self.style(me, earlier)?;
        // What no history contains says nothing about whose it is.
        let grams = grams(text).into_iter().filter(|(gram, _)| self.documents.have(*gram));
        let style = self.documents.style(grams.collect());
        let mut others: Vec<usize> = (0..self.people.len()).filter(|&n| n != me).collect();
        // The same others for every text on this person.
        let drawn = |n: usize| spread(&format!("{user}\n{}", self.people[n].user));
        let elsewhere = |n: usize| alike && self.people[n].category != self.people[me].category;
        others.sort_by_cached_key(|&n| (elsewhere(n), drawn(n)));
        others.truncate(OTHERS);
        let mine = cosine(&style, &mine);
        let scores: Vec<f64> = others.iter().map(|&n| cosine(&style, &self.people[n].style)).collect();
        let better = scores.iter().filter(|s| **s > mine).count() as f64;
        let equal = scores.iter().filter(|s| **s == mine).count() as f64;
        // Of equals the middle: a text that says nothing ranks by chance.
        Some(1.0 / (1.0 + better + equal / 2.0))
    }

    /// How one writes, by all but the text last but `earlier`.
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

/// The category that a person writes most about; of equals the first by name.
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
        let interaction =
            |text: &str| Interaction { category: Some(category.into()), ..Interaction::new("item", text) };
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
        // Nothing to go by: the middle of four.
        assert_eq!(rank("a", ""), Some(0.4));
        assert_eq!(rank("nobody", "text"), None);
    }

    /// Else whatever has words in common with the true text would be found.
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
