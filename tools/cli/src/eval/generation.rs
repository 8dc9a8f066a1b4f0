//! `locket eval generation`

use std::path::PathBuf;

use locket::{Kind, Sampling, Task};
use locket_builder::profile::Profiles;
use locket_eval::{Items, Method, Settings, generation::generation};
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
    #[command(flatten)]
    adapter: open::AdapterArg,
    /// Output to generate
    #[arg(long, value_enum)]
    task: EvalTask,
    /// Method of generation
    #[arg(long, value_enum)]
    method: Method,
    /// Use at most this many of the latest history interactions
    #[arg(long)]
    history_cap: Option<usize>,
    /// Evaluate at most this many users, drawn by the seed
    #[arg(long)]
    limit: Option<usize>,
    /// Generate this many of each user's latest texts, each from the history before it: more texts
    /// of the same users
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    targets: u16,
    /// Evaluate only this fraction of the users: the ones held out from an adapter trained with the
    /// same share
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Seed of the draw and of sampling
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of candidate texts; the chosen one agrees most with the others and matches the user's
    /// style best
    #[arg(long, default_value_t = 1)]
    candidates: usize,
    /// Weight of contrastive decoding against a prompt without the user's texts; 0 takes about half
    /// the work
    #[arg(long, value_name = "WEIGHT", default_value_t = locket::internals::generation::output::CONTRAST)]
    contrast: f32,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Maximum number of tokens of a text
    #[arg(long, alias = "text-tokens", default_value_t = 128)]
    max_new_tokens: usize,
    /// Share of the true text's content words that each request gives as notes, 0 to 1
    #[arg(long, value_name = "SHARE")]
    gist: Option<f64>,
    /// Show another user's history in each prompt: the difference is what the own history is worth
    #[arg(long)]
    swap_histories: bool,
    /// Number of synthetic interactions per user (methods synthetic and full)
    #[arg(long, default_value_t = 2)]
    synthetic: usize,
    /// Items of the synthetic interactions
    #[arg(long, value_enum, default_value = "predicted")]
    items: Items,
    /// File that keeps the synthetic interactions, so that synthetic and full generate them once
    #[arg(long)]
    synthetic_file: Option<PathBuf>,
    /// Predictions file, one JSON line per text; a later run with the same settings continues it,
    /// and reranks and rescores its texts
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Choice of the tokens.
#[derive(clap::Args)]
struct SamplingArgs {
    /// Sampling temperature; 0 always takes the likeliest token, as for the published tables.
    /// Default: as in an app, 1 for texts without notes, else 0
    #[arg(long)]
    temperature: Option<f32>,
    /// With a temperature: samples only from the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", requires = "temperature", default_value_t = Sampling::NATURAL.top_p)]
    top_p: f32,
}

impl SamplingArgs {
    fn sampling(&self) -> Option<Sampling> {
        let at = |t| if t > 0.0 { Sampling::at(t).with_top_p(self.top_p) } else { Sampling::GREEDY };
        self.temperature.map(at)
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EvalTask {
    /// Title in, text out
    Text,
    /// Text in, title out
    Title,
    /// Title and text in, 1 to 5 out
    Rating,
    /// Item in, text out, as for a synthetic interaction, compared with the user's real text on it;
    /// the method copy takes any user's text on the item, or on a similar one
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

/// Returns the kind of writing of the first user's target.
fn kind(files: &[PathBuf]) -> anyhow::Result<Kind> {
    let first = Profiles::of_all(files).next().transpose()?;
    Ok(first.and_then(|profile| Kind::named(&profile.target.kind)).unwrap_or_default())
}

pub fn run(args: &Args) -> anyhow::Result<Value> {
    let method = args.method;
    let adapter = args.adapter.as_deref();
    for out in args.out.iter().chain(&args.synthetic_file) {
        let profiles = args.profiles.iter().map(|file| Some(file.as_path()));
        files::check_output(out, profiles.chain([args.pack.as_deref(), adapter]))?;
    }
    let model = match &args.model {
        Some(model) if method != Method::Copy => {
            let kind = kind(&args.profiles)?;
            Some(open::load_model(model, adapter, args.gist.is_none().then_some(&kind))?)
        }
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
    settings.options.sampling = args.sampling.sampling();
    settings.options.max_new_tokens = args.max_new_tokens;
    settings.gist = args.gist;
    settings.swap_histories = args.swap_histories;
    settings.synthetic = args.synthetic;
    settings.items = args.items;
    settings.threads = ui::threads();
    settings.synthetic_file.clone_from(&args.synthetic_file);
    let bar = ui::bar(1, "texts");
    let mut progress = ui::moving(&bar);
    let value = generation(&args.profiles, pack, model.as_ref(), &settings, args.out.as_deref(), &mut progress);
    bar.finish_and_clear();
    Ok(value?)
}
