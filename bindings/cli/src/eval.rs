//! `locket eval graph | link | generation | report`

use std::{ops::ControlFlow, path::PathBuf};

use anyhow::Context as _;
use locket::{
    eval::{
        self, Asked,
        generation::{Method, Settings, generation},
    },
    graph::{FitOptions, Mixture},
    pack::Pack,
    profile::{Profile, Profiles},
    prompt::Task,
};
use serde_json::{Value, json};

use crate::ui;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Full-ranking recall@k and NDCG@k on a train/test split of edges
    #[command(after_help = "Example:\n  locket eval graph --train train.txt.zst --test test.txt.zst -k 20 --json")]
    Graph {
        /// Training edges, one user per line: user item item ...
        #[arg(long)]
        train: PathBuf,
        /// Test edges, same form
        #[arg(long, required_unless_present = "validate")]
        test: Option<PathBuf>,
        /// Test on this part of each user's training edges instead, drawn by the seed: what settings are chosen on
        #[arg(long, conflicts_with = "test", value_name = "PART")]
        validate: Option<f32>,
        /// Seed of that draw
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Length of the ranking
        #[arg(short, default_value_t = 20)]
        k: usize,
        /// How to rank
        #[arg(long, value_enum, default_value_t = RankingArg::Locket)]
        method: RankingArg,
        /// Passes over the edges (lightgcn)
        #[arg(long, default_value_t = 50)]
        epochs: usize,
        /// Settings of the fit that differ from the default, for example --set neighbours=50 --set ridge=0.1
        #[arg(long = "set", value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
    /// Whether two packs predict the same: what two ways of building one must show
    #[command(after_help = "Example:\n  locket eval packs here.pack spark.pack --profiles reviews.jsonl.zst --json")]
    Packs {
        /// The two packs
        #[arg(num_args = 2, required = true)]
        packs: Vec<PathBuf>,
        /// The people: their histories are given, their targets are to be found
        #[arg(long, required_unless_present = "train", num_args = 1..)]
        profiles: Vec<PathBuf>,
        /// Or who met what, one person a line: user item item ...
        #[arg(long, conflicts_with = "profiles")]
        train: Option<PathBuf>,
        /// And what they met then, same form
        #[arg(long, requires = "train")]
        test: Option<PathBuf>,
        /// Predictions that are compared
        #[arg(short, default_value_t = 10)]
        k: usize,
        /// Predictions among which something is found
        #[arg(long, default_value_t = 20)]
        reach: usize,
        /// Most people, drawn by their ids
        #[arg(long, default_value_t = 2_000)]
        sample: usize,
    },
    /// Leave-last-out link prediction: hit@k and MRR against popularity, content and people alone
    #[command(after_help = "Example:\n  locket eval link --profiles recipes.jsonl.zst --json")]
    Link {
        /// Profile files
        #[arg(long, required = true, num_args = 1..)]
        profiles: Vec<PathBuf>,
        /// Weights of people, taste, content, popularity instead of the learned ones; category and returning people keep
        /// their defaults
        #[arg(long, num_args = 4, value_names = ["P", "T", "C", "O"])]
        weights: Option<Vec<f32>>,
    },
    /// What folding one person in costs: build a pack of any size, then time predictions over it on one core
    #[command(after_help = "\
Example:
  locket eval scale --items 1000000 --out big.pack --json     builds
  locket eval scale --pack big.pack --json                    measures")]
    Scale {
        /// Generate a catalogue of this many items
        #[arg(long, requires = "out")]
        items: Option<usize>,
        /// Or take edges from a file, one user per line: user item item ...
        #[arg(long, requires = "out", conflicts_with = "items")]
        train: Option<PathBuf>,
        /// Where the built pack goes
        #[arg(long)]
        out: Option<PathBuf>,
        /// Measure this pack
        #[arg(long, conflicts_with = "out", required_unless_present = "out")]
        pack: Option<PathBuf>,
        /// Settings of the fit that differ from the default
        #[arg(long = "set", value_name = "NAME=VALUE")]
        settings: Vec<String>,
        /// Number of people who ask
        #[arg(long, default_value_t = 500)]
        people: usize,
        /// Items in each one's history
        #[arg(long, default_value_t = 5)]
        history: usize,
        /// Length of the ranking
        #[arg(short, default_value_t = 10)]
        k: usize,
        /// Seed of the generator and of the histories
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Write held-out texts, titles or ratings by one method and score them
    #[command(after_help = "\
Example:
  locket eval generation --profiles amazon.jsonl.zst --model gemma-3-270m --task text --method full \\
      --limit 200 --seed 1 --out full.jsonl --json
A run that was stopped goes on when it is called again with the same --out.")]
    Generation(GenerationArgs),
    /// What the predictions of many runs say together: tables, paired differences, plots, samples
    #[command(after_help = "\
Example:
  locket eval report --runs runs --out docs/report")]
    Report {
        /// Folder with the predictions files (--out) of `eval generation`
        #[arg(long)]
        runs: PathBuf,
        /// Folder for report.md and index.html
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(clap::Args)]
pub struct GenerationArgs {
    /// Profile files
    #[arg(long, required = true, num_args = 1..)]
    profiles: Vec<PathBuf>,
    /// A pack built with --holdout-targets; default: one built from the profiles
    #[arg(long)]
    pack: Option<PathBuf>,
    /// Model: a name from `locket model list`, or a GGUF file
    #[arg(long)]
    model: Option<String>,
    /// LoRA adapter (GGUF), or `none`; default: the one that comes with the model
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum)]
    task: EvalTask,
    /// How
    #[arg(long, value_enum)]
    method: MethodArg,
    /// Use at most this many of the latest history interactions
    #[arg(long)]
    history_cap: Option<usize>,
    /// Evaluate at most this many people, drawn by the seed
    #[arg(long)]
    limit: Option<usize>,
    /// Evaluate only this part of the people, whom an adapter trained with the same share has not learnt from
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Seed of the draw and of sampling
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Texts to write, of which the one that agrees most with the others is taken
    #[arg(long, default_value_t = 1)]
    candidates: usize,
    /// Synthetic interactions per person (methods synthetic and full)
    #[arg(long, default_value_t = 2)]
    synthetic: usize,
    /// For which items those are written
    #[arg(long, value_enum, default_value = "predicted")]
    items: ItemsArg,
    /// File that keeps the synthetic interactions, so that synthetic and full write them once
    #[arg(long)]
    synthetic_file: Option<PathBuf>,
    /// Predictions file, one JSON line per person; an interrupted run continues it
    #[arg(long)]
    out: Option<PathBuf>,
    /// Instead of scoring, write every text twice, with and without drafts of up to N tokens looked up in the prompt, and
    /// compare texts and times
    #[arg(long, value_name = "N", requires = "model", conflicts_with = "out")]
    drafts: Option<usize>,
    /// Instead of writing, score the real text after prompts with N of the person's own texts, chosen in different ways
    #[arg(long, value_name = "N", requires = "model", conflicts_with_all = ["out", "drafts"])]
    packing: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EvalTask {
    /// Title in, text out
    Text,
    /// Text in, title out
    Title,
    /// Title and text in, 1 to 5 out
    Rating,
    /// Nothing but the item in, as for a synthetic interaction, compared with what the person really wrote about it; copy takes
    /// anybody's text on the item
    Synthetic,
}

impl From<EvalTask> for Task {
    fn from(arg: EvalTask) -> Self {
        match arg {
            EvalTask::Text => Self::Text,
            EvalTask::Title => Self::Title,
            EvalTask::Rating => Self::Rating,
            EvalTask::Synthetic => Self::Synthetic,
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ItemsArg {
    /// The graph's predictions
    Predicted,
    /// Any that somebody has written about: no link prediction at all
    Random,
    /// What the person really met and --history-cap hides: perfect link prediction
    Oracle,
}

impl From<ItemsArg> for eval::Items {
    fn from(arg: ItemsArg) -> Self {
        match arg {
            ItemsArg::Predicted => Self::Predicted,
            ItemsArg::Random => Self::Random,
            ItemsArg::Oracle => Self::Oracle,
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum RankingArg {
    /// What a pack holds: pruned neighbours and item vectors
    Locket,
    /// By the number of people who met an item
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
    fn ranking(self, epochs: usize) -> eval::RankBy {
        match self {
            Self::Locket => eval::RankBy::Locket,
            Self::Popularity => eval::RankBy::Popularity,
            Self::Linear => eval::RankBy::Linear,
            Self::LowPass => eval::RankBy::LowPass,
            Self::GfCf => eval::RankBy::GfCf,
            Self::Sharpened => eval::RankBy::Sharpened,
            Self::Lightgcn => eval::RankBy::LightGcn { epochs },
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum MethodArg {
    /// From the title alone
    None,
    /// Title and best neighbour's text, no model
    Copy,
    /// Own history (LaMP)
    History,
    /// Own history and others' texts (PGraphRAG)
    Graph,
    /// Own history, reasoning first (REST-PG)
    Reasoning,
    /// Real and synthetic history, others' texts, no reasoning
    Synthetic,
    /// Real and synthetic history, others' texts, reasoning first (GraSPeR)
    Full,
}

impl From<MethodArg> for Method {
    fn from(arg: MethodArg) -> Self {
        match arg {
            MethodArg::None => Method::None,
            MethodArg::Copy => Method::Copy,
            MethodArg::History => Method::History,
            MethodArg::Graph => Method::Graph,
            MethodArg::Reasoning => Method::Reasoning,
            MethodArg::Synthetic => Method::Synthetic,
            MethodArg::Full => Method::Full,
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
                Some(train) => eval::asked(&train, test.as_deref())?,
                None => Profiles::of_all(&profiles).map(|p| p.map(asked)).collect::<Result<_, _>>()?,
            };
            let packs: Vec<Pack> = packs.iter().map(|p| ui::open_pack(p)).collect::<anyhow::Result<_>>()?;
            let bar = ui::bar(sample.min(people.len()) as u64, "people asked");
            let value = eval::agreement([&packs[0], &packs[1]], &people, (k, reach), sample, &|n| {
                bar.inc(n as u64);
                ui::alive()
            });
            bar.finish_and_clear();
            value?
        }
        Command::Graph { train, test, validate, seed, k, method, epochs, settings } => {
            let split = match (test, validate) {
                (Some(test), _) => eval::Split::File(test),
                (None, part) => eval::Split::Cut { part: part.unwrap_or(0.2), seed },
            };
            let fit = fit_options(&settings)?;
            let bar = ui::spinner("users ranked:");
            let value = eval::graph(&train, &split, k, method.ranking(epochs), &fit, &|n| {
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
                        (Some(items), _) => eval::generate(items, seed, fit, &out, |n| {
                            spinner.set_position(n as u64);
                            ui::alive()
                        }),
                        (None, Some(train)) => eval::from_edges(&train, fit, &out, ui::alive),
                        (None, None) => anyhow::bail!("--out needs --items or --train"),
                    };
                    spinner.finish_and_clear();
                    value?
                }
                (None, Some(pack)) => eval::scale(&pack, history, k, people, seed)?,
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
            let value = eval::link(&profiles, mixture, |n| {
                spinner.set_position(n as u64);
                ui::alive()
            });
            spinner.finish_and_clear();
            value?
        }
        Command::Generation(args) => run_generation(&args)?,
        Command::Report { runs, out } => {
            json!({ "runs": eval::report(&runs, &out)?, "report": out.join("report.md"), "page": out.join("index.html") })
        }
    };
    if json {
        return ui::print_json(&value);
    }
    print_table(&value, "");
    Ok(())
}

fn run_generation(args: &GenerationArgs) -> anyhow::Result<Value> {
    let method = args.method.into();
    let model = match &args.model {
        Some(model) if method != Method::Copy => Some(ui::load_model(model, args.adapter.as_deref())?),
        _ => None,
    };
    let pack = args.pack.as_deref().map(ui::open_pack).transpose()?;
    let mut settings = Settings::new(args.task.into(), method);
    settings.history_cap = args.history_cap;
    settings.limit = args.limit;
    settings.validation = args.validation.map(locket::align::Share);
    settings.seed = args.seed;
    settings.options.candidates = args.candidates;
    settings.synthetic = args.synthetic;
    settings.items = args.items.into();
    settings.threads = ui::threads();
    settings.synthetic_file.clone_from(&args.synthetic_file);
    let bar = ui::bar(1, "people");
    let mut progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        ui::alive() as ControlFlow<()>
    };
    let value = match (args.drafts, args.packing, &model) {
        (_, Some(k), Some(model)) => eval::packing(&args.profiles, pack, model, &settings, k, &mut progress),
        (Some(draft), _, Some(model)) => eval::drafts(&args.profiles, pack, model, &settings, draft, &mut progress),
        _ => generation(&args.profiles, pack, model.as_ref(), &settings, args.out.as_deref(), &mut progress),
    };
    bar.finish_and_clear();
    Ok(value?)
}

/// Numbers with their standard errors, groups indented.
fn print_table(value: &Value, indent: &str) {
    let Value::Object(map) = value else { return };
    for (key, value) in map.iter().filter(|(k, _)| !k.ends_with("_se")) {
        match (value, map.get(&format!("{key}_se")).and_then(Value::as_f64)) {
            (Value::Object(_), _) => {
                println!("{indent}{key}");
                print_table(value, &format!("{indent}  "));
            }
            (Value::Number(n), Some(se)) => println!("{indent}{key:<16} {:.4} +- {se:.4}", n.as_f64().unwrap_or(0.0)),
            (other, _) => println!("{indent}{key:<16} {other}"),
        }
    }
}

/// What a person met, and what they met then.
fn asked(profile: Profile) -> Asked {
    let met = profile.history.into_iter().map(|i| i.item).collect();
    Asked { user: profile.user, met, wanted: vec![profile.target.item] }
}
