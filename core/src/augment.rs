//! Synthetic interactions: what this person would write about items they would meet next.
//!
//! Each is written reasoning first, grounded in the person's own texts and other people's texts on the
//! item. A [`gate`] then refuses what would do harm in a prompt, and says why.

use serde::Serialize;

use crate::{
    Error,
    generate::{self, WriteOptions, Written},
    interaction::{Interaction, Origin, Record},
    llm::{Decoder, Event, OnEvent},
    pack::hash,
    prompt::{Example, Material},
    reason, text,
};

/// Why a synthetic text was refused.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Fewer than [`MIN_WORDS`] words.
    Empty,
    /// The path did not keep to its grammar.
    NoPath,
    /// It repeats itself: this share of its word pairs are distinct.
    Loop(f32),
    /// This share of its runs of [`COPY_RUN`] words stands in a text that it was shown.
    Copy(f32),
    /// The path says this many stars and the words say the opposite.
    OffStance(u8),
    /// It contains a label of the prompt's own format.
    Format,
}

impl Refusal {
    /// One word for counting.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoPath => "no_path",
            Self::Loop(_) => "loop",
            Self::Copy(_) => "copy",
            Self::OffStance(_) => "off_stance",
            Self::Format => "format",
        }
    }
}

/// One synthetic interaction to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The item's id.
    pub item: String,
    /// What the prompt is made of.
    pub material: Material,
    /// Seed of sampling, mixed with the item's id.
    pub seed: u32,
}

impl Job {
    fn seed(&self, round: u32) -> u32 {
        hash(&format!("{}\n{}\n{round}", self.item, self.seed)) as u32
    }
}

/// A synthetic text that was not kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refused {
    /// The item's id.
    pub item: String,
    /// What was written.
    pub written: Written,
    /// Why it was not kept.
    pub reason: Refusal,
}

/// What became of one synthetic interaction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attempt {
    /// The record, if a text passed the gate.
    pub kept: Option<Record>,
    /// Texts that did not.
    pub refused: Vec<Refused>,
    /// Tokens written.
    pub tokens: usize,
}

/// Writes one synthetic interaction per job, all together; a refused one is tried once more with another seed.
/// One attempt per job, in order. What one job gets does not depend on the others.
///
/// # Errors
/// [`Error::Cancelled`], [`crate::llm::LlmError`].
pub fn write(
    decoder: &mut Decoder<'_>,
    jobs: &[Job],
    options: &WriteOptions,
    on_event: OnEvent<'_>,
) -> Result<Vec<Attempt>, Error> {
    const ROUNDS: u32 = 2;
    let model = decoder.model();
    let mut out = vec![Attempt::default(); jobs.len()];
    for round in 0..ROUNDS {
        let open: Vec<usize> = (0..jobs.len()).filter(|&n| out[n].kept.is_none()).collect();
        let one = |&n: &usize| {
            let options = WriteOptions { sampling: options.sampling.with_seed(jobs[n].seed(round)), ..*options };
            generate::request(model, &jobs[n].material, &options)
        };
        let requests: Vec<_> = open.iter().map(one).collect();
        let completions = decoder.run(&requests, &mut |e| on_event(Event { request: open[e.request], ..e }))?;
        for (&n, completion) in open.iter().zip(&completions) {
            let Job { item, material, .. } = &jobs[n];
            let written = generate::read(material, completion);
            out[n].tokens += written.tokens;
            let shown: Vec<Example> = material.neighbours.iter().chain(&material.history).cloned().collect();
            match gate(&written, &shown) {
                Ok(()) => out[n].kept = Some(synthetic_record(item, material, written, &model.name())),
                Err(reason) => out[n].refused.push(Refused { item: item.clone(), written, reason }),
            }
        }
    }
    Ok(out)
}

fn synthetic_record(item: &str, material: &Material, written: Written, model: &str) -> Record {
    let path = written.path.unwrap_or_default();
    let interaction = Interaction {
        item: item.to_owned(),
        item_title: material.ask.item_title.clone(),
        category: None,
        title: written.title.filter(|t| !t.is_empty()),
        text: written.text.unwrap_or_default(),
        rating: Some(f32::from(path.stance)),
        time: None,
    };
    Record { interaction, origin: Origin::Synthetic { path, model: model.to_owned() } }
}

