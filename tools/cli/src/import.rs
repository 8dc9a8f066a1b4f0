//! `locket import`

use std::{ops::ControlFlow, path::PathBuf};

use anyhow::{Context, ensure};
use locket::{Engine, Imported, Kind, Store, internals::text::escapes};
use locket_import::{
    Format, ImportError, ImportOptions, ImportReport, ImportedText, Source, add, detect_format, without_known,
};
use serde_json::json;

use crate::{files, key, output::say, ui};

/// Number of lines of an example that a preview shows.
const LINES: usize = 6;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  locket import --store me --from sent.mbox --dry-run
  locket import --store me --from sent.mbox --exclude-to example.com --latest 1000
  locket import --store me --from 'WhatsApp Chat with Ada.txt' --me Ben
  locket import --store me --from result.json --me 'Ben Example' --since 2024-01-01
  locket import --store me --from notes/ --format notes --exclude-word diary
  locket export --store me > me.json && locket import --store copy --from me.json

Only your own messages become texts. Nothing is added twice, and an interrupted import adds nothing.
The store keeps an opaque id in place of a recipient.")]
pub struct Args {
    /// The user's store directory; created if missing
    #[arg(long)]
    store: PathBuf,
    /// File or folder: mails, a chat, a table, notes, or the output of `locket export`
    #[arg(long)]
    from: PathBuf,
    /// Format: mbox, eml, json (an export), csv, chat or notes; default: from names and contents
    #[arg(long, value_parser = format)]
    format: Option<Format>,
    /// Your mail address, or your name in the chat; may be given several times
    #[arg(long, value_name = "NAME", value_parser = files::words)]
    me: Vec<String>,
    /// Kind of writing of all texts; default: email, reply or note, by the format
    #[arg(long, value_parser = files::kind)]
    kind: Option<Kind>,
    /// Maximum number of texts: the newest; 0 takes all
    #[arg(long, value_name = "N", default_value_t = ImportOptions::default().latest)]
    latest: usize,
    /// Skip texts before this day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    since: Option<i64>,
    /// Skip texts to this address, domain, person or chat; may be given several times
    #[arg(long, value_name = "RECIPIENT", value_parser = files::words)]
    exclude_to: Vec<String>,
    /// Skip mails and notes with this folder or label; may be given several times
    #[arg(long, value_name = "FOLDER", value_parser = files::words)]
    exclude_folder: Vec<String>,
    /// Skip texts with this word or phrase; may be given several times
    #[arg(long, value_name = "WORD", value_parser = files::words)]
    exclude_word: Vec<String>,
    /// Show what would be added, and add nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| format!("the formats are {}", Format::ALL.map(Format::name).join(", ")))
}

fn day(text: &str) -> Result<i64, String> {
    locket_import::parse_date(text).ok_or_else(|| "a day such as 2024-01-31".into())
}

impl Args {
    fn options(&self, format: Format) -> ImportOptions {
        let mut options = ImportOptions::default().with_format(format).with_latest(self.latest).with_since(self.since);
        options.me.clone_from(&self.me);
        options.kind = self.kind.as_ref().map(|kind| kind.name.clone());
        options.exclude_recipients.clone_from(&self.exclude_to);
        options.exclude_folders.clone_from(&self.exclude_folder);
        options.exclude_words.clone_from(&self.exclude_word);
        options
    }

    fn engine(&self) -> anyhow::Result<Engine> {
        Ok(Engine::open_within(&self.store, &key::for_store(&self.store)?, ui::wait())?)
    }
}

