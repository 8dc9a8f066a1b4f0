//! `locket eval graph | link | generation`

use std::{ops::ControlFlow, path::PathBuf};

use locket::{
    eval::{
        self,
        generation::{Method, Settings, generation},
    },
    graph::Weights,
};
use serde_json::Value;

use crate::{generate::TaskArg, ui};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Full-ranking recall@k and NDCG@k on a train/test split of edges
    #[command(after_help = "Example:\n  locket eval graph --train train.txt.zst --test test.txt.zst -k 20 --json")]
    Graph {
        /// Training edges, one user per line: user item item ...
        #[arg(long)]
        train: PathBuf,
        /// Test edges, same form
        #[arg(long)]
        test: PathBuf,
        /// Length of the ranking
        #[arg(short, default_value_t = 20)]
        k: usize,
    },
    /// Leave-last-out link prediction: hit@k and MRR against popularity, content and people alone
    #[command(after_help = "Example:\n  locket eval link --profiles recipes.jsonl.zst --json")]
    Link {
        /// Profile files
        #[arg(long, required = true, num_args = 1..)]
        profiles: Vec<PathBuf>,
        /// Weights of people, two steps, content, popularity
        #[arg(long, num_args = 4, value_names = ["P", "S", "C", "O"])]
        weights: Option<Vec<f32>>,
    },
    /// Write held-out texts, titles or ratings by one method and score them
    #[command(after_help = "\
Example:
  locket eval generation --profiles amazon.jsonl.zst --model gemma-3-270m --task text --method full \\
      --limit 200 --seed 1 --out full.jsonl --json
A run that was stopped goes on when it is called again with the same --out.")]
    Generation(GenerationArgs),
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
    /// LoRA adapter (GGUF)
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum)]
    task: TaskArg,
    /// How
    #[arg(long, value_enum)]
    method: MethodArg,
    /// Use at most this many of the latest history interactions
    #[arg(long)]
    history_cap: Option<usize>,
    /// Evaluate at most this many people, drawn by the seed
    #[arg(long)]
    limit: Option<usize>,
    /// Seed of the draw and of sampling
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Synthetic interactions per person (methods synthetic and full)
    #[arg(long, default_value_t = 2)]
    synthetic: usize,
    /// File that keeps the synthetic interactions, so that synthetic and full write them once
    #[arg(long)]
    synthetic_file: Option<PathBuf>,
    /// Predictions file, one JSON line per person; an interrupted run continues it
    #[arg(long)]
    out: Option<PathBuf>,
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

pub fn run(command: Command, json: bool) -> anyhow::Result<()> {
    let value = match command {
        Command::Graph { train, test, k } => eval::graph(&train, &test, k)?,
        Command::Link { profiles, weights } => {
            let weights = match weights.as_deref() {
                Some(&[people, two_steps, content, popularity]) => Weights { people, two_steps, content, popularity },
                _ => Weights::default(),
            };
            let spinner = ui::spinner("profiles read:");
            let value = eval::link(&profiles, weights, |n| {
                spinner.set_position(n as u64);
                ui::alive()
            });
            spinner.finish_and_clear();
            value?
        }
        Command::Generation(args) => run_generation(&args)?,
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
    settings.seed = args.seed;
    settings.synthetic = args.synthetic;
    settings.threads = ui::threads();
    settings.synthetic_file.clone_from(&args.synthetic_file);
    let bar = ui::bar(1, "people");
    let value = generation(&args.profiles, pack, model.as_ref(), &settings, args.out.as_deref(), &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        ui::alive() as ControlFlow<()>
    });
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
