//! One message: the fields that the import needs, and its text with marked quotes.

use std::borrow::Cow;

use mail_parser::{
    Addr, Address, HeaderName, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType,
    decoders::charsets::map::charset_decoder,
};

use super::html;
use crate::text::folded;

/// Maximum number of `Content-Type` fields, and so of nested parts, of a message.
const MOST_TYPES: usize = 200;
/// Maximum number of places where a part may begin.
const MOST_PARTS: usize = 20_000;
/// Maximum number of recipients that exclusions look at.
const MOST_RECIPIENTS: usize = 200;
/// Maximum number of messages that a message refers to.
const MOST_ANSWERS: usize = 20;

/// A parsed message.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Mail {
    /// Address and name of the sender, in lower case.
    pub(super) from: (String, String),
    /// Address of the first recipient.
    pub(super) recipient: Option<String>,
    /// Addresses and names of all recipients.
    pub(super) recipients: Vec<String>,
    pub(super) subject: String,
    /// Milliseconds since 1970.
    pub(super) time: Option<i64>,
    pub(super) id: String,
    /// Ids of earlier messages of the thread; the last one is answered.
    pub(super) answers: Vec<String>,
    /// Labels and folders from the header.
    pub(super) folders: Vec<String>,
    /// Whether a program wrote or spread it.
    pub(super) automatic: bool,
    /// The text. Quoted lines begin with `>`.
    pub(super) body: String,
}

/// A parser for the fields that an import needs.
pub(super) struct Parser(MessageParser);

impl Parser {
    pub(super) fn new() -> Self {
        let parser = MessageParser::new()
            .with_mime_headers()
            .with_message_ids()
            .header_date(HeaderName::Date)
            .header_text(HeaderName::Subject)
            .header_address(HeaderName::From)
            .header_address(HeaderName::To)
            .header_address(HeaderName::Cc)
            .header_address(HeaderName::Bcc)
            .header_text(HeaderName::AutoSubmitted);
        let others = ["Precedence", "X-Autoreply", "X-Autorespond", "X-Gmail-Labels", "X-Folder"];
        let parser = others.into_iter().fold(parser, |parser, name| parser.header_text(HeaderName::Other(name.into())));
        Self(parser.default_header_ignore())
    }

    /// Creates a parser for [`Parser::sender`].
    pub(super) fn for_senders() -> Self {
        Self(MessageParser::new().header_address(HeaderName::From).default_header_ignore())
    }

    /// Returns the address of the sender.
    pub(super) fn sender(&self, raw: &[u8]) -> Option<String> {
        let message = self.0.parse_headers(raw)?;
        let from = sender(&message);
        Some(if from.0.is_empty() { from.1 } else { from.0 }).filter(|sender| !sender.is_empty())
    }

    /// Parses a message. Returns `None` for bytes that are none, or that are built to take long.
    pub(super) fn parse(&self, raw: &[u8]) -> Option<Mail> {
        if !is_harmless(raw) {
            return None;
        }
        let message = self.0.parse(raw)?;
        let from = sender(&message);
        if from.0.is_empty() && from.1.is_empty() {
            return None;
        }
        let (recipient, recipients) = recipients(&message);
        Some(Mail {
            recipient,
            recipients,
            subject: message.subject().unwrap_or_default().to_owned(),
            time: message.date().map(|date| date.to_timestamp().saturating_mul(1000)).filter(|time| *time > 0),
            id: message.message_id().unwrap_or_default().to_owned(),
            answers: answers(&message),
            folders: folders(&message),
            automatic: is_automatic(&message),
            body: body(&message),
            from,
        })
    }
}

/// Whether the number of parts and types is that of a real message. More of them would take the
/// parser long.
fn is_harmless(raw: &[u8]) -> bool {
    let type_fields =
        raw.split(|b| *b == b'\n').filter(|l| l.get(..12).is_some_and(|l| l.eq_ignore_ascii_case(b"content-type")));
    if type_fields.clone().take(2).count() > 0 {
        // A ruler of hyphens counts once.
        let dashes = raw.windows(3).filter(|w| w[0] != b'-' && w[1..] == *b"--").count();
        return dashes <= MOST_PARTS && type_fields.count() <= MOST_TYPES;
    }
    true
}

fn first_of<'a>(address: &'a Address<'a>) -> impl Iterator<Item = &'a Addr<'a>> {
    address.iter().take(MOST_RECIPIENTS)
}

fn sender(message: &Message<'_>) -> (String, String) {
    let from = message.from().and_then(|from| first_of(from).next());
    let part = |part: Option<&str>| folded(part.unwrap_or_default());
    from.map(|from| (part(from.address()), part(from.name()))).unwrap_or_default()
}

