//! Chats in JSON: Telegram Desktop (`result.json`) and Messenger of Facebook and Instagram
//! (`message_1.json`).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::Value;

use super::{Form, Message};
use crate::{
    date,
    error::ImportError,
    input::Document,
    select::Collector,
    text::{MOST_BYTES, is_mark},
};

/// Maximum size of a file in bytes: its messages are kept until they are in order.
const MOST: u64 = 256 << 20;

/// A chat with its messages, oldest first.
pub(super) struct Chat {
    pub(super) name: Option<String>,
    pub(super) messages: Vec<Message>,
}

/// A file of either program: one chat, or all chats.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    name: Value,
    /// Messenger's name of the chat.
    #[serde(default)]
    title: Value,
    #[serde(default)]
    messages: Option<Messages>,
    /// Telegram's export of everything.
    #[serde(default)]
    chats: Option<Chats>,
}

#[derive(Deserialize)]
struct Chats {
    #[serde(default)]
    list: Vec<File>,
}

/// The fields of both programs. Their types differ between versions, so that each is any value.
#[derive(Deserialize)]
struct Raw {
    // Telegram.
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    from: Value,
    #[serde(default)]
    text: Value,
    #[serde(default)]
    date: Value,
    #[serde(default)]
    date_unixtime: Value,
    #[serde(default)]
    forwarded_from: Option<Value>,
    #[serde(default)]
    via_bot: Option<Value>,
    // Messenger.
    #[serde(default)]
    sender_name: Value,
    #[serde(default)]
    timestamp_ms: Value,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    is_unsent: Value,
}

/// The messages of a chat. Each one is converted while the file is parsed, which takes less memory.
#[derive(Default)]
struct Messages {
    all: Vec<Message>,
    /// Whether Messenger wrote them.
    messenger: bool,
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Messages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Messages, A::Error> {
                let mut messages = Messages::default();
                while let Some(raw) = list.next_element::<Raw>()? {
                    let messenger = !raw.sender_name.is_null();
                    messages.messenger |= messenger;
                    messages.all.push(if messenger { of_messenger(&raw) } else { of_telegram(&raw) });
                }
                Ok(messages)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Reads the chats of a file.
pub(super) fn read(document: &Document<'_>, collector: &mut Collector<'_>) -> Result<Vec<Chat>, ImportError> {
    let file: File = document.read_json(MOST, collector)?;
    let one = chat(file.name, file.title, file.messages);
    let several = file.chats.into_iter().flat_map(|chats| chats.list);
    let chats: Vec<Chat> =
        one.into_iter().chain(several.filter_map(|file| chat(file.name, file.title, file.messages))).collect();
    if chats.is_empty() {
        let problem = "it holds no chat of Telegram or Messenger".into();
        return Err(ImportError::Format { name: document.name(), problem });
    }
    Ok(chats)
}

fn chat(name: Value, title: Value, messages: Option<Messages>) -> Option<Chat> {
    let Messages { all: mut messages, messenger } = messages?;
    // Messenger writes the newest message first. Equal times keep their order after a reversal.
    if messenger {
        messages.reverse();
    }
    messages.sort_by_key(|message| message.time.unwrap_or(i64::MIN));
    let name = if messenger { repaired(string(&title)) } else { string(&name).to_owned() };
    Some(Chat { name: Some(name).filter(|name| !name.is_empty()), messages })
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns an integer, also from a text of digits.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|number| *number > 0)
}

fn of_telegram(raw: &Raw) -> Message {
    let mut text = String::new();
    match &raw.text {
        Value::String(whole) => text.push_str(whole),
        // Links, bold words and the like are objects with a text.
        Value::Array(parts) => {
            for part in parts {
                text.push_str(part.as_str().unwrap_or_else(|| string(&part["text"])));
            }
        }
        _ => {}
    }
    let seconds = integer(&raw.date_unixtime).and_then(|seconds| seconds.checked_mul(1000));
    let form = match () {
        () if string(&raw.kind) != "message" || raw.via_bot.is_some() => Form::NoText,
        () if raw.forwarded_from.is_some() => Form::Forwarded,
        () => Form::Text,
    };
    message(string(&raw.from).to_owned(), text, seconds.or_else(|| date::iso(string(&raw.date))), form)
}

/// Texts that Messenger writes for the sender, in lower case.
const ATTACHED: [&str; 6] = [
    " sent an attachment.",
    " sent a photo.",
    " sent a live location.",
    " liked a message",
    " to your message",
    " unsent a message",
];

fn of_messenger(raw: &Raw) -> Message {
    let text = repaired(string(&raw.content));
    let lower = text.to_lowercase();
    let unsent = raw.is_unsent.as_bool() == Some(true);
    let by_program = matches!(string(&raw.kind), "Call" | "Subscribe" | "Unsubscribe")
        || ATTACHED.iter().any(|end| lower.trim_end().ends_with(end));
    let form = if unsent || by_program { Form::NoText } else { Form::Text };
    message(repaired(string(&raw.sender_name)), text, integer(&raw.timestamp_ms), form)
}

fn message(sender: String, mut text: String, time: Option<i64>, form: Form) -> Message {
    if text.len() > MOST_BYTES + 4 {
        // Long enough to count as too long.
        let end = (MOST_BYTES + 1..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        text.truncate(end);
    }
    text.retain(|c| !is_mark(c));
    Message { sender, text, time, form }
}

/// Repairs a text whose UTF-8 bytes were written as one character each, as Messenger does.
fn repaired(text: &str) -> String {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c as u32).ok()).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_mojibake_only() {
        assert_eq!(repaired("caf\u{c3}\u{a9} \u{f0}\u{9f}\u{98}\u{80}"), "café \u{1f600}");
        assert_eq!(repaired("café"), "café");
        assert_eq!(repaired("привет"), "привет");
        assert_eq!(repaired("plain"), "plain");
    }
}
