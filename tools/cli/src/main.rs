//! The command `locket`: the engine from a shell. One file per subcommand.
// `println!` panics if standard output is closed.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod align;
mod bench;
mod demo;
mod demo_writing;
mod eval;
mod files;
mod generate;
mod history;
mod import;
mod key;
mod manifest;
mod model;
mod open;
mod output;
mod pack;
mod predict;
mod request;
mod show;
mod ui;

use clap::{Parser, Subcommand};
use locket::Gpu;

use locket::{DeltaError, Error, LlmError};
use locket_import::ImportError;

use crate::output::note;

/// Text in the user's style, generated on this machine, offline.
#[derive(Parser)]
#[command(
    name = "locket",
    version,
    about,
    propagate_version = true,
    after_help = "\
Examples:
  locket demo                                    the whole way on the shipped sample
  locket model pull gemma-3-270m                 get the default model
  locket record --store me --item mug:1 --text 'Keeps tea warm for an hour.' --rating 5
  locket predict --store me --pack shop.pack -k 5 --explain
  locket generate --store me --pack shop.pack --model gemma-3-270m --item mug:2 --task text --stream"
)]
struct Cli {
    /// Print one JSON object on stdout; progress stays on stderr
    #[arg(long, global = true)]
    json: bool,
    /// Maximum number of threads for the model, never more than there are processors; 0 uses one
    /// per processor
    #[arg(long, global = true, default_value_t = 0, env = "LOCKET_THREADS")]
    threads: usize,
    /// File with the key of stores: 64 hexadecimal digits. Created on first use; anyone with this
    /// file and a store can read the store
    #[arg(long, global = true, env = "LOCKET_KEY_FILE", value_name = "FILE")]
    key_file: Option<std::path::PathBuf>,
    /// Seconds to wait for a store that another command has open; if several commands have it in
    /// turn, for each of them
    #[arg(long, global = true, default_value = "2", env = "LOCKET_WAIT", value_name = "SECONDS", value_parser = ui::parse_wait)]
    wait: std::time::Duration,
    /// Part of the model that runs on a GPU: auto, off, or a number of layers
    #[arg(long, global = true, default_value = "auto", env = "LOCKET_GPU", value_parser = ui::parse_gpu)]
    gpu: Gpu,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build, update or inspect a population pack
    #[command(subcommand)]
    Pack(pack::Command),
    /// Get, trim and check models
    #[command(subcommand)]
    Model(model::Command),
    /// Store a text by the user
    Record(history::RecordArgs),
    /// Show the user's records
    History(history::StoreArgs),
    /// Show what is stored by kind, and what was learnt from sent drafts
    Stats(history::StatsArgs),
    /// Delete single records permanently
    Forget(history::ForgetArgs),
    /// Predict the items that the user is likely to interact with next
    Predict(predict::Args),
    /// Generate synthetic interactions for predicted items
    Augment(generate::AugmentArgs),
    /// Generate a text, a title or a rating in the user's style
    Generate(generate::Args),
    /// Propose plans for a text: tone, length and points
    Plan(generate::PlanArgs),
    /// Write a page: what is stored, what is predicted and why, and how a text comes about
    Show(show::Args),
    /// Print the whole content of the user's store as JSON
    Export(history::StoreArgs),
    /// Add own texts from mail, chats, notes and tables, or the records of an export
    Import(import::Args),
    /// Change the key of a store and encrypt all data again
    Rekey(history::RekeyArgs),
    /// Delete the whole content of the user's store
    Erase(history::EraseArgs),
    /// Prepare the training data of a model
    #[command(subcommand)]
    Align(align::Command),
    /// Measure quality
    #[command(subcommand)]
    Eval(eval::Command),
    /// Measure speed and memory of a model on this machine
    Bench(bench::Args),
    /// Run the whole workflow on the shipped sample: history, predictions, synthetic texts, text
    Demo(demo::Args),
}

