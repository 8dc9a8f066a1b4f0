//! `locket align examples | synthesize | paths | ratings`

use std::path::{Path, PathBuf};

use anyhow::Context;
use locket::{
    Kind, Model,
    internals::{llm::gguf, output},
};
use locket_eval::align::{self, ExampleOptions, Judge, SearchOptions, SynthesisOptions};
use serde_json::json;

use crate::{files, open, output::say, ui};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Turn profiles into training examples for models/align/train.py
    #[command(after_help = "\
Example:
  locket align examples --profiles amazon.jsonl.zst hotel.jsonl.zst --model gemma-3-270m --out examples.jsonl")]
    Examples(Args),
    /// Generate synthetic interactions for a share of the examples, for `align examples
    /// --synthetic`
    #[command(after_help = "\
Example:
  locket align synthesize --profiles amazon.jsonl.zst --model gemma-3-270m --adapter round1.gguf --limit 1000 --out synthetic.jsonl
  locket align examples --profiles amazon.jsonl.zst --model gemma-3-270m --synthetic synthetic.jsonl --out examples.jsonl
Both take the same --seed. A call that was stopped goes on when it is called again with the same --out.")]
    Synthesize {
        #[command(flatten)]
        args: Args,
        /// LoRA adapter (GGUF) of the previous round
        #[arg(long)]
        adapter: Option<PathBuf>,
        /// Number of synthetic interactions per example
        #[arg(short = 'n', long, default_value_t = 2)]
        each: usize,
        /// Percentage of examples with synthetic interactions
        #[arg(long, default_value_t = 50)]
        share: u64,
    },
    /// Turn profiles into training examples with golden paths: plans that the model itself would
    /// make and that lead to the true text
    #[command(after_help = "\
Example:
  locket align paths --profiles amazon.jsonl.zst --model gemma-3-270m --adapter round1.gguf -n 4 --limit 1000 --out golden.jsonl
A search that was stopped goes on when it is called again with the same --out.")]
    Paths {
        #[command(flatten)]
        args: Args,
        /// LoRA adapter (GGUF) of the previous round
        #[arg(long)]
        adapter: Option<PathBuf>,
        /// Number of paths sampled per example
        #[arg(short, long, default_value_t = 4)]
        n: usize,
        /// Also consider paths made with access to the true text
        #[arg(long)]
        rationalised: bool,
        /// Criterion for golden paths
        #[arg(long, value_enum, default_value_t = Judge::Likelihood)]
        judge: Judge,
    },
    /// Calibrate an adapter's ratings: a scale and five biases, fitted on users' ratings and stored
    /// in its file
    #[command(after_help = "\
Example:
  locket align ratings --profiles amazon.jsonl.zst hotel.jsonl.zst --model gemma-3-270m --adapter round1.gguf --limit 1500 --out round1-rated.gguf
The people of --validation are left out, as they are from the training of the adapter. A call that was stopped goes on when it is called
again with the same --out: what it has read is kept beside it until it is done.")]
    Ratings(RatingsArgs),
}

#[derive(clap::Args)]
pub struct RatingsArgs {
    #[command(flatten)]
    source: Source,
    /// LoRA adapter (GGUF) to correct; an earlier correction in it has no influence
    #[arg(long)]
    adapter: PathBuf,
}

/// Inputs and output of every `align` command.
#[derive(clap::Args)]
pub struct Source {
    /// Profile files
    #[arg(long, required = true, num_args = 1..)]
    profiles: Vec<PathBuf>,
    /// The model to fit; its vocabulary determines the tokens
    #[arg(long)]
    model: String,
    /// Fraction of the users held out for validation (`locket eval generation --validation`)
    #[arg(long, default_value_t = 0.2)]
    validation: f64,
    /// Maximum number of examples per user
    #[arg(long, default_value_t = 6)]
    per_person: usize,
    /// Maximum number of examples in total, drawn by the seed
    #[arg(long)]
    limit: Option<usize>,
    /// Seed of all random draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file to write: examples as one JSON object per line, or a corrected adapter
    #[arg(long)]
    out: PathBuf,
}

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// Make examples of the held-out users instead, for a loss that memorized texts do not lower
    /// (`train.py --validation`)
    #[arg(long)]
    left_out: bool,
    /// Relative shares of the tasks text, title, rating and synthetic
    #[arg(long, value_parser = shares, default_value = "58,14,10,18")]
    tasks: [u64; 4],
    /// Percentage of examples that plan first
    #[arg(long, default_value_t = 70)]
    planned: u64,
    /// Percentages of texts without a plan of their own whose request gives notes, a draft, or a plan
    #[arg(long, value_parser = percentages, default_value = "0,0,0")]
    given: [u64; 3],
    /// Maximum number of retrieved texts per prompt; with fewer, training covers more examples in
    /// the same time
    #[arg(long, default_value_t = 4)]
    neighbours: usize,
    /// File made by `locket align synthesize`: synthetic interactions for some of the examples
    #[arg(long)]
    synthetic: Option<PathBuf>,
}

/// Returns the numbers of a list such as `58,14,10,18`.
fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let numbers: Vec<u64> = text.split(',').map(|n| n.trim().parse()).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

fn shares(text: &str) -> Result<[u64; 4], String> {
    numbers(text)
        .filter(|s| s.iter().any(|&n| n > 0))
        .ok_or_else(|| "four numbers, not all 0, such as 58,14,10,18".into())
}

fn percentages(text: &str) -> Result<[u64; 3], String> {
    numbers(text)
        .filter(|s| s.iter().sum::<u64>() <= 100)
        .ok_or_else(|| "three numbers of at most 100 in total, such as 55,15,10".into())
}

