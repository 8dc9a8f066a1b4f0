//! Kinds of writing: reviews, replies, e-mails and others, as data.

use serde::{Deserialize, Serialize};

use crate::setters::setters;

/// A kind of writing: its names, and the fields that a prompt shows.
///
/// The kinds that Locket ships are [`Kind::ALL`]. An app defines its own with [`Kind::new`]:
///
/// ```
/// use locket::Kind;
///
/// let toast = Kind::new("toast", "wedding toast", "wedding toasts").with_title("Couple").with_paragraphs(true);
/// assert_eq!(toast.label, "Wedding toast");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Kind {
    /// The name that records, requests and profiles carry, such as `email`.
    pub name: String,
    /// One text of this kind, in the middle of a sentence, such as `e-mail`.
    pub one: String,
    /// Several texts of this kind, such as `e-mails`.
    pub many: String,
    /// Label of the text in a prompt, such as `E-mail`.
    pub label: String,
    /// Label of the item's name. `None` if texts of this kind are not about items.
    pub item: Option<String>,
    /// Label of the title. `None` if texts of this kind have no title.
    pub title: Option<String>,
    /// Label of the text that is answered.
    pub context: String,
    /// Whether line breaks belong to the text.
    pub paragraphs: bool,
    /// Whether texts carry a rating and plans for it.
    pub rated: bool,
    /// Maximum length of an earlier text in a prompt, in words.
    pub excerpt_words: usize,
    /// Default limit of a new text, in tokens.
    pub max_new_tokens: usize,
}

setters!(Kind {
    with_label => label: String,
    #[into] with_item => item: String,
    #[into] with_title => title: String,
    with_context => context: String,
    with_paragraphs => paragraphs: bool,
    with_excerpt_words => excerpt_words: usize,
    with_max_new_tokens => max_new_tokens: usize,
});

/// Name, singular, plural, title, context, paragraphs, excerpt in words, limit in tokens.
type Row = (&'static str, &'static str, &'static str, Option<&'static str>, &'static str, bool, usize, usize);

/// The shipped kinds but the review.
const ROWS: [Row; 7] = [
    ("reply", "reply", "replies", None, "Message", true, 60, 120),
    ("email", "e-mail", "e-mails", Some("Subject"), "Message", true, 120, 400),
    ("note", "note", "notes", Some("Title"), "Source", true, 100, 400),
    ("post", "post", "posts", Some("Topic"), "Message", true, 80, 240),
    ("caption", "caption", "captions", None, "Picture", false, 40, 80),
    ("headline", "headline", "headlines", None, "Article", false, 30, 40),
    ("answer", "answer", "answers", Some("Topic"), "Question", true, 100, 300),
];

impl Kind {
    /// Names of the shipped kinds.
    pub const ALL: [&str; 8] = ["review", "reply", "email", "note", "post", "caption", "headline", "answer"];

    /// Creates a kind with the app's words for one text and for several. Its texts are on one line
    /// and have no item and no title.
    pub fn new(name: impl Into<String>, one: impl Into<String>, many: impl Into<String>) -> Self {
        let one = one.into();
        Self {
            name: name.into(),
            label: capitalised(&one),
            one,
            many: many.into(),
            item: None,
            title: None,
            context: "Message".into(),
            paragraphs: false,
            rated: false,
            excerpt_words: 60,
            max_new_tokens: 160,
        }
    }

    /// Returns the review: a text about an item, with title and rating.
    pub fn review() -> Self {
        Self { rated: true, ..Self::new("review", "review", "reviews").with_item("Item").with_title("Title") }
    }

    /// Returns the shipped kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        if name == "review" {
            return Some(Self::review());
        }
        let &(name, one, many, title, context, paragraphs, words, tokens) = ROWS.iter().find(|row| row.0 == name)?;
        let mut kind = Self::new(name, one, many)
            .with_context(context.into())
            .with_paragraphs(paragraphs)
            .with_excerpt_words(words)
            .with_max_new_tokens(tokens);
        kind.title = title.map(str::to_owned);
        Some(kind)
    }
}

impl Default for Kind {
    fn default() -> Self {
        Self::review()
    }
}

/// Returns `word` with its first letter in upper case.
pub(crate) fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_kind_has_its_row() {
        for name in Kind::ALL {
            let kind = Kind::named(name).unwrap();
            assert_eq!(kind.name, name);
            assert!(kind.label.starts_with(|c: char| c.is_uppercase()), "{kind:?}");
        }
        assert!(ROWS.iter().all(|row| Kind::ALL.contains(&row.0)));
        assert_eq!(Kind::named("telegram"), None);
        assert_eq!(Kind::default(), Kind::named("review").unwrap());
        assert_eq!(Kind::named("email").unwrap().label, "E-mail");
    }
}
