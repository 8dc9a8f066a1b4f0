//! Text file encodings: reads UTF-8 and UTF-16, and names any other encoding in an error.
//!
//! UTF-8 may begin with a byte-order mark, and UTF-16 must. Malformed UTF-16 (an unpaired
//! surrogate) becomes U+FFFD, as the Encoding Standard requires.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, Encoding, UTF_16BE, UTF_16LE};

/// Reason why the bytes of a file are not read as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// The bytes begin with the signature of another format.
    #[error("it is {what}, and UTF-8 is needed: {remedy}")]
    Format {
        /// The format that the bytes look like.
        what: &'static str,
        /// Advice to the user.
        remedy: &'static str,
    },
    /// The bytes are not UTF-8.
    #[error(
        "it is not UTF-8 (byte {byte:#04x} at {at}) and looks like {guess}: convert it, for example with `iconv -f {guess} -t UTF-8`"
    )]
    NotUtf8 {
        /// Offset of the first invalid byte, from 0.
        at: usize,
        /// The byte at that offset.
        byte: u8,
        /// Most likely encoding, as the Encoding Standard names it.
        guess: &'static str,
    },
}

/// Number of bytes that encoding detection reads.
const HEAD: u64 = 4;

/// Encoding of a file.
enum Form {
    /// UTF-8, after a byte-order mark of this many bytes.
    Utf8(usize),
    /// One of the two byte orders of UTF-16, after its byte-order mark.
    Utf16(&'static Encoding),
}

impl Form {
    fn of(head: &[u8]) -> Result<Self, EncodingError> {
        let refused = |what, remedy| Err(EncodingError::Format { what, remedy });
        let (utf16, utf32) = (
            "convert it with `iconv -f UTF-16 -t UTF-8`, or give it a byte-order mark",
            "convert it with `iconv -f UTF-32 -t UTF-8`",
        );
        match *head {
            [0xff, 0xfe, 0, 0] | [0, 0, 0xfe, 0xff] => refused("UTF-32", utf32),
            [0xef, 0xbb, 0xbf, ..] => Ok(Self::Utf8(3)),
            [0xff, 0xfe, ..] => Ok(Self::Utf16(UTF_16LE)),
            [0xfe, 0xff, ..] => Ok(Self::Utf16(UTF_16BE)),
            [1..=0xff, 0, 0, 0] | [0, 0, 0, 1..=0xff] => refused("UTF-32 without a byte-order mark", utf32),
            [1..=0xff, 0, 1..=0xff, 0] | [1..=0xff, 0] => refused("UTF-16LE without a byte-order mark", utf16),
            [0, 1..=0xff, 0, 1..=0xff] | [0, 1..=0xff] => refused("UTF-16BE without a byte-order mark", utf16),
            [0x28, 0xb5, 0x2f, 0xfd] => refused("compressed by zstd", "let its name end in .zst, or unpack it"),
            [0x1f, 0x8b, ..] => refused("compressed by gzip", "unpack it with `gunzip`"),
            _ => Ok(Self::Utf8(0)),
        }
    }
}

/// Decodes `bytes` as text.
///
/// # Errors
/// [`EncodingError`] names the format or encoding if it is not supported.
pub fn text(mut bytes: Vec<u8>) -> Result<String, EncodingError> {
    match Form::of(&bytes[..bytes.len().min(HEAD as usize)])? {
        Form::Utf16(encoding) => Ok(encoding.decode_with_bom_removal(&bytes).0.into_owned()),
        Form::Utf8(mark) => {
            as_utf8(&bytes[mark..])?;
            bytes.drain(..mark);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

/// Returns `bytes` as a string if they are UTF-8.
pub fn as_utf8(bytes: &[u8]) -> Result<&str, EncodingError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        let guess = detector.guess(None, Utf8Detection::Deny).name();
        EncodingError::NotUtf8 { at: e.valid_up_to(), byte: bytes[e.valid_up_to()], guess }
    })
}

/// A reader that yields the same text as UTF-8, without a byte-order mark. UTF-8 input passes
/// through unchecked.
///
/// # Errors
/// [`EncodingError`] within an [`io::Error`], if the first bytes belong to another format.
pub fn utf8(mut reader: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD).read_to_end(&mut head)?;
    let form = Form::of(&head).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let mark = match form {
        Form::Utf8(mark) => mark,
        Form::Utf16(_) => 2,
    };
    let rest = Cursor::new(head.split_off(mark)).chain(reader);
    Ok(match form {
        Form::Utf8(_) => Box::new(rest),
        Form::Utf16(encoding) => Box::new(BufReader::new(Utf16 {
            reader: rest,
            decoder: encoding.new_decoder_without_bom_handling(),
            out: vec![0; 1 << 13],
            from: 0,
            to: 0,
            ended: false,
        })),
    })
}

