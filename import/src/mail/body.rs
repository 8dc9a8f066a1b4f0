//! The user's own text of a mail, without quotes, attributions, forwarded parts and signatures.

use super::attribution::{
    attribution, is_added, is_forward_mark, is_header_block, is_original_mark, is_quoted, is_signature,
};
use crate::text::{CONTEXT, cut, tidy};

/// Maximum number of empty lines between an attribution and the quote.
const GAP: usize = 3;
/// Maximum length of a quoted line in an excerpt, in bytes.
const LONGEST: usize = 4 * CONTEXT;

/// The parts of a mail's text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Own {
    /// The user's own text.
    pub(super) text: String,
    /// The beginning of the text that it answers, if the mail quotes it.
    pub(super) quoted: Option<String>,
    /// Whether the mail passes on a message.
    pub(super) forwarded: bool,
}

/// Separates the parts of a text.
pub(super) fn own(body: &str) -> Own {
    let lines: Vec<&str> = body.lines().collect();
    let mut own: Vec<&str> = Vec::new();
    let mut quoted = Excerpt::default();
    let (mut at, mut forwarded, mut written) = (0, false, false);
    let last = lines.iter().rposition(|line| !line.trim().is_empty()).unwrap_or(0);
    while at < lines.len() {
        let line = lines[at];
        if is_quoted(line) {
            quoted.quoted(line);
        } else if is_signature(line) {
            // A quote may follow the signature.
            lines[at..].iter().filter(|line| is_quoted(line)).take(200).for_each(|line| quoted.quoted(line));
            break;
        } else if is_forward_mark(line) {
            forwarded = true;
            break;
        } else if is_original_mark(line) {
            quoted.rest(&lines[at + 1..]);
            break;
        } else if is_header_block(&lines, at) {
            forwarded = !written;
            quoted.rest(&lines[at..]);
            break;
        } else if let Some(found) = attribution(&lines, at) {
            let next = lines[at + found.lines..].iter().take(GAP).find(|line| !line.trim().is_empty());
            // At the end the quote itself was cut off.
            if next.is_some_and(|next| is_quoted(next)) || at + found.lines > last {
                at += found.lines;
                continue;
            }
            if found.certain && written {
                // The answered text follows without marks.
                quoted.rest(&lines[at + found.lines..]);
                break;
            }
            if found.certain {
                at += found.lines;
                continue;
            }
            own.push(line);
            written = true;
        } else {
            written |= !line.trim().is_empty();
            own.push(line);
        }
        at += 1;
    }
    while own.last().is_some_and(|line| line.trim().is_empty() || is_added(line)) {
        own.pop();
    }
    Own { text: tidy(own.into_iter()), quoted: quoted.finish(), forwarded }
}

/// The beginning of a quoted text.
#[derive(Default)]
struct Excerpt {
    lines: Vec<String>,
    length: usize,
}

impl Excerpt {
    fn add(&mut self, line: &str) {
        if self.length < LONGEST {
            let line = cut(line, CONTEXT);
            self.length += line.len() + 1;
            self.lines.push(line.to_owned());
        }
    }

    /// Adds a line with one mark; lines with more marks are older.
    fn quoted(&mut self, line: &str) {
        let line = line.trim_start().strip_prefix('>').unwrap_or(line);
        if self.length < LONGEST && !is_quoted(line) {
            self.add(line.strip_prefix(' ').unwrap_or(line));
        }
    }

    /// Adds the rest of a mail after the header of the answered message.
    fn rest(&mut self, lines: &[&str]) {
        let is_field =
            |line: &&&str| line.trim().is_empty() || line.split_once(':').is_some_and(|(name, _)| name.len() <= 16);
        let header = lines.iter().take(10).take_while(is_field).count();
        let from = if lines.iter().take(header).any(|line| line.contains(':')) { header } else { 0 };
        for line in &lines[from..] {
            if self.length >= LONGEST || is_signature(line) {
                break;
            }
            self.quoted(line);
        }
    }

    fn finish(self) -> Option<String> {
        // The quoted text has quotes and attributions of its own.
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        let end =
            (0..lines.len()).find(|at| is_signature(lines[*at]) || attribution(&lines, *at).is_some_and(|a| a.certain));
        let text = tidy(lines[..end.unwrap_or(lines.len())].iter().copied());
        Some(cut(&text, CONTEXT).trim_end().to_owned()).filter(|text| !text.is_empty())
    }
}
