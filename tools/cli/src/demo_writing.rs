//! `locket demo --kind`: a reply, an e-mail or a note on the shipped sample of private writing.

use anyhow::Context;
use locket::{Engine, GenerateRequest, Interaction, Kind, Model, Task, internals::text};
use locket_builder::profile::{Profile, Profiles};

use crate::{
    generate::streamed,
    output::{heading, note, say},
    ui,
};

/// The shipped sample of replies, e-mails and notes.
const SAMPLE: &str = include_str!("../../../tests/sample/writing.jsonl");
/// Number of earlier texts to show.
const SHOWN: usize = 3;
/// Share of the true text's content words in the notes.
const NOTES: f64 = 0.6;

pub fn run(kind: &Kind, person: Option<&str>, seed: u32, model: Model) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("writing.jsonl");
    std::fs::write(&file, SAMPLE)?;
    let wanted = |p: &Profile| p.target.kind == kind.name && person.is_none_or(|name| p.user == name);
    let person = Profiles::open(&file)?
        .filter_map(Result::ok)
        .find(wanted)
        .with_context(|| format!("the sample has no such person who writes {}", kind.many))?;
    let engine = Engine::open(dir.path().join("store"), &locket::Key::generate()?)?
        .with_model(model)?
        .with_threads(ui::threads());
    for interaction in &person.history {
        engine.record(interaction.clone())?;
    }
    heading(&format!("1. What {} has written", person.user))?;
    let earlier: Vec<&Interaction> = person.history.iter().filter(|i| i.kind == kind.name).collect();
    for interaction in &earlier[earlier.len().saturating_sub(SHOWN)..] {
        given(kind, interaction)?;
        say!("{}\n", indented(&interaction.text))?;
    }
    note!("({} texts in all)", person.history.len());

    let target = &person.target;
    let mut request = GenerateRequest::new("", Task::Text).with_kind(kind.clone());
    request.title.clone_from(&target.title);
    request.context.clone_from(&target.context);
    request.audience.clone_from(&target.audience);
    heading(&format!("2. The next {}", kind.one))?;
    given(kind, target)?;
    let notes = text::gist(&target.text, NOTES, seed.into());
    say!("notes: {notes}")?;
    say!("\nwithout the notes:")?;
    streamed(&engine, &request)?;
    say!("\nfrom the notes, in {}'s style:", person.user)?;
    let written = streamed(&engine, &request.with_gist(notes))?;
    if !written.unsupported.is_empty() {
        say!("\n  (to check, invented: {})", written.unsupported.join(", "))?;
    }
    say!("\nwhat {} really wrote:\n{}", person.user, indented(&target.text))
}

/// Prints the given fields of a text.
fn given(kind: &Kind, interaction: &Interaction) -> anyhow::Result<()> {
    if let Some(message) = &interaction.context {
        say!("{}: {}", kind.context.to_lowercase(), text::one_line(message))?;
    }
    if let (Some(label), Some(title)) = (&kind.title, &interaction.title) {
        say!("{}: {title}", label.to_lowercase())?;
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