/// A reader that converts UTF-16 to UTF-8.
struct Utf16<R> {
    reader: R,
    decoder: Decoder,
    /// Decoded bytes; those from `from` to `to` are not read yet.
    out: Vec<u8>,
    from: usize,
    to: usize,
    ended: bool,
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.from == self.to && !self.ended {
            let bytes = self.reader.fill_buf()?;
            self.ended = bytes.is_empty();
            let (_, read, written, _) = self.decoder.decode_to_utf8(bytes, &mut self.out, self.ended);
            self.reader.consume(read);
            (self.from, self.to) = (0, written);
        }
        let n = into.len().min(self.to - self.from);
        into[..n].copy_from_slice(&self.out[self.from..self.from + n]);
        self.from += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` as a whole and as a stream, and checks that both give the same result.
    fn read(bytes: &[u8]) -> Result<String, EncodingError> {
        let whole = text(bytes.to_vec());
        // The buffer ends in the middle of characters.
        let streamed = utf8(BufReader::with_capacity(3, Cursor::new(bytes.to_vec()))).and_then(io::read_to_string);
        match (&whole, streamed) {
            (Ok(text), Ok(streamed)) => assert_eq!(*text, streamed),
            (Err(_), Err(e)) => assert_eq!(e.kind(), io::ErrorKind::InvalidData),
            (whole, streamed) => panic!("{whole:?} and {streamed:?}"),
        }
        whole
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn reads_utf8_and_utf16_with_a_mark() {
        let long = "Grüße, 好 🙂\n".repeat(3_000);
        for text in ["", "a", "é", "Grüße, 好 🙂\r\n", long.as_str()] {
            assert_eq!(read(text.as_bytes()).as_deref(), Ok(text));
            let marked = format!("\u{feff}{text}");
            assert_eq!(read(marked.as_bytes()).as_deref(), Ok(text));
            assert_eq!(read(&utf16(&marked, u16::to_le_bytes)).as_deref(), Ok(text));
            assert_eq!(read(&utf16(&marked, u16::to_be_bytes)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn damaged_utf16_is_replaced() {
        assert_eq!(read(&[0xff, 0xfe, b'a', 0, 0x3d, 0xd8, b'b', 0]).as_deref(), Ok("a\u{fffd}b"));
        assert_eq!(read(&[0xff, 0xfe, b'a', 0, b'b']).as_deref(), Ok("a\u{fffd}"));
    }

    #[test]
    fn names_what_it_does_not_read() {
        let named = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert!(named(&utf16("{\"a\"", u16::to_le_bytes)).contains("UTF-16LE without"));
        assert!(named(&utf16("{", u16::to_be_bytes)).contains("UTF-16BE without"));
        assert!(named(&[0xff, 0xfe, 0, 0, b'a', 0, 0, 0]).contains("UTF-32,"));
        assert!(named(&[b'{', 0, 0, 0, b'"', 0, 0, 0]).contains("UTF-32 without"));
        assert!(named(&[0x28, 0xb5, 0x2f, 0xfd, 0]).contains(".zst"));
        assert!(named(&[0x1f, 0x8b, 8]).contains("gunzip"));
        let latin = "Très bon café, très léger".chars().map(|c| c as u8).collect::<Vec<u8>>();
        let told = text(latin).unwrap_err();
        assert!(matches!(told, EncodingError::NotUtf8 { at: 2, byte: 0xe8, guess: "windows-1252" }), "{told}");
        assert!(told.to_string().contains("iconv -f windows-1252 -t UTF-8"));
    }
}
