//! User profiles as JSON lines, plain or zstd-compressed: the input of pack builds and evaluations.
//!
//! One line is one user: `{"user", "history": [interaction...], "target": interaction}`; see
//! [`Interaction`] for the keys. Files are read line by line and never held in memory whole.

use std::{borrow::Cow, path::PathBuf};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::encoding;
use locket::{
    Interaction,
    internals::text::{self, escapes},
};

/// One user: earlier interactions, and the latest one, which evaluations hold out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// User id, unique over all files of a pack.
    pub user: String,
    /// Earlier interactions, oldest first.
    #[serde(default)]
    pub history: Vec<Interaction>,
    /// The interaction to predict or to generate.
    pub target: Interaction,
}

impl Profile {
    /// Returns all interactions, each with a flag that is true for the target.
    pub fn interactions(&self) -> impl Iterator<Item = (&Interaction, bool)> {
        self.history.iter().map(|i| (i, false)).chain(std::iter::once((&self.target, true)))
    }

    /// Parses a profile from one line of JSON. An unpaired surrogate becomes U+FFFD.
    ///
    /// # Errors
    /// A description of the defect.
    pub fn from_json(line: &[u8]) -> Result<Self, String> {
        let profile: Self = match serde_json::from_slice(line) {
            Ok(profile) => profile,
            Err(e) => match std::str::from_utf8(line).map(escapes::mended) {
                Ok(Cow::Owned(mended)) => serde_json::from_str(&mended).map_err(|e| e.to_string())?,
                _ => return Err(e.to_string()),
            },
        };
        profile.defect().map_or(Ok(profile.in_milliseconds()), Err)
    }

    /// Converts all times to milliseconds, see [`Interaction::milliseconds`].
    fn in_milliseconds(mut self) -> Self {
        self.history.iter_mut().chain([&mut self.target]).for_each(Interaction::normalize_time);
        self
    }

    /// Describes the first defect, if any.
    fn defect(&self) -> Option<String> {
        if text::is_blank(&self.user) {
            return Some("the user id is empty".into());
        }
        if let Some(defect) = self.target.defect() {
            return Some(format!("target: {defect}"));
        }
        self.history.iter().enumerate().find_map(|(n, i)| i.defect().map(|d| format!("history[{n}]: {d}")))
    }
}

/// Errors of profile files.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file is missing, unreadable or not valid zstd.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// A line is not a profile. Fix the line, or skip bad lines (`--skip-bad`).
    #[error("{path}:{line}: not a profile: {what}", path = path.display())]
    Line {
        /// Path of the file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// Description of the defect.
        what: String,
    },
}

/// Maximum line length in bytes. A longer line is an error, so it cannot exhaust memory.
pub const MAX_LINE: u64 = 64 << 20;

/// A stream of profiles from one file. [`ProfileError::Line`] does not end the stream;
/// [`ProfileError::Io`] does.
pub struct Profiles(Lines);

impl Profiles {
    /// Opens `path`: UTF-8, or UTF-16 with a byte-order mark. A file whose name ends in `.zst` is
    /// decompressed as it is read.
    ///
    /// # Errors
    /// [`ProfileError::Io`] if the file cannot be opened, or if its first bytes belong to another
    /// format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ProfileError> {
        Ok(Self(Lines::open(path.as_ref())?))
    }

    /// Returns all profiles of several files, and opens each file when the stream reaches it.
    pub fn of_all(files: &[PathBuf]) -> impl Iterator<Item = Result<Profile, ProfileError>> {
        files.iter().flat_map(|file| {
            let (open, failed) = match Self::open(file) {
                Ok(open) => (Some(open), None),
                Err(e) => (None, Some(Err(e))),
            };
            open.into_iter().flatten().chain(failed)
        })
    }
}

impl Iterator for Profiles {
    type Item = Result<Profile, ProfileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.find(|line| line.as_ref().map_or(true, |line| !line.trim_ascii().is_empty()))?;
        Some(line.and_then(|line| {
            let text = encoding::as_utf8(&line).map_err(|e| self.0.bad(e.to_string()))?;
            Profile::from_json(text.as_bytes()).map_err(|what| self.0.bad(what))
        }))
    }
}

/// The lines of a text file, as bytes with their line ends. UTF-16 is converted to UTF-8, and a
/// file whose name ends in `.zst` is decompressed.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    /// Number of the line read last, from 1.
    number: usize,
    done: bool,
}

