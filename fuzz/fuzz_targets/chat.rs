//! Chats, tables and notes: any bytes give texts of limited size that a store takes.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use locket_import::{Format, ImportOptions, Source, detect_format, read_texts, text};

fuzz_target!(|bytes: &[u8]| {
    let _ = detect_format(Source::Bytes(bytes));
    let format = match bytes.len() % 8 {
        0 | 1 => Format::Csv,
        2 => Format::Notes,
        _ => Format::Chat,
    };
    let options = ImportOptions::default().with_me("Ben").with_format(format).with_latest(4);
    let Ok((texts, report)) = read_texts(Source::Bytes(bytes), &options, &mut |_, _| ControlFlow::Continue(())) else {
        return;
    };
    assert!(texts.len() <= 4 && report.taken == texts.len());
    assert!(report.messages <= texts.len() as u64 + report.skipped.values().sum::<u64>());
    for found in texts {
        assert!(found.text.contains(char::is_alphanumeric) && found.text.len() <= text::MOST_BYTES);
        let most = if format == Format::Chat { text::CONTEXT } else { 10_000 };
        assert!(found.context.is_none_or(|c| !c.is_empty() && c.chars().count() <= most));
        assert!(found.title.is_none_or(|t| !t.is_empty() && t.chars().count() <= text::TITLE));
        assert!(found.time.is_none_or(|t| t >= 0) && found.rating.is_none_or(|r| (1.0..=5.0).contains(&r)));
        assert!(!found.kind.is_empty() && (found.kind != "review" || !found.item.is_empty()));
    }
});
