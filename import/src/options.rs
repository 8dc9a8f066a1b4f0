//! Formats, sources and options of an import.

use std::path::Path;

/// A format of files with a person's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Mails in one file, as Gmail, Thunderbird and Apple Mail export them.
    Mbox,
    /// One mail in a file, or a folder of them; also a Maildir.
    Eml,
    /// The output of `locket export`.
    Json,
    /// A table with a header row and a column `text`.
    Csv,
    /// A chat of WhatsApp (text), Telegram Desktop or Messenger (JSON), or a folder of chats.
    Chat,
    /// A Markdown file, or a folder of them.
    Notes,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] = [Self::Mbox, Self::Eml, Self::Json, Self::Csv, Self::Chat, Self::Notes];

    /// Returns the format's name, such as `mbox`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mbox => "mbox",
            Self::Eml => "eml",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Chat => "chat",
            Self::Notes => "notes",
        }
    }

    /// Returns the format with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// The place of the texts.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A file or a folder.
    Path(&'a Path),
    /// The content of a file.
    Bytes(&'a [u8]),
}

/// Default for the number of texts that are kept.
const LATEST: usize = 500;

/// Options of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The format. If `None`, it follows from file names and contents.
    pub format: Option<Format>,
    /// The user's mail addresses, or names in chats. If there are none, a mail folder's author is
    /// the sender of at least 60 % of the messages.
    pub me: Vec<String>,
    /// Name of the kind of all texts, in place of the format's kind.
    pub kind: Option<String>,
    /// Maximum number of texts: the newest are kept. 0 keeps all. Default: 500.
    pub latest: usize,
    /// Earliest time of a text, in milliseconds since 1970-01-01 UTC. With it, texts without a time
    /// are skipped.
    pub since: Option<i64>,
    /// Recipients whose texts are skipped: addresses, domains, or names of people or chats.
    pub exclude_recipients: Vec<String>,
    /// Folders and labels whose texts are skipped.
    pub exclude_folders: Vec<String>,
    /// Words or phrases whose texts are skipped, in any letter case.
    pub exclude_words: Vec<String>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            format: None,
            me: Vec::new(),
            kind: None,
            latest: LATEST,
            since: None,
            exclude_recipients: Vec::new(),
            exclude_folders: Vec::new(),
            exclude_words: Vec::new(),
        }
    }
}

impl ImportOptions {
    /// Sets the field `format`.
    #[must_use]
    pub fn with_format(mut self, format: impl Into<Option<Format>>) -> Self {
        self.format = format.into();
        self
    }

    /// Adds an address or a name to `me`.
    #[must_use]
    pub fn with_me(mut self, me: impl Into<String>) -> Self {
        self.me.push(me.into());
        self
    }

    /// Sets the field `kind`.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets the field `latest`.
    #[must_use]
    pub fn with_latest(mut self, latest: usize) -> Self {
        self.latest = latest;
        self
    }

    /// Sets the field `since`.
    #[must_use]
    pub fn with_since(mut self, since: impl Into<Option<i64>>) -> Self {
        self.since = since.into();
        self
    }

    /// Adds an address, a domain or a name to `exclude_recipients`.
    #[must_use]
    pub fn with_excluded_recipient(mut self, recipient: impl Into<String>) -> Self {
        self.exclude_recipients.push(recipient.into());
        self
    }

    /// Adds a folder or a label to `exclude_folders`.
    #[must_use]
    pub fn with_excluded_folder(mut self, folder: impl Into<String>) -> Self {
        self.exclude_folders.push(folder.into());
        self
    }

    /// Adds a word or a phrase to `exclude_words`.
    #[must_use]
    pub fn with_excluded_word(mut self, word: impl Into<String>) -> Self {
        self.exclude_words.push(word.into());
        self
    }
}
