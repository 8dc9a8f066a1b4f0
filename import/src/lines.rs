//! Lines of limited length from a stream of any length.

use std::io::{self, BufRead, Read};

/// Maximum length of a line in bytes. A longer line arrives in several pieces.
const LONGEST: u64 = 1 << 16;

/// A reader of lines in constant memory.
pub(crate) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    whole: bool,
}

/// A line, or a part of a line that is too long.
pub(crate) struct Line<'a> {
    /// The bytes with the line end.
    pub(crate) bytes: &'a [u8],
    /// Whether these bytes begin a line.
    pub(crate) begins: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), whole: true }
    }

    /// Returns the next line, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let begins = self.whole;
        self.line.clear();
        let read = self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut self.line)?;
        self.whole = self.line.ends_with(b"\n");
        Ok((read > 0).then_some(Line { bytes: &self.line, begins }))
    }
}
