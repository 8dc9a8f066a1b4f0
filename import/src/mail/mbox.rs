//! Messages of an mbox file, as a stream in constant memory.
//!
//! A line `From sender date` begins a message. In bodies such lines are quoted: `>From ` (mboxo), or
//! with one more `>` (mboxrd).

use std::io::{self, BufRead};

use super::MOST;
use crate::{error::ImportError, input::Document, lines::Lines};

/// Whether a message has an acceptable size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Fits,
    TooLarge,
}

/// A failure of the stream, or a stop by the callback.
#[derive(Debug)]
pub(crate) enum Stopped {
    Io(io::Error),
    By(ImportError),
}

impl Stopped {
    /// Returns the error of an import from `document`.
    pub(crate) fn of(self, document: &Document<'_>) -> ImportError {
        match self {
            Self::Io(source) => document.io(source),
            Self::By(error) => error,
        }
    }
}

/// A reader of messages.
pub(crate) struct Mbox<R> {
    lines: Lines<R>,
    message: Vec<u8>,
    kept: usize,
    /// Whether the line that begins the next message was read.
    begun: bool,
}

impl<R: BufRead> Mbox<R> {
    /// Creates a reader that keeps the first `kept` bytes of each message.
    pub(crate) fn new(reader: R, kept: usize) -> Self {
        Self { lines: Lines::new(reader), message: Vec::new(), kept, begun: false }
    }

    /// Returns the first bytes of the current message.
    pub(crate) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Reads the next message. `on_bytes` gets the number of bytes of each line.
    pub(crate) fn next(
        &mut self,
        on_bytes: &mut dyn FnMut(u64) -> Result<(), ImportError>,
    ) -> Result<Option<Size>, Stopped> {
        self.message.clear();
        let mut length = 0;
        while let Some(line) = self.lines.next().map_err(Stopped::Io)? {
            on_bytes(line.bytes.len() as u64).map_err(Stopped::By)?;
            if line.begins && separates(line.bytes) {
                if std::mem::replace(&mut self.begun, true) {
                    return Ok(Some(size(length)));
                }
                continue;
            }
            // Bytes before the first message belong to none.
            if !self.begun {
                continue;
            }
            length += line.bytes.len() as u64;
            let line = if line.begins { unquoted(line.bytes) } else { line.bytes };
            let room = self.kept - self.message.len();
            self.message.extend_from_slice(&line[..line.len().min(room)]);
        }
        Ok(std::mem::take(&mut self.begun).then(|| size(length)))
    }
}

fn size(length: u64) -> Size {
    if length > MOST { Size::TooLarge } else { Size::Fits }
}

/// Whether bytes begin with the first line of a message.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    bytes.split(|b| *b == b'\n').next().is_some_and(separates)
}

/// Whether a line begins a message: `From `, with a time and a year behind. A sentence that begins
/// with `From` has neither.
fn separates(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ").filter(|_| line.len() < 1000) else { return false };
    let time = rest
        .windows(5)
        .any(|w| w[2] == b':' && [w[0], w[1], w[3], w[4]].iter().all(|b| b.is_ascii_digit() || *b == b' '));
    let year =
        rest.windows(4).any(|w| matches!(w, [b'1', b'9', ..] | [b'2', b'0', ..]) && w.iter().all(u8::is_ascii_digit));
    time && year
}

/// Removes one level of quoting from `>From `.
fn unquoted(line: &[u8]) -> &[u8] {
    let marks = line.iter().take_while(|b| **b == b'>').count();
    if marks > 0 && line[marks..].starts_with(b"From ") { &line[1..] } else { line }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    fn messages(mbox: &str, kept: usize) -> Vec<String> {
        let mut mbox = Mbox::new(mbox.as_bytes(), kept);
        let mut all = Vec::new();
        while mbox.next(&mut |_| Ok(())).unwrap().is_some() {
            all.push(String::from_utf8_lossy(mbox.message()).into_owned());
        }
        all
    }

    #[test]
    fn splits_at_from_lines_and_removes_quoting() {
        let mbox = "From ada@example.org Mon May 12 10:00:00 2025\nSubject: a\n\nFrom here on it rains.\n>From me\n>>From you\n> From\n\n\
                    From - Mon May 12 10:00:00 2025\r\nSubject: b\r\n\r\nHi\r\n";
        assert_eq!(
            messages(mbox, 1000),
            ["Subject: a\n\nFrom here on it rains.\nFrom me\n>From you\n> From\n\n", "Subject: b\r\n\r\nHi\r\n"]
        );
        assert_eq!(messages(mbox, 5), ["Subje", "Subje"]);
        assert_eq!(messages("no mail\nat all\n", 1000), [""; 0]);
        assert_eq!(messages("From 1@xxx Mon May 12 10:00:00 +0000 2025\n", 1000), [""]);
    }

    /// A stream of many messages that exists nowhere as a whole.
    struct Endless {
        left: usize,
        message: Vec<u8>,
        at: usize,
    }

    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.at == self.message.len() {
                if self.left == 0 {
                    return Ok(0);
                }
                (self.left, self.at) = (self.left - 1, 0);
            }
            let length = out.len().min(self.message.len() - self.at);
            out[..length].copy_from_slice(&self.message[self.at..self.at + length]);
            self.at += length;
            Ok(length)
        }
    }

    #[test]
    fn memory_does_not_grow_with_the_stream() {
        let body = "a line of a long mail\n".repeat(50_000) + &"x".repeat(1 << 20);
        let message = format!("From ada@example.org Mon May 12 10:00:00 2025\nSubject: a\n\n{body}\n").into_bytes();
        let stream = BufReader::new(Endless { left: 40, at: message.len(), message });
        let mut mbox = Mbox::new(stream, 4096);
        let mut count = 0;
        while mbox.next(&mut |_| Ok(())).unwrap().is_some() {
            count += 1;
            assert!(mbox.message.capacity() <= 8192 && mbox.message.len() == 4096);
        }
        assert_eq!(count, 40);
    }

    #[test]
    fn counts_the_size_of_a_large_message() {
        let message =
            format!("From ada@example.org Mon May 12 10:00:00 2025\n{}\n", "x".repeat(MOST as usize)).into_bytes();
        let mut mbox = Mbox::new(message.as_slice(), 100);
        assert_eq!(mbox.next(&mut |_| Ok(())).unwrap(), Some(Size::TooLarge));
        assert_eq!(mbox.next(&mut |_| Ok(())).unwrap(), None);
    }
}
