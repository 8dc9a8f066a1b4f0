//! People as JSON lines, plain or zstd-compressed: what packs are built from and evaluations run on.
//!
//! One line is one person: `{"user", "history": [interaction...], "target": interaction}`; see
//! [`Interaction`] for the keys. Files are read line by line and never held in memory whole.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::interaction::Interaction;

/// One person: what they wrote before, and the latest text, which evaluations hold out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The person's id, unique over all files of a pack.
    pub user: String,
    /// Earlier interactions, oldest first.
    #[serde(default)]
    pub history: Vec<Interaction>,
    /// The interaction to predict or to write.
    pub target: Interaction,
}

impl Profile {
    /// All interactions with whether each is the target.
    pub fn interactions(&self) -> impl Iterator<Item = (&Interaction, bool)> {
        self.history.iter().map(|i| (i, false)).chain(std::iter::once((&self.target, true)))
    }

    /// The profile in one line of JSON.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_json(line: &[u8]) -> Result<Self, String> {
        let profile: Self = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        profile.defect().map_or(Ok(profile.in_milliseconds()), Err)
    }

    /// The same with all times in milliseconds, see [`Interaction::milliseconds`].
    fn in_milliseconds(mut self) -> Self {
        self.history.iter_mut().chain([&mut self.target]).for_each(Interaction::normalize_time);
        self
    }

    /// What is wrong with it, if anything.
    fn defect(&self) -> Option<String> {
        if self.user.trim().is_empty() {
            return Some("the user id is empty".into());
        }
        if let Some(defect) = self.target.defect() {
            return Some(format!("target: {defect}"));
        }
        self.history.iter().enumerate().find_map(|(n, i)| i.defect().map(|d| format!("history[{n}]: {d}")))
    }
}

/// What can be wrong with a profile file.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file is missing, unreadable or not valid zstd.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not a profile. Fix the line, or skip bad lines (`--skip-bad`).
    #[error("{path}:{line}: not a profile: {what}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What the parser found.
        what: String,
    },
}

/// Longest line that is read, in bytes: more is an error and not an allocation.
pub const MAX_LINE: u64 = 64 << 20;

/// A stream of profiles from one file. An item that is [`ProfileError::Line`] does not end the stream;
/// [`ProfileError::Io`] does.
pub struct Profiles {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: usize,
    done: bool,
}

impl Profiles {
    /// Opens `path`; a name that ends in `.zst` is decompressed while it is read.
    ///
    /// # Errors
    /// [`ProfileError::Io`] if the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ProfileError> {
        let path = path.as_ref().to_path_buf();
        let reader = open_lines(&path).map_err(|source| ProfileError::Io { path: path.clone(), source })?;
        Ok(Self { path, reader, line: 0, done: false })
    }

    /// All profiles of several files, each opened when its turn comes.
    pub fn of_all(files: &[PathBuf]) -> impl Iterator<Item = Result<Profile, ProfileError>> {
        files.iter().flat_map(|file| {
            let (open, failed) = match Self::open(file) {
                Ok(open) => (Some(open), None),
                Err(e) => (None, Some(Err(e))),
            };
            open.into_iter().flatten().chain(failed)
        })
    }

    fn parse(&self, bytes: &[u8]) -> Result<Profile, ProfileError> {
        Profile::from_json(bytes).map_err(|what| ProfileError::Line { path: self.path.clone(), line: self.line, what })
    }
}

impl Iterator for Profiles {
    type Item = Result<Profile, ProfileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        while !self.done {
            bytes.clear();
            self.line += 1;
            match (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut bytes) {
                Err(source) => {
                    self.done = true;
                    return Some(Err(ProfileError::Io { path: self.path.clone(), source }));
                }
                Ok(0) => self.done = true,
                Ok(n) if n as u64 == MAX_LINE && !bytes.ends_with(b"\n") => {
                    self.done = true;
                    let source = std::io::Error::other(format!("line {} is longer than {MAX_LINE} bytes", self.line));
                    return Some(Err(ProfileError::Io { path: self.path.clone(), source }));
                }
                Ok(_) if bytes.trim_ascii().is_empty() => {}
                Ok(_) => return Some(self.parse(&bytes)),
            }
        }
        None
    }
}

/// Opens a text file for reading by line, through zstd if its name ends in `.zst`.
pub(crate) fn open_lines(path: &Path) -> std::io::Result<Box<dyn BufRead + Send>> {
    let file = File::open(path)?;
    Ok(if path.extension().is_some_and(|e| e == "zst") {
        Box::new(BufReader::new(zstd::Decoder::new(file)?))
    } else {
        Box::new(BufReader::new(file))
    })
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
        assert!(matches!(Profiles::open(&path).unwrap().next(), Some(Err(ProfileError::Io { .. }))));
    }
}
