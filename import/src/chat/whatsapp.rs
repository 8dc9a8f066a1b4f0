//! The text export of WhatsApp, from Android and from iPhones, in any order of day and month.
//!
//! ```text
//! 12/05/26, 14:03 - Ada: Are you coming?
//! [12.05.26, 14:03:22] Ada: Are you coming?
//! ```

use super::{Form, Message};
use crate::{
    date,
    error::ImportError,
    input::Document,
    lines::Lines,
    select::Collector,
    senders::Senders,
    text::{MOST_BYTES, folded, is_mark},
};

/// Maximum length of a name in bytes.
const NAME: usize = 120;

/// Whether a line begins a message.
pub(crate) fn begins(line: &str) -> bool {
    header(line).is_some()
}

/// The order of the numbers of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    DayFirst,
    MonthFirst,
}

/// The header of a message: its date and time as written, and the rest of the line.
#[derive(Debug, PartialEq)]
struct Header<'a> {
    date: [i64; 3],
    dots: bool,
    /// Whether the clock has twelve hours.
    halves: bool,
    time: (i64, i64, i64),
    rest: &'a str,
}

impl Header<'_> {
    fn time(&self, order: Order) -> Option<i64> {
        let [a, b, c] = self.date;
        let (year, month, day) = match order {
            _ if a >= 1000 => (a, b, c),
            Order::DayFirst => (c, b, a),
            Order::MonthFirst => (c, a, b),
        };
        date::milliseconds((if year < 100 { 2000 + year } else { year }, month, day), self.time)
    }
}

/// Takes a number of up to four digits from the front.
fn number(text: &str) -> Option<(i64, &str)> {
    let digits = text.bytes().take(5).take_while(u8::is_ascii_digit).count();
    if !(1..=4).contains(&digits) {
        return None;
    }
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || is_mark(c)
}

/// Parses the header of a message.
fn header(line: &str) -> Option<Header<'_>> {
    let line = line.trim_start_matches(is_mark);
    let (brackets, text) = line.strip_prefix('[').map_or((false, line), |text| (true, text));
    let (a, text) = number(text)?;
    let separator = text.chars().next().filter(|c| matches!(c, '/' | '.' | '-'))?;
    let (b, text) = number(&text[1..])?;
    let (c, text) = number(text.strip_prefix(separator)?)?;
    let text = text.strip_prefix('.').unwrap_or(text);
    let text = text.trim_start_matches([',', '\u{60c}']).trim_start_matches(is_space);
    let (hour, text) = number(text)?;
    let (minute, mut text) = number(text.strip_prefix([':', '.'])?)?;
    let mut second = 0;
    if let Some((value, rest)) = text.strip_prefix([':', '.']).and_then(number) {
        (second, text) = (value, rest);
    }
    let (afternoon, text) = half(text.trim_start_matches(is_space));
    let hour = match afternoon {
        Some(true) if hour < 12 => hour + 12,
        Some(false) if hour == 12 => 0,
        _ => hour,
    };
    let text = text.trim_start_matches(is_space);
    let rest = if brackets { text.strip_prefix(']')? } else { text.strip_prefix(['-', '\u{2013}'])? };
    let rest = rest.strip_prefix(' ')?;
    let (dots, halves) = (separator == '.', afternoon.is_some());
    (b < 100).then_some(Header { date: [a, b, c], dots, halves, time: (hour, minute, second), rest })
}

/// Takes `AM`, `pm` or `p. m.` from the front.
fn half(text: &str) -> (Option<bool>, &str) {
    let Some(afternoon) = text.chars().next().and_then(|c| match c {
        'a' | 'A' => Some(false),
        'p' | 'P' => Some(true),
        _ => None,
    }) else {
        return (None, text);
    };
    let rest = text[1..].trim_start_matches(|c: char| c == '.' || is_space(c));
    match rest.strip_prefix(['m', 'M']) {
        Some(rest) => (Some(afternoon), rest.strip_prefix('.').unwrap_or(rest)),
        None => (None, text),
    }
}

