//! `locket show`: one static page with the content of a store, the predictions and their paths,
//! and the way of one text.

mod drafts;
mod graph;
mod page;
mod prompt;
mod stored;

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use locket::{
    Engine, GenerateRequest, PredictOptions,
    internals::{engine::Explanation, output},
};
use serde_json::json;

use self::{
    drafts::Times,
    page::{Html, Section, html, moment, put},
};
use crate::{
    manifest, open,
    output::{note, say},
    request::RequestArgs,
    ui,
};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  locket show --store me --html me.html
  locket show --store me --pack shop.pack --html me.html
  locket show --store me --pack shop.pack --model gemma-3-270m --item mug:2 --title 'Good mug' --html me.html
  locket show --store me --model gemma-3-270m --kind reply --context 'Are you coming?' --gist 'yes, later' --html me.html

The page is one file without scripts. It loads nothing, and it holds the texts in the clear: keep it private.")]
pub struct Args {
    /// The user's store directory
    #[arg(long)]
    store: PathBuf,
    /// The page to write
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    /// The population pack: the page shows predictions and their paths
    #[arg(long)]
    pack: Option<PathBuf>,
    /// Model: a name from `locket model list`, or a GGUF file; with a request, the page shows the
    /// prompt and the drafts
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    adapter: open::AdapterArg,
    /// The user's id in the pack, if the pack may contain their texts
    #[arg(long)]
    user: Option<String>,
    /// Number of predicted items
    #[arg(short, default_value_t = 6)]
    k: usize,
    /// Maximum number of records shown in full, the newest first
    #[arg(long, value_name = "N", default_value_t = 1000)]
    records: usize,
    /// Number of drafts of the text
    #[arg(long, default_value_t = 4)]
    candidates: usize,
    #[command(flatten)]
    request: RequestArgs,
}

/// A text with its explanation.
struct Explained {
    request: GenerateRequest,
    explanation: Explanation,
    times: Times,
}

pub fn run(args: &Args, json: bool) -> anyhow::Result<()> {
    let model = args.model.as_deref().filter(|_| args.request.is_given());
    let model_file = model.map(manifest::resolve).transpose()?;
    let inputs = [args.pack.as_deref(), args.adapter.as_deref(), args.request.file(), model_file.as_deref()];
    let inputs = inputs.into_iter().chain([Some(args.store.as_path())]).flatten();
    let target = output::target(&args.html, inputs)?;
    match (&args.model, args.request.is_given()) {
        (Some(_), false) => {
            note!("no request, so the page shows no prompt: --item, --title, --context or --gist begin one")
        }
        (None, true) => note!("no --model, so the page shows no prompt"),
        _ => {}
    }
    let mut engine = open::open_store(&args.store)?;
    if let Some(pack) = &args.pack {
        engine = engine.with_pack(open::open_pack(pack)?);
    }
    if let Some(user) = &args.user {
        engine = engine.with_user(user);
    }
    let entries = engine.entries()?;
    let predicted = match engine.pack() {
        Some(_) => engine.predict(&PredictOptions::new(args.k).with_explain(true))?,
        None => Vec::new(),
    };
    let explained = match model {
        Some(model) => {
            let mut request = args.request.request(&engine)?;
            request.options.candidates = args.candidates;
            let begun = Instant::now();
            let model = open::load_model(model, args.adapter.as_deref(), args.request.adapter_kind())?;
            engine = engine.with_model(model)?;
            Some(explain(&engine, request, begun.elapsed())?)
        }
        None => None,
    };
    let files = stored::files(&args.store);
    let mut sections =
        vec![Section { id: "stored", title: "What is stored", body: stored::body(&entries, &files, args.records) }];
    let body = match engine.pack() {
        Some(pack) => graph::body(pack, &predicted),
        None => {
            html!("<p class=\"empty\">No pack was given. <code>--pack</code> adds predictions and their paths.</p>\n")
        }
    };
    sections.push(Section { id: "predicted", title: "What the graph predicts", body });
    let body = match &explained {
        Some(explained) => written(&engine, explained),
        None => html!(
            "<p class=\"empty\">No text was requested. <code>--model</code> and a request, such as <code>--item</code>, add the \
             prompt and the drafts.</p>\n"
        ),
    };
    sections.push(Section { id: "written", title: "How a text is written", body });
    let name = std::fs::canonicalize(&args.store).unwrap_or_else(|_| args.store.clone());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    let page = page::page(&name, &moment(now()), &sections);
    write(&target, page.as_str())?;
    let drafts = explained.map_or(0, |e| e.explanation.drafts.len());
    let (records, shown) = (entries.len(), entries.len().min(args.records));
    if json {
        return ui::print_json(&json!({
            "written": args.html, "bytes": page.as_str().len(), "records": records, "shown": shown,
            "predictions": predicted.len(), "drafts": drafts,
        }));
    }
    say!(
        "wrote {}: {shown} of {records} records, {} predictions, {drafts} drafts",
        args.html.display(),
        predicted.len()
    )
}

/// Writes the text of a request with a spinner.
fn explain(engine: &Engine, request: GenerateRequest, load: Duration) -> anyhow::Result<Explained> {
    let spinner = ui::spinner("writing drafts, steps:");
    let begun = Instant::now();
    let explanation = engine.explain(&request, &mut |_| {
        spinner.inc(1);
        ui::alive()
    });
    spinner.finish_and_clear();
    let times = Times { load, write: begun.elapsed() };
    Ok(Explained { request, explanation: explanation?, times })
}

/// Returns the section on the text.
fn written(engine: &Engine, explained: &Explained) -> Html {
    let Explained { request, explanation, times } = explained;
    let title = engine.pack().and_then(|pack| pack.item_title(pack.find(&request.item)?));
    let mut out = prompt::request(request, title);
    if let Some(path) = &explanation.written.path {
        put!(out, "{}", prompt::plan(path));
    }
    let (several, budget) = (request.options.candidates > 1, request.options.max_prompt_tokens);
    let differ = several && request.planned() && request.length.is_none();
    put!(out, "{}", prompt::prompt(explanation, &request.kind, budget, differ));
    put!(out, "{}", drafts::body(explanation, request, times));
    out
}

/// Milliseconds since 1970-01-01.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}

/// Writes the page as a whole or not at all. Only the user can read the file.
fn write(target: &Path, page: &str) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", target.display());
    let mut file = output::scratch(target).with_context(failed)?;
    file.write_all(page.as_bytes()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    ensure!(!ui::interrupted(), "interrupted: the page was not written");
    file.persist(target).map_err(|e| e.error).with_context(failed)?;
    Ok(())
}
