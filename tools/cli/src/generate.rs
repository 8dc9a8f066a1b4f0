//! `locket augment | generate | plan`

use std::{io::IsTerminal, ops::ControlFlow, path::PathBuf, time::Duration};

use anyhow::bail;
use locket::{AugmentOptions, Augmented, Engine, GenerateRequest, Kind, LlmError, Part, Written};

use crate::{
    open,
    output::{Stream, note, note_part, say},
    request::RequestArgs,
    ui,
};

/// The parts of an engine.
#[derive(clap::Args)]
struct Parts {
    /// The user's store directory
    #[arg(long)]
    store: PathBuf,
    /// The population pack: for predictions, and for other users' reviews of the item
    #[arg(long)]
    pack: Option<PathBuf>,
    /// Model: a name from `locket model list`, or a GGUF file
    #[arg(long)]
    model: String,
    #[command(flatten)]
    adapter: open::AdapterArg,
    /// The user's id in the pack, if the pack may contain their texts: the engine never treats
    /// these as other users' texts
    #[arg(long)]
    user: Option<String>,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  locket augment --store me --pack shop.pack --model gemma-3-270m -k 4")]
pub struct AugmentArgs {
    #[command(flatten)]
    parts: Parts,
    /// Number of predicted items to write about
    #[arg(short, default_value_t = 4)]
    k: usize,
    /// Seed of sampling
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Number of candidate texts per item; the best one is kept
    #[arg(long, default_value_t = 1)]
    candidates: usize,
    /// Stop after this many seconds; finished texts are kept, and the same command continues with
    /// the rest
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<f64>,
    /// Generate at most this many tokens; the same command continues with the rest
    #[arg(long, alias = "max-tokens", value_name = "N")]
    max_new_tokens: Option<usize>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  locket generate --store me --pack shop.pack --model gemma-3-270m --item mug:2 --task text --title 'Good mug' --stream
  locket generate --store me --pack shop.pack --model gemma-3-270m --item mug:2 --task text --title 'Good mug' --length brief
  locket generate --store me --pack shop.pack --model gemma-3-270m --item mug:2 --task text --title 'Good mug' --candidates 8
  locket generate --store me --pack shop.pack --model gemma-3-270m --item mug:2 --task rating --title 'Hm' --text 'It leaks.'
  locket generate --store me --pack shop.pack --model gemma-3-270m --item mug:2 --task title --text-file draft.txt
  locket generate --store me --model gemma-3-270m --kind reply --context 'Are you coming on Friday?' --gist 'yes, later, bring cake'
  locket generate --store me --model gemma-3-270m --kind email --title 'Parts' --to ada@example.org --gist 'parts came, 2 broken, send again'")]
pub struct Args {
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    request: RequestArgs,
    /// Print the text while it is generated
    #[arg(long)]
    stream: bool,
    /// Number of candidate texts; the chosen one agrees most with the others and matches the user's
    /// style best; more than one is not streamed
    #[arg(long, default_value_t = 1)]
    candidates: usize,
    /// Number of different drafts to print, the best first
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["stream", "candidates"], value_parser = clap::value_parser!(u8).range(1..=8))]
    drafts: u8,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  locket plan --store me --model gemma-3-270m --kind reply --context 'Are you coming on Friday?'
  locket generate --store me --model gemma-3-270m --kind reply --context 'Are you coming on Friday?' --plan 'warm, brief: coming later, bring cake'

A plan is a line: tone (enthusiastic, warm, plain, critical, angry), length (brief, short, medium, long), up to three points.")]
pub struct PlanArgs {
    #[command(flatten)]
    parts: Parts,
    #[command(flatten)]
    request: RequestArgs,
    /// Number of plans
    #[arg(short, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=4))]
    k: u8,
}

/// Opens an engine with a store, a pack and a model for this kind, or for any writing.
fn open(parts: &Parts, kind: Option<&Kind>) -> anyhow::Result<Engine> {
    let model = open::load_model(&parts.model, parts.adapter.as_deref(), kind)?;
    let mut engine = open::open_store(&parts.store)?.with_model(model)?;
    if let Some(pack) = &parts.pack {
        engine = engine.with_pack(open::open_pack(pack)?);
    }
    Ok(match &parts.user {
        Some(user) => engine.with_user(user),
        None => engine,
    })
}

pub fn augment(args: &AugmentArgs, json: bool) -> anyhow::Result<()> {
    let engine = open(&args.parts, Some(&Kind::review()))?;
    let deadline = args.deadline.map(Duration::try_from_secs_f64).transpose()?;
    let options = AugmentOptions::new(args.k)
        .with_seed(args.seed)
        .with_candidates(args.candidates)
        .with_deadline(deadline)
        .with_max_new_tokens(args.max_new_tokens);
    let done = augment_with_progress(&engine, &options)?;
    if json {
        return ui::print_json(&done);
    }
    show(&done)
}

/// Augments with a spinner that counts tokens.
pub fn augment_with_progress(engine: &Engine, options: &AugmentOptions) -> anyhow::Result<Augmented> {
    let spinner = ui::spinner("writing synthetic interactions, tokens:");
    let done = engine.augment(options, &mut |chunk| {
        spinner.inc(u64::from(!chunk.text.is_empty()));
        ui::alive()
    });
    spinner.finish_and_clear();
    match done {
        Err(locket::Error::Cancelled | locket::Error::Llm(LlmError::Cancelled)) => {
            bail!("cancelled; the texts that are finished are kept aside, and the same command goes on with the rest")
        }
        done => Ok(done?),
    }
}

/// Prints the kept texts, and the rejected ones with their reasons.
pub fn show(done: &Augmented) -> anyhow::Result<()> {
    for record in &done.kept {
        let i = &record.interaction;
        say!("{}", i.item_title.as_deref().unwrap_or(&i.item))?;
        if let locket::Origin::Synthetic { path, .. } = &record.origin {
            say!("  plan: {path}")?;
        }
        say!("  {}{}", i.title.as_deref().map_or(String::new(), |t| format!("{t}: ")), i.text)?;
    }
    for refused in &done.refused {
        note!("refused a text on {}: {:?}", refused.item, refused.reason);
    }
    let earlier = match done.resumed {
        0 => String::new(),
        n => format!(", {n} finished by an earlier call"),
    };
    note!("{} kept, {} refused, {} tokens{earlier}", done.kept.len(), done.refused.len(), done.tokens);
    if done.unfinished > 0 {
        note!("{} are still to be written, the store is unchanged: the same command goes on", done.unfinished);
    }
    Ok(())
}

pub fn run(args: &Args, json: bool) -> anyhow::Result<()> {
    let engine = open(&args.parts, args.request.adapter_kind())?;
    let mut request = args.request.request(&engine)?;
    request.options.candidates = args.candidates;
    if args.drafts > 1 {
        return drafts(&engine, &request, args.drafts, json);
    }
    // Several candidates are not streamed: the best one is known only at the end.
    let streaming = args.stream && !json && args.candidates <= 1;
    let plan_shown = std::io::stderr().is_terminal();
    let written = if streaming {
        let mut shown = Stream::default();
        let written = engine.generate_with(&request, &mut |chunk| {
            let readable = match chunk.part {
                Part::Plan => ControlFlow::Continue(()),
                _ => shown.put(&chunk.text),
            };
            if chunk.part == Part::Plan && plan_shown {
                note_part(format_args!("{}", chunk.text));
            }
            both(readable, ui::alive())
        });
        shown.end(written)?
    } else {
        with_spinner(&engine, &request)?
    };
    if json {
        return ui::print_json(&written);
    }
    let unsupported = written.unsupported;
    if streaming {
        say!("")?;
    } else {
        if let Some(path) = &written.path {
            note!("plan: {}", path.line(request.kind.rated));
        }
        let rating = written.rating.map(|r| r.to_string());
        say!("{}", written.text.or(written.title).or(rating).unwrap_or_default())?;
    }
    check(&unsupported);
    Ok(())
}

/// Prints several drafts, the best first.
fn drafts(engine: &Engine, request: &GenerateRequest, count: u8, json: bool) -> anyhow::Result<()> {
    let spinner = ui::spinner("writing, steps:");
    let drafts = engine.drafts(request, count.into(), &mut |_| {
        spinner.inc(1);
        ui::alive()
    });
    spinner.finish_and_clear();
    let drafts = drafts?;
    if json {
        return ui::print_json(&drafts);
    }
    for (n, written) in drafts.into_iter().enumerate() {
        let rating = written.rating.map(|r| r.to_string());
        say!("{}[{}]", if n > 0 { "\n" } else { "" }, n + 1)?;
        say!("{}", written.text.or(written.title).or(rating).unwrap_or_default())?;
        check(&written.unsupported);
    }
    Ok(())
}

/// Proposes plans, one a line.
pub fn plan(args: &PlanArgs, json: bool) -> anyhow::Result<()> {
    let engine = open(&args.parts, args.request.adapter_kind())?;
    let request = args.request.request(&engine)?;
    let spinner = ui::spinner("planning, steps:");
    let plans = engine.plan(&request, args.k.into(), &mut |_| {
        spinner.inc(1);
        ui::alive()
    });
    spinner.finish_and_clear();
    let plans = plans?;
    if json {
        return ui::print_json(&plans);
    }
    for plan in plans {
        say!("{}", plan.line(request.kind.rated))?;
    }
    Ok(())
}

/// Names the details that a text may have invented.
fn check(unsupported: &[String]) {
    if !unsupported.is_empty() {
        note!("please check: neither your request nor your earlier texts hold {}", unsupported.join(", "));
    }
}

/// Generates with a spinner that counts events.
pub fn with_spinner(engine: &Engine, request: &GenerateRequest) -> Result<Written, locket::Error> {
    let spinner = ui::spinner("writing, steps:");
    let written = engine.generate_with(request, &mut |_| {
        spinner.inc(1);
        ui::alive()
    });
    spinner.finish_and_clear();
    written
}

/// Returns a break if either argument is one.
pub fn both(one: ControlFlow<()>, other: ControlFlow<()>) -> ControlFlow<()> {
    if one.is_break() { one } else { other }
}

/// Prints the text while it is generated, without its plan.
pub fn streamed(engine: &Engine, request: &GenerateRequest) -> anyhow::Result<Written> {
    let mut shown = Stream::default();
    let begun = shown.put("  ");
    let written = engine.generate_with(request, &mut |chunk| match (begun, chunk.part) {
        (ControlFlow::Break(()), _) => ControlFlow::Break(()),
        (_, Part::Text) => both(shown.put(&chunk.text), ui::alive()),
        _ => ui::alive(),
    });
    shown.end(written)
}
