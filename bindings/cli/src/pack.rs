//! `locket pack build | inspect`

use std::path::PathBuf;

use locket::pack::{BuildOptions, Holdout, build};
use serde_json::json;

use crate::ui;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Build a pack from profiles (JSON lines, plain or .zst)
    #[command(after_help = "Example:\n  locket pack build --profiles reviews.jsonl.zst --out shop.pack")]
    Build {
        /// Profile files, one person a line: {"user", "history": [..], "target": {..}}
        #[arg(long, required = true, num_args = 1..)]
        profiles: Vec<PathBuf>,
        /// Keep every person's target out of the graph (for evaluations); texts stay retrievable
        #[arg(long)]
        holdout_targets: bool,
        /// Count and list malformed lines instead of stopping at the first
        #[arg(long)]
        skip_bad: bool,
        /// The pack file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Check a pack and show what is in it
    Inspect {
        /// The pack file
        pack: PathBuf,
    },
}

pub fn run(command: Command, json: bool) -> anyhow::Result<()> {
    match command {
        Command::Build { profiles, holdout_targets, skip_bad, out } => {
            let holdout = if holdout_targets { Holdout::All } else { Holdout::None };
            let spinner = ui::spinner("profiles read:");
            let report = build(&profiles, &out, &BuildOptions { holdout, skip_bad }, |n| {
                spinner.set_position(n as u64);
                ui::alive()
            });
            spinner.finish_and_clear();
            let report = report?;
            if json {
                return ui::print_json(&report);
            }
            for bad in &report.bad {
                eprintln!("skipped {}:{}: {}", bad.file.display(), bad.line, bad.what);
            }
            let m = &report.meta;
            println!(
                "{}: {} items, {} people, {} edges ({} held out), {} texts, {} bytes{}",
                out.display(),
                m.items,
                m.users,
                m.edges,
                m.held_out,
                m.texts,
                report.bytes,
                if report.bad.is_empty() { String::new() } else { format!(", {} bad lines skipped", report.bad.len()) }
            );
        }
        Command::Inspect { pack: path } => {
            let pack = ui::open_pack(&path)?;
            let m = pack.meta();
            if json {
                let mut value = serde_json::to_value(m)?;
                value["bytes"] = json!(pack.size());
                return ui::print_json(&value);
            }
            println!("{}: {} bytes, every checksum holds", path.display(), pack.size());
            println!("  items {}  people {}  edges {}  held out {}", m.items, m.users, m.edges, m.held_out);
            println!("  texts {} ({:.1} words on average)  terms {}", m.texts, m.mean_words, m.terms);
            println!(
                "  item edges by people {}, by content {}; vectors of {} dimensions",
                m.people_edges, m.content_edges, m.dimension
            );
            let w = &m.mixture;
            println!(
                "  weights people {:.2}, taste {:.2}, content {:.2}, category {:.2}, popularity {:.2}, among returning people {:.2}, learned from {} interactions",
                w.people, w.taste, w.content, w.category, w.popularity, w.returning, m.learned_from
            );
            println!("  built by locket {}", m.built_by);
            for item in 0..pack.items().min(5) as u32 {
                let name = pack.item_title(item).unwrap_or("(no name)");
                println!("  e.g. {}: {name}, {} texts", pack.item(item), pack.texts(item).len());
            }
        }
    }
    Ok(())
}
