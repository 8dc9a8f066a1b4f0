//! Conversion to interactions, and the import into a store.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use locket::{Engine, Export, Imported, Interaction, OnProgress, Progress, Record, internals::text::escapes};

use crate::{
    detect,
    error::ImportError,
    input::{self, Document},
    options::{Format, ImportOptions, Source},
    reading::read_as,
    report::{ImportReport, Skipped},
    select::{Collector, examples},
    text::{self, ImportedText},
};

/// Maximum size of an export of Locket in bytes. It is read as a whole.
const MOST_EXPORT: u64 = 1 << 30;

/// Reads the user's texts as interactions, oldest first, without a store. They have no
/// [`Interaction::audience`], except that of a table: the ids of recipients belong to a store.
///
/// # Errors
/// [`ImportError`].
pub fn read(
    source: Source<'_>,
    options: &ImportOptions,
    on_progress: OnProgress<'_>,
) -> Result<(Vec<Interaction>, ImportReport), ImportError> {
    match format(source, options)? {
        Format::Json => {
            let (export, report) = read_export(source, options, on_progress)?;
            let real = export.records.into_iter().filter(|record| !record.is_synthetic());
            Ok((real.map(|record| record.interaction).collect(), report))
        }
        format => {
            let (texts, mut report) = read_as(format, source, options, &mut bytes(on_progress))?;
            let found = usable(texts, |_| Ok(None), &mut report)?;
            report.taken = found.len();
            Ok((found, report))
        }
    }
}

/// Returns the report of an import into the store, without a change of the store.
///
/// # Errors
/// [`ImportError`].
pub fn preview(
    engine: &Engine,
    source: Source<'_>,
    options: &ImportOptions,
    on_progress: OnProgress<'_>,
) -> Result<ImportReport, ImportError> {
    match format(source, options)? {
        Format::Json => {
            let (export, mut report) = read_export(source, options, on_progress)?;
            // Two records are equal if their JSON is.
            let json = |record: &Record| serde_json::to_string(record).unwrap_or_default();
            let here: HashSet<String> = engine.history()?.iter().map(json).collect();
            report.known = export.records.iter().filter(|record| here.contains(&json(record))).count();
            report.taken = export.records.len() - report.known;
            Ok(report)
        }
        format => {
            let (texts, report) = read_as(format, source, options, &mut bytes(on_progress))?;
            Ok(without_known(engine, texts, report)?.1)
        }
    }
}

/// Adds the user's texts that the store does not hold yet, in one transaction: all of them or none.
///
/// A text is known if its words and those of its title are. So the same file, read again, adds
/// nothing. The store gets an opaque id in place of each recipient, see [`Engine::audience`].
/// Exports of Locket are added as [`Engine::import`] does.
///
/// # Errors
/// [`ImportError`]; the store is then unchanged.
pub fn import(
    engine: &Engine,
    source: Source<'_>,
    options: &ImportOptions,
    on_progress: OnProgress<'_>,
) -> Result<ImportReport, ImportError> {
    match format(source, options)? {
        Format::Json => {
            let (export, mut report) = read_export(source, options, on_progress)?;
            let imported = engine.import(&export)?;
            (report.taken, report.known) = (imported.added, imported.known);
            Ok(report)
        }
        format => {
            let (texts, report) = read_as(format, source, options, &mut bytes(on_progress))?;
            add(engine, texts, report)
        }
    }
}

/// Adds texts that [`crate::read_texts`] returned, as [`import`] does, and completes their report.
///
/// # Errors
/// [`ImportError::Engine`]; the store is then unchanged.
pub fn add(engine: &Engine, texts: Vec<ImportedText>, report: ImportReport) -> Result<ImportReport, ImportError> {
    let (texts, mut report) = without_known(engine, texts, report)?;
    let mut ids: HashMap<String, String> = HashMap::new();
    let audience = |recipient: &str| {
        if let Some(id) = ids.get(recipient) {
            return Ok(Some(id.clone()));
        }
        let id = engine.audience(recipient)?;
        ids.insert(recipient.to_owned(), id.clone());
        Ok(Some(id))
    };
    let records: Vec<Record> = usable(texts, audience, &mut report)?.into_iter().map(Record::real).collect();
    let export = Export { format: "locket-export".into(), version: 1, records };
    let added = if export.records.is_empty() { Imported::default() } else { engine.import(&export)? };
    report.taken = added.added;
    report.known += added.known;
    Ok(report)
}

/// Removes the texts that the store holds from those that [`crate::read_texts`] returned, and counts
/// them in the report.
///
/// # Errors
/// [`ImportError::Engine`].
pub fn without_known(
    engine: &Engine,
    mut texts: Vec<ImportedText>,
    mut report: ImportReport,
) -> Result<(Vec<ImportedText>, ImportReport), ImportError> {
    let of = |record: &Record| text::identity(&record.interaction.text, record.interaction.title.as_deref());
    let here: HashSet<u64> = engine.history()?.iter().filter(|r| !r.is_synthetic()).map(of).collect();
    let found = texts.len();
    texts.retain(|text| !here.contains(&text::identity(&text.text, text.title.as_deref())));
    report.known = found - texts.len();
    report.taken = texts.len();
    report.examples = examples(&texts);
    Ok((texts, report))
}

fn format(source: Source<'_>, options: &ImportOptions) -> Result<Format, ImportError> {
    options.format.map_or_else(|| detect::detect(source), Ok)
}

/// Converts a callback for bytes.
fn bytes(on_progress: OnProgress<'_>) -> impl FnMut(u64, u64) -> ControlFlow<()> {
    |done, total| on_progress(Progress::new(done, total))
}