/// Splits the rest of a header into name and text. Lines of the program have no name.
fn named(rest: &str) -> Option<(&str, &str)> {
    let (name, text) = rest.split_once(": ").or_else(|| rest.strip_suffix(':').map(|name| (name, "")))?;
    let name = name.trim_matches(|c| is_space(c) || c == '~');
    (!name.is_empty() && name.len() <= NAME).then_some((name, text))
}

/// The result of the first pass over a chat.
pub(super) struct Survey {
    pub(super) order: Order,
    pub(super) senders: Senders,
}

/// Finds the senders, and the order of day and month: a number above 12 is a day. Without one, the
/// order in which fewer messages are older than the one before; then dots mean that the day is
/// first, and a clock of twelve hours with slashes that the month is.
pub(super) fn survey(document: &Document<'_>, collector: &mut Collector<'_>) -> Result<Survey, ImportError> {
    let mut senders = Senders::default();
    let mut beyond = [0u64; 2];
    let mut back = [0u64; 2];
    let mut last = [i64::MIN; 2];
    let (mut dots, mut halves) = (false, false);
    each_line(document, collector, &mut |line, _| {
        let Some(header) = header(line) else { return };
        if let Some((name, _)) = named(header.rest) {
            senders.add(name);
        }
        dots |= header.dots;
        halves |= header.halves;
        for (n, order) in [Order::DayFirst, Order::MonthFirst].into_iter().enumerate() {
            match header.time(order) {
                Some(time) => {
                    back[n] += u64::from(time < last[n]);
                    last[n] = time;
                }
                None => beyond[n] += 1,
            }
        }
    })?;
    let day_first = (beyond[0], back[0]).cmp(&(beyond[1], back[1]));
    let order = match day_first {
        std::cmp::Ordering::Less => Order::DayFirst,
        std::cmp::Ordering::Greater => Order::MonthFirst,
        std::cmp::Ordering::Equal if halves && !dots => Order::MonthFirst,
        std::cmp::Ordering::Equal => Order::DayFirst,
    };
    Ok(Survey { order, senders })
}

/// Callback for one line without its end.
type OnLine<'f, 'o> = &'f mut dyn FnMut(&str, &mut Collector<'o>);

fn each_line<'o>(
    document: &Document<'_>,
    collector: &mut Collector<'o>,
    on_line: OnLine<'_, 'o>,
) -> Result<(), ImportError> {
    let mut lines = Lines::new(document.open()?);
    loop {
        let Some(line) = lines.next().map_err(|e| document.io(e))? else { return Ok(()) };
        collector.advance(line.bytes.len() as u64)?;
        let text = String::from_utf8_lossy(line.bytes);
        on_line(text.trim_end_matches(['\n', '\r']), collector);
    }
}

/// Reads the messages of a chat.
pub(super) fn read<'o>(
    document: &Document<'_>,
    order: Order,
    collector: &mut Collector<'o>,
    on_message: &mut dyn FnMut(Message, &mut Collector<'o>),
) -> Result<(), ImportError> {
    let mut message: Option<Message> = None;
    each_line(document, collector, &mut |line, collector| {
        let Some(header) = header(line) else {
            // A line without a header continues the message.
            if let Some(message) = message.as_mut().filter(|m| m.text.len() <= MOST_BYTES) {
                message.text.push('\n');
                message.text.push_str(line);
            }
            return;
        };
        let time = header.time(order);
        let next = match named(header.rest) {
            Some((name, text)) => Message { sender: name.into(), text: text.into(), time, form: Form::Text },
            None => Message { time, form: Form::NoText, ..Message::default() },
        };
        if let Some(done) = message.replace(next) {
            on_message(finished(done), collector);
        }
    })?;
    if let Some(done) = message {
        on_message(finished(done), collector);
    }
    Ok(())
}

