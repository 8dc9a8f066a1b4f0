//! Selection of the texts: exclusions, duplicates, and the newest texts in bounded memory.

use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
};

use crate::{
    error::ImportError,
    options::ImportOptions,
    report::{ImportReport, Skipped},
    text::{self, ImportedText, MOST_BYTES, MOST_WORDS},
};

/// Callback for the numbers of bytes done and in all. A break cancels the import.
pub(crate) type OnBytes<'f> = &'f mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// Number of bytes between two calls of the progress callback.
const STEP: u64 = 1 << 16;
/// Number of examples in a report.
const EXAMPLES: usize = 3;

/// The circumstances of a text that exclusions look at.
#[derive(Debug, Default)]
pub(crate) struct Circumstances<'a> {
    /// Addresses and names of all recipients.
    pub(crate) recipients: &'a [String],
    /// Folders and labels.
    pub(crate) folders: &'a [String],
    /// Minimum number of words.
    pub(crate) least_words: usize,
}

/// Collects texts and counts skipped messages. Memory is bounded by the option `latest`.
pub(crate) struct Collector<'o> {
    options: &'o ImportOptions,
    words: Vec<String>,
    recipients: Vec<String>,
    folders: Vec<String>,
    kept: BTreeMap<(i64, u64), (u64, ImportedText)>,
    identities: HashSet<u64>,
    offered: u64,
    report: ImportReport,
    on_bytes: OnBytes<'o>,
    done: u64,
    total: u64,
    /// Number of the bytes that are read twice.
    twice: u64,
    /// Number of bytes at the last call of the progress callback.
    told: u64,
}

impl<'o> Collector<'o> {
    /// Creates a collector for files of `total` bytes.
    pub(crate) fn new(options: &'o ImportOptions, total: u64, on_bytes: OnBytes<'o>) -> Self {
        let folded = |list: &[String]| list.iter().map(|entry| text::folded(entry)).filter(|e| !e.is_empty()).collect();
        let words = options.exclude_words.iter().map(|word| text::normalized(word));
        Self {
            options,
            words: words.filter(|word| !word.trim().is_empty()).collect(),
            recipients: folded(&options.exclude_recipients),
            folders: folded(&options.exclude_folders),
            kept: BTreeMap::new(),
            identities: HashSet::new(),
            offered: 0,
            report: ImportReport::default(),
            on_bytes,
            done: 0,
            total,
            twice: 0,
            told: 0,
        }
    }

    /// Announces that `bytes` bytes will be read twice.
    pub(crate) fn reads_twice(&mut self, bytes: u64) {
        self.total += bytes;
        self.twice += bytes;
    }

    /// Counts bytes that were read.
    pub(crate) fn advance(&mut self, bytes: u64) -> Result<(), ImportError> {
        self.done += bytes;
        if self.done < self.told + STEP && self.done < self.total {
            return Ok(());
        }
        self.told = self.done;
        match (self.on_bytes)(self.done, self.total.max(self.done)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ImportError::Cancelled),
        }
    }

    /// Counts a message, whatever becomes of it.
    pub(crate) fn message(&mut self) {
        self.report.messages += 1;
    }

    /// Returns the number of messages so far.
    pub(crate) fn messages(&self) -> u64 {
        self.report.messages
    }

    /// Counts a skipped message.
    pub(crate) fn skip(&mut self, reason: Skipped) {
        *self.report.skipped.entry(reason).or_default() += 1;
    }

    /// Stores the addresses or names of the user for the report.
    pub(crate) fn set_me(&mut self, me: &[String]) {
        self.report.me = me.to_vec();
    }

    /// Takes a text of the user, or counts it as skipped.
    pub(crate) fn offer(&mut self, mut text: ImportedText, of: &Circumstances<'_>) {
        if let Some(kind) = &self.options.kind {
            text.kind.clone_from(kind);
        }
        if let Some(reason) = self.rejects(&text, of) {
            return self.skip(reason);
        }
        let identity = text::identity(&text.text, text.title.as_deref());
        if !self.identities.insert(identity) {
            return self.skip(Skipped::Duplicate);
        }
        self.kept.insert((text.time.unwrap_or(i64::MIN), self.offered), (identity, text));
        self.offered += 1;
        if self.options.latest > 0 && self.kept.len() > self.options.latest {
            if let Some((_, (identity, _))) = self.kept.pop_first() {
                self.identities.remove(&identity);
            }
            self.skip(Skipped::BeyondLatest);
        }
    }

    fn rejects(&self, text: &ImportedText, of: &Circumstances<'_>) -> Option<Skipped> {
        if of.recipients.iter().any(|recipient| self.excludes_recipient(recipient))
            || of.folders.iter().any(|folder| self.excludes_folder(folder))
        {
            return Some(Skipped::Excluded);
        }
        if self.options.since.is_some_and(|since| text.time.is_none_or(|time| time < since)) {
            return Some(Skipped::Older);
        }
        if text.text.len() > MOST_BYTES {
            return Some(Skipped::TooLong);
        }
        match text::word_count(&text.text) {
            words if words < of.least_words.max(1) => return Some(Skipped::TooShort),
            words if words > MOST_WORDS => return Some(Skipped::TooLong),
            _ => {}
        }
        if !self.words.is_empty() {
            let (title, body) =
                (text::normalized(text.title.as_deref().unwrap_or_default()), text::normalized(&text.text));
            if self.words.iter().any(|word| title.contains(word) || body.contains(word)) {
                return Some(Skipped::Excluded);
            }
        }
        None
    }

    /// Whether an entry is this address, its domain or a domain above, or this name.
    fn excludes_recipient(&self, recipient: &str) -> bool {
        let recipient = text::folded(recipient);
        let domain = recipient.rsplit_once('@').map(|(_, domain)| domain);
        self.recipients.iter().any(|entry| {
            let wanted = entry.strip_prefix('@').unwrap_or(entry);
            let below =
                |domain: &str| domain.strip_suffix(wanted).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            recipient == *entry || domain.is_some_and(below)
        })
    }

    /// Whether an entry is this folder or label, or one of its parts.
    fn excludes_folder(&self, folder: &str) -> bool {
        let folder = text::folded(folder);
        self.folders.iter().any(|entry| folder == *entry || folder.split('/').any(|part| part.trim() == entry))
    }

    /// Returns the texts, oldest first, and the report.
    pub(crate) fn finish(self) -> (Vec<ImportedText>, ImportReport) {
        let mut report = self.report;
        let texts: Vec<ImportedText> = self.kept.into_values().map(|(_, text)| text).collect();
        report.taken = texts.len();
        report.bytes = self.done.saturating_sub(self.twice);
        report.examples = examples(&texts);
        (texts, report)
    }
}