/// Converts texts, and counts those that a store would refuse.
fn usable(
    texts: Vec<ImportedText>,
    mut audience: impl FnMut(&str) -> Result<Option<String>, ImportError>,
    report: &mut ImportReport,
) -> Result<Vec<Interaction>, ImportError> {
    let mut out = Vec::with_capacity(texts.len());
    for text in texts {
        let mut interaction =
            Interaction::new(text.item, text.text).with_kind(text.kind).with_rating(text.rating).with_time(text.time);
        interaction.item_title = text.item_title;
        interaction.title = text.title;
        interaction.context = text.context;
        if interaction.defect().is_some() {
            *report.skipped.entry(Skipped::Malformed).or_default() += 1;
            continue;
        }
        interaction.audience = match (text.audience, text.recipient) {
            (Some(id), _) => Some(id),
            (None, Some(recipient)) => audience(&recipient)?,
            (None, None) => None,
        };
        out.push(interaction);
    }
    Ok(out)
}

/// Reads an export of Locket.
fn read_export(
    source: Source<'_>,
    options: &ImportOptions,
    on_progress: OnProgress<'_>,
) -> Result<(Export, ImportReport), ImportError> {
    let documents = input::documents(source, Format::Json)?;
    let [document] = &documents[..] else {
        let name = documents.first().map(Document::name).unwrap_or_default();
        return Err(ImportError::Format { name, problem: "give one export of Locket at a time".into() });
    };
    let mut on_bytes = bytes(on_progress);
    let mut collector = Collector::new(options, document.length, &mut on_bytes);
    let content = document.read(MOST_EXPORT, &mut collector)?;
    let no_export = |problem: String| ImportError::Format { name: document.name(), problem };
    let json = String::from_utf8(content).map_err(|e| no_export(format!("it is no export of Locket: {e}")))?;
    let export: Export = serde_json::from_str(&escapes::mended(&json))
        .map_err(|e| no_export(format!("it is no export of Locket: {e}")))?;
    let (_, mut report) = collector.finish();
    report.messages = export.records.len() as u64;
    report.taken = export.records.len();
    Ok((export, report))
}

#[cfg(test)]
mod tests {
    use locket::Key;

    use super::*;

    const CHAT: &str = "12/05/26, 14:03 - Ada: Are you coming?\n12/05/26, 14:05 - Ben: sure, see you at 8\n\
        12/05/26, 14:06 - Ben: \u{3164}\u{3164} \u{3164}\n13/05/26, 9:05 - Ben: it was great\n";

    fn go_on(_: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn opened() -> (tempfile::TempDir, Engine) {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), &Key::new([7; 32])).unwrap();
        (dir, engine)
    }

    #[test]
    fn importing_twice_adds_once() {
        let (_dir, engine) = opened();
        let options = ImportOptions::default().with_me("Ben");
        let source = Source::Bytes(CHAT.as_bytes());
        let planned = preview(&engine, source, &options, &mut go_on).unwrap();
        assert_eq!((planned.taken, engine.history().unwrap().len()), (3, 0));
        let first = import(&engine, source, &options, &mut go_on).unwrap();
        // The invisible text has words, and still no store takes it.
        assert_eq!((first.taken, first.known, first.skipped(Skipped::Malformed)), (2, 0, 1));
        let second = import(&engine, source, &options, &mut go_on).unwrap();
        assert_eq!((second.taken, second.known), (0, 2));
        assert_eq!(engine.history().unwrap().len(), 2);
        assert_eq!(preview(&engine, source, &options, &mut go_on).unwrap().known, 2);
    }

    #[test]
    fn a_text_that_was_sent_from_a_draft_is_known() {
        let (_dir, engine) = opened();
        let reply = Interaction::new("", "sure, see you at 8").with_kind("reply".into());
        engine.sent("Sure, see you at eight!", reply).unwrap();
        let options = ImportOptions::default().with_me("Ben");
        let done = import(&engine, Source::Bytes(CHAT.as_bytes()), &options, &mut go_on).unwrap();
        assert_eq!((done.taken, done.known), (1, 1));
    }

    #[test]
    fn recipients_become_opaque_ids() {
        let (_dir, engine) = opened();
        import(&engine, Source::Bytes(CHAT.as_bytes()), &ImportOptions::default().with_me("Ben"), &mut go_on).unwrap();
        let history = engine.history().unwrap();
        assert_eq!(history[0].interaction.audience, Some(engine.audience("ada").unwrap()));
        assert!(!format!("{history:?}").contains("Ada"));
    }

    #[test]
    fn a_cancelled_import_adds_nothing() {
        let (_dir, engine) = opened();
        let options = ImportOptions::default().with_me("Ben");
        let chat = CHAT.repeat(2000);
        let stopped = import(&engine, Source::Bytes(chat.as_bytes()), &options, &mut |_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(ImportError::Cancelled)));
        assert!(engine.history().unwrap().is_empty());
    }

    #[test]
    fn exports_are_added_as_before() {
        let (_dir, engine) = opened();
        engine.record(Interaction::new("mug", "Keeps tea warm.").with_rating(5.0)).unwrap();
        let json = serde_json::to_string(&engine.export().unwrap()).unwrap();
        let (_other, copy) = opened();
        let (source, options) = (Source::Bytes(json.as_bytes()), ImportOptions::default());
        assert_eq!(read(source, &options, &mut go_on).unwrap().0[0].item, "mug");
        assert_eq!(preview(&copy, source, &options, &mut go_on).unwrap().taken, 1);
        assert_eq!(import(&copy, source, &options, &mut go_on).unwrap().taken, 1);
        assert_eq!(import(&copy, source, &options, &mut go_on).unwrap().known, 1);
        assert_eq!(preview(&copy, source, &options, &mut go_on).unwrap().known, 1);
        assert_eq!(copy.history().unwrap(), engine.history().unwrap());
    }
}
