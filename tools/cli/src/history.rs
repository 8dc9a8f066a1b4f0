//! `locket record | history | stats | forget | export | rekey | erase`

use std::{io::IsTerminal, path::PathBuf};

use anyhow::Context;
use locket::{Engine, Entry, Interaction, Kind, Origin, Store, StoreError};
use serde_json::json;

use crate::{
    files::{self, TextArgs},
    key, open,
    output::{note, note_part, say},
    ui,
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  locket record --store me --item mug:1 --title 'Good mug' --text 'Keeps tea warm.' --rating 5
  locket record --store me --item mug:1 --text-file review.txt
  locket record --store me --kind reply --context 'Are you coming?' --text 'sure, see you at 8'
  locket record --store me --kind email --title Parts --to ada@example.org --text-file mail.txt")]
pub struct RecordArgs {
    /// The user's store directory; created if missing
    #[arg(long)]
    store: PathBuf,
    /// The kind of writing
    #[arg(long, default_value = "review", value_parser = files::kind)]
    kind: Kind,
    /// The item's id; reviews need one
    #[arg(long, default_value = "")]
    item: String,
    /// The item's name
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    item_title: Option<String>,
    /// The text's title, or an e-mail's subject
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    title: Option<String>,
    /// The text that it answers, such as the message before a reply
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    context: Option<String>,
    /// Opaque id of the recipient
    #[arg(long)]
    audience: Option<String>,
    /// Address or name of the recipient, of which an opaque id is stored
    #[arg(long, value_name = "ADDRESS", conflicts_with = "audience", value_parser = files::words)]
    to: Option<String>,
    #[command(flatten)]
    text: TextArgs,
    /// Rating, 1 to 5
    #[arg(long)]
    rating: Option<f32>,
    /// The engine's draft that the text was sent from: its share of edits and its length are stored
    #[arg(long, allow_hyphen_values = true, value_parser = files::words)]
    draft: Option<String>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Example:
  locket record --store me --kind reply --text 'sure, at 8' --draft 'Sure, see you at 8!' && locket stats --store me

Texts get the length that drafts are cut to, and drafts sent as they were are left out of the examples
if three other texts of the kind exist.
--reset forgets both; the texts stay.")]
pub struct StatsArgs {
    /// The user's store directory
    #[arg(long)]
    store: PathBuf,
    /// Forget what was learnt from sent drafts
    #[arg(long)]
    reset: bool,
}

#[derive(clap::Args)]
pub struct StoreArgs {
    /// The user's store directory
    #[arg(long)]
    pub store: PathBuf,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  locket history --store me && locket forget --store me --id 3")]
pub struct ForgetArgs {
    /// The user's store directory
    #[arg(long)]
    store: PathBuf,
    /// The record's id, as `locket history` shows it; may be given several times
    #[arg(long = "id", value_name = "N", required = true)]
    ids: Vec<u64>,
}

#[derive(clap::Args)]
pub struct EraseArgs {
    /// The user's store directory
    #[arg(long)]
    store: PathBuf,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Example:
  locket rekey --store me --new-key-file me.key && locket --key-file me.key history --store me

If it is interrupted, the store opens with the old key or with the new one, whole.")]
pub struct RekeyArgs {
    /// The user's store directory
    #[arg(long)]
    store: PathBuf,
    /// File with the new key; created if missing
    #[arg(long)]
    new_key_file: PathBuf,
}

pub fn record(args: RecordArgs, json: bool) -> anyhow::Result<()> {
    let text = args.text.read()?.context("there is no text: give --text or --text-file")?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.ok().and_then(|d| i64::try_from(d.as_millis()).ok());
    let mut interaction =
        Interaction::new(args.item, text).with_rating(args.rating).with_time(now).with_kind(args.kind.name);
    interaction.context = args.context;
    interaction.item_title = args.item_title;
    interaction.title = args.title;
    let engine = Engine::open_within(&args.store, &key::for_store(&args.store)?, ui::wait())?;
    interaction.audience = open::audience(&engine, args.audience, args.to.as_deref())?;
    let id = match &args.draft {
        Some(draft) => engine.sent(draft, interaction)?,
        None => engine.record(interaction)?,
    };
    let count = engine.store().len()?;
    if json {
        return ui::print_json(&json!({ "recorded": 1, "id": id, "records": count }));
    }
    say!("recorded as {id}; the store holds {count}")?;
    Ok(())
}

pub fn show(args: &StoreArgs, json: bool) -> anyhow::Result<()> {
    let entries = open::open_store(&args.store)?.entries()?;
    if json {
        return ui::print_json(&json!({ "records": entries }));
    }
    for Entry { id, record } in &entries {
        let i = &record.interaction;
        let stars = i.stars().map_or(String::new(), |s| format!(" [{s}]"));
        let name = i.item_title.as_deref().unwrap_or(&i.item);
        let title = i.title.as_deref().map_or(String::new(), |t| format!("{t}: "));
        match &record.origin {
            Origin::Real | Origin::Sent { .. } => say!("{id:>4}  {name}{stars}\n      {title}{}", i.text)?,
            Origin::Synthetic { path, .. } => {
                say!("{id:>4}  {name}{stars} (synthetic)\n      plan: {path}\n      {title}{}", i.text)?;
            }
        }
    }
    note!("{} records", entries.len());
    Ok(())
}

pub fn stats(args: &StatsArgs, json: bool) -> anyhow::Result<()> {
    let engine = open::open_store(&args.store)?;
    if args.reset {
        engine.reset_learning()?;
    }
    let stats = engine.stats()?;
    if json {
        return ui::print_json(&stats);
    }
    for (kind, count) in &stats.texts {
        say!("{count:>6}  {kind}")?;
    }
    say!("{:>6}  synthetic", stats.synthetic)?;
    say!("{:>6}  drafts sent without a change", stats.unchanged)?;
    say!("{:>6}  drafts sent with up to a fifth of the words edited", stats.lightly_edited)?;
    say!("{:>6}  drafts sent with more edits", stats.heavily_edited)?;
    if let Some(edits) = stats.median_edits {
        say!("half of the latest drafts needed edits of at most {:.0} % of the words", edits * 100.0)?;
    }
    match stats.length {
        Some(length) => say!("texts are written at {length:.2} of the usual length, as drafts were cut or extended")?,
        None => say!("texts have the usual length: fewer than five drafts were sent")?,
    }
    Ok(())
}

pub fn forget(args: &ForgetArgs, json: bool) -> anyhow::Result<()> {
    let engine = open::open_store(&args.store)?;
    let before = engine.store().len()?;
    engine.forget_all(&args.ids)?;
    let left = engine.store().len()?;
    if json {
        return ui::print_json(&json!({ "forgotten": before - left, "records": left }));
    }
    say!("forgot {} records, synthetic ones that rest on them included; the store holds {left}", before - left)?;
    Ok(())
}

pub fn export(args: &StoreArgs) -> anyhow::Result<()> {
    ui::print_json(&open::open_store(&args.store)?.export()?)
}

pub fn rekey(args: &RekeyArgs, json: bool) -> anyhow::Result<()> {
    open::need_store(&args.store)?;
    let mut store = Store::open_within(&args.store, &key::read()?, ui::wait())?;
    store.change_key(&key::make_at(&args.new_key_file)?)?;
    let count = store.len()?;
    if json {
        return ui::print_json(&json!({ "rekeyed": count }));
    }
    say!("{count} records are under the key of {} now", args.new_key_file.display())?;
    Ok(())
}

pub fn erase(args: &EraseArgs, json: bool) -> anyhow::Result<()> {
    open::need_store(&args.store)?;
    // Erasing must also work for a store that can no longer be read.
    let opened = key::read().and_then(|key| Ok(Store::open_within(&args.store, &key, ui::wait())?));
    if let Some(StoreError::Locked(_)) = opened.as_ref().err().and_then(|e| e.downcast_ref()) {
        return opened.map(drop);
    }
    let count = opened.as_ref().ok().and_then(|store| store.len().ok());
    let what = count.map_or("a store that cannot be read".to_owned(), |n| format!("{n} records"));
    if !args.yes {
        anyhow::ensure!(std::io::stdin().is_terminal(), "erasing {what} needs --yes where nobody can be asked");
        note_part(format_args!("Erase {what} in {}? Type yes: ", args.store.display()));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        anyhow::ensure!(answer.trim() == "yes", "nothing was erased");
    }
    match opened {
        Ok(store) => store.erase()?,
        Err(_) => Store::erase_unopened(&args.store)?,
    }
    if json {
        return ui::print_json(&json!({ "erased": count }));
    }
    say!("erased {what}")?;
    Ok(())
}
