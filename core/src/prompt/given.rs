//! The texts that a detail of the output may come from.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{Example, PromptInputs};
use crate::text;

impl PromptInputs {
    /// Returns the texts that support a detail in the output: the request, and the user's own texts,
    /// to the same recipient if the request names one. A review tells of one item. Of the user's
    /// texts on other items it takes only the words and numbers that two of them share.
    #[doc(hidden)]
    pub fn given(&self) -> Vec<Cow<'_, str>> {
        let mut given: Vec<Cow<'_, str>> = self.request_texts().map(Cow::Borrowed).collect();
        if self.kind.rated {
            given.push(Cow::Owned(self.shared_words()));
        } else {
            let to_same = |e: &&Example| self.ask.audience.is_none() || e.audience == self.ask.audience;
            let own = self.own().filter(to_same).flat_map(|e| [e.title.as_deref(), Some(e.text.as_str())]);
            given.extend(own.flatten().map(Cow::Borrowed));
        }
        given
    }

    /// Returns all given texts, the user's own and other users', which show how the language writes
    /// names.
    pub(crate) fn seen(&self) -> Vec<&str> {
        let shown = self.own().chain(&self.neighbours).map(|e| e.text.as_str());
        self.request_texts().chain(shown).collect()
    }

    /// Returns the texts of the request, with greeting and sign-off.
    fn request_texts(&self) -> impl Iterator<Item = &str> {
        let ask = &self.ask;
        let asked = [&ask.item_title, &ask.title, &ask.text, &ask.context, &ask.gist, &ask.draft];
        let points = ask.plan.iter().flat_map(|plan| &plan.points).map(String::as_str);
        asked
            .into_iter()
            .filter_map(Option::as_deref)
            .chain(points)
            .chain([self.opening.as_str(), self.closing.as_str()])
    }

    /// Returns the words that stand in at least two of the user's texts.
    fn shared_words(&self) -> String {
        let mut texts: HashMap<String, usize> = HashMap::new();
        for example in self.own() {
            let distinct: HashSet<String> = text::words(&example.text).collect();
            distinct.into_iter().for_each(|word| *texts.entry(word).or_default() += 1);
        }
        let shared = texts.into_iter().filter(|(_, texts)| *texts > 1);
        shared.map(|(word, _)| word).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{history::Kind, prompt::Ask};

    #[test]
    fn a_review_takes_from_other_reviews_what_two_of_them_share() {
        let own = |text: &str| Example { text: text.into(), ..Example::default() };
        let ask = Ask { item_title: Some("Blue teapot".into()), ..Ask::default() };
        let history = ["In Basel Ada showed me 2 pots.", "Another pot from Basel for 30 francs."].map(own).to_vec();
        let mut inputs = PromptInputs { kind: Kind::review(), ask, history, ..PromptInputs::default() };
        let holds = |inputs: &PromptInputs, word: &str| {
            inputs.given().iter().any(|text| text::words(text).any(|given| given == word))
        };
        let words = ["blue", "basel", "ada", "2", "30"];
        assert_eq!(words.map(|word| holds(&inputs, word)), [true, true, false, false, false]);
        inputs.kind = Kind::named("reply").unwrap();
        assert_eq!(words.map(|word| holds(&inputs, word)), [true; 5]);
    }
}
