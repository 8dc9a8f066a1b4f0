//! `locket demo`: the whole workflow on the shipped sample.

use anyhow::Context;
use locket::{AugmentOptions, Engine, GenerateRequest, Interaction, Kind, Length, PredictOptions, Record, Task};
use locket_builder::{
    pack::{BuildOptions, Holdout, build},
    profile::{Profile, Profiles},
};

use crate::{
    demo_writing, files,
    generate::{self, streamed},
    open,
    output::{heading, note, say},
    predict, ui,
};

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  locket demo\n  locket demo --kind reply\n  locket demo --kind email --person bo")]
pub struct Args {
    /// Model: a name from `locket model list`, or a GGUF file
    #[arg(long, default_value = "gemma-3-270m")]
    model: String,
    #[command(flatten)]
    adapter: open::AdapterArg,
    /// Kind of writing: review, reply, email or note
    #[arg(long, default_value = "review", value_parser = files::kind)]
    kind: Kind,
    /// User of the sample to generate a text for; default: marta, or the first who writes this kind
    #[arg(long)]
    person: Option<String>,
    /// Number of predicted items to write about
    #[arg(short, default_value_t = 3)]
    k: usize,
    /// Seed of the synthetic texts, or of the notes
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// Number of candidates for the last text.
const CANDIDATES: usize = 4;

/// The shipped sample.
pub const SAMPLE: &str = include_str!("../../../tests/sample/sample.jsonl");

pub fn run(args: &Args) -> anyhow::Result<()> {
    let model = match crate::manifest::resolve(&args.model) {
        Ok(_) => open::load_model(&args.model, args.adapter.as_deref(), Some(&args.kind))?,
        Err(_) => {
            note!("getting {} (once)", args.model);
            crate::model::pull(&crate::manifest::find(&args.model)?, None)?;
            open::load_model(&args.model, args.adapter.as_deref(), Some(&args.kind))?
        }
    };
    if !args.kind.rated {
        return demo_writing::run(&args.kind, args.person.as_deref(), args.seed, model);
    }
    let wanted = args.person.as_deref().unwrap_or("marta");
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("sample.jsonl");
    std::fs::write(&file, SAMPLE)?;
    let pack = dir.path().join("sample.pack");
    // The demo generates the user's next text, so the graph must not contain it.
    build(
        std::slice::from_ref(&file),
        &pack,
        &BuildOptions { holdout: Holdout::All, ..BuildOptions::default() },
        |_| ui::alive(),
    )?;
    let person = Profiles::open(&file)?
        .filter_map(Result::ok)
        .find(|p| p.user == wanted)
        .with_context(|| format!("the sample has no person named {wanted}"))?;
    let engine = Engine::open(dir.path().join("store"), &locket::Key::generate()?)?
        .with_pack(open::open_pack(&pack)?)
        .with_model(model)?
        .with_threads(ui::threads())
        .with_user(&person.user);

    heading(&format!("1. What {} has written", person.user))?;
    for interaction in &person.history {
        show(interaction)?;
        engine.record(interaction.clone())?;
    }

    heading("2. What the graph predicts, and why")?;
    predict::show(&engine, &engine.predict(&PredictOptions::new(args.k).with_explain(true))?)?;

    heading("3. Synthetic interactions, reasoning first")?;
    generate::show(&generate::augment_with_progress(&engine, &AugmentOptions::new(args.k).with_seed(args.seed))?)?;

    write_both(&engine, &person)?;
    Ok(())
}

fn write_both(engine: &Engine, person: &Profile) -> anyhow::Result<()> {
    let target = &person.target;
    let title = target.title.clone().unwrap_or_default();
    let name = target.item_title.as_deref().unwrap_or(&target.item);
    heading(&format!("4. A text on {name:?}, titled {title:?}"))?;
    let mut request = GenerateRequest::new(&target.item, Task::Text);
    request.title = Some(title);
    request.options.max_new_tokens = 96;

    say!("without personalization:")?;
    let bare = request.clone().with_personal(false);
    streamed(engine, &bare)?;

    let (synthetic, real): (Vec<_>, Vec<_>) = engine.history()?.into_iter().partition(Record::is_synthetic);
    say!("\n\nin {}'s voice, sampled behind {} real texts:", person.user, real.len())?;
    streamed(engine, &request)?;

    say!("\n\na brief one, which is planned:")?;
    let brief = request.clone().with_length(Length::Brief);
    let written = streamed(engine, &brief)?;
    if let Some(path) = written.path {
        say!("\n  (its plan: {path})")?;
    }

    let synthetic = synthetic.iter().filter(|r| r.interaction.item != target.item).count();
    say!("\nthe best of {CANDIDATES}, some planned, one of them from others' and {synthetic} synthetic texts, too:")?;
    request.reasoning = true;
    request.options.candidates = CANDIDATES;
    let written = generate::with_spinner(engine, &request)?;
    say!("  {}", written.text.unwrap_or_default())?;
    say!("\nwhat {} really wrote:\n  {}", person.user, target.text)?;
    Ok(())
}

fn show(interaction: &Interaction) -> anyhow::Result<()> {
    let name = interaction.item_title.as_deref().unwrap_or(&interaction.item);
    let stars = interaction.stars().map_or(String::new(), |s| format!(" [{s}]"));
    let title = interaction.title.as_deref().map_or(String::new(), |t| format!("{t}: "));
    say!("{name}{stars}\n  {title}{}", interaction.text)
}