/// Returns the first recipient's address, and the addresses and names of all.
fn recipients(message: &Message<'_>) -> (Option<String>, Vec<String>) {
    let fields = [message.to(), message.cc(), message.bcc()];
    let each = || fields.iter().flatten().flat_map(|address| first_of(address));
    let first = each().find_map(|to| to.address().or(to.name()).map(folded)).filter(|to| !to.is_empty());
    let all = each().flat_map(|to| [to.address(), to.name()]).flatten().take(MOST_RECIPIENTS).map(str::to_owned);
    (first, all.collect())
}

/// Returns the ids of `References` and then of `In-Reply-To`.
fn answers(message: &Message<'_>) -> Vec<String> {
    let ids = |value: &HeaderValue<'_>| -> Vec<String> {
        match value {
            HeaderValue::Text(id) => vec![id.to_string()],
            HeaderValue::TextList(ids) => ids.iter().rev().take(MOST_ANSWERS).rev().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    };
    let mut all = ids(message.references());
    all.extend(ids(message.in_reply_to()));
    all
}

fn other<'m>(message: &'m Message<'_>, name: &'static str) -> Option<&'m str> {
    message.headers().iter().find(|h| h.name.as_str().eq_ignore_ascii_case(name)).and_then(|h| h.value.as_text())
}

fn folders(message: &Message<'_>) -> Vec<String> {
    let fields = ["X-Gmail-Labels", "X-Folder"];
    let labels = fields.iter().filter_map(|name| other(message, name)).flat_map(|labels| labels.split(','));
    labels.map(|label| label.trim().trim_matches('"').replace('\\', "/")).filter(|l| !l.is_empty()).take(100).collect()
}

fn is_automatic(message: &Message<'_>) -> bool {
    let is = |name, values: &[&str]| {
        other(message, name).is_some_and(|value| values.iter().any(|v| value.trim().eq_ignore_ascii_case(v)))
    };
    let submitted =
        other(message, "Auto-Submitted").is_some_and(|value| !value.trim().to_ascii_lowercase().starts_with("no"));
    let program = |part: &MessagePart<'_>| {
        part.content_type().is_some_and(|content| {
            let subtype = content.subtype().unwrap_or_default();
            (content.ctype().eq_ignore_ascii_case("text") && subtype.eq_ignore_ascii_case("calendar"))
                || (content.ctype().eq_ignore_ascii_case("multipart") && subtype.eq_ignore_ascii_case("report"))
        })
    };
    submitted
        || is("Precedence", &["bulk", "list", "junk", "auto_reply"])
        || other(message, "X-Autoreply").is_some()
        || other(message, "X-Autorespond").is_some()
        || message.parts.iter().any(program)
}

/// Returns the texts of the message, HTML as plain text.
fn body(message: &Message<'_>) -> String {
    let mut body = String::new();
    for part in message.text_bodies() {
        match &part.body {
            PartType::Text(text) => body.push_str(&plain(part, text, message)),
            PartType::Html(text) => body.push_str(&html::text(&redecoded(part, text, message))),
            _ => continue,
        }
        if !body.ends_with('\n') {
            body.push('\n');
        }
    }
    body
}

/// Returns a plain text with its flowed lines joined (RFC 3676).
fn plain<'a>(part: &MessagePart<'_>, text: &'a str, message: &Message<'_>) -> Cow<'a, str> {
    let attribute = |name: &str| part.content_type().and_then(|content| content.attribute(name));
    let text = match redecoded(part, text, message) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(text) => Cow::Owned(text),
    };
    if !attribute("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed")) {
        return text;
    }
    let drop_space = attribute("delsp").is_some_and(|value| value.eq_ignore_ascii_case("yes"));
    let (mut out, mut joins) = (String::with_capacity(text.len()), false);
    for line in text.lines() {
        let quoted = line.starts_with('>');
        let line = if quoted { line } else { line.strip_prefix(' ').unwrap_or(line) };
        if (quoted || !joins) && !out.is_empty() {
            out.push('\n');
        }
        joins = !quoted && line.ends_with(' ') && line != "-- ";
        out.push_str(if joins && drop_space { &line[..line.len() - 1] } else { line });
    }
    Cow::Owned(out)
}

/// Returns the text of a part that declares no charset and is not UTF-8, read as Windows-1252.
fn redecoded<'a>(part: &MessagePart<'_>, text: &'a str, message: &Message<'_>) -> Cow<'a, str> {
    let declared = part.content_type().is_some_and(|content| content.has_attribute("charset"));
    if declared || !text.contains('\u{fffd}') {
        return Cow::Borrowed(text);
    }
    let raw = message.raw_message.get(part.raw_body_offset() as usize..part.raw_end_offset() as usize);
    match (charset_decoder(b"windows-1252"), raw) {
        (Some(decode), Some(raw)) if part.encoding == mail_parser::Encoding::None => Cow::Owned(decode(raw)),
        _ => Cow::Borrowed(text),
    }
}
