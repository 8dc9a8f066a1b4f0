//! Details of other users' texts that generated text must not copy: numbers, proper names, links
//! and mail addresses.
//!
//! A number is a run of digits. A proper name is a word with a capital letter in mid-sentence,
//! unless the text's language capitalizes every noun. Details in the request or in the user's
//! history are allowed.

use std::collections::HashSet;

use crate::text;

/// Kind of text that was repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// A run of words, or of characters of a script without spaces, that reaches the limit of
    /// `NoRepeat::new`.
    Run,
    /// A number.
    Number,
    /// A proper name.
    Name,
    /// A link or a mail address.
    Address,
}

/// Minimum length of a name's beginning, in characters, that is treated as the name.
const NAME_BEGINNING: usize = 3;

/// Details that must not be written unless the request or the user's history holds them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Details {
    /// Runs of digits and lower-cased names that occur only in other users' texts.
    numbers: HashSet<String>,
    names: HashSet<String>,
    /// Runs of digits in the request or the history.
    given_numbers: HashSet<String>,
    /// Whether the request or the history holds a link or a mail address.
    given_address: bool,
}

impl Details {
    /// Collects the numbers of `others` and the names `names`, except those in `given`: the request
    /// and the user's history. `names` are lower-cased.
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

    /// Whether it forbids only links and mail addresses.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.names.is_empty()
    }

    /// Returns the kind of detail that a finished text copies, if any.
    pub(super) fn taken(&self, said: &str) -> Option<Repeated> {
        if !self.given_address && address(said) {
            return Some(Repeated::Address);
        }
        if numbers(said).any(|number| self.numbers.contains(number)) {
            return Some(Repeated::Number);
        }
        text::words(said).any(|word| self.names.contains(&word)).then_some(Repeated::Name)
    }

    /// Whether `piece` after `written` adds a forbidden detail or the beginning of one.
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

/// Returns the lower-cased proper names in `text`: words with a capital letter in mid-sentence.
/// Words for which `common` is true are skipped. Returns none if the text capitalizes too many
/// words, as in languages that capitalize every noun.
pub fn proper_names(text: &str, common: impl Fn(&str) -> bool) -> Vec<String> {
    let inside: Vec<&str> = {
        let within = |(start, _): &(usize, &str)| in_mid_sentence(&text[..*start]);
        text::word_spans(text).filter(within).map(|(_, word)| word).collect()
    };
    let capitals = inside.iter().filter(|word| named(word)).count();
    // German capitalizes all nouns, and headlines capitalize most words.
    if capitals * 6 > inside.len().max(24) {
        return Vec::new();
    }
    inside.iter().filter(|word| named(word)).map(|word| word.to_lowercase()).filter(|word| !common(word)).collect()
}

/// Whether a word begins with one capital letter, as names do.
pub(super) fn named(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_uppercase) && letters.next().is_some_and(char::is_lowercase)
}

/// Returns the details in `text` that none of the `given` texts holds, in their order: numbers,
/// proper names, links and mail addresses.
pub fn unsupported<T: AsRef<str>>(text: &str, given: &[T]) -> Vec<String> {
    let given: Vec<&str> = given.iter().map(AsRef::as_ref).collect();
    let words: HashSet<String> = given.iter().flat_map(|text| text::words(text)).collect();
    let lower: Vec<String> = given.iter().map(|text| text.to_lowercase()).collect();
    let known_numbers: HashSet<&str> = given.iter().flat_map(|text| numbers(text)).collect();
    // A line begins a sentence.
    let names: HashSet<String> =
        text.lines().flat_map(|line| proper_names(line, |word| words.contains(word))).collect();
    let mut found: Vec<String> = Vec::new();
    for token in text.split_whitespace() {
        let token = token.trim_matches(|c: char| c.is_ascii_punctuation() && !matches!(c, '$' | '%'));
        let new = if address(token) {
            !lower.iter().any(|given| given.contains(&token.to_lowercase()))
        } else {
            numbers(token).any(|number| !known_numbers.contains(number))
                || text::words(token).any(|word| names.contains(&word))
        };
        if new && !found.iter().any(|known| known == token) {
            found.push(token.to_owned());
        }
    }
    found
}

/// Returns the runs of digits in a text.
pub(super) fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty())
}

/// Whether a text holds a link, a mail address or a sign of one.
pub(super) fn address(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let mail = || lower.match_indices('@').any(|(at, _)| !lower[at + 1..].starts_with(' ') && at + 1 < lower.len());
    ["http", "www.", "://", ".com"].iter().any(|sign| lower.contains(sign)) || mail()
}

/// Returns the longest suffix of `text` for which `is` holds for every character.
pub(super) fn trailing(text: &str, is: impl Fn(char) -> bool) -> &str {
    let end = text.char_indices().rev().take_while(|(_, c)| is(*c)).last();
    end.map_or("", |(at, _)| &text[at..])
}

/// Whether the text after `before` continues a sentence rather than beginning one.
pub(super) fn in_mid_sentence(before: &str) -> bool {
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
        // Capitals do not mark names where most nouns have them.
        assert!(names("Der Kessel steht auf dem Herd, und die Kanne mit dem Griff ist aus Kupfer.").is_empty());
    }

    #[test]
    fn unsupported_details_are_named() {
        let given = ["Tell Ada that 12 parts came", "See https://parts.example/list, and ask Carl."];
        let text = "Hi Ada, the 12 parts and 3 screws came. Carl and Ingrid know, see https://parts.example/list or \
                    write to ben@mail.example by 5pm.";
        assert_eq!(unsupported(text, &given), ["3", "Ingrid", "ben@mail.example", "5pm"]);
        assert_eq!(unsupported("All parts came, and\n\nYes, Ada knows.", &given), [""; 0]);
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
        // 20 is allowed, so 20 as the beginning of 2019 is too.
        assert!(
            !details.would_take("in ", "20") && details.would_take("in 20", "1") && !details.would_take("in 20", "2")
        );
        assert!(details.would_take("me", "@") && details.would_take("at", " http"));
    }
}
