//! The import of a person's own writing.

use std::{ops::ControlFlow, path::Path};

use locket::{OnProgress, Progress};
use locket_import::{Format, ImportError, ImportedText, Skipped, Source};

use crate::{Interaction, ListenerError, LocketError, task::Stop};

/// Format of the files of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ImportFormat {
    /// Mails in one file.
    Mbox,
    /// One mail in a file, or a folder of them; also a Maildir.
    Eml,
    /// The result of `export`.
    Export,
    /// A table with a header row and a column `text`.
    Csv,
    /// A chat of WhatsApp, Telegram Desktop or Messenger, or a folder of chats.
    Chat,
    /// A Markdown file, or a folder of them.
    Notes,
}

/// The place of the texts of an import.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum ImportSource {
    /// A file or a folder.
    Path {
        /// Path of the file or folder.
        path: String,
    },
    /// The content of a file.
    Content {
        /// The bytes of the file.
        bytes: Vec<u8>,
    },
}

/// Options of an import.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ImportOptions {
    /// The user's mail addresses, or names in chats. If there are none, a mail folder's author is
    /// the sender of at least 60 % of the messages.
    #[uniffi(default = [])]
    pub me: Vec<String>,
    /// The format. If absent, it follows from file names and contents.
    #[uniffi(default)]
    pub format: Option<ImportFormat>,
    /// Name of the kind of all texts, in place of the format's kind.
    #[uniffi(default)]
    pub kind: Option<String>,
    /// Maximum number of texts: the newest are kept. 0 keeps all.
    #[uniffi(default = 500)]
    pub latest: u32,
    /// Earliest time of a text, in milliseconds since 1970-01-01 UTC.
    #[uniffi(default)]
    pub since_ms: Option<i64>,
    /// Recipients whose texts are skipped: addresses, domains, or names of people or chats.
    #[uniffi(default = [])]
    pub exclude_recipients: Vec<String>,
    /// Folders and labels whose texts are skipped.
    #[uniffi(default = [])]
    pub exclude_folders: Vec<String>,
    /// Words or phrases whose texts are skipped.
    #[uniffi(default = [])]
    pub exclude_words: Vec<String>,
}

/// The reason why a message is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SkipReason {
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
    /// A program wrote or spread it.
    Automatic,
    /// It passes on a text by somebody else, without words of the user.
    Forwarded,
    /// The same text with the same title was there before.
    Duplicate,
    /// An option excludes its recipient, its folder or one of its words.
    Excluded,
    /// It is older than the option `since_ms`.
    Older,
    /// There are enough newer texts: option `latest`.
    BeyondLatest,
    /// It cannot be read.
    Malformed,
}

/// The number of messages that are skipped for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct SkippedMessages {
    /// The reason.
    pub reason: SkipReason,
    /// The number of messages.
    pub count: u64,
}

/// The result of an import or of its preview.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ImportReport {
    /// Number of texts that were added; of a preview, that would be added.
    pub taken: u64,
    /// Number of texts that the store already held.
    pub known: u64,
    /// Skipped messages by reason.
    pub skipped: Vec<SkippedMessages>,
    /// Number of messages.
    pub messages: u64,
    /// Number of bytes of the files.
    pub bytes: u64,
    /// The addresses or names of the user: the given ones, or the one that was found.
    pub me: Vec<String>,
    /// Up to three of the texts, newest first, without `audience`.
    pub examples: Vec<Interaction>,
}

/// A listener for the progress of an import. It runs on the thread of the call. An exception stops
/// the call.
#[uniffi::export(with_foreign)]
pub trait ImportListener: Send + Sync {
    /// Receives the number of bytes done and in all, at most 200 times.
    fn on_progress(&self, done: u64, total: u64) -> Result<(), ListenerError>;
}

/// Number of steps of a progress.
const STEPS: u64 = 200;

/// The arguments of an import.
pub(crate) struct Import<'a> {
    pub(crate) source: &'a ImportSource,
    pub(crate) options: ImportOptions,
    pub(crate) listener: Option<&'a dyn ImportListener>,
    pub(crate) stop: &'a Stop,
    /// Whether only the report is wanted.
    pub(crate) dry_run: bool,
}