/// Returns the newest texts as examples.
pub(crate) fn examples(texts: &[ImportedText]) -> Vec<ImportedText> {
    texts.iter().rev().take(EXAMPLES).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str, time: i64) -> ImportedText {
        ImportedText { kind: "email".into(), text: words.into(), time: Some(time), ..ImportedText::default() }
    }

    fn all<'a>(recipients: &'a [String], folders: &'a [String]) -> Circumstances<'a> {
        Circumstances { recipients, folders, least_words: 2 }
    }

    #[test]
    fn keeps_the_newest_texts() {
        let options = ImportOptions::default().with_latest(2);
        let mut go_on = |_, _| ControlFlow::Continue(());
        let mut collector = Collector::new(&options, 0, &mut go_on);
        for (words, time) in [("one text", 3), ("two texts", 1), ("three texts", 2), ("One text!", 9)] {
            collector.offer(text(words, time), &Circumstances::default());
        }
        let (texts, report) = collector.finish();
        assert_eq!(texts.iter().map(|t| t.text.as_str()).collect::<Vec<_>>(), ["three texts", "one text"]);
        assert_eq!((report.skipped(Skipped::BeyondLatest), report.skipped(Skipped::Duplicate)), (1, 1));
        assert_eq!(report.examples[0].text, "one text");
    }

    #[test]
    fn excludes_recipients_folders_and_words() {
        let options = ImportOptions::default()
            .with_excluded_recipient("Example.org")
            .with_excluded_recipient("Ben Beispiel")
            .with_excluded_folder("work")
            .with_excluded_word("top secret")
            .with_since(5);
        let mut go_on = |_, _| ControlFlow::Continue(());
        let collector = Collector::new(&options, 0, &mut go_on);
        let to = |recipient: &str| collector.rejects(&text("two words", 9), &all(&[recipient.to_owned()], &[]));
        assert_eq!(to("ada@example.org"), Some(Skipped::Excluded));
        assert_eq!(to("ada@mail.EXAMPLE.org"), Some(Skipped::Excluded));
        assert_eq!(to("ben beispiel"), Some(Skipped::Excluded));
        assert_eq!(to("ada@notexample.org"), None);
        let within = |folder: &str| collector.rejects(&text("two words", 9), &all(&[], &[folder.to_owned()]));
        assert_eq!(
            (within("Work"), within("old/work"), within("homework")),
            (Some(Skipped::Excluded), Some(Skipped::Excluded), None)
        );
        let says = |words: &str, time| collector.rejects(&text(words, time), &all(&[], &[]));
        assert_eq!(says("this is TOP-Secret, really", 9), Some(Skipped::Excluded));
        assert_eq!(says("this is stop secretly", 9), None);
        assert_eq!((says("two words", 4), says("word", 9)), (Some(Skipped::Older), Some(Skipped::TooShort)));
        assert_eq!(says(&"word ".repeat(2001), 9), Some(Skipped::TooLong));
        assert_eq!(says(&"w".repeat(70_000), 9), Some(Skipped::TooLong));
    }

    #[test]
    fn cancels_between_two_messages() {
        let options = ImportOptions::default();
        let mut stop = |_, _| ControlFlow::Break(());
        let mut collector = Collector::new(&options, 1 << 20, &mut stop);
        assert!(collector.advance(10).is_ok());
        assert!(matches!(collector.advance(STEP), Err(ImportError::Cancelled)));
    }
}