pub fn run(command: Command, json: bool) -> anyhow::Result<()> {
    let (args, search) = match command {
        Command::Examples(args) => (args, None),
        Command::Ratings(args) => return ratings(&args, json),
        Command::Synthesize { args, adapter, each, share } => return synthesize(args, adapter, (each, share), json),
        Command::Paths { args, adapter, n, rationalised, judge } => (args, Some((adapter, n, rationalised, judge))),
    };
    let adapter = search.as_ref().and_then(|s| s.0.as_deref());
    files::check_output(&args.source.out, args.source.inputs().chain([adapter]))?;
    let model = load(&args, adapter)?;
    let examples = args.examples();
    let left_out = args.left_out;
    let bar = ui::bar(1, "examples");
    let mut progress = ui::moving(&bar);
    let (made, found) = match search {
        None => (align::examples(&args.source.profiles, &model, &examples, &args.source.out, &mut progress)?, None),
        Some((_, paths, rationalised, judge)) => {
            let options = SearchOptions { examples, paths, rationalised, judge, threads: ui::threads() };
            let found = align::search(&args.source.profiles, &model, &options, &args.source.out, &mut progress)?;
            (found.made, Some(found))
        }
    };
    bar.finish_and_clear();
    if json {
        return ui::print_json(&found.map_or_else(|| json!(made), |found| json!(found)));
    }
    say!(
        "{} examples of {} people ({} {}): {} tokens, {} of them learnt -> {}",
        made.examples,
        made.people[usize::from(left_out)],
        made.people[usize::from(!left_out)],
        if left_out { "may be learnt from" } else { "left out for validation" },
        made.tokens,
        made.learnt,
        args.source.out.display()
    )?;
    if let Some(found) = found {
        say!(
            "log-probability of a token of the true text: {:.3} behind sampled plans, {:.3} behind golden ones ({} of them \
             sampled without sight of the text), {:.3} behind those read off the text",
            found.sampled,
            found.golden,
            found.blind,
            found.read_off
        )?;
    }
    Ok(())
}

fn synthesize(args: Args, adapter: Option<PathBuf>, (each, share): (usize, u64), json: bool) -> anyhow::Result<()> {
    files::check_output(&args.source.out, args.source.inputs().chain([adapter.as_deref()]))?;
    let model = load(&args, adapter.as_deref())?;
    let options = SynthesisOptions { examples: args.examples(), each, share, threads: ui::threads() };
    let bar = ui::bar(1, "examples");
    let made = align::synthesize(&args.source.profiles, &model, &options, &args.source.out, &mut ui::moving(&bar))?;
    bar.finish_and_clear();
    if json {
        return ui::print_json(&made);
    }
    say!("{} synthetic interactions for {} examples -> {}", made.kept, made.examples, args.source.out.display())?;
    Ok(())
}

fn ratings(args: &RatingsArgs, json: bool) -> anyhow::Result<()> {
    let inputs = args.source.inputs().chain([Some(args.adapter.as_path())]).flatten();
    let out = &output::target(&args.source.out, inputs)?;
    let model = open::load_model(&args.source.model, Some(&args.adapter), Some(&Kind::review()))?;
    output::target(out, [model.path()])?;
    let options = args.source.options();
    let journal = args.source.out.with_extension("ratings.jsonl");
    let bar = ui::bar(1, "ratings");
    let rated =
        align::ratings(&args.source.profiles, &model, &options, ui::threads(), &journal, &mut ui::moving(&bar))?;
    bar.finish_and_clear();
    let read = || std::fs::read(&args.adapter).with_context(|| format!("cannot read {}", args.adapter.display()));
    let corrected = locket_builder::gguf::with_floats(&read()?, gguf::CALIBRATION, &rated.calibration.numbers())?;
    output::replace_cache(out, &corrected).with_context(|| format!("cannot write {}", out.display()))?;
    std::fs::remove_file(&journal).with_context(|| format!("cannot remove {}", journal.display()))?;
    if json {
        return ui::print_json(&rated);
    }
    let [loss, corrected_loss] = rated.loss;
    let [mae, corrected_mae] = rated.mae;
    say!(
        "{} ratings of {} people ({} left out for validation): loss {loss:.3} -> {corrected_loss:.3}, error of the median \
         {mae:.3} -> {corrected_mae:.3} stars -> {}",
        rated.ratings,
        rated.people[0],
        rated.people[1],
        args.source.out.display()
    )?;
    Ok(())
}

/// Loads the model with `adapter`, or without any adapter if it is `None`, as in a first round.
fn load(args: &Args, adapter: Option<&Path>) -> anyhow::Result<Model> {
    open::load_model(&args.source.model, Some(adapter.unwrap_or(Path::new("none"))), Some(&Kind::review()))
}

impl Source {
    /// Returns the profile files.
    fn inputs(&self) -> impl Iterator<Item = Option<&Path>> {
        self.profiles.iter().map(|file| Some(file.as_path()))
    }

    fn options(&self) -> ExampleOptions {
        ExampleOptions {
            validation: locket_eval::ValidationSplit(self.validation),
            per_person: self.per_person,
            limit: self.limit,
            seed: self.seed,
            ..ExampleOptions::default()
        }
    }
}

impl Args {
    fn examples(&self) -> ExampleOptions {
        ExampleOptions {
            left_out: self.left_out,
            synthetic: self.synthetic.clone(),
            tasks: self.tasks,
            given: self.given,
            planned: self.planned,
            neighbours: self.neighbours,
            ..self.source.options()
        }
    }
}
