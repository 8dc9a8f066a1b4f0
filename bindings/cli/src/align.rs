//! `locket align examples | paths`

use std::path::{Path, PathBuf};

use locket::align::{self, ExampleOptions, Judge, SearchOptions, Share};
use serde_json::json;

use crate::ui;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Turn profiles into training examples for models/align/train.py
    #[command(after_help = "\
Example:
  locket align examples --profiles amazon.jsonl.zst hotel.jsonl.zst --model gemma-3-270m --out examples.jsonl")]
    Examples(Args),
    /// The same with golden paths: plans that the model itself would make and that lead to the true text
    #[command(after_help = "\
Example:
  locket align paths --profiles amazon.jsonl.zst --model gemma-3-270m --adapter round1.gguf -n 4 --limit 1000 --out golden.jsonl
A search that was stopped goes on when it is called again with the same --out.")]
    Paths {
        #[command(flatten)]
        args: Args,
        /// LoRA adapter (GGUF) of the round before
        #[arg(long)]
        adapter: Option<PathBuf>,
        /// Paths sampled for each example
        #[arg(short, long, default_value_t = 4)]
        n: usize,
        /// Let paths compete that were made in sight of the true text
        #[arg(long)]
        rationalised: bool,
        /// What makes a path golden
        #[arg(long, value_enum, default_value_t = JudgeArg::Likelihood)]
        judge: JudgeArg,
    },
}

#[derive(clap::Args)]
pub struct Args {
    /// Profile files
    #[arg(long, required = true, num_args = 1..)]
    profiles: Vec<PathBuf>,
    /// The model that is to be trained: its vocabulary decides the tokens
    #[arg(long)]
    model: String,
    /// Part of the people that is left out for validation (`locket eval generation --validation`)
    #[arg(long, default_value_t = 0.2)]
    validation: f64,
    /// Most examples per person
    #[arg(long, default_value_t = 6)]
    per_person: usize,
    /// Most examples in all, drawn by the seed
    #[arg(long)]
    limit: Option<usize>,
    /// Seed of every draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Examples file, one JSON object per line
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum JudgeArg {
    /// How likely the true text is behind it
    Likelihood,
    /// ROUGE-1 + METEOR of what the model writes behind it
    Overlap,
}

pub fn run(command: Command, json: bool) -> anyhow::Result<()> {
    let (args, search) = match command {
        Command::Examples(args) => (args, None),
        Command::Paths { args, adapter, n, rationalised, judge } => (args, Some((adapter, n, rationalised, judge))),
    };
    // A first round begins with the bare model.
    let adapter = search.as_ref().and_then(|s| s.0.as_deref()).unwrap_or(Path::new("none"));
    let model = ui::load_model(&args.model, Some(adapter))?;
    let examples = ExampleOptions {
        validation: Share(args.validation),
        per_person: args.per_person,
        limit: args.limit,
        seed: args.seed,
        ..ExampleOptions::default()
    };
    let bar = ui::bar(1, "examples");
    let mut progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        ui::alive()
    };
    let (made, found) = match search {
        None => (align::examples(&args.profiles, &model, &examples, &args.out, &mut progress)?, None),
        Some((_, paths, rationalised, judge)) => {
            let judge = match judge {
                JudgeArg::Likelihood => Judge::Likelihood,
                JudgeArg::Overlap => Judge::Overlap,
            };
            let options = SearchOptions { examples, paths, rationalised, judge, threads: ui::threads() };
            let found = align::search(&args.profiles, &model, &options, &args.out, &mut progress)?;
            (found.made, Some(found))
        }
    };
    bar.finish_and_clear();
    if json {
        return ui::print_json(&found.map_or_else(|| json!(made), |found| json!(found)));
    }
    println!(
        "{} examples of {} people ({} left out for validation): {} tokens, {} of them learnt -> {}",
        made.examples,
        made.people[0],
        made.people[1],
        made.tokens,
        made.learnt,
        args.out.display()
    );
    if let Some(found) = found {
        println!(
            "log-probability of a token of the true text: {:.3} behind sampled plans, {:.3} behind golden ones ({} of them \
             sampled without sight of the text), {:.3} behind those read off the text",
            found.sampled, found.golden, found.blind, found.read_off
        );
    }
    Ok(())
}
