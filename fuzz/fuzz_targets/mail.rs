//! Mails: any bytes give texts of limited size that a store takes, as an mbox and as one message.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use locket_import::{Format, ImportOptions, Source, read_texts, text};

fuzz_target!(|bytes: &[u8]| {
    // One way of reading for each input keeps the executions fast.
    let format = if bytes.len() % 2 == 0 { Format::Mbox } else { Format::Eml };
    let options = ImportOptions::default().with_format(format).with_latest(4);
    let options = if bytes.len() % 8 < 2 { options } else { options.with_me("ben@example.org") };
    let Ok((texts, report)) = read_texts(Source::Bytes(bytes), &options, &mut |_, _| ControlFlow::Continue(())) else {
        return;
    };
    assert!(texts.len() <= 4 && report.taken == texts.len());
    assert!(report.messages == texts.len() as u64 + report.skipped.values().sum::<u64>());
    for found in texts {
        assert!(found.text.contains(char::is_alphanumeric) && found.text.len() <= text::MOST_BYTES);
        assert!(found.context.is_none_or(|c| !c.is_empty() && c.chars().count() <= text::CONTEXT));
        assert!(found.title.is_none_or(|t| !t.is_empty() && t.chars().count() <= text::TITLE));
        assert!(found.time.is_none_or(|t| t > 0) && found.kind == "email" && !found.text.contains('\r'));
    }
});