/// Texts that stand for something else, in lower case.
const MARKERS: [&str; 12] = [
    "null",
    "this message was deleted",
    "you deleted this message",
    "diese nachricht wurde gelöscht",
    "du hast diese nachricht gelöscht",
    "ce message a été supprimé",
    "vous avez supprimé ce message",
    "se eliminó este mensaje",
    "eliminaste este mensaje",
    "mensagem apagada",
    "questo messaggio è stato eliminato",
    "dit bericht is verwijderd",
];
/// Beginnings of the names of files that WhatsApp sends.
const FILES: [&str; 7] = ["IMG-", "VID-", "PTT-", "AUD-", "STK-", "DOC-", "GIF-"];

/// Returns the message without marks, with its form.
fn finished(mut message: Message) -> Message {
    if message.form == Form::NoText {
        return message;
    }
    // `<This message was edited>`, in any language.
    let edited = message.text.rsplit_once("\u{200e}<").filter(|(_, note)| note.trim_end().ends_with('>'));
    if let Some((before, _)) = edited.filter(|(before, _)| !before.trim().is_empty()) {
        message.text = before.trim_end().to_owned();
    }
    let text = message.text.trim();
    let single = !text.contains('\n');
    let enclosed = single && text.starts_with('<') && text.ends_with('>') && text.split(' ').count() <= 6;
    let file = FILES.iter().any(|file| text.starts_with(file)) && text.contains("-WA");
    let attached = single
        && text.ends_with(')')
        && text.rsplit_once(" (").is_some_and(|(name, note)| {
            name.rsplit_once('.').is_some_and(|(_, e)| (2..=4).contains(&e.len()) && !name.contains("  "))
                && note.len() < 40
        })
        && text.split(' ').count() <= 8;
    // iPhones mark the lines of the program in a message with U+200E.
    let marked = message.text.starts_with('\u{200e}');
    let marker = MARKERS.contains(&folded(text).trim_end_matches('.'));
    if enclosed || file || attached || marked || marker {
        message.form = Form::NoText;
    }
    message.text.retain(|c| !is_mark(c));
    message
}

/// Returns the name of a chat from its file's name: `WhatsApp Chat with Garden group`.
pub(super) fn name(document: &Document<'_>) -> Option<String> {
    let stem = document.stem()?.trim_start_matches("WhatsApp Chat - ");
    let rest = stem.strip_prefix("WhatsApp").map_or(stem, |rest| {
        [" with ", " mit ", " avec ", " con ", " com ", " met "]
            .iter()
            .find_map(|w| rest.split_once(w))
            .map_or(stem, |(_, n)| n)
    });
    Some(rest.trim().to_owned()).filter(|name| !name.is_empty() && name != "_chat")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_many_countries_are_read() {
        let of = |line: &str| header(line).map(|h| (h.time(Order::DayFirst), h.rest.to_owned()));
        let time = date::milliseconds((2026, 5, 12), (14, 3, 0));
        for line in [
            "12/05/26, 14:03 - Ada: hi",
            "12/5/2026, 2:03 PM - Ada: hi",
            "12.05.26, 14:03 - Ada: hi",
            "[12.05.26, 14:03:00] Ada: hi",
            "\u{200e}[12/05/2026, 2:03:00\u{202f}p.\u{a0}m.] Ada: hi",
            "2026-05-12, 14:03 - Ada: hi",
            "12/05/2026 14:03 - Ada: hi",
            "12-05-2026 14:03 - Ada: hi",
            "[2026/05/12, 14:03:00] Ada: hi",
            "12.05.2026, 14.03 \u{2013} Ada: hi",
            "12.5.2026., 14:03 - Ada: hi",
        ] {
            assert_eq!(of(line), Some((time, "Ada: hi".into())), "{line}");
        }
        for line in [
            "",
            "hi",
            "12/05",
            "12/05/26",
            "12/05/26, 14:03",
            "12/05/26, 14:03 Ada",
            "[12.05.26, 14:03 Ada",
            "99999/1/1, 1:1 - x",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
        assert_eq!(header("12/05/26, 12:03 AM - Ada: hi").map(|h| h.time), Some((0, 3, 0)));
        assert_eq!(header("12/31/26, 12:03 AM - Ada: hi").map(|h| h.time(Order::DayFirst)), Some(None));
    }
}
