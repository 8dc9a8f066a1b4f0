//! `locket record | history | export | erase`

use std::{io::IsTerminal, path::PathBuf};

use locket::{
    engine::Engine,
    interaction::{Interaction, Origin},
};
use serde_json::json;

use crate::ui;

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  locket record --store me --item mug:1 --title 'Good mug' --text 'Keeps tea warm.' --rating 5"
)]
pub struct RecordArgs {
    /// The person's store directory; created if missing
    #[arg(long)]
    store: PathBuf,
    /// The item's id
    #[arg(long)]
    item: String,
    /// The item's name
    #[arg(long)]
    item_title: Option<String>,
    /// The text's title
    #[arg(long)]
    title: Option<String>,
    /// The text
    #[arg(long)]
    text: String,
    /// Rating, 1 to 5
    #[arg(long)]
    rating: Option<f32>,
}

#[derive(clap::Args)]
pub struct StoreArgs {
    /// The person's store directory
    #[arg(long)]
    pub store: PathBuf,
}

#[derive(clap::Args)]
pub struct EraseArgs {
    /// The person's store directory
    #[arg(long)]
    store: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub fn record(args: RecordArgs, json: bool) -> anyhow::Result<()> {
    let interaction = Interaction {
        item_title: args.item_title,
        title: args.title,
        rating: args.rating,
        time: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
            .and_then(|d| i64::try_from(d.as_millis()).ok()),
        ..Interaction::new(args.item, args.text)
    };
    let engine = Engine::open(&args.store)?;
    engine.record(interaction)?;
    let count = engine.store().len()?;
    if json {
        return ui::print_json(&json!({ "recorded": 1, "records": count }));
    }
    println!("recorded; the store holds {count}");
    Ok(())
}

pub fn show(args: &StoreArgs, json: bool) -> anyhow::Result<()> {
    let records = ui::open_store(&args.store)?.history()?;
    if json {
        return ui::print_json(&json!({ "records": records }));
    }
    for record in &records {
        let i = &record.interaction;
        let stars = i.stars().map_or(String::new(), |s| format!(" [{s}]"));
        let name = i.item_title.as_deref().unwrap_or(&i.item);
        let title = i.title.as_deref().map_or(String::new(), |t| format!("{t}: "));
        match &record.origin {
            Origin::Real => println!("{name}{stars}\n  {title}{}", i.text),
            Origin::Synthetic { path, .. } => {
                println!("{name}{stars} (synthetic)\n  plan: {path}\n  {title}{}", i.text)
            }
        }
    }
    eprintln!("{} records", records.len());
    Ok(())
}

pub fn export(args: &StoreArgs) -> anyhow::Result<()> {
    ui::print_json(&ui::open_store(&args.store)?.export()?)
}

pub fn erase(args: &EraseArgs, json: bool) -> anyhow::Result<()> {
    let engine = ui::open_store(&args.store)?;
    let count = engine.store().len()?;
    if !args.yes {
        anyhow::ensure!(
            std::io::stdin().is_terminal(),
            "erasing {count} records needs --yes where nobody can be asked"
        );
        eprint!("Erase {count} records in {}? Type yes: ", args.store.display());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        anyhow::ensure!(answer.trim() == "yes", "nothing was erased");
    }
    engine.erase()?;
    if json {
        return ui::print_json(&json!({ "erased": count }));
    }
    println!("erased {count} records");
    Ok(())
}
