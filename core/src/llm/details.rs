//! Details of other people's texts that must not be taken: numbers, proper names, links and mail addresses.
//!
//! A number is a run of digits. A proper name is told by its capital letter in mid-sentence, in texts of a language that does not
//! write every noun so. Whatever the request or the person's own texts hold may be written.

use std::collections::HashSet;

use super::no_repeat::Repeated;
use crate::text;

/// Shortest beginning of a name that gives it away.
const NAME_BEGINNING: usize = 3;

/// What must not be written unless the person gave it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Details {
    /// Runs of digits and lower-cased names that only others' texts hold.
    numbers: HashSet<String>,
    names: HashSet<String>,
    /// Runs of digits that the person gave.
    given_numbers: HashSet<String>,
    /// Whether the person gave a link or a mail address.
    given_address: bool,
}

impl Details {
    /// The numbers of `others` and these `names`, without what `given` holds: the request and the person's own texts.
    pub fn new<'t>(
        others: impl IntoIterator<Item = &'t str>,
        names: impl IntoIterator<Item = &'t str>,
        given: &[&str],
    ) -> Self {
        let given_words: HashSet<String> = given.iter().flat_map(|text| text::words(text)).collect();
        let given_numbers: HashSet<String> = given.iter().flat_map(|text| numbers(text)).map(str::to_owned).collect();
        let numbers = others.into_iter().flat_map(numbers).filter(|n| !given_numbers.contains(*n)).map(str::to_owned);
        let names = names.into_iter().filter(|name| !given_words.contains(*name)).map(str::to_owned);
        let given_address = given.iter().any(|text| address(text));
        Self { numbers: numbers.collect(), names: names.collect(), given_numbers, given_address }
    }

    /// Whether it forbids nothing but links and mail addresses.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.names.is_empty()
    }

    /// What a finished text takes, if anything.
    pub(super) fn taken(&self, said: &str) -> Option<Repeated> {
        if !self.given_address && address(said) {
            return Some(Repeated::Address);
        }
        if numbers(said).any(|number| self.numbers.contains(number)) {
            return Some(Repeated::Number);
        }
        text::words(said).any(|word| self.names.contains(&word)).then_some(Repeated::Name)
    }

    /// Whether `piece` behind `written` brings one, or the beginning of one.
    pub(super) fn would_take(&self, written: &str, piece: &str) -> bool {
        if !self.given_address && (piece.contains('@') || address(piece)) {
            return true;
        }
        if piece.ends_with(|c: char| c.is_ascii_digit()) && !self.numbers.is_empty() {
            let number = format!("{}{piece}", trailing(written, |c| c.is_ascii_digit()));
            let number = trailing(&number, |c| c.is_ascii_digit());
            let begins = |set: &HashSet<String>| set.iter().any(|n| n.starts_with(number));
            return begins(&self.numbers) && !begins(&self.given_numbers);
        }
        if self.names.is_empty() || !piece.ends_with(char::is_alphabetic) {
            return false;
        }
        let open = trailing(written, char::is_alphabetic);
        let joined = format!("{open}{piece}");
        let word = trailing(&joined, char::is_alphabetic);
        let lower = word.to_lowercase();
        if self.names.contains(&lower) {
            return true;
        }
        let capital = word.starts_with(char::is_uppercase) && word.chars().count() >= NAME_BEGINNING;
        if !capital || !self.names.iter().any(|name| name.starts_with(&lower)) {
            return false;
        }
        in_mid_sentence(&format!("{}{}", &written[..written.len() - open.len()], &joined[..joined.len() - word.len()]))
    }
}

/// The lower-cased words that `text` writes like proper names: with a capital letter in mid-sentence, if not all of its nouns have
/// one. Words for which `common` holds are none.
pub fn proper_names(text: &str, common: impl Fn(&str) -> bool) -> Vec<String> {
    let inside: Vec<&str> = {
        let within = |(start, _): &(usize, &str)| in_mid_sentence(&text[..*start]);
        text::word_spans(text).filter(within).map(|(_, word)| word).collect()
    };
    let named = |word: &&&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(char::is_uppercase) && letters.next().is_some_and(char::is_lowercase)
    };
    let capitals = inside.iter().filter(named).count();
    // German writes all of its nouns so, and headlines most words.
    if capitals * 6 > inside.len().max(24) {
        return Vec::new();
    }
    inside.iter().filter(named).map(|word| word.to_lowercase()).filter(|word| !common(word)).collect()
}

/// The runs of digits in a text.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty())
}

/// Whether a text has a link or a mail address in it, or the sign of one.
fn address(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let mail = || lower.match_indices('@').any(|(at, _)| !lower[at + 1..].starts_with(' ') && at + 1 < lower.len());
    ["http", "www.", "://", ".com"].iter().any(|sign| lower.contains(sign)) || mail()
}

/// The end of `text` for which all characters are so.
fn trailing(text: &str, is: impl Fn(char) -> bool) -> &str {
    let end = text.char_indices().rev().take_while(|(_, c)| is(*c)).last();
    end.map_or("", |(at, _)| &text[at..])
}

/// Whether what follows `before` does not begin a sentence.
fn in_mid_sentence(before: &str) -> bool {
    let last = before.trim_end().chars().next_back();
    last.is_some_and(|c| c.is_alphanumeric() || matches!(c, ',' | '\'' | '\u{2019}' | ')' | '&' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        proper_names(text, |word| word == "kettle")
    }

    #[test]
    fn names_are_capitals_in_mid_sentence() {
        assert_eq!(
            names("My wife Ingrid loves it. She said so to the man at Orchard Street."),
            ["ingrid", "orchard", "street"]
        );
        assert!(names("It works. Great! The Kettle is fine, and I like IT a lot.").is_empty());
        // Where most nouns are capitals they tell nothing.
        assert!(names("Der Kessel steht auf dem Herd, und die Kanne mit dem Griff ist aus Kupfer.").is_empty());
    }

    #[test]
    fn what_others_alone_hold_is_taken() {
        let others = ["My wife Ingrid bought 12 of them in 2019.", "Call 555 0192."];
        let details = Details::new(others, ["ingrid", "acme"], &["Model 12 by Acme", "I had it in 2021."]);
        assert_eq!(details.taken("Ingrid would like it."), Some(Repeated::Name));
        assert_eq!(details.taken("Bought in 2019."), Some(Repeated::Number));
        assert_eq!(details.taken("Call 555."), Some(Repeated::Number));
        assert_eq!(details.taken("Write to me@example.org"), Some(Repeated::Address));
        assert_eq!(details.taken("See www.example.org"), Some(Repeated::Address));
        assert_eq!(details.taken("The 12 by Acme from 2021 is fine @ home."), None);
        assert_eq!(Details::new([], [], &["me@example.org"]).taken("Write to me@example.org"), None);
    }

    #[test]
    fn tokens_that_begin_a_detail_are_told() {
        let details = Details::new(["Ingrid, 2019, 555"], ["ingrid"], &["20 of them"]);
        assert!(details.would_take("my wife", " Ing") && details.would_take("my wife Ing", "rid"));
        assert!(!details.would_take("my wife", " Ann") && !details.would_take("It is fine.", " In"));
        assert!(!details.would_take("", " Ing") && details.would_take("", " Ingrid"));
        assert!(details.would_take("call", " 5") && !details.would_take("call", " 6"));
        // Twenty may be written, and so the year's beginning may.
        assert!(
            !details.would_take("in ", "20") && details.would_take("in 20", "1") && !details.would_take("in 20", "2")
        );
        assert!(details.would_take("me", "@") && details.would_take("at", " http"));
    }
}