pub fn run(args: &Args, json: bool) -> anyhow::Result<()> {
    let source = Source::Path(&args.from);
    // A pipe can be read only once; without a format it is an export.
    let is_stream = args.from.exists() && !args.from.is_file() && !args.from.is_dir();
    let format = match args.format {
        Some(format) => format,
        None if is_stream => Format::Json,
        None => detect_format(source)?,
    };
    if format == Format::Json {
        return import_export(args, json);
    }
    let bar = ui::byte_bar(0, "reading");
    let read = locket_import::read_texts(source, &args.options(format), &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        ui::alive()
    });
    bar.finish_and_clear();
    let (texts, report) = read?;
    // The last moment to stop: the store adds all texts at once.
    if let ControlFlow::Break(()) = ui::alive() {
        return Err(ImportError::Cancelled.into());
    }
    let report = match (args.dry_run, Store::exists(&args.store)) {
        (true, true) => without_known(&args.engine()?, texts, report)?.1,
        (true, false) => report,
        (false, _) => add(&args.engine()?, texts, report)?,
    };
    if json {
        return ui::print_json(&as_json(&report, format, args.dry_run));
    }
    show(&report, args.dry_run)
}

/// Adds the records of an export.
fn import_export(args: &Args, json: bool) -> anyhow::Result<()> {
    ensure!(
        args.me.is_empty()
            && args.kind.is_none()
            && args.since.is_none()
            && args.exclude_to.is_empty()
            && args.exclude_folder.is_empty()
            && args.exclude_word.is_empty()
            && !args.dry_run,
        "{} is an export of Locket, which is imported as a whole: the options that select texts are for other formats",
        args.from.display()
    );
    let text = files::read_text(&args.from)?;
    let export = serde_json::from_str(&escapes::mended(&text))
        .with_context(|| format!("{} is not an export", args.from.display()))?;
    let store = Store::open_within(&args.store, &key::for_store(&args.store)?, ui::wait())?;
    let Imported { added, known } = store.import(&export)?;
    if json {
        return ui::print_json(&json!({ "imported": added, "known": known }));
    }
    say!("imported {added} records; {known} were there already")?;
    Ok(())
}

fn as_json(report: &ImportReport, format: Format, dry_run: bool) -> serde_json::Value {
    let mut out = json!({
        "format": format.name(),
        "known": report.known,
        "skipped": report.skipped,
        "messages": report.messages,
        "bytes": report.bytes,
        "me": report.me,
    });
    out["dry_run"] = dry_run.into();
    if dry_run {
        out["imported"] = 0.into();
        out["new"] = report.taken.into();
        out["examples"] = json!(report.examples);
    } else {
        out["imported"] = report.taken.into();
    }
    out
}

/// Prints the numbers, the reasons of skipped messages, and for a preview some texts.
fn show(report: &ImportReport, dry_run: bool) -> anyhow::Result<()> {
    let by = if report.me.is_empty() { String::new() } else { format!(" for texts by {}", report.me.join(", ")) };
    say!("read {} messages{by}", report.messages)?;
    let (verb, ended) = if dry_run { ("would import", "; nothing was changed") } else { ("imported", "") };
    say!("{verb} {} texts; {} were there already{ended}", report.taken, report.known)?;
    let skipped: u64 = report.skipped.values().sum();
    if skipped > 0 {
        say!("skipped {skipped}:")?;
    }
    for (reason, count) in &report.skipped {
        say!("{count:>8}  {}", reason.reason())?;
    }
    if dry_run && !report.examples.is_empty() {
        say!("the newest texts:")?;
        report.examples.iter().try_for_each(example)?;
    }
    Ok(())
}

/// Prints the beginning of a text.
fn example(text: &ImportedText) -> anyhow::Result<()> {
    let day = text.day().unwrap_or_else(|| "without a time".into());
    let title = text.title.as_deref().map_or(String::new(), |title| format!(", {title}"));
    let to = text.recipient.as_deref().map_or(String::new(), |to| format!(", to {to}"));
    say!("\n  {day}, {}{to}{title}", text.kind)?;
    for line in text.text.lines().take(LINES) {
        say!("    {line}")?;
    }
    if text.text.lines().count() > LINES {
        say!("    ...")?;
    }
    Ok(())
}
