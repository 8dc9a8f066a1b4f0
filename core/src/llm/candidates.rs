//! From a row of logits to the next token.
//!
//! A vocabulary has up to 262,144 tokens (Gemma), and most costs here are scans over it. So the few
//! best candidates are selected once, and penalties, grammar and random choice work on those; a grammar that
//! accepts none of them is asked about more and more, because asking about all of them costs as much as several tokens.

use llama_cpp_2::{
    sampling::LlamaSampler,
    token::{data::LlamaTokenData, data_array::LlamaTokenDataArray},
};

use super::{LlmError, Model, Phase, Sampling, Token};

/// Most candidates that sampling looks at.
const MAX_CANDIDATES: usize = 256;
/// How many times more candidates a grammar is asked about that accepted none.
const WIDER: usize = 16;

/// The state of sampling in one phase.
pub(super) struct Chooser {
    chain: LlamaSampler,
    grammar: Option<LlamaSampler>,
    keep: usize,
    median: bool,
    /// The candidates of the token in progress, kept for their room.
    few: LlamaTokenDataArray,
}

impl Chooser {
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
        let median = s.median && s.temperature <= 0.0;
        Ok(Self { chain: LlamaSampler::chain_simple(chain), grammar, keep, median, few })
    }

    /// Chooses from `logits` (one per token of the vocabulary) and takes note of the choice.
    pub(super) fn choose(&mut self, model: &Model, logits: &[f32]) -> Result<Token, LlmError> {
        let few = &mut self.few;
        candidates(logits, self.keep, few);
        if let Some(grammar) = &mut self.grammar {
            let mut asked = self.keep;
            loop {
                few.apply_sampler(grammar);
                few.data.retain(|c| c.logit() > f32::NEG_INFINITY);
                if !few.data.is_empty() || asked >= logits.len() {
                    break;
                }
                asked = asked.saturating_mul(WIDER);
                candidates(logits, asked.min(logits.len()), few);
            }
            few.data.truncate(self.keep);
        }
        if let Some(token) = self.median.then(|| median(&few.data, |t| number(model, t))).flatten() {
            few.data.retain(|c| c.id() == token);
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

/// The number that a token spells.
fn number(model: &Model, token: Token) -> Option<u32> {
    let mut bytes = Vec::new();
    model.spell(token, &mut bytes);
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// The median of the candidates that are numbers, by their probabilities; `None` if the first is not one.
fn median(candidates: &[LlamaTokenData], number: impl Fn(Token) -> Option<u32>) -> Option<Token> {
    let first = candidates.first().filter(|c| number(c.id()).is_some())?;
    let mass = |c: &LlamaTokenData| (c.logit() - first.logit()).exp();
    let mut numbers: Vec<(u32, &LlamaTokenData)> =
        candidates.iter().filter_map(|c| Some((number(c.id())?, c))).collect();
    numbers.sort_by_key(|n| n.0);
    let half = numbers.iter().map(|n| mass(n.1)).sum::<f32>() / 2.0;
    let mut below = 0.0;
    let reaches_half = |n: &&(u32, &LlamaTokenData)| {
        below += mass(n.1);
        below >= half
    };
    numbers.iter().find(reaches_half).map(|n| n.1.id())
}

/// Puts the `keep` tokens with the largest logits into `few`, largest first.
fn candidates(logits: &[f32], keep: usize, few: &mut LlamaTokenDataArray) {
    let best = &mut few.data;
    best.clear();
    few.selected = None;
    few.sorted = true;
    let larger_first =
        |a: &LlamaTokenData, b: &LlamaTokenData| b.logit().total_cmp(&a.logit()).then(a.id().0.cmp(&b.id().0));
    // Candidates collect above a rising threshold and are cut back whenever there are twice as many as wanted. Whole blocks
    // without any are the rule, and are passed over with vector instructions.
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

/// The natural log-probability of `token` under a softmax over `logits`.
pub(super) fn log_prob(logits: &[f32], token: Token) -> f64 {
    // What lies further below the largest adds less than 262,144 e^-27 < 1e-6 in all; most of the vocabulary does.
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

    #[test]
    fn the_median_of_a_distribution() {
        // Token n spells the number n, 0 spells none.
        let row = |p: &[(i32, f32)]| -> Vec<LlamaTokenData> {
            p.iter().map(|&(t, p)| LlamaTokenData::new(Token::new(t), p.ln() + 3.0, 0.0)).collect()
        };
        let of = |p: &[(i32, f32)]| median(&row(p), |t| u32::try_from(t.0).ok().filter(|&n| n > 0)).map(|t| t.0);
        assert_eq!(of(&[(5, 0.4), (4, 0.3), (1, 0.2), (3, 0.1)]), Some(4));
        assert_eq!(of(&[(5, 0.6), (1, 0.4)]), Some(5));
        assert_eq!(of(&[(1, 0.5), (5, 0.3), (0, 0.2)]), Some(1));
        assert_eq!(of(&[(0, 0.6), (5, 0.4)]), None);
        assert_eq!(of(&[]), None);
    }

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
