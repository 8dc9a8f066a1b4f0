//! Notes: Markdown files.

use crate::{
    date,
    error::ImportError,
    input::Document,
    report::Skipped,
    select::{Circumstances, Collector},
    text::{ImportedText, TITLE, cut, one_line, tidy},
};

/// Maximum size of a note in bytes.
const MOST: u64 = 1 << 20;

/// Reads one note for each file.
pub(crate) fn read(documents: &[Document<'_>], collector: &mut Collector<'_>) -> Result<(), ImportError> {
    for document in documents {
        collector.message();
        if document.length > MOST {
            collector.advance(document.length)?;
            collector.skip(Skipped::TooLarge);
            continue;
        }
        let bytes = match document.read(MOST, collector) {
            Ok(bytes) => bytes,
            // One unreadable note of many is no reason to lose the others.
            Err(ImportError::Io { .. } | ImportError::TooLarge { .. }) if documents.len() > 1 => {
                collector.skip(Skipped::Malformed);
                continue;
            }
            Err(e) => return Err(e),
        };
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => {
                let note = note(text, document.stem(), document.modified());
                collector.offer(
                    note,
                    &Circumstances { folders: &document.folders, least_words: 2, ..Circumstances::default() },
                );
            }
            _ => collector.skip(Skipped::Malformed),
        }
    }
    Ok(())
}

/// Returns the note of a file's text. Its title is the first heading, else the file's name.
fn note(text: &str, name: Option<&str>, modified: Option<i64>) -> ImportedText {
    let text = text.trim_start_matches('\u{feff}');
    let (matter, body) = front_matter(text);
    let mut body: Vec<&str> = body.lines().collect();
    let first = body.iter().position(|line| !line.trim().is_empty());
    let heading = first.and_then(|at| heading(&body, at));
    if let (Some(at), Some((_, lines))) = (first, &heading) {
        body.drain(..at + lines);
    }
    let field = |name: &str| matter.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    let title =
        heading.map(|(title, _)| title).or_else(|| field("title").map(|t| t.trim_matches(['"', '\'']).to_owned()));
    // A title of control characters alone is empty.
    let title = title.map(|title| one_line(&title)).filter(|title| !title.is_empty());
    let title = title.or_else(|| name.map(one_line)).filter(|title| !title.is_empty());
    ImportedText {
        kind: "note".into(),
        title: title.map(|title| cut(&title, TITLE).to_owned()),
        text: tidy(body.into_iter()),
        time: field("date").and_then(|date| date::iso(date.trim_matches(['"', '\'']))).or(modified),
        ..ImportedText::default()
    }
}

/// Returns the front matter between two lines `---`, and the rest.
fn front_matter(text: &str) -> (&str, &str) {
    let begins = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"));
    let Some(rest) = begins else { return ("", text) };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            return (&rest[..at], &rest[at + line.len()..]);
        }
        at += line.len();
    }
    ("", text)
}

/// Returns a heading that begins at a line, and its number of lines.
fn heading(lines: &[&str], at: usize) -> Option<(String, usize)> {
    let line = lines[at].trim();
    let title = line.trim_start_matches('#');
    if title.len() < line.len() && title.starts_with(' ') {
        return Some((title.trim().trim_end_matches('#').trim().to_owned(), 1));
    }
    let under = lines.get(at + 1).map(|under| under.trim()).filter(|under| under.len() > 2)?;
    let ruled = under.chars().all(|c| c == '=') || under.chars().all(|c| c == '-');
    ruled.then(|| (line.to_owned(), 2))
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::{Format, ImportOptions, Source, read_texts};

    #[test]
    fn headings_become_titles() {
        let title = |text: &str| note(text, Some("file"), None);
        let one = title("---\ndate: 2025-05-12\ntitle: \"Other\"\n---\n\n# Garden plans #\n\nPeas first.\n");
        assert_eq!((one.title.as_deref(), one.text.as_str()), (Some("Garden plans"), "Peas first."));
        assert_eq!(one.time, date::iso("2025-05-12"));
        assert_eq!(title("Garden\n======\nPeas first.").title.as_deref(), Some("Garden"));
        assert_eq!(title("---\r\ntitle: 'Other'\r\n---\r\nPeas first.").title.as_deref(), Some("Other"));
        let plain = title("#tag and more\n---\n");
        assert_eq!((plain.title.as_deref(), plain.text.as_str()), (Some("#tag and more"), ""));
        assert_eq!(title("# \u{10}\nPeas first.").title.as_deref(), Some("file"));
        assert_eq!(title("Peas first.").title.as_deref(), Some("file"));
        assert_eq!(title("---\nno end").text, "---\nno end");
    }

    #[test]
    fn skips_binary_and_huge_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("a.md", b"# A\n\nsome words here");
        write("b.md", b"\xff\xfe\x00binary");
        write("c.md", &vec![b'a'; (1 << 20) + 1]);
        write("d.png", b"not a note");
        write("empty.md", b"");
        let options = ImportOptions::default().with_format(Format::Notes);
        let (texts, report) =
            read_texts(Source::Path(dir.path()), &options, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!((texts.len(), report.messages), (1, 4));
        assert_eq!((texts[0].kind.as_str(), texts[0].title.as_deref()), ("note", Some("A")));
        assert!(texts[0].time.is_some());
        let skipped = [Skipped::Malformed, Skipped::TooLarge, Skipped::TooShort].map(|reason| report.skipped(reason));
        assert_eq!(skipped, [1, 1, 1]);
    }
}
