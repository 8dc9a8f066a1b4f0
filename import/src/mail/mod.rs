//! Mail: mbox files, single messages, folders of messages.

mod attribution;
mod body;
mod html;
pub(crate) mod mbox;
mod message;
mod threads;

use std::io::Read;

use crate::{
    error::ImportError,
    input::Document,
    options::{Format, ImportOptions},
    report::Skipped,
    select::{Circumstances, Collector},
    senders::Senders,
    text::{self, CONTEXT, ImportedText, TITLE, cut, one_line, word_count},
};
use mbox::{Mbox, Size};
use message::{Mail, Parser};
use threads::Threads;

/// Number of bytes of a message that are parsed. The text of a mail stands before its attachments.
const KEPT: usize = 2 << 20;
/// Number of bytes of a message that are parsed for its sender.
const KEPT_FOR_SENDER: usize = 1 << 16;
/// Maximum size of a message in bytes.
pub(crate) const MOST: u64 = 32 << 20;
/// Minimum number of messages to find out who the user is.
const LEAST_TO_GUESS: u64 = 3;

/// Whether a text begins with the header of a mail.
pub(crate) fn looks_like_one(text: &str) -> bool {
    let fields =
        ["from", "to", "subject", "date", "received", "return-path", "delivered-to", "message-id", "mime-version"];
    let is_field =
        |line: &str| line.split_once(':').is_some_and(|(name, _)| fields.contains(&name.to_ascii_lowercase().as_str()));
    text.lines().next().is_some_and(is_field)
        && text
            .lines()
            .take_while(|line| !line.is_empty())
            .any(|line| line.get(..5).is_some_and(|l| l.eq_ignore_ascii_case("from:")))
}