/// Fewest words of a synthetic text.
pub const MIN_WORDS: usize = 4;
/// Length of the word runs that count as copied.
pub const COPY_RUN: usize = 6;
/// Largest share of copied runs.
pub const MAX_COPIED: f32 = 0.25;
/// Smallest share of distinct word pairs.
pub const MIN_DISTINCT: f32 = 0.6;

/// Whether a synthetic text may be kept.
///
/// # Errors
/// The first reason against it.
pub fn gate(written: &Written, shown: &[Example]) -> Result<(), Refusal> {
    let path = written.path.as_ref().ok_or(Refusal::NoPath)?;
    let body = written.text.as_deref().unwrap_or_default();
    let words: Vec<String> = text::words(body).collect();
    if words.len() < MIN_WORDS {
        return Err(Refusal::Empty);
    }
    if ["Plan:", "Review:", "Title:", "Item:", "Rating:"].iter().any(|label| body.contains(label)) {
        return Err(Refusal::Format);
    }
    let distinct = distinct_share(&words, 2);
    if distinct < MIN_DISTINCT {
        return Err(Refusal::Loop(distinct));
    }
    let copied = copied_share(&words, shown.iter().map(|e| e.text.as_str()), COPY_RUN);
    if copied > MAX_COPIED {
        return Err(Refusal::Copy(copied));
    }
    let feeling = reason::sentiment(body);
    if (path.stance >= 4 && feeling <= -2) || (path.stance <= 2 && feeling >= 2) {
        return Err(Refusal::OffStance(path.stance));
    }
    Ok(())
}

/// The share of runs of `n` words that are distinct (1 for texts shorter than a run): distinct-n.
pub fn distinct_share(words: &[String], n: usize) -> f32 {
    let all = words.windows(n).count();
    let distinct: std::collections::HashSet<_> = words.windows(n).collect();
    if all == 0 { 1.0 } else { distinct.len() as f32 / all as f32 }
}

/// The share of `words`' runs of `n` that stand in one of the sources (0 for texts shorter than a run).
pub fn copied_share<'a>(words: &[String], sources: impl Iterator<Item = &'a str>, n: usize) -> f32 {
    let all = words.windows(n).count();
    if all == 0 {
        return 0.0;
    }
    let sources: Vec<Vec<String>> = sources.map(|s| text::words(s).collect()).collect();
    let known: std::collections::HashSet<&[String]> = sources.iter().flat_map(|s| s.windows(n)).collect();
    words.windows(n).filter(|run| known.contains(*run)).count() as f32 / all as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::ReasoningPath;

    fn verdict(text: &str, stance: u8) -> Result<(), Refusal> {
        let path = Some(ReasoningPath { stance, ..Default::default() });
        let shown = [Example { text: "the handle came off after two days of normal use".into(), ..Default::default() }];
        gate(&Written { path, text: Some(text.into()), ..Default::default() }, &shown)
    }

    #[test]
    fn each_reason() {
        assert_eq!(verdict("A sturdy pot that pours well and cleans up fast.", 5), Ok(()));
        assert_eq!(verdict("Nice.", 5), Err(Refusal::Empty));
        assert!(matches!(verdict("so good so good so good so good so good", 5), Err(Refusal::Loop(_))));
        assert!(matches!(verdict("Sadly the handle came off after two days of normal use", 2), Err(Refusal::Copy(_))));
        assert_eq!(verdict("Terrible thing, it broke and I want a refund", 5), Err(Refusal::OffStance(5)));
        assert_eq!(verdict("It is fine. Title: another one follows here", 3), Err(Refusal::Format));
        let no_path = Written { text: Some("A sturdy pot that pours well".into()), ..Default::default() };
        assert_eq!(gate(&no_path, &[]), Err(Refusal::NoPath));
    }
}