impl Lines {
    /// Opens `path`, as [`Profiles::open`] does.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn open(path: &Path) -> Result<Self, ProfileError> {
        let open = || {
            let file = File::open(path)?;
            match path.extension().is_some_and(|e| e == "zst") {
                true => encoding::utf8(BufReader::new(zstd::Decoder::new(file)?)),
                false => encoding::utf8(BufReader::new(file)),
            }
        };
        let reader = open().map_err(|source| ProfileError::Io { path: path.to_path_buf(), source })?;
        Ok(Self { path: path.to_path_buf(), reader, number: 0, done: false })
    }

    /// Converts the lines to strings. A line that is not UTF-8 gives an error and does not end the
    /// stream.
    pub fn texts(mut self) -> impl Iterator<Item = Result<String, ProfileError>> {
        std::iter::from_fn(move || {
            let line = self.next()?;
            Some(line.and_then(|line| match encoding::as_utf8(&line) {
                Ok(text) => Ok(text.to_owned()),
                Err(e) => Err(self.bad(e.to_string())),
            }))
        })
    }

    /// Returns the error for the line read last.
    fn bad(&self, what: String) -> ProfileError {
        ProfileError::Line { path: self.path.clone(), line: self.number, what }
    }
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>, ProfileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        self.number += 1;
        let mut bytes = Vec::new();
        let source = match (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) => {
                self.done = true;
                return None;
            }
            Ok(n) if n as u64 == MAX_LINE && !bytes.ends_with(b"\n") => {
                std::io::Error::other(format!("line {} is longer than {MAX_LINE} bytes", self.number))
            }
            Ok(_) => return Some(Ok(bytes)),
            Err(source) => source,
        };
        self.done = true;
        Some(Err(ProfileError::Io { path: self.path.clone(), source }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn bad_lines_are_named_and_do_not_end_the_stream() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, r#"{{"user":"a","target":{{"item":"i","text":"t"}}}}"#).unwrap();
        writeln!(file, "{{").unwrap();
        writeln!(file, r#"{{"user":"b","target":{{"item":"i","text":"t","rating":9}}}}"#).unwrap();
        writeln!(file).unwrap();
        write!(file, r#"{{"user":"c","history":[],"target":{{"item":"i","text":"t","rating":null}}}}"#).unwrap();
        let read: Vec<_> = Profiles::open(file.path()).unwrap().collect();
        assert_eq!(read.len(), 4);
        assert_eq!(read[0].as_ref().unwrap().user, "a");
        assert!(matches!(read[1], Err(ProfileError::Line { line: 2, .. })));
        let message = read[2].as_ref().unwrap_err().to_string();
        assert!(message.ends_with(":3: not a profile: target: the rating is outside 1 to 5"), "{message}");
        assert_eq!(read[3].as_ref().unwrap().user, "c");
    }

    #[test]
    fn times_are_read_as_milliseconds_or_refused() {
        let line = |time: &str| format!(r#"{{"user":"a","target":{{"item":"i","text":"t","time":{time}}}}}"#);
        let profile = Profile::from_json(line("1700000000").as_bytes()).unwrap();
        assert_eq!(profile.target.time, Some(1_700_000_000_000));
        let refused = Profile::from_json(line("-5").as_bytes()).unwrap_err();
        assert!(refused.starts_with("target: the time is negative"), "{refused}");
    }

    #[test]
    fn zstd_is_read_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.jsonl.zst");
        let line = br#"{"user":"a","target":{"item":"i","text":"t"}}"#;
        std::fs::write(&path, zstd::encode_all(&line[..], 3).unwrap()).unwrap();
        assert_eq!(Profiles::open(&path).unwrap().count(), 1);
        std::fs::write(&path, b"not zstd").unwrap();
        assert!(matches!(Profiles::open(&path).err(), Some(ProfileError::Io { .. })));
    }

    /// Returns the user ids in a file with these bytes, and checks that zstd gives the same.
    fn users(bytes: &[u8]) -> Vec<Result<String, String>> {
        let dir = tempfile::tempdir().unwrap();
        let (plain, packed) = (dir.path().join("p.jsonl"), dir.path().join("p.jsonl.zst"));
        std::fs::write(&plain, bytes).unwrap();
        std::fs::write(&packed, zstd::encode_all(bytes, 3).unwrap()).unwrap();
        let read = |path: &Path| -> Vec<Result<String, String>> {
            let told = |e: ProfileError| e.to_string().replace(&*path.to_string_lossy(), "FILE");
            match Profiles::open(path) {
                Ok(profiles) => profiles.map(|p| p.map(|p| p.user).map_err(told)).collect(),
                Err(e) => vec![Err(told(e))],
            }
        };
        let all = read(&plain);
        assert_eq!(read(&packed), all);
        all
    }

    #[test]
    fn reads_byte_order_marks_and_utf16() {
        let lines = "{\"user\":\"Zoë\",\"target\":{\"item\":\"i\",\"text\":\"好 🙂\"}}\r\n\r\n{\"user\":\"b\",\"target\":{\"item\":\"i\",\"text\":\"t\"}}";
        let marked = format!("\u{feff}{lines}");
        let expected = [Ok("Zoë".to_owned()), Ok("b".to_owned())];
        assert_eq!(users(marked.as_bytes()), expected);
        assert_eq!(users(&marked.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()), expected);
        assert_eq!(users(&marked.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()), expected);
        let unmarked = users(&lines.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        assert!(unmarked[0].as_ref().unwrap_err().contains("UTF-16LE without a byte-order mark"), "{unmarked:?}");
    }

    #[test]
    fn names_the_encoding_of_a_line() {
        let line = r#"{"user":"a","target":{"item":"i","text":"Très bon café, très léger"}}"#;
        let latin: Vec<u8> = line.chars().map(|c| c as u8).chain(*b"\n").collect();
        let good = br#"{"user":"b","target":{"item":"i","text":"t"}}"#;
        let read = users(&[&latin[..], good].concat());
        let told = read[0].as_ref().unwrap_err();
        assert!(told.starts_with("FILE:1:") && told.contains("windows-1252") && told.contains("iconv"), "{told}");
        assert_eq!(read[1], Ok("b".to_owned()));
    }

    #[test]
    fn half_of_a_surrogate_pair_is_replaced() {
        let of = |text: &str| {
            Profile::from_json(format!(r#"{{"user":"a","target":{{"item":"i","text":"{text}"}}}}"#).as_bytes())
        };
        assert_eq!(of(r"cut \ud83d").unwrap().target.text, "cut \u{fffd}");
        assert_eq!(of(r"\ud83d\ude42 \ude42").unwrap().target.text, "🙂 \u{fffd}");
        assert!(of(r"\ud83").is_err());
    }
}
