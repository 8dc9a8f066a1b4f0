//! Sampler: chooses the next token from a row of logits.
//!
//! A vocabulary has up to 262,144 tokens (Gemma), and most costs here are scans over it. The best
//! candidates are therefore selected once; penalties, grammar and random choice work on those. If a
//! grammar accepts none of them, the set of candidates grows step by step. Checking all tokens at
//! once costs as much as generating several tokens.

use std::sync::Arc;

use llama_cpp_2::{
    sampling::LlamaSampler,
    token::{data::LlamaTokenData, data_array::LlamaTokenDataArray},
};

use super::{LlmError, Model, Phase, Sampling, Stars, Token, unwritable::Unwritable};

/// Maximum number of candidates for sampling.
const MAX_CANDIDATES: usize = 256;
/// Growth factor of the candidates if a grammar accepts none of them.
const WIDER: usize = 16;

/// State of the sampler in one phase.
pub(super) struct Sampler {
    chain: LlamaSampler,
    grammar: Option<LlamaSampler>,
    keep: usize,
    stars: Option<Stars>,
    unwritable: Arc<Unwritable>,
    greedy: bool,
    /// Candidates for the current token, kept to reuse their memory.
    few: LlamaTokenDataArray,
}

impl Sampler {
    pub(super) fn new(model: &Model, phase: &Phase) -> Result<Self, LlmError> {
        let s = phase.sampling;
        let mut chain = Vec::new();
        if s.repeat_penalty != 1.0 && s.repeat_penalty > 0.0 {
            let n_vocab = model.inner.n_vocab();
            chain.push(LlamaSampler::penalties(n_vocab, Sampling::REPEAT_WINDOW, s.repeat_penalty, 0.0, 0.0));
        }
        if s.temperature > 0.0 {
            chain.push(LlamaSampler::top_k(s.top_k.clamp(1, MAX_CANDIDATES) as i32));
            chain.push(LlamaSampler::top_p(s.top_p, 1));
            chain.push(LlamaSampler::temp(s.temperature));
            chain.push(LlamaSampler::dist(s.seed));
        } else {
            chain.push(LlamaSampler::greedy());
        }
        let grammar = phase
            .grammar
            .as_deref()
            .map(|g| LlamaSampler::grammar(&model.inner, g, "root").map_err(|e| LlmError::Grammar(e.to_string())))
            .transpose()?;
        let keep = s.top_k.clamp(1, MAX_CANDIDATES);
        let few = LlamaTokenDataArray::new(Vec::new(), true);
        let (chain, greedy) = (LlamaSampler::chain_simple(chain), s.temperature <= 0.0);
        Ok(Self { chain, grammar, keep, stars: phase.stars, unwritable: model.unwritable(), greedy, few })
    }

    /// Chooses a token from `logits` (one per token of the vocabulary) and updates the sampler's
    /// state. Tokens that are `shunned` are excluded, unless no other candidate remains.
    pub(super) fn choose(&mut self, logits: &[f32], shunned: impl Fn(Token) -> bool) -> Result<Token, LlmError> {
        let few = &mut self.few;
        few.data.clear();
        if let Some(stars) = &self.stars {
            stars.weigh(logits, self.greedy, few);
            allow(&mut self.grammar, &self.unwritable, few);
        }
        // The phase writes no rating, or no rating can follow here.
        if few.data.is_empty() {
            let mut asked = self.keep;
            candidates(logits, asked, few);
            allow(&mut self.grammar, &self.unwritable, few);
            while few.data.is_empty() && asked < logits.len() {
                asked = asked.saturating_mul(WIDER);
                candidates(logits, asked.min(logits.len()), few);
                allow(&mut self.grammar, &self.unwritable, few);
            }
            few.data.truncate(self.keep);
        }
        if few.data.iter().any(|c| !shunned(c.id())) {
            few.data.retain(|c| !shunned(c.id()));
        }
        few.apply_sampler(&mut self.chain);
        let token = few.selected_token().ok_or_else(|| LlmError::Grammar("no token can follow".into()))?;
        self.chain.accept(token);
        if let Some(grammar) = &mut self.grammar {
            grammar.try_accept(token).map_err(|e| LlmError::Grammar(e.to_string()))?;
        }
        Ok(token)
    }
}

