//! Chats: WhatsApp (text), Telegram Desktop and Messenger (JSON).

mod json;
pub(crate) mod whatsapp;

use std::{collections::VecDeque, io::Read};

use crate::{
    error::ImportError,
    input::Document,
    options::ImportOptions,
    report::Skipped,
    select::{Circumstances, Collector},
    senders::Senders,
    text::{self, CONTEXT, ImportedText, cut, tidy},
};

/// Maximum number of messages of others in a context.
const MOST_BEFORE: usize = 3;

/// One message of a chat.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) sender: String,
    pub(crate) text: String,
    /// Milliseconds since 1970.
    pub(crate) time: Option<i64>,
    pub(crate) form: Form,
}

/// The form of a message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A text by its sender.
    #[default]
    Text,
    /// A text by somebody else that the sender passes on.
    Forwarded,
    /// A picture, a call, a line of the program.
    NoText,
}

/// Reads the user's messages of chats.
pub(crate) fn read(
    documents: &[Document<'_>],
    options: &ImportOptions,
    collector: &mut Collector<'_>,
) -> Result<(), ImportError> {
    let me: Vec<String> = options.me.iter().map(|me| text::folded(me)).filter(|me| !me.is_empty()).collect();
    let is_me = |sender: &str| me.contains(&text::folded(sender));
    collector.set_me(&options.me);
    let mut all = Senders::default();
    let mut found = false;
    for document in documents {
        let read = chat(document, me.is_empty(), &is_me, &mut all, collector);
        match read {
            Ok(has_me) => found |= has_me,
            // One damaged chat of many is no reason to lose the others.
            Err(ImportError::Format { .. } | ImportError::Io { .. }) if documents.len() > 1 => {
                collector.message();
                collector.skip(Skipped::Malformed);
            }
            Err(e) => return Err(e),
        }
    }
    if all.total() == 0 {
        let name = documents.first().map(Document::name).unwrap_or_default();
        return Err(ImportError::Format { name, problem: "it holds no chat".into() });
    }
    match (me.is_empty(), found) {
        (true, _) => Err(ImportError::WhoIsMe { found: all.top() }),
        (false, true) => Ok(()),
        (false, false) => Err(ImportError::NotFound { me: options.me.clone(), found: all.top() }),
    }
}

/// Reads one document. Returns whether the user wrote in it.
fn chat(
    document: &Document<'_>,
    senders_only: bool,
    is_me: &dyn Fn(&str) -> bool,
    all: &mut Senders,
    collector: &mut Collector<'_>,
) -> Result<bool, ImportError> {
    let mut first = [0];
    let begin = document.open()?.take(1).read(&mut first).map_err(|e| document.io(e))?;
    let text_file = begin == 0 || !matches!(first[0], b'{');
    if text_file {
        document.need_twice()?;
        collector.reads_twice(document.length);
        let survey = whatsapp::survey(document, collector)?;
        survey.senders.merge_into(all);
        if senders_only {
            return Ok(false);
        }
        let mut conversation = Conversation::new(survey.senders.others(is_me), whatsapp::name(document), is_me);
        whatsapp::read(document, survey.order, collector, &mut |message, collector| {
            conversation.add(message, collector)
        })?;
        return Ok(conversation.found_me);
    }
    let mut found = false;
    for chat in json::read(document, collector)? {
        let mut senders = Senders::default();
        chat.messages.iter().filter(|m| !m.sender.is_empty()).for_each(|message| senders.add(&message.sender));
        senders.merge_into(all);
        if senders_only {
            continue;
        }
        let mut conversation = Conversation::new(senders.others(is_me), chat.name, is_me);
        for message in chat.messages {
            conversation.add(message, collector);
        }
        // Also between chats a cancel is noticed.
        collector.advance(0)?;
        found |= conversation.found_me;
    }
    Ok(found)
}

/// The state of a pass over one chat.
struct Conversation<'c> {
    is_me: &'c dyn Fn(&str) -> bool,
    /// The other person, or the name of the group.
    recipient: Option<String>,
    recipients: Vec<String>,
    /// The latest messages of others since the user's last one.
    before: VecDeque<String>,
    found_me: bool,
}

impl<'c> Conversation<'c> {
    fn new(others: Vec<&str>, name: Option<String>, is_me: &'c dyn Fn(&str) -> bool) -> Self {
        let other = if let [other] = others[..] { Some(other.to_owned()) } else { None };
        let recipients = other.iter().chain(&name).cloned().collect();
        Self { is_me, recipient: other.or(name), recipients, before: VecDeque::new(), found_me: false }
    }

    fn add(&mut self, message: Message, collector: &mut Collector<'_>) {
        collector.message();
        let is_mine = (self.is_me)(&message.sender);
        self.found_me |= is_mine;
        let text = tidy(message.text.lines());
        match message.form {
            Form::NoText => return collector.skip(Skipped::NoText),
            _ if text.is_empty() => return collector.skip(Skipped::NoText),
            _ if !is_mine => {
                self.before.push_back(cut(&text, CONTEXT).to_owned());
                if self.before.len() > MOST_BEFORE {
                    self.before.pop_front();
                }
                return collector.skip(Skipped::NotMine);
            }
            Form::Forwarded => return collector.skip(Skipped::Forwarded),
            Form::Text => {}
        }
        let text = ImportedText {
            kind: "reply".into(),
            text,
            context: self.context(),
            recipient: self.recipient.clone(),
            time: message.time,
            ..ImportedText::default()
        };
        self.before.clear();
        collector.offer(text, &Circumstances { recipients: &self.recipients, folders: &[], least_words: 2 });
    }

    /// Returns the messages since the user's last one: whole ones from the end, as far as they fit.
    fn context(&self) -> Option<String> {
        let mut length = 0;
        let fits = |message: &&String| {
            length += message.chars().count() + 1;
            length <= CONTEXT + 1
        };
        let count = self.before.iter().rev().take_while(fits).count().max(1);
        let from = self.before.len().saturating_sub(count);
        let joined = self.before.iter().skip(from).map(String::as_str).collect::<Vec<_>>().join("\n");
        Some(joined).filter(|context| !context.is_empty())
    }
}

#[cfg(test)]
mod tests;
