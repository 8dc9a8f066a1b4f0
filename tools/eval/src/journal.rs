//! Files of an evaluation: one line per row, written as soon as it is complete, so that a killed
//! run can resume.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Error;
use locket::internals::output;

/// The file of a run: a line with its settings, then one line per row.
pub(crate) struct Journal<T> {
    file: File,
    path: PathBuf,
    pub(crate) rows: Vec<T>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens `path`, or a scratch file. An existing file must have the same settings; an incomplete
    /// last line is removed.
    pub(crate) fn open(path: Option<&Path>, settings: &Value) -> Result<Self, Error> {
        let Some(path) = path else {
            let file = tempfile::tempfile().map_err(|e| locket::Error::io("create", std::env::temp_dir(), e))?;
            return Ok(Self { file, path: PathBuf::from("scratch file"), rows: Vec::new() });
        };
        let io = |e| locket::Error::io("open", path, e);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let mut this = Self { file, path: path.to_path_buf(), rows: Vec::new() };
        let whole = this.read_back(settings)?;
        if whole == 0 {
            this.is_ours(settings)?;
        }
        this.file.set_len(whole).map_err(io)?;
        this.file.seek(SeekFrom::Start(whole)).map_err(io)?;
        if whole == 0 {
            this.line(settings)?;
        }
        Ok(this)
    }

    fn foreign(&self, what: &str) -> Error {
        locket::Error::Argument(format!("{} {what}: name another file, or remove it", self.path.display())).into()
    }

    /// Checks that a file without a complete line is empty or the beginning of a journal: any other
    /// file is not truncated.
    fn is_ours(&mut self, settings: &Value) -> Result<(), Error> {
        let first = line(settings)?;
        let mut there = Vec::new();
        self.file
            .rewind()
            .and_then(|()| (&self.file).take(first.len() as u64 + 1).read_to_end(&mut there))
            .map_err(|e| locket::Error::io("read", &self.path, e))?;
        if first.starts_with(&there) { Ok(()) } else { Err(self.foreign("is not a file of this kind")) }
    }

    /// Reads the rows; returns the length of the complete lines in bytes.
    fn read_back(&mut self, settings: &Value) -> Result<u64, Error> {
        let mut whole = 0;
        // Bytes: a kill can cut the last line within a character.
        let mut line = Vec::new();
        let mut reader = BufReader::new(&self.file);
        loop {
            line.clear();
            let n = reader.read_until(b'\n', &mut line).map_err(|e| locket::Error::io("read", &self.path, e))?;
            if n == 0 || !line.ends_with(b"\n") {
                return Ok(whole);
            }
            if whole == 0 {
                if serde_json::from_slice::<Value>(&line).ok().as_ref() != Some(settings) {
                    return Err(self.foreign("was written with other settings"));
                }
            } else {
                let row = serde_json::from_slice(&line).map_err(|_| self.foreign("is not a file of this kind"))?;
                self.rows.push(row);
            }
            whole += n as u64;
        }
    }

    /// Replaces the file with one of `settings` and the current rows, whole or not at all.
    pub(crate) fn rewrite(&mut self, settings: &Value) -> Result<(), Error> {
        let mut all = line(settings)?;
        for row in &self.rows {
            all.extend(line(row)?);
        }
        let io = |e| locket::Error::io("write", &self.path, e);
        output::replace_cache(&self.path, &all).map_err(io)?;
        self.file = OpenOptions::new().append(true).open(&self.path).map_err(io)?;
        Ok(())
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), Error> {
        Ok(self.file.write_all(&line(value)?).map_err(|e| locket::Error::io("write", &self.path, e))?)
    }

    pub(crate) fn push(&mut self, row: T) -> Result<(), Error> {
        self.line(&row)?;
        self.rows.push(row);
        Ok(())
    }
}

fn line(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(value).map_err(|e| locket::Error::Argument(e.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_replaced_and_more_follow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        let settings = Value::from("settings");
        let mut journal = Journal::<u32>::open(Some(&path), &settings).unwrap();
        (1..=2).for_each(|n| journal.push(n).unwrap());
        journal.rows[0] = 7;
        journal.rewrite(&settings).unwrap();
        journal.push(3).unwrap();
        drop(journal);
        assert_eq!(Journal::<u32>::open(Some(&path), &settings).unwrap().rows, [7, 2, 3]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let other = Journal::<u32>::open(Some(&path), &Value::from("others"));
        assert!(matches!(other, Err(Error::Engine(locket::Error::Argument(why))) if why.contains("other settings")));
    }

    #[test]
    fn a_line_cut_within_a_character_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        let settings = Value::from("settings");
        let mut journal = Journal::<String>::open(Some(&path), &settings).unwrap();
        ["one", "naïve"].into_iter().for_each(|row| journal.push(row.into()).unwrap());
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let cut = whole.iter().rposition(|b| !b.is_ascii()).unwrap();
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(Journal::<String>::open(Some(&path), &settings).unwrap().rows, ["one"]);
    }

    #[test]
    fn a_file_of_another_kind_is_not_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        let settings = Value::from("settings");
        for other in ["one line without an end", "\"settings\" and more", "\u{fffd}"] {
            std::fs::write(&path, other).unwrap();
            let refused = Journal::<u32>::open(Some(&path), &settings).err();
            assert!(
                matches!(&refused, Some(Error::Engine(locket::Error::Argument(why))) if why.contains("not a file of this kind")),
                "{other}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
        // An incomplete first line, as after a kill.
        std::fs::write(&path, "\"sett").unwrap();
        assert!(Journal::<u32>::open(Some(&path), &settings).is_ok());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\"settings\"\n");
    }

    /// Without exact float parsing, every tenth double would change, and a resumed run would
    /// rewrite finished rows.
    #[test]
    fn numbers_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        let numbers: Vec<f64> = (1..2000).map(|n| f64::from(n) / 7.0 + f64::from(n).sqrt()).collect();
        let mut journal = Journal::<f64>::open(Some(&path), &Value::Null).unwrap();
        numbers.iter().for_each(|n| journal.push(*n).unwrap());
        drop(journal);
        assert_eq!(Journal::<f64>::open(Some(&path), &Value::Null).unwrap().rows, numbers);
    }
}