impl Command {
    /// Returns the change that is complete when the command prints its report, and that persists if
    /// the report cannot be printed.
    fn done(&self) -> Option<&'static str> {
        Some(match self {
            Self::Pack(pack::Command::Inspect { .. })
            | Self::Model(model::Command::List | model::Command::Verify { .. }) => {
                return None;
            }
            Self::Pack(pack::Command::Keys { .. }) => "the key file is in place",
            Self::Pack(_) | Self::Align(_) | Self::Model(model::Command::Trim { .. }) => "the output file is written",
            Self::Model(model::Command::Pull { .. }) => "the model is in place",
            Self::Record(_) => "the text is stored",
            Self::Import(args) if !args.dry_run => "the records are stored",
            Self::Augment(_) => "what is finished is kept",
            Self::Forget(_) => "the records are forgotten",
            Self::Rekey(_) => "the store is under its new key",
            Self::Erase(_) => "the store is erased",
            Self::Show(_) => "the page is written",
            _ => return None,
        })
    }
}

fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return output::usage(&e).into(),
    };
    ui::on_ctrl_c();
    ui::set_threads(cli.threads);
    ui::set_gpu(cli.gpu);
    ui::set_wait(cli.wait);
    key::set_file(cli.key_file);
    let json = cli.json;
    let done = cli.command.done();
    let result = match cli.command {
        Command::Pack(c) => pack::run(c, json),
        Command::Model(c) => model::run(c, json),
        Command::Record(a) => history::record(a, json),
        Command::History(a) => history::show(&a, json),
        Command::Stats(a) => history::stats(&a, json),
        Command::Forget(a) => history::forget(&a, json),
        Command::Predict(a) => predict::run(&a, json),
        Command::Augment(a) => generate::augment(&a, json),
        Command::Generate(a) => generate::run(&a, json),
        Command::Plan(a) => generate::plan(&a, json),
        Command::Show(a) => show::run(&a, json),
        Command::Export(a) => history::export(&a),
        Command::Import(a) => import::run(&a, json),
        Command::Rekey(a) => history::rekey(&a, json),
        Command::Erase(a) => history::erase(&a, json),
        Command::Align(c) => align::run(c, json),
        Command::Eval(c) => eval::run(c, json),
        Command::Bench(a) => bench::run(&a, json),
        Command::Demo(a) => demo::run(&a),
    };
    manifest::tidy();
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) if output::reader_left(&e) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            // One line: the outermost message, then its causes.
            let chain: Vec<String> = e.chain().map(ToString::to_string).collect();
            let mut line = String::new();
            for part in chain.iter().filter(|p| !p.is_empty()) {
                if !line.contains(part.as_str()) {
                    line = if line.is_empty() { part.clone() } else { format!("{line}: {part}") };
                }
            }
            if let Some(hint) = hint(&e) {
                line = format!("{line}: {hint}");
            }
            if let Some(done) = done.filter(|_| e.is::<output::Unwritten>()) {
                line = format!("{done}, but the report on it could not be printed: {line}");
            }
            note!("locket: {}", line.replace('\n', " "));
            std::process::ExitCode::from(if ui::interrupted() { 130 } else { 1 })
        }
    }
}

/// Returns the command that helps after an error of the library.
fn hint(e: &anyhow::Error) -> Option<&'static str> {
    if let Some(ImportError::WhoIsMe { .. } | ImportError::NotFound { .. }) = e.downcast_ref() {
        return Some("`--me NAME` names you, and may be given several times");
    }
    e.chain().find_map(|cause| match (cause.downcast_ref(), cause.downcast_ref(), cause.downcast_ref()) {
        (Some(LlmError::FileMissing(_)), ..) | (_, Some(Error::Llm(LlmError::FileMissing(_))), _) => {
            Some("`locket model list` shows the models, `locket model pull NAME` gets one")
        }
        (_, _, Some(DeltaError::NotADelta)) => Some("`locket pack diff` makes a delta"),
        (_, _, Some(DeltaError::Key)) => Some("`locket pack keys` prints a public key"),
        _ => None,
    })
}
