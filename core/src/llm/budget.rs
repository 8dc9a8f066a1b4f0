//! Memory use of a model and a decoder, computed before either is loaded.
//!
//! There are two totals: the buffers that llama.cpp reserves and reports, and the bytes that become
//! resident. They differ by the logits and by the vocabulary's tables. llama.cpp reserves logits
//! for a whole batch of rows and writes only a few of them.

use super::{DecoderOptions, KvType, decoder::cells, gguf::ModelFacts};

/// Bytes of llama.cpp's own tables per token of the vocabulary: text, scores, hash tables, merges.
/// Measured on vocabularies of 262,144 tokens.
const PER_TOKEN: u64 = 190;

/// Memory that a model with one decoder takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct MemoryBudget {
    /// Weights, mapped from the file. The system may evict these pages and read them again.
    pub weights: u64,
    /// Weights that llama.cpp copies into another order.
    pub repacked: u64,
    /// Weights of the adapter.
    pub adapter: u64,
    /// Tables of the vocabulary.
    pub vocabulary: u64,
    /// KV cache: cells x layers x KV heads x (key + value) x bytes per number.
    pub kv: u64,
    /// Logits that llama.cpp returns: one row per sequence.
    pub outputs: u64,
    /// Intermediate results of one batch, as far as they are written.
    pub compute: u64,
    /// Logits that are reserved and never written.
    pub untouched: u64,
}

impl MemoryBudget {
    /// Returns the budget of a model with a decoder opened with `options`. `adapter` is the size of
    /// the adapter's weights in bytes.
    pub fn of(facts: &ModelFacts, adapter: u64, options: &DecoderOptions) -> Self {
        let cells = u64::from(cells(options)).next_multiple_of(256);
        let numbers = u64::from(facts.layers)
            * u64::from(facts.kv_heads)
            * (u64::from(facts.key_length) + u64::from(facts.value_length));
        let kv = match options.kv {
            KvType::F16 => cells * numbers * 2,
            KvType::Q8 => cells * numbers / 32 * 34,
        };
        let row = u64::from(facts.vocabulary) * 4;
        let batch = (options.batch() as u64).min(cells);
        // One row of logits per sequence.
        let sequences = options.all_sequences() as u64;
        let masks = if facts.sliding_window { 2 } else { 1 };
        let widths = u64::from(facts.feed_forward) + 2 * u64::from(facts.embedding);
        Self {
            weights: facts.weights,
            repacked: facts.repacked,
            adapter,
            vocabulary: u64::from(facts.vocabulary) * PER_TOKEN,
            kv,
            outputs: sequences * row,
            compute: batch * widths * 4 + masks * cells * batch * 2 + sequences.min(batch) * row,
            untouched: batch.saturating_sub(sequences) * row,
        }
    }

    /// Returns the bytes of the model alone that become resident.
    pub fn model(&self) -> u64 {
        self.weights + self.repacked + self.adapter + self.vocabulary
    }

    /// Returns the bytes of one decoder that become resident.
    pub fn decoder(&self) -> u64 {
        self.kv + self.outputs + self.compute
    }

    /// Returns the bytes of model and decoder that become resident.
    pub fn resident(&self) -> u64 {
        self.model() + self.decoder()
    }

    /// Returns the bytes of the buffers that llama.cpp reserves and reports. This includes
    /// untouched logits and excludes the vocabulary's tables.
    pub fn reserved(&self) -> u64 {
        self.resident() - self.vocabulary + self.untouched
    }
}
