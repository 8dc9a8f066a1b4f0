//! `locket eval generation`

use std::path::PathBuf;

use locket::Task;
use locket_eval::{Method, Settings, generation::generation};
use serde_json::Value;

use crate::{files, open, ui};

#[derive(clap::Args)]
pub struct Args {
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
    /// Write so many of each person's latest texts, each from what came before it: more texts of the same people
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    targets: u16,
    /// Evaluate only this part of the people, whom an adapter trained with the same share has not learnt from
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Seed of the draw and of sampling
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Texts to write, of which the one is taken that agrees most with the others and sounds most like the person
    #[arg(long, default_value_t = 1)]
    candidates: usize,
    /// How much more a text is to be the person's than what would be written without their texts; 0 is about half the work
    #[arg(long, value_name = "WEIGHT", default_value_t = locket::internals::generation::output::CONTRAST)]
    contrast: f32,
    /// Most tokens of a text
    #[arg(long, default_value_t = 128)]
    text_tokens: usize,
    /// Synthetic interactions per person (methods synthetic and full)
    #[arg(long, default_value_t = 2)]
    synthetic: usize,
    /// For which items those are written
    #[arg(long, value_enum, default_value = "predicted")]
    items: ItemsArg,
    /// File that keeps the synthetic interactions, so that synthetic and full write them once
    #[arg(long)]
    synthetic_file: Option<PathBuf>,
    /// Predictions file, one JSON line per person; an interrupted run continues it, and what stands there is chosen and scored anew
    #[arg(long)]
    out: Option<PathBuf>,
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
    /// anybody's text on the item, or on a similar one
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

impl From<ItemsArg> for locket_eval::Items {
    fn from(arg: ItemsArg) -> Self {
        match arg {
            ItemsArg::Predicted => Self::Predicted,
            ItemsArg::Random => Self::Random,
            ItemsArg::Oracle => Self::Oracle,
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

pub fn run(args: &Args) -> anyhow::Result<Value> {
    let method = args.method.into();
    let adapter = args.adapter.as_deref();
    for out in args.out.iter().chain(&args.synthetic_file) {
        let profiles = args.profiles.iter().map(|file| Some(file.as_path()));
        files::check_output(out, profiles.chain([args.pack.as_deref(), adapter]))?;
    }
    let model = match &args.model {
        Some(model) if method != Method::Copy => Some(open::load_model(model, adapter)?),
        _ => None,
    };
    let pack = args.pack.as_deref().map(open::open_pack).transpose()?;
    let mut settings = Settings::new(args.task.into(), method);
    settings.history_cap = args.history_cap;
    settings.limit = args.limit;
    settings.targets = args.targets.into();
    settings.validation = args.validation.map(locket_eval::ValidationSplit);
    settings.seed = args.seed;
    settings.options.candidates = args.candidates;
    settings.options.contrast = args.contrast;
    settings.options.text_tokens = args.text_tokens;
    settings.synthetic = args.synthetic;
    settings.items = args.items.into();
    settings.threads = ui::threads();
    settings.synthetic_file.clone_from(&args.synthetic_file);
    let bar = ui::bar(1, "texts");
    let mut progress = ui::moving(&bar);
    let value = generation(&args.profiles, pack, model.as_ref(), &settings, args.out.as_deref(), &mut progress);
    bar.finish_and_clear();
    Ok(value?)
}