impl Import<'_> {
    /// Runs `work` with a progress callback that calls the listener and breaks once a flag is set.
    pub(crate) fn listened<T>(
        &self,
        work: impl FnOnce(OnProgress<'_>) -> Result<T, ImportError>,
    ) -> Result<T, LocketError> {
        let mut failed = None;
        let mut next = 0;
        let result = work(&mut |progress: Progress| {
            if let Some(listener) = self.listener.filter(|_| progress.done >= next || progress.done == progress.total) {
                next = progress.done + (progress.total / STEPS).max(1);
                if let Err(e) = listener.on_progress(progress.done, progress.total) {
                    failed = Some(e);
                    return ControlFlow::Break(());
                }
            }
            self.stop.flow()
        });
        match failed {
            Some(e) => Err(LocketError::ListenerFailed(e.to_string())),
            None => Ok(result?),
        }
    }
}

impl ImportSource {
    pub(crate) fn as_source(&self) -> Source<'_> {
        match self {
            Self::Path { path } => Source::Path(Path::new(path)),
            Self::Content { bytes } => Source::Bytes(bytes),
        }
    }
}

impl From<ImportOptions> for locket_import::ImportOptions {
    fn from(of: ImportOptions) -> Self {
        let format = of.format.map(|format| match format {
            ImportFormat::Mbox => Format::Mbox,
            ImportFormat::Eml => Format::Eml,
            ImportFormat::Export => Format::Json,
            ImportFormat::Csv => Format::Csv,
            ImportFormat::Chat => Format::Chat,
            ImportFormat::Notes => Format::Notes,
        });
        let mut options = Self::default().with_format(format).with_latest(of.latest as usize).with_since(of.since_ms);
        options.me = of.me;
        options.kind = of.kind;
        options.exclude_recipients = of.exclude_recipients;
        options.exclude_folders = of.exclude_folders;
        options.exclude_words = of.exclude_words;
        options
    }
}

impl From<Skipped> for SkipReason {
    fn from(reason: Skipped) -> Self {
        match reason {
            Skipped::NotMine => Self::NotMine,
            Skipped::TooShort => Self::TooShort,
            Skipped::TooLong => Self::TooLong,
            Skipped::TooLarge => Self::TooLarge,
            Skipped::NoText => Self::NoText,
            Skipped::Automatic => Self::Automatic,
            Skipped::Forwarded => Self::Forwarded,
            Skipped::Duplicate => Self::Duplicate,
            Skipped::Excluded => Self::Excluded,
            Skipped::Older => Self::Older,
            Skipped::BeyondLatest => Self::BeyondLatest,
            _ => Self::Malformed,
        }
    }
}

impl From<locket_import::ImportReport> for ImportReport {
    fn from(of: locket_import::ImportReport) -> Self {
        let skipped = of.skipped.into_iter().map(|(reason, count)| SkippedMessages { reason: reason.into(), count });
        Self {
            taken: of.taken as u64,
            known: of.known as u64,
            skipped: skipped.collect(),
            messages: of.messages,
            bytes: of.bytes,
            me: of.me,
            examples: of.examples.into_iter().map(example).collect(),
        }
    }
}

fn example(text: ImportedText) -> Interaction {
    Interaction {
        item: text.item,
        text: text.text,
        title: text.title,
        rating: text.rating,
        item_title: text.item_title,
        category: None,
        time_ms: text.time,
        kind: text.kind,
        context: text.context,
        audience: None,
    }
}

impl From<ImportError> for LocketError {
    fn from(error: ImportError) -> Self {
        let what = match &error {
            ImportError::Io { source, .. } => format!("{error}: {source}"),
            error => error.to_string(),
        };
        match error {
            ImportError::Io { .. } => Self::Storage(what),
            ImportError::Cancelled => Self::cancelled(),
            ImportError::Engine(e) => e.into(),
            _ => Self::BadInput(what),
        }
    }
}