/// Reads the user's mails.
pub(crate) fn read(
    documents: &[Document<'_>],
    format: Format,
    options: &ImportOptions,
    collector: &mut Collector<'_>,
) -> Result<(), ImportError> {
    let guessed;
    let named: Vec<String> = options.me.iter().filter(|me| !text::folded(me).is_empty()).cloned().collect();
    let me = if named.is_empty() {
        collector.reads_twice(documents.iter().map(|document| document.length).sum());
        guessed = vec![guess(documents, format, collector)?];
        &guessed
    } else {
        &named
    };
    collector.set_me(me);
    let mut reading = Reading { me: me.iter().map(|me| text::folded(me)).collect(), ..Reading::default() };
    let parser = Parser::new();
    each(documents, format, KEPT, collector, &mut |raw, size, document, collector| {
        collector.message();
        match size {
            Size::TooLarge => collector.skip(Skipped::TooLarge),
            Size::Fits => reading.message(parser.parse(raw), document, collector),
        }
    })?;
    if collector.messages() == 0 {
        let name = documents.first().map(Document::name).unwrap_or_default();
        let problem = format!("it holds no message of the format {}", format.name());
        return Err(ImportError::Format { name, problem });
    }
    if !reading.found_me && reading.senders.total() > 0 {
        return Err(ImportError::NotFound { me: me.clone(), found: reading.senders.top() });
    }
    Ok(())
}

/// Callback for one message: its first bytes, whether it has an acceptable size, and its file.
type OnMessage<'f, 'o> = &'f mut dyn FnMut(&[u8], Size, &Document<'_>, &mut Collector<'o>);

/// Calls `on_message` for each message.
fn each<'o>(
    documents: &[Document<'_>],
    format: Format,
    kept: usize,
    collector: &mut Collector<'o>,
    on_message: OnMessage<'_, 'o>,
) -> Result<(), ImportError> {
    for document in documents {
        if format == Format::Mbox {
            let mut mbox = Mbox::new(document.open()?, kept);
            while let Some(size) = mbox.next(&mut |bytes| collector.advance(bytes)).map_err(|e| e.of(document))? {
                on_message(mbox.message(), size, document, collector);
            }
            continue;
        }
        let mut bytes = Vec::new();
        let read = document
            .open()
            .and_then(|reader| reader.take(kept as u64).read_to_end(&mut bytes).map_err(|e| document.io(e)));
        match read {
            // One unreadable mail of many is no reason to lose the others.
            Err(_) if documents.len() > 1 => {
                collector.message();
                collector.skip(Skipped::Malformed);
            }
            Err(e) => return Err(e),
            Ok(_) => {
                let size = if document.length > MOST { Size::TooLarge } else { Size::Fits };
                on_message(&bytes, size, document, collector);
            }
        }
        collector.advance(document.length.max(bytes.len() as u64))?;
    }
    Ok(())
}

/// Returns the address that sent at least 60 % of the messages.
fn guess(documents: &[Document<'_>], format: Format, collector: &mut Collector<'_>) -> Result<String, ImportError> {
    let mut senders = Senders::default();
    let parser = Parser::for_senders();
    documents.iter().try_for_each(Document::need_twice)?;
    let mut unreadable = 0;
    each(documents, format, KEPT_FOR_SENDER, collector, &mut |raw, _, _, _| match parser.sender(raw) {
        Some(sender) => senders.add(&sender),
        None => unreadable += 1,
    })?;
    let found = senders.top();
    match found.first() {
        Some((address, count)) if senders.total() >= LEAST_TO_GUESS && count * 10 >= senders.total() * 6 => {
            Ok(address.clone())
        }
        None => {
            let name = documents.first().map(Document::name).unwrap_or_default();
            let problem = format!(
                "it holds no message with a sender ({unreadable} without); its format may not be {}",
                format.name()
            );
            Err(ImportError::Format { name, problem })
        }
        Some(_) => Err(ImportError::WhoIsMe { found }),
    }
}

/// The state of a pass over mails.
#[derive(Default)]
struct Reading {
    me: Vec<String>,
    senders: Senders,
    threads: Threads,
    found_me: bool,
}

impl Reading {
    fn is_me(&self, mail: &Mail) -> bool {
        self.me.iter().any(|me| *me == mail.from.0 || *me == mail.from.1)
    }

    /// Takes one message.
    fn message(&mut self, mail: Option<Mail>, document: &Document<'_>, collector: &mut Collector<'_>) {
        let Some(mail) = mail else { return collector.skip(Skipped::Malformed) };
        self.senders.add(if mail.from.0.is_empty() { &mail.from.1 } else { &mail.from.0 });
        if !self.is_me(&mail) {
            if !mail.automatic {
                self.threads.add(&mail.id, &body::own(&mail.body).text);
            }
            return collector.skip(Skipped::NotMine);
        }
        self.found_me = true;
        if mail.automatic {
            return collector.skip(Skipped::Automatic);
        }
        let own = body::own(&mail.body);
        let (title, is_forward) = subject(&mail.subject);
        if word_count(&own.text) < 2 && (own.forwarded || is_forward) {
            return collector.skip(Skipped::Forwarded);
        }
        let context = mail.answers.iter().rev().find_map(|id| self.threads.get(id)).or(own.quoted);
        let folders: Vec<String> = document.folders.iter().chain(&mail.folders).cloned().collect();
        let text = ImportedText {
            kind: "email".into(),
            title: Some(title).filter(|title| !title.is_empty()),
            text: own.text,
            context: context.map(|context| cut(&context, CONTEXT).trim_end().to_owned()).filter(|c| !c.is_empty()),
            recipient: mail.recipient,
            time: mail.time,
            ..ImportedText::default()
        };
        let circumstances = Circumstances { recipients: &mail.recipients, folders: &folders, least_words: 2 };
        collector.offer(text, &circumstances);
    }
}

/// Prefixes of the subjects of answers, in lower case without the colon.
const ANSWERS: [&str; 9] = ["re", "aw", "antw", "sv", "vs", "res", "rif", "odp", "ynt"];
/// Prefixes of the subjects of forwarded mails.
const FORWARDS: [&str; 10] = ["fwd", "fw", "wg", "tr", "rv", "enc", "pd", "doorst", "vl", "i"];

/// Returns the subject without prefixes, and whether one of them marks a forwarded mail.
fn subject(subject: &str) -> (String, bool) {
    let line = one_line(subject);
    let (mut rest, mut is_forward) = (line.as_str(), false);
    while let Some((prefix, after)) = rest.split_once([':', '\u{ff1a}']) {
        // Some programs count: `Re[2]: `.
        let prefix = prefix.trim().to_lowercase();
        let name = prefix.split(['[', '(']).next().unwrap_or_default().trim();
        let forwards = FORWARDS.contains(&name);
        if !forwards && !ANSWERS.contains(&name) {
            break;
        }
        is_forward |= forwards;
        rest = after.trim_start();
    }
    (cut(rest, TITLE).to_owned(), is_forward)
}

#[cfg(test)]
mod tests;
