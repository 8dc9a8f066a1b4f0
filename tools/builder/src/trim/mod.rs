//! Trims a model's vocabulary to one population: the same weights, fewer tokens.
//!
//! Most of a small model is the embedding table, with a row for each token of many languages. The
//! default model has 270 million weights, and 168 million of them are in this table, which is read
//! again for every generated token. An app whose users write in one language about one kind of
//! thing needs a fifth of the tokens (vocabulary trimming: Ushio, Zhou and Camacho-Collados, arXiv
//! 2305.15020).
//!
//! Texts made of kept tokens are split as before. The probabilities of kept tokens are as before,
//! except that the share of the removed tokens is redistributed. Punctuation of every script stays.
//! Text in a script outside the population can be read, byte by byte at worst, but not generated.
//! For a language without tokens the model has only bytes and single characters, and its output in
//! that language is wrong.

mod cut;

use std::{
    collections::HashSet,
    io::BufWriter,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde::Serialize;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::{Error, profile::Profiles};
use locket::{
    LlmError, Model,
    internals::{
        llm::{Prompt, Token, gguf, sha256},
        output,
        prompt::{self, Example},
    },
};

/// Sizes before and after trimming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Number of interactions read.
    pub interactions: usize,
    /// Number of tokens in the vocabulary, before and after.
    pub tokens: [usize; 2],
    /// File size in bytes, before and after.
    pub bytes: [u64; 2],
}

/// Writes the model to `out` with only the tokens that the profiles in `files` and the engine's
/// prompts need, whole or not at all. Adapters of the model fit the new file too, unless they
/// change rows of the vocabulary. `progress` receives the number of interactions read.
///
/// # Errors
/// [`LlmError::File`] if the file has a tokenizer array of an unknown kind;
/// [`locket::Error::Argument`] without any profile; [`locket::Error::Output`] if `out` is the
/// model, one of `files` or no regular file; [`Error::Profile`], [`locket::Error::Io`],
/// [`locket::Error::Cancelled`].
pub fn trim(
    model: &Model,
    files: &[PathBuf],
    out: &Path,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Report, Error> {
    let target = output::target(out, files.iter().map(PathBuf::as_path).chain([model.path()]))?;
    let mut used = HashSet::new();
    let number = |token: &Token| u32::try_from(token.0).ok();
    let mut use_text = |text: &str| used.extend(model.tokens(text).iter().filter_map(number));
    prompt::scaffolding().for_each(|text| use_text(&text));
    // Without its full stop a model ends sentences with an arbitrary other token.
    punctuation().for_each(|c| [c.to_string(), format!(" {c}")].iter().for_each(|text| use_text(text)));
    let mut interactions = 0;
    for profile in Profiles::of_all(files) {
        for (interaction, _) in profile?.interactions() {
            use_text(&prompt::shown(&Example::from(interaction)));
            interactions += 1;
        }
        if progress(interactions).is_break() {
            return Err(locket::Error::Cancelled.into());
        }
    }
    // The tokens of the chat template.
    used.extend(model.prompt_tokens(&Prompt { body: String::new(), lead: String::new() }).iter().filter_map(number));
    if interactions == 0 {
        return Err(locket::Error::Argument("there are no profiles to tell which tokens are needed".into()).into());
    }
    let path = model.path();
    let bad = |source| LlmError::File { path: path.to_path_buf(), source };
    let bytes = gguf::map(path)?;
    let gguf = gguf::parse(&bytes).map_err(bad)?;
    let kept = cut::kept(&gguf, &used).map_err(bad)?;
    // For a model that was trimmed before, the original origin.
    let from = match &model.facts().trimmed_from {
        Some(from) => from.clone(),
        None => sha256(path, &mut |_| progress(interactions)).map_err(|e| match e.kind() {
            std::io::ErrorKind::Interrupted => locket::Error::Cancelled,
            _ => locket::Error::io("read", path, e),
        })?,
    };
    let trimmed = cut::Trimmed::new(&bytes, &gguf, &kept, &from).map_err(bad)?;
    let wrote = |e| locket::Error::io("write", out, e);
    let mut file = BufWriter::new(output::scratch(&target).map_err(wrote)?);
    trimmed.write(&mut file).map_err(wrote)?;
    let scratch = file.into_inner().map_err(|e| wrote(e.into_error()))?;
    output::keep(scratch, &target).map_err(wrote)?;
    let before = model.facts().vocabulary as usize;
    Ok(Report { interactions, tokens: [before, kept.tokens.len()], bytes: [bytes.len() as u64, trimmed.bytes()] })
}

/// Returns the punctuation characters of every script.
fn punctuation() -> impl Iterator<Item = char> {
    ('\0'..=char::MAX).filter(|c| c.general_category_group() == GeneralCategoryGroup::Punctuation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_that_of_every_script() {
        let all: HashSet<char> = punctuation().collect();
        for mark in ".,!?-\"'()。、，！？「」《》…—«»¿¡؟،۔।॥՞·„”’".chars() {
            assert!(all.contains(&mark), "{mark}");
        }
        assert!("a好 \u{3099}\n+$".chars().all(|c| !all.contains(&c)));
    }
}
