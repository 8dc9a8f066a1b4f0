//! The language of a prompt: its labels, and the names of the kinds.
//!
//! A small model writes in the language of its prompt. The labels of German texts are therefore
//! German. Reviews keep English labels, which the shipped adapter was trained on.

use super::words::{DUTCH, ENGLISH, FRENCH, GERMAN, ITALIAN, POLISH, PORTUGUESE, SPANISH, Words};
use crate::history::{Kind, capitalised};

/// Minimum number of letters that a language is detected in.
const LETTERS: usize = 12;

/// A language with its own labels. Other languages get the English ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, and the default.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Portuguese.
    Portuguese,
    /// Italian.
    Italian,
    /// Dutch.
    Dutch,
    /// Polish.
    Polish,
}

impl Language {
    /// Returns the language of a text, if it is long enough to tell and has labels here.
    pub fn of(text: &str) -> Option<Self> {
        use whatlang::Lang;
        if text.chars().filter(|c| c.is_alphabetic()).count() < LETTERS {
            return None;
        }
        let found = whatlang::detect(text).filter(whatlang::Info::is_reliable)?;
        Some(match found.lang() {
            Lang::Eng => Self::English,
            Lang::Deu => Self::German,
            Lang::Fra => Self::French,
            Lang::Spa => Self::Spanish,
            Lang::Por => Self::Portuguese,
            Lang::Ita => Self::Italian,
            Lang::Nld => Self::Dutch,
            Lang::Pol => Self::Polish,
            _ => return None,
        })
    }

    /// Returns the language of the message answered, else of the user's texts, oldest first. A title
    /// does not decide it.
    pub fn of_request<'t>(context: Option<&str>, own: impl DoubleEndedIterator<Item = &'t str>) -> Self {
        /// Number of the latest texts that decide together.
        const LATEST: usize = 8;
        let joined = || own.rev().take(LATEST).collect::<Vec<_>>().join("\n");
        context.and_then(Self::of).or_else(|| Self::of(&joined())).unwrap_or_default()
    }

    /// Returns the words of a prompt for texts of this kind. Ratings go with English labels.
    pub(crate) fn words(self, kind: &Kind) -> &'static Words {
        if kind.rated {
            return &ENGLISH;
        }
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
            Self::French => &FRENCH,
            Self::Spanish => &SPANISH,
            Self::Portuguese => &PORTUGUESE,
            Self::Italian => &ITALIAN,
            Self::Dutch => &DUTCH,
            Self::Polish => &POLISH,
        }
    }

    /// Returns a shipped kind with its names and labels in this language. An app's own kind keeps
    /// the app's words.
    pub(crate) fn localize(self, kind: &Kind) -> Kind {
        let words = self.words(kind);
        if Kind::named(&kind.name).as_ref() != Some(kind) || words.translations.is_empty() {
            return kind.clone();
        }
        let translated = |word: &str| {
            let found = words.translations.iter().find(|(english, _)| *english == word);
            found.map_or_else(|| word.to_owned(), |(_, other)| (*other).to_owned())
        };
        let mut local = kind.clone();
        local.one = translated(&kind.one);
        local.many = translated(&kind.many);
        local.label = capitalised(&local.one);
        local.title = kind.title.as_deref().map(translated);
        local.context = translated(&kind.context);
        local
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&Words; 7] = [&GERMAN, &FRENCH, &SPANISH, &PORTUGUESE, &ITALIAN, &DUTCH, &POLISH];

    #[test]
    fn every_language_has_every_word() {
        for name in Kind::ALL.into_iter().filter(|name| *name != "review") {
            let kind = Kind::named(name).unwrap();
            for words in ALL {
                for word in [Some(&kind.one), Some(&kind.many), kind.title.as_ref(), Some(&kind.context)] {
                    let Some(word) = word else { continue };
                    assert!(words.translations.iter().any(|(english, _)| english == word), "{} {word}", words.notes);
                }
            }
        }
        let mail = Kind::named("email").unwrap();
        for words in ALL {
            assert!(words.labels(&mail).any(|label| words.next.ends_with(&format!(" {label}"))));
        }
    }

    #[test]
    fn the_message_decides_then_the_users_texts() {
        let german = "Kommst du morgen zur Probe? Wir brauchen noch jemanden am Klavier.";
        let english = "Are you coming to the rehearsal tomorrow? We still need somebody at the piano.";
        assert_eq!(Language::of(german), Some(Language::German));
        assert_eq!(Language::of_request(Some(german), [english].into_iter()), Language::German);
        assert_eq!(Language::of_request(Some("ok?"), [german].into_iter()), Language::German);
        assert_eq!(Language::of_request(None, [german, english, english, english].into_iter()), Language::English);
        assert_eq!(Language::of_request(None, std::iter::empty()), Language::English);
    }

    #[test]
    fn shipped_kinds_are_translated_and_an_apps_own_kind_is_not() {
        let mail = Language::German.localize(&Kind::named("email").unwrap());
        assert_eq!((mail.label.as_str(), mail.title.as_deref()), ("E-Mail", Some("Betreff")));
        let toast = Kind::new("toast", "wedding toast", "wedding toasts");
        assert_eq!(Language::German.localize(&toast), toast);
        assert_eq!(Language::German.localize(&Kind::review()), Kind::review());
    }
}
