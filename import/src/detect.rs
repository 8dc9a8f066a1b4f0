//! Detection of the format from file names and contents.

use std::path::Path;

use crate::{
    chat,
    error::ImportError,
    input::{self, Document},
    mail,
    options::{Format, Source},
    table,
};

/// Number of bytes that detection reads.
const HEAD: u64 = 1 << 16;
/// Number of files of a folder that detection looks at.
const FILES: usize = 1000;

/// Returns the format of a source.
pub(crate) fn detect(source: Source<'_>) -> Result<Format, ImportError> {
    match source {
        Source::Bytes(bytes) => of_head(&bytes[..bytes.len().min(HEAD as usize)], "", "the file"),
        Source::Path(path) if path.is_dir() => of_folder(path),
        Source::Path(path) => {
            let documents = input::documents(source, Format::Mbox)?;
            let head = documents.first().map(|document: &Document<'_>| input::head(document, HEAD)).transpose()?;
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
            of_head(&head.unwrap_or_default(), &extension, &path.display().to_string())
        }
    }
}

fn unknown(name: &str, problem: &str) -> ImportError {
    ImportError::Format { name: name.into(), problem: problem.into() }
}

fn of_head(head: &[u8], extension: &str, name: &str) -> Result<Format, ImportError> {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(&[0x1f, 0x8b]) {
        return Err(unknown(name, "it is compressed: unpack it first"));
    }
    let is_utf16 = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    if is_utf16 && !matches!(extension, "csv" | "tsv") {
        return Ok(Format::Json);
    }
    let text = String::from_utf8_lossy(head);
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    if begin.starts_with(['{', '[']) && !chat::whatsapp::begins(begin) {
        let chats = ["\"messages\"", "\"chats\"", "\"personal_information\"", "\"participants\""];
        let is_export = begin.contains("\"locket-export\"");
        return Ok(if !is_export && chats.iter().any(|key| begin.contains(key)) { Format::Chat } else { Format::Json });
    }
    if mail::mbox::begins(head) {
        return Ok(Format::Mbox);
    }
    if begin.lines().take(20).any(chat::whatsapp::begins) {
        return Ok(Format::Chat);
    }
    match extension {
        "mbox" => return Ok(Format::Mbox),
        "eml" => return Ok(Format::Eml),
        "json" => return Ok(Format::Json),
        "csv" | "tsv" => return Ok(Format::Csv),
        "md" | "markdown" => return Ok(Format::Notes),
        _ => {}
    }
    if mail::looks_like_one(begin) {
        return Ok(Format::Eml);
    }
    if begin.lines().next().is_some_and(table::is_header) {
        return Ok(Format::Csv);
    }
    Err(unknown(name, "its format is unknown: give mbox, eml, json, csv, chat or notes as the format"))
}

fn of_folder(dir: &Path) -> Result<Format, ImportError> {
    // In the order of certainty: many folders of mails or chats hold other files too.
    let order = [Format::Mbox, Format::Eml, Format::Chat, Format::Notes, Format::Csv];
    let mut counts = [0usize; 5];
    let mut seen = 0;
    input::walk(dir, &mut Vec::new(), &mut |file, _| {
        seen += 1;
        for (count, format) in counts.iter_mut().zip(order) {
            let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let text = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("txt"));
            // A text file may be a note or a chat: its first lines decide.
            let fits = match format {
                Format::Chat if text => of_head(&begin_of(file), "", name).is_ok_and(|f| f == Format::Chat),
                _ => input::fits(file, format),
            };
            *count += usize::from(fits);
        }
        Ok(seen < FILES)
    })?;
    let best = (0..5).rev().max_by_key(|n| counts[*n]).filter(|n| counts[*n] > 0);
    best.map(|n| order[n])
        .ok_or_else(|| unknown(&dir.display().to_string(), "the folder holds no mails, chats, notes or tables"))
}

/// Returns the first bytes of a file, or nothing if it cannot be read.
fn begin_of(file: &Path) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(file) {
        // An unreadable file is no chat; the import reports it.
        let _ = file.take(1 << 10).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_follow_from_contents() {
        let of = |text: &str| of_head(text.as_bytes(), "", "x").ok();
        assert_eq!(of("From ada@example.org Mon May 12 10:00:00 2025\nFrom: Ada\n"), Some(Format::Mbox));
        assert_eq!(of("Subject: Parts\nFrom: ada@example.org\n\nHi"), Some(Format::Eml));
        assert_eq!(of("12/05/26, 14:03 - Ada: hi there"), Some(Format::Chat));
        assert_eq!(of("[12.05.26, 14:03:22] Ada: hi there"), Some(Format::Chat));
        assert_eq!(of("{\"participants\": [], \"messages\": []}"), Some(Format::Chat));
        assert_eq!(
            of("{\"format\":\"locket-export\",\"records\":[{\"text\": \"\\\"messages\\\"\"}]}"),
            Some(Format::Json)
        );
        assert_eq!(of("title;text;kind\na;b;c\n"), Some(Format::Csv));
        assert_eq!(of("Dear diary"), None);
        assert!(of_head(b"PK\x03\x04rest", "csv", "x").unwrap_err().to_string().contains("unpack"));
    }

    #[test]
    fn formats_follow_from_names_in_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let of = |names: &[&str]| {
            let folder = tempfile::tempdir_in(dir.path()).unwrap();
            for name in names {
                let path = folder.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "some text").unwrap();
            }
            detect(Source::Path(folder.path())).ok()
        };
        assert_eq!(of(&["a.eml", "b.eml", "c.txt"]), Some(Format::Eml));
        assert_eq!(of(&["cur/1", "new/2"]), Some(Format::Eml));
        assert_eq!(of(&["a.md", "sub/b.md"]), Some(Format::Notes));
        assert_eq!(of(&["inbox/ada/message_1.json"]), Some(Format::Chat));
        assert_eq!(of(&["a.png"]), None);
    }
}
