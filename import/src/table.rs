//! Tables: CSV with a header row.

use csv::{ByteRecord, ReaderBuilder};

use crate::{
    date,
    error::ImportError,
    input::Document,
    report::Skipped,
    select::{Circumstances, Collector},
    text::{ImportedText, TITLE, cut, one_line, tidy},
};

/// Maximum size of a table in bytes: a quotation mark without its partner makes one row of the rest.
const MOST: u64 = 256 << 20;
/// Maximum number of characters of a context in a table.
const CONTEXT: usize = 10_000;
/// Names of the columns.
const COLUMNS: [&str; 9] = ["text", "kind", "title", "context", "audience", "item", "item_title", "rating", "time"];

/// Whether a line is the header row of a table.
pub(crate) fn is_header(line: &str) -> bool {
    columns(line, separator(line.as_bytes())).is_some()
}

/// Returns the most frequent of comma, semicolon and tab in the first line.
fn separator(bytes: &[u8]) -> u8 {
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |separator: u8| first.iter().filter(|b| **b == separator).count();
    [b'\t', b';', b','].into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

/// Returns the position of each column, if there is a column with texts.
fn columns(line: &str, separator: u8) -> Option<[Option<usize>; 9]> {
    let names: Vec<String> = line
        .split(char::from(separator))
        .map(|name| name.trim_matches(['"', ' ', '\r', '\u{feff}']).to_lowercase())
        .collect();
    let positions = COLUMNS.map(|column| names.iter().position(|name| name == column));
    positions[0].map(|_| positions)
}

/// Reads the rows of tables.
pub(crate) fn read(documents: &[Document<'_>], collector: &mut Collector<'_>) -> Result<(), ImportError> {
    for document in documents {
        let bytes = document.read(MOST, collector)?;
        let format = |problem: String| ImportError::Format { name: document.name(), problem };
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(format("the table is UTF-16: save it as CSV in UTF-8".into()));
        }
        let separator = separator(&bytes);
        let header = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let positions = columns(&String::from_utf8_lossy(header), separator);
        let positions = positions.ok_or_else(|| {
            format(format!("the first row must name the columns: text, and any of {}", COLUMNS[1..].join(", ")))
        })?;
        let mut reader = ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(&bytes[..]);
        let mut row = ByteRecord::new();
        loop {
            match reader.read_byte_record(&mut row) {
                Ok(false) => break,
                Ok(true) => {
                    collector.message();
                    // Also between rows a cancel is noticed.
                    collector.advance(0)?;
                    match text_of(&row, &positions) {
                        Some(text) => {
                            collector.offer(text, &Circumstances { least_words: 1, ..Circumstances::default() })
                        }
                        None => collector.skip(Skipped::Malformed),
                    }
                }
                Err(_) => collector.skip(Skipped::Malformed),
            }
        }
    }
    Ok(())
}

/// Returns the text of a row, or `None` if a number or a time cannot be read, or a review has no
/// item.
fn text_of(row: &ByteRecord, positions: &[Option<usize>; 9]) -> Option<ImportedText> {
    let cell = |column: usize| {
        let bytes = row.get(positions[column]?)?;
        let text = String::from_utf8_lossy(bytes);
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let rating = match cell(7) {
        Some(rating) => Some(rating.replace(',', ".").parse::<f32>().ok().filter(|r| (1.0..=5.0).contains(r))?),
        None => None,
    };
    let time = match cell(8) {
        Some(time) => Some(time.parse::<i64>().ok().filter(|t| *t >= 0).or_else(|| date::iso(&time))?),
        None => None,
    };
    let item = cell(5).map(|item| cut(&one_line(&item), TITLE).to_owned()).unwrap_or_default();
    let kind = cell(1).map(|kind| cut(&one_line(&kind).to_lowercase(), 64).to_owned()).filter(|k| !k.is_empty());
    let kind = kind.unwrap_or_else(|| if item.is_empty() { "note" } else { "review" }.into());
    if kind == "review" && item.is_empty() {
        return None;
    }
    let line = |column| cell(column).map(|text| cut(&one_line(&text), TITLE).to_owned()).filter(|l| !l.is_empty());
    Some(ImportedText {
        kind,
        item,
        item_title: line(6),
        title: line(2),
        text: tidy(cell(0).unwrap_or_default().lines()),
        context: cell(3).map(|context| cut(&tidy(context.lines()), CONTEXT).to_owned()).filter(|c| !c.is_empty()),
        audience: line(4),
        rating,
        time: time.map(milliseconds),
        recipient: None,
    })
}

/// Converts seconds, microseconds and nanoseconds to milliseconds, by their magnitude.
fn milliseconds(time: i64) -> i64 {
    const SECONDS: i64 = 100_000_000_000;
    const MILLISECONDS: i64 = 100_000_000_000_000;
    const MICROSECONDS: i64 = 100_000_000_000_000_000;
    match time {
        ..SECONDS => time * 1000,
        SECONDS..MILLISECONDS => time,
        MILLISECONDS..MICROSECONDS => time / 1000,
        MICROSECONDS.. => time / 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::{Format, ImportOptions, ImportReport, Source, read_texts};

    fn read(table: &str) -> Result<(Vec<ImportedText>, ImportReport), ImportError> {
        let options = ImportOptions::default().with_format(Format::Csv);
        read_texts(Source::Bytes(table.as_bytes()), &options, &mut |_, _| ControlFlow::Continue(()))
    }

    #[test]
    fn reads_quoted_cells_and_all_columns() {
        let table = "\u{feff}kind,Text,title,context,audience,item,item_title,rating,time\r\n\
            email,\"Hi Ada,\n\nthe parts, all \"\"six\"\", came.\",Parts,Did they come?,r1,,,,2025-05-12T10:00:00Z\r\n\
            ,Keeps tea warm.,Good,,,mug:1,Mug,\"4,5\",1747044000\r\n";
        let (texts, report) = read(table).unwrap();
        assert_eq!(report.messages, 2);
        assert_eq!(texts[0].text, "Hi Ada,\n\nthe parts, all \"six\", came.");
        assert_eq!((texts[0].title.as_deref(), texts[0].audience.as_deref()), (Some("Parts"), Some("r1")));
        assert_eq!(texts[0].time, Some(1_747_044_000_000));
        let review = &texts[1];
        assert_eq!((review.kind.as_str(), review.item.as_str(), review.rating), ("review", "mug:1", Some(4.5)));
        assert_eq!(review.time, texts[0].time);
    }

    #[test]
    fn counts_malformed_rows() {
        let (texts, report) =
            read("text;rating;kind\ngood;9;note\nbad time;;review\nall fine;;note\n;;note\n").unwrap();
        assert_eq!(texts.len(), 1);
        assert_eq!((report.skipped(Skipped::Malformed), report.skipped(Skipped::TooShort)), (2, 1));
    }

    #[test]
    fn needs_a_column_with_texts() {
        assert!(read("title,body\na,b\n").unwrap_err().to_string().contains("the first row must name the columns"));
        assert!(read("").is_err());
        let utf16: Vec<u8> = "\u{feff}text\nhello you\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let options = ImportOptions::default().with_format(Format::Csv);
        let failed = read_texts(Source::Bytes(&utf16), &options, &mut |_, _| ControlFlow::Continue(()));
        assert!(failed.unwrap_err().to_string().contains("UTF-16"));
    }
}