/// Keeps the candidates that may be written and that the grammar accepts.
fn allow(grammar: &mut Option<LlamaSampler>, unwritable: &Unwritable, few: &mut LlamaTokenDataArray) {
    few.data.retain(|c| !unwritable.contains(c.id()));
    if let Some(grammar) = grammar {
        few.apply_sampler(grammar);
        few.data.retain(|c| c.logit() > f32::NEG_INFINITY);
    }
}

/// Writes the `keep` tokens with the largest logits to `few`, largest first.
fn candidates(logits: &[f32], keep: usize, few: &mut LlamaTokenDataArray) {
    let best = &mut few.data;
    best.clear();
    few.selected = None;
    few.sorted = true;
    let larger_first =
        |a: &LlamaTokenData, b: &LlamaTokenData| b.logit().total_cmp(&a.logit()).then(a.id().0.cmp(&b.id().0));
    // Candidates above a rising threshold are collected, and cut back to `keep` once there are more
    // than twice as many. Most blocks have no candidate; vector instructions skip them.
    const BLOCK: usize = 64;
    let mut threshold = f32::NEG_INFINITY;
    for (block, logits) in logits.chunks(BLOCK).enumerate() {
        if best.len() >= keep && !logits.iter().fold(false, |any, &l| any | (l > threshold)) {
            continue;
        }
        for (at, &logit) in logits.iter().enumerate() {
            if logit > threshold || (best.len() < keep && !logit.is_nan()) {
                best.push(LlamaTokenData::new(Token::new((block * BLOCK + at) as i32), logit, 0.0));
                if best.len() > 2 * keep {
                    best.select_nth_unstable_by(keep - 1, larger_first);
                    best.truncate(keep);
                    threshold = best[keep - 1].logit();
                }
            }
        }
    }
    best.sort_unstable_by(larger_first);
    best.truncate(keep);
}

/// Returns the natural log-probability of `token` under a softmax over `logits`.
pub(super) fn log_prob(logits: &[f32], token: Token) -> f64 {
    // Logits further below the largest add less than 262,144 e^-27 < 1e-6 in total. Most of the
    // vocabulary is there.
    const FAR: f32 = 27.0;
    const BLOCK: usize = 64;
    let largest = |logits: &[f32]| {
        let mut lanes = [f32::NEG_INFINITY; 16];
        for block in logits.chunks(16) {
            lanes.iter_mut().zip(block).for_each(|(lane, &l)| *lane = if l > *lane { l } else { *lane });
        }
        lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
    };
    let most = largest(logits);
    let sum: f32 = logits
        .chunks(BLOCK)
        .filter(|block| largest(block) > most - FAR)
        .map(|block| block.iter().filter(|&&l| l > most - FAR).map(|l| (l - most).exp()).sum::<f32>())
        .sum();
    f64::from(logits[token.0 as usize] - most - sum.ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn candidates_are_the_largest_in_order(logits in proptest::collection::vec(-50f32..50.0, 1..900), keep in 1usize..40) {
            let mut want: Vec<(f32, i32)> = logits.iter().copied().zip(0..).collect();
            want.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            want.truncate(keep);
            let mut few = LlamaTokenDataArray::new(Vec::new(), true);
            candidates(&logits, keep, &mut few);
            let have: Vec<f32> = few.data.iter().map(LlamaTokenData::logit).collect();
            prop_assert_eq!(have, want.into_iter().map(|w| w.0).collect::<Vec<_>>());
        }

        #[test]
        fn probabilities_add_up(logits in proptest::collection::vec(-9f32..9.0, 1..50)) {
            let sum: f64 = (0..logits.len() as i32).map(|t| log_prob(&logits, Token::new(t)).exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-4);
        }
    }
}
