//! The result of an import.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::text::ImportedText;

/// The reason why a message is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Skipped {
    /// Somebody else wrote it.
    NotMine,
    /// It has fewer than two words.
    TooShort,
    /// It has more than 2,000 words.
    TooLong,
    /// It has more than 32 MiB, or a note more than 1 MiB.
    TooLarge,
    /// It has no text: a picture, a call, a line of the program.
    NoText,
    /// A program wrote or spread it: an automatic answer, a mailing list, an invitation.
    Automatic,
    /// It passes on a text by somebody else, without words of the user.
    Forwarded,
    /// The same text with the same title was there before.
    Duplicate,
    /// An option excludes its recipient, its folder or one of its words.
    Excluded,
    /// It is older than the option `since`.
    Older,
    /// There are enough newer texts: option `latest`.
    BeyondLatest,
    /// It cannot be read.
    Malformed,
}

impl Skipped {
    /// Returns the reason in plain words, after a number: "3 by somebody else".
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotMine => "by somebody else",
            Self::TooShort => "with fewer than two words",
            Self::TooLong => "with more than 2,000 words",
            Self::TooLarge => "too large",
            Self::NoText => "without text",
            Self::Automatic => "automatic",
            Self::Forwarded => "forwarded without own words",
            Self::Duplicate => "there twice",
            Self::Excluded => "excluded",
            Self::Older => "older than wanted",
            Self::BeyondLatest => "beyond the newest",
            Self::Malformed => "malformed",
        }
    }
}

/// The result of an import or of its preview.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Number of texts that were added; of a preview, that would be added.
    pub taken: usize,
    /// Number of texts that the store already held. They were not added again.
    pub known: usize,
    /// Number of skipped messages by reason.
    pub skipped: BTreeMap<Skipped, u64>,
    /// Number of messages.
    pub messages: u64,
    /// Number of bytes of the files.
    pub bytes: u64,
    /// The addresses or names of the user: the given ones, or the one that was found.
    pub me: Vec<String>,
    /// Up to three of the texts that were taken, newest first.
    pub examples: Vec<ImportedText>,
}

impl ImportReport {
    /// Returns the number of messages that were skipped for `reason`.
    pub fn skipped(&self, reason: Skipped) -> u64 {
        self.skipped.get(&reason).copied().unwrap_or(0)
    }
}
