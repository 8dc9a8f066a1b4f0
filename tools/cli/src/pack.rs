//! `locket pack build | inspect | keys | diff | apply`

use std::path::{Path, PathBuf};

use anyhow::Context;
use locket::{
    DeltaReport, author_key,
    internals::{pack, text::hex},
};
use locket_builder::pack::{
    BuildOptions, Cleaned, Dropped, Filters, Holdout, assemble, build, build_edges, diff, public_key,
};
use serde_json::json;

mod policy;

use policy::{TuneArgs, told_policy};

use crate::{
    files, key, open,
    output::{note, say},
    ui,
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Build a pack from profiles (JSON lines, plain or .zst); public texts lose personal data,
    /// markup and sellers' answers
    #[command(after_help = "\
Examples:
  locket pack build --profiles reviews.jsonl.zst --out shop.pack
  locket pack build --profiles reviews.jsonl.zst --tune gemma-3-270m --out shop.pack
  locket pack build --profiles reviews.jsonl.zst --remove asked.txt --people-per-item 5 --max-bytes 40MB --out shop.pack")]
    Build {
        /// Profile files, one user per line: {"user", "history": [..], "target": {..}}
        #[arg(long, required_unless_present = "edges", num_args = 1..)]
        profiles: Vec<PathBuf>,
        /// Edges without texts, one user per line: `user item item ...`
        #[arg(long, conflicts_with_all = ["profiles", "holdout_targets", "skip_bad"])]
        edges: Option<PathBuf>,
        /// Keep every user's target out of the graph (for evaluations); texts stay retrievable
        #[arg(long)]
        holdout_targets: bool,
        /// Count and list malformed lines instead of stopping at the first
        #[arg(long)]
        skip_bad: bool,
        /// The pack file to write
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        filters: FilterArgs,
        #[command(flatten)]
        tune: TuneArgs,
    },
    /// Make a key that signs deltas, or show the public half of an existing one
    #[command(
        after_help = "Example:\n  locket pack keys --signing-key release.key\n\nThe app carries the public key that this prints."
    )]
    Keys {
        /// File of the secret key
        #[arg(long = "signing-key")]
        file: PathBuf,
    },
    /// Write a signed delta that turns one pack into another
    #[command(
        after_help = "Example:\n  locket pack diff old.pack new.pack --signing-key release.key --out update.delta"
    )]
    Diff {
        /// The pack on the devices
        old: PathBuf,
        /// The pack to update to
        new: PathBuf,
        /// File of the secret key (`locket pack keys`)
        #[arg(long)]
        signing_key: PathBuf,
        /// The delta file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Update a pack with a signed delta; the old pack stays whole until the new one is complete
    #[command(after_help = "Example:\n  locket pack apply shop.pack update.delta --public-key 7b0c...")]
    Apply {
        /// The pack to update
        pack: PathBuf,
        /// The delta file
        delta: PathBuf,
        /// The public key, 64 hexadecimal digits
        #[arg(long)]
        public_key: String,
        /// Path of the new pack, if the old one is to stay
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Make a pack from the parts that a cluster made (tools/spark)
    #[command(after_help = "Example:\n  locket pack assemble parts --max-bytes 40MB --out shop.pack")]
    Assemble {
        /// The folder of the parts
        parts: PathBuf,
        /// Leave out the texts that add least, until the pack is at most this size: bytes, or with
        /// KB, MB, GB
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_bytes: Option<u64>,
        /// The pack file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Check a pack and show its content
    Inspect {
        /// The pack file
        pack: PathBuf,
    },
}

/// Filters of a pack's content
#[derive(clap::Args)]
#[command(next_help_heading = "What to leave out")]
pub struct FilterArgs {
    /// All data of these users: a file with their ids, one per line
    #[arg(long, value_name = "FILE")]
    remove: Option<PathBuf>,
    /// All items outside this category; may be repeated
    #[arg(long = "category", value_name = "NAME")]
    categories: Vec<String>,
    /// Items with fewer than N users, and all their texts
    #[arg(long, default_value_t = 1, value_name = "N")]
    people_per_item: usize,
    /// The texts on items with fewer than N authors
    #[arg(long, default_value_t = 1, value_name = "N")]
    authors_per_item: usize,
    /// Texts beyond the latest N of one author
    #[arg(long, value_name = "N")]
    texts_per_author: Option<usize>,
    /// Texts beyond N on one item; short, recent ones that differ from each other stay
    #[arg(long, value_name = "N")]
    texts_per_item: Option<usize>,
    /// Texts that add least, until the pack is at most this size: bytes, or with KB, MB, GB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_bytes: Option<u64>,
}

impl FilterArgs {
    fn read(self) -> anyhow::Result<Filters> {
        let removed = match &self.remove {
            None => String::new(),
            Some(file) => files::read_text(file)?,
        };
        let ids = removed.lines().map(str::trim).filter(|id| !id.is_empty());
        Ok(Filters {
            removed: ids.map(author_key).collect(),
            categories: self.categories.into_iter().collect(),
            people_per_item: self.people_per_item,
            authors_per_item: self.authors_per_item,
            texts_per_author: self.texts_per_author,
            texts_per_item: self.texts_per_item,
            max_bytes: self.max_bytes,
        })
    }
}

/// Parses a size in bytes, with an optional unit.
fn size(value: &str) -> Result<u64, String> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match value[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err("a number of bytes, or a number with KB, MB or GB".into()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| "not a number".to_owned())?;
    if number >= 0.0 { Ok((number * f64::from(unit)) as u64) } else { Err("less than nothing".into()) }
}

fn told_dropped(dropped: &Dropped) {
    let counts = [
        (dropped.duplicates, "texts that the same author had already given on the same item"),
        (dropped.removed_people, "people who asked to be removed"),
        (dropped.other_categories, "interactions with items of other categories"),
        (dropped.without_item, "interactions without an item"),
        (dropped.private_texts, "replies, e-mails and other private texts"),
        (dropped.rare_items, "items that too few people met"),
        (dropped.rare_edges, "edges of those items"),
        (dropped.rare_texts, "texts about items that too few people met or wrote about"),
        (dropped.texts_per_author, "texts beyond the most of one author"),
        (dropped.texts_per_item, "texts beyond the most of one item"),
        (dropped.texts_for_size, "texts that found no room"),
    ];
    for (n, what) in counts.iter().filter(|c| c.0 > 0) {
        note!("left out: {n} {what}");
    }
    let Cleaned { mails, phones, links, accounts, addresses, markup, promotions, answers } = dropped.cleaned;
    let counts = [
        (mails, "mail addresses"),
        (phones, "phone numbers"),
        (links, "links"),
        (accounts, "account, card or order numbers"),
        (addresses, "street addresses"),
        (markup, "tags and other markup"),
        (promotions, "lines about promotions"),
        (answers, "sellers' answers"),
    ];
    for (n, what) in counts.iter().filter(|c| c.0 > 0) {
        note!("taken out of texts: {n} {what}");
    }
}

pub fn run(command: Command, json: bool) -> anyhow::Result<()> {
    match command {
        Command::Build { profiles, edges, holdout_targets, skip_bad, filters, tune, out } => {
            files::check_output(&out, [filters.remove.as_deref()])?;
            let filters = filters.read()?;
            let holdout = if holdout_targets { Holdout::All } else { Holdout::None };
            let mut options = BuildOptions { holdout, skip_bad, filters, policy: None };
            options.policy = tune.policy(&profiles, &options)?;
            let spinner = ui::spinner("profiles read:");
            let progress = |n| {
                spinner.set_position(n as u64);
                ui::alive()
            };
            let report = match edges {
                Some(edges) => build_edges(&edges, &out, &options, progress),
                None => build(&profiles, &out, &options, progress),
            };
            spinner.finish_and_clear();
            let report = report?;
            if json {
                return ui::print_json(&report);
            }
            told_dropped(&report.dropped);
            for bad in &report.bad {
                note!("skipped {}:{}: {}", bad.file.display(), bad.line, bad.what);
            }
            let m = &report.meta;
            say!(
                "{}: {} items, {} people, {} edges ({} held out), {} texts, {} bytes{}",
                out.display(),
                m.items,
                m.users,
                m.edges,
                m.held_out,
                m.texts,
                report.bytes,
                if report.bad.is_empty() { String::new() } else { format!(", {} bad lines skipped", report.bad.len()) }
            )?;
            m.policy.as_ref().map(told_policy).transpose()?;
        }
        Command::Assemble { parts, max_bytes, out } => {
            let spinner = ui::spinner("tables read:");
            let built = assemble(&parts, &out, max_bytes, || {
                spinner.inc(1);
                ui::alive()
            });
            spinner.finish_and_clear();
            let built = built?;
            if json {
                return ui::print_json(&built);
            }
            told_dropped(&built.dropped);
            let m = &built.meta;
            say!(
                "{}: {} items, {} people, {} edges, {} texts, {} bytes",
                out.display(),
                m.items,
                m.users,
                m.edges,
                m.texts,
                built.bytes
            )?;
        }
        Command::Keys { file } => {
            let public = hex(&public_key(key::make_at(&file)?.as_bytes()));
            if json {
                return ui::print_json(&json!({ "public_key": public }));
            }
            say!("{public}")?;
        }
        Command::Diff { old, new, signing_key, out } => {
            files::check_output(&out, [Some(signing_key.as_path())])?;
            let secret = key::signing(&signing_key)?;
            let spinner = ui::spinner("sections compared:");
            let report = diff(&old, &new, secret.as_bytes(), &out, || {
                spinner.inc(1);
                ui::alive()
            });
            spinner.finish_and_clear();
            told(&report?, &out, json)?;
        }
        Command::Apply { pack: path, delta, public_key, out } => {
            let public = key::bytes(&public_key);
            let public =
                public.context("--public-key takes the 64 hexadecimal digits that `locket pack keys` prints")?;
            if let Some(out) = &out {
                files::check_output(out, [Some(path.as_path())])?;
            }
            let out = out.as_deref().unwrap_or(&path);
            told(&pack::apply(&path, &delta, &public, out, &mut |_| ui::alive())?, out, json)?;
        }
        Command::Inspect { pack: path } => {
            let pack = open::open_pack(&path)?;
            let m = pack.meta();
            if json {
                let mut value = serde_json::to_value(m)?;
                value["bytes"] = json!(pack.size());
                return ui::print_json(&value);
            }
            say!("{}: {} bytes, every checksum holds", path.display(), pack.size())?;
            say!("  items {}  people {}  edges {}  held out {}", m.items, m.users, m.edges, m.held_out)?;
            say!("  texts {} ({:.1} words on average)  terms {}", m.texts, m.mean_words, m.terms)?;
            say!(
                "  item edges by people {}, by content {}; vectors of {} dimensions",
                m.people_edges,
                m.content_edges,
                m.dimension
            )?;
            let w = &m.mixture;
            say!(
                "  weights people {:.2}, taste {:.2}, content {:.2}, category {:.2}, popularity {:.2}, among returning people {:.2}, learned from {} interactions",
                w.people,
                w.taste,
                w.content,
                w.category,
                w.popularity,
                w.returning,
                m.learned_from
            )?;
            say!("  built by locket {}", m.built_by)?;
            m.policy.as_ref().map(told_policy).transpose()?;
            for item in 0..pack.items().min(5) as u32 {
                let name = pack.item_title(item).unwrap_or("(no name)");
                say!("  e.g. {}: {name}, {} texts", pack.item(item), pack.texts(item).len())?;
            }
        }
    }
    Ok(())
}

fn told(report: &DeltaReport, out: &Path, json: bool) -> anyhow::Result<()> {
    if json {
        return ui::print_json(report);
    }
    let DeltaReport { old_bytes, new_bytes, delta_bytes, new_sha256 } = report;
    say!("{}: a delta of {delta_bytes} bytes, from a pack of {old_bytes} to one of {new_bytes}", out.display())?;
    say!("  the new pack's SHA-256: {new_sha256}")?;
    Ok(())
}
