//! The readers of all formats, by one function.

use std::ops::ControlFlow;

use crate::{
    chat, detect,
    error::ImportError,
    input, mail, notes,
    options::{Format, ImportOptions, Source},
    report::ImportReport,
    select::{Collector, OnBytes},
    table,
    text::ImportedText,
};

/// Returns the format of a source, from file names and contents.
///
/// # Errors
/// [`ImportError::Format`] if it is unknown, [`ImportError::Io`].
pub fn detect_format(source: Source<'_>) -> Result<Format, ImportError> {
    detect::detect(source)
}

/// Reads the user's texts, oldest first. Nothing is stored. Recipients are in plain text.
///
/// `on_bytes` gets the number of bytes done and in all; a break cancels. Exports of Locket hold
/// records instead of messages: `locket::Engine::import` adds them.
///
/// # Errors
/// [`ImportError`], in every case without an effect.
pub fn read_texts(
    source: Source<'_>,
    options: &ImportOptions,
    on_bytes: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(Vec<ImportedText>, ImportReport), ImportError> {
    let format = match options.format {
        Some(format) => format,
        None => detect::detect(source)?,
    };
    read_as(format, source, options, on_bytes)
}

/// As [`read_texts`], for a known format.
pub(crate) fn read_as(
    format: Format,
    source: Source<'_>,
    options: &ImportOptions,
    on_bytes: OnBytes<'_>,
) -> Result<(Vec<ImportedText>, ImportReport), ImportError> {
    let documents = input::documents(source, format)?;
    let total = documents.iter().map(|document| document.length).sum();
    let mut collector = Collector::new(options, total, on_bytes);
    match format {
        Format::Mbox | Format::Eml => mail::read(&documents, format, options, &mut collector)?,
        Format::Chat => chat::read(&documents, options, &mut collector)?,
        Format::Csv => table::read(&documents, &mut collector)?,
        Format::Notes => notes::read(&documents, &mut collector)?,
        Format::Json => {
            let name = documents.first().map(|document| document.name()).unwrap_or_default();
            let problem = "an export of Locket is imported as a whole, without a selection of texts".into();
            return Err(ImportError::Format { name, problem });
        }
    }
    Ok(collector.finish())
}
