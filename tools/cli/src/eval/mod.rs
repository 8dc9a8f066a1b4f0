//! `locket eval graph | packs | population | link | scale | generation | judge | report`

mod generation;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use locket::{Pack, internals::graph::Mixture};
use locket_builder::{
    graph::FitOptions,
    profile::{Profile, Profiles},
};
use locket_eval::{Asked, Population};
use serde_json::{Value, json};

use crate::{open, output::say, ui};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Full-ranking recall@k and NDCG@k on a train/test split of edges
    #[command(after_help = "Example:\n  locket eval graph --train train.txt.zst --test test.txt.zst -k 20 --json")]
    Graph {
        /// Training edges, one user per line: user item item ...
        #[arg(long)]
        train: PathBuf,
        /// Test edges, in the same form
        #[arg(long, required_unless_present = "validate")]
        test: Option<PathBuf>,
        /// Test on this fraction of each user's training edges instead, drawn by the seed; for
        /// choosing settings
        #[arg(long, conflicts_with = "test", value_name = "PART")]
        validate: Option<f32>,
        /// Seed of that draw
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Length of the ranking
        #[arg(short, default_value_t = 20)]
        k: usize,
        /// Ranking method
        #[arg(long, value_enum, default_value_t = RankingArg::Locket)]
        method: RankingArg,
        /// Number of epochs (lightgcn)
        #[arg(long, default_value_t = 50)]
        epochs: usize,
        /// Settings of the fit that differ from the default, for example --set neighbours=50 --set
        /// ridge=0.1
        #[arg(long = "set", value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
    /// Compare the predictions of two packs, to check two ways of building one
    #[command(after_help = "Example:\n  locket eval packs here.pack spark.pack --profiles reviews.jsonl.zst --json")]
    Packs {
        /// The two packs
        #[arg(num_args = 2, required = true)]
        packs: Vec<PathBuf>,
        /// Profile files: each history is the input, each target is the item to find
        #[arg(long, required_unless_present = "train", num_args = 1..)]
        profiles: Vec<PathBuf>,
        /// Or input edges, one user per line: user item item ...
        #[arg(long, conflicts_with = "profiles")]
        train: Option<PathBuf>,
        /// Later edges of these users, the items to find, in the same form
        #[arg(long, requires = "train")]
        test: Option<PathBuf>,
        /// Number of predictions to compare
        #[arg(short, default_value_t = 10)]
        k: usize,
        /// Number of predictions in which to look for the items to find
        #[arg(long, default_value_t = 20)]
        reach: usize,
        /// Maximum number of users, drawn by their ids
        #[arg(long, default_value_t = 2_000)]
        sample: usize,
    },
    /// Generate a population of any size as test input, with power-law degrees and clusters of
    /// taste
    #[command(after_help = "\
Example:
  locket eval population --interactions 1000000 --out million.txt
  locket eval population --interactions 1000000 --words 25 --out million.jsonl")]
    Population {
        /// Approximate number of interactions
        #[arg(long)]
        interactions: usize,
        /// Number of words per text; 0 writes `user item item ...` lines instead of profiles
        #[arg(long, default_value_t = 0)]
        words: usize,
        /// Seed of all random draws
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Leave-last-out link prediction: hit@k and MRR, compared with each kind of evidence alone
    #[command(after_help = "Example:\n  locket eval link --profiles recipes.jsonl.zst --json")]
    Link {
        /// Profile files
        #[arg(long, required = true, num_args = 1..)]
        profiles: Vec<PathBuf>,
        /// Weights of people (co-occurrence), taste (latent factors), content and popularity
        /// instead of the learned ones; category and returning people (repeat-user popularity) keep
        /// their defaults
        #[arg(long, num_args = 4, value_names = ["P", "T", "C", "O"])]
        weights: Option<Vec<f32>>,
    },
    /// Measure the fold-in of one user: build a pack of any size, then time predictions over it on
    /// one core
    #[command(after_help = "\
Example:
  locket eval scale --items 1000000 --out big.pack --json     builds
  locket eval scale --pack big.pack --json                    measures")]
    Scale {
        /// Generate a catalogue of this many items
        #[arg(long, requires = "out")]
        items: Option<usize>,
        /// Or read edges from a file, one user per line: user item item ...
        #[arg(long, requires = "out", conflicts_with = "items")]
        train: Option<PathBuf>,
        /// Path of the pack to build
        #[arg(long)]
        out: Option<PathBuf>,
        /// Path of the pack to measure
        #[arg(long, conflicts_with = "out", required_unless_present = "out")]
        pack: Option<PathBuf>,
        /// Settings of the fit that differ from the default
        #[arg(long = "set", value_name = "NAME=VALUE")]
        settings: Vec<String>,
        /// Number of users
        #[arg(long, default_value_t = 500)]
        people: usize,
        /// Number of items in each user's history
        #[arg(long, default_value_t = 5)]
        history: usize,
        /// Length of the ranking
        #[arg(short, default_value_t = 10)]
        k: usize,
        /// Seed of the generator and of the histories
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Generate held-out texts, titles or ratings by one method and score them
    #[command(after_help = "\
Example:
  locket eval generation --profiles amazon.jsonl.zst --model gemma-3-270m --task text --method full \\
      --limit 200 --seed 1 --out full.jsonl --json
A run that was stopped goes on when it is called again with the same --out.")]
    Generation(generation::Args),
    /// Write a sheet of pairs for a blind reader: which text did the person write? Or count the
    /// answers of a reader
    #[command(after_help = "\
Example:
  locket eval judge --runs chat.jsonl --out sheet.md                        writes the sheet and its key
  locket eval judge --key sheet.key.jsonl --answers reader.txt --json       counts")]
    Judge {
        /// Predictions file (--out) of `eval generation --task text`
        #[arg(long, required_unless_present = "answers", requires = "out")]
        runs: Option<PathBuf>,
        /// Folder that the profile files named by the run are relative to
        #[arg(long, default_value = ".")]
        data: PathBuf,
        /// Number of pairs
        #[arg(long, default_value_t = 40)]
        pairs: usize,
        /// Seed of the draw and of the order in each pair
        #[arg(long, default_value_t = 1)]
        seed: u32,
        /// The sheet to write; its key has the same name with the ending key.jsonl
        #[arg(long)]
        out: Option<PathBuf>,
        /// Answers of a reader, a line for each pair, such as `1 A AB`
        #[arg(long, requires = "key", conflicts_with = "runs")]
        answers: Option<PathBuf>,
        /// Key of the sheet
        #[arg(long)]
        key: Option<PathBuf>,
    },
    /// Report on the predictions of many runs: tables, paired differences, plots, samples
    #[command(after_help = "\
Example:
  locket eval report --runs runs --out docs/report")]
    Report {
        /// Folder with the predictions files (--out) of `eval generation`
        #[arg(long)]
        runs: PathBuf,
        /// Folder with the profile files that the runs name; with them, the report includes author
        /// identification
        #[arg(long, default_value = ".")]
        data: PathBuf,
        /// Number of the best and of the worst texts to show next to the true ones
        #[arg(long, default_value_t = 3)]
        samples: usize,
        /// Folder for report.md and index.html
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum RankingArg {
    /// The ranking of a pack: pruned neighbours and item vectors
    Locket,
    /// Number of users of an item
    Popularity,
    /// One step of the linear filter P
    Linear,
    /// Ideal low-pass filter
    LowPass,
    /// P and the ideal low-pass filter (GF-CF)
    GfCf,
    /// GF-CF and one step of sharpening (BSPM)
    Sharpened,
    /// LightGCN trained with BPR
    Lightgcn,
}

impl RankingArg {
    fn ranking(self, epochs: usize) -> locket_eval::RankBy {
        match self {
            Self::Locket => locket_eval::RankBy::Locket,
            Self::Popularity => locket_eval::RankBy::Popularity,
            Self::Linear => locket_eval::RankBy::Linear,
            Self::LowPass => locket_eval::RankBy::LowPass,
            Self::GfCf => locket_eval::RankBy::GfCf,
            Self::Sharpened => locket_eval::RankBy::Sharpened,
            Self::Lightgcn => locket_eval::RankBy::LightGcn { epochs },
        }
    }
}

fn fit_options(settings: &[String]) -> anyhow::Result<FitOptions> {
    let mut fit = FitOptions::default();
    for setting in settings {
        let (name, value) = setting.split_once('=').with_context(|| format!("--set {setting}: write NAME=VALUE"))?;
        let value = value.parse().with_context(|| format!("--set {setting}: not a number"))?;
        fit.set(name, value).with_context(|| format!("--set {setting}"))?;
    }
    Ok(fit)
}

pub fn run(command: Command, json: bool) -> anyhow::Result<()> {
    let value = match command {
        Command::Packs { packs, profiles, train, test, k, reach, sample } => {
            let people = match train {
                Some(train) => locket_eval::asked(&train, test.as_deref())?,
                None => Profiles::of_all(&profiles).map(|p| p.map(asked)).collect::<Result<_, _>>()?,
            };
            let packs: Vec<Pack> = packs.iter().map(|p| open::open_pack(p)).collect::<anyhow::Result<_>>()?;
            let bar = ui::bar(sample.min(people.len()) as u64, "people asked");
            let value = locket_eval::agreement([&packs[0], &packs[1]], &people, (k, reach), sample, &|n| {
                bar.inc(n as u64);
                ui::alive()
            });
            bar.finish_and_clear();
            value?
        }
        Command::Judge { answers: Some(answers), key: Some(key), .. } => json!(locket_eval::judged(&key, &answers)?),
        Command::Judge { runs: Some(runs), data, pairs, seed, out: Some(out), .. } => {
            let key = out.with_extension("key.jsonl");
            let pairs = locket_eval::write_sheet(&runs, &data, pairs, seed, &out, &key)?;
            json!({ "pairs": pairs, "sheet": out, "key": key })
        }
        Command::Judge { .. } => bail!("give --runs and --out, or --key and --answers"),
        Command::Population { interactions, words, seed, out } => {
            let bar = ui::bar(interactions as u64, "interactions");
            let value = locket_eval::population(Population { interactions, words, seed }, &out, |n| {
                bar.set_position(n as u64);
                ui::alive()
            });
            bar.finish_and_clear();
            value?
        }
        Command::Graph { train, test, validate, seed, k, method, epochs, settings } => {
            let split = match (test, validate) {
                (Some(test), _) => locket_eval::Split::File(test),
                (None, part) => locket_eval::Split::Cut { part: part.unwrap_or(0.2), seed },
            };
            let fit = fit_options(&settings)?;
            let bar = ui::spinner("users ranked:");
            let value = locket_eval::graph(&train, &split, k, method.ranking(epochs), &fit, &|n| {
                bar.inc(n as u64);
                ui::alive()
            });
            bar.finish_and_clear();
            value?
        }
        Command::Scale { items, train, out, pack, settings, people, history, k, seed } => {
            let fit = fit_options(&settings)?;
            match (out, pack) {
                (Some(out), _) => {
                    let spinner = ui::spinner("people:");
                    let value = match (items, train) {
                        (Some(items), _) => locket_eval::generate(items, seed, fit, &out, |n| {
                            spinner.set_position(n as u64);
                            ui::alive()
                        }),
                        (None, Some(train)) => locket_eval::from_edges(&train, fit, &out, ui::alive),
                        (None, None) => anyhow::bail!("--out needs --items or --train"),
                    };
                    spinner.finish_and_clear();
                    value?
                }
                (None, Some(pack)) => locket_eval::scale(&pack, history, k, people, seed)?,
                (None, None) => anyhow::bail!("give --pack, or --out with --items or --train"),
            }
        }
        Command::Link { profiles, weights } => {
            let mixture = match weights.as_deref() {
                Some(&[people, taste, content, popularity]) => {
                    Some(Mixture { people, taste, content, popularity, ..Mixture::default() })
                }
                _ => None,
            };
            let spinner = ui::spinner("profiles read:");
            let value = locket_eval::link(&profiles, mixture, |n| {
                spinner.set_position(n as u64);
                ui::alive()
            });
            spinner.finish_and_clear();
            value?
        }
        Command::Generation(args) => generation::run(&args)?,
        Command::Report { runs, data, samples, out } => {
            let count = locket_eval::report(&runs, &data, samples, &out)?;
            json!({ "runs": count, "report": out.join("report.md"), "page": out.join("index.html") })
        }
    };
    if json {
        return ui::print_json(&value);
    }
    print_table(&value, "")
}

/// Prints numbers with their standard errors, groups indented.
fn print_table(value: &Value, indent: &str) -> anyhow::Result<()> {
    let Value::Object(map) = value else { return Ok(()) };
    for (key, value) in map.iter().filter(|(k, _)| !k.ends_with("_se")) {
        match (value, map.get(&format!("{key}_se")).and_then(Value::as_f64)) {
            (Value::Object(_), _) => {
                say!("{indent}{key}")?;
                print_table(value, &format!("{indent}  "))?;
            }
            (Value::Number(n), Some(se)) => say!("{indent}{key:<16} {:.4} +- {se:.4}", n.as_f64().unwrap_or(0.0))?,
            (other, _) => say!("{indent}{key:<16} {other}")?,
        }
    }
    Ok(())
}

/// Returns the profile's history as the input and its target as the item to find.
fn asked(profile: Profile) -> Asked {
    let met = profile.history.into_iter().map(|i| i.item).collect();
    Asked { user: profile.user, met, wanted: vec![profile.target.item] }
}
