//! How much memory a model and a decoder take, known before either is loaded.
//!
//! Two sums: what llama.cpp reserves and reports, and what becomes resident. They differ by the logits: room for a whole
//! batch of rows is reserved, a few rows are written.

use super::{DecoderOptions, KvType, decoder::cells, gguf::ModelFacts};

/// Bytes of llama.cpp's own tables per token of the vocabulary: text, scores, hash tables, merges. Measured on vocabularies of
/// 262,144 tokens.
const PER_TOKEN: u64 = 190;

/// Bytes that a model with one decoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct MemoryBudget {
    /// The weights, mapped from the file. The system may take these pages back and read them again.
    pub weights: u64,
    /// Weights copied into another order.
    pub repacked: u64,
    /// An adapter's weights.
    pub adapter: u64,
    /// Tables of the vocabulary.
    pub vocabulary: u64,
    /// Keys and values: cells x layers x heads x (key + value) x bytes per number.
    pub kv: u64,
    /// Logits that are handed out: a row per sequence.
    pub outputs: u64,
    /// Intermediate results of one batch that are written.
    pub compute: u64,
    /// Room for logits that is reserved and never written.
    pub untouched: u64,
}

impl MemoryBudget {
    /// The budget of a model with a decoder opened like this.
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

    /// Bytes of the model alone that become resident.
    pub fn model(&self) -> u64 {
        self.weights + self.repacked + self.adapter + self.vocabulary
    }

    /// Bytes of a decoder on it that become resident.
    pub fn decoder(&self) -> u64 {
        self.kv + self.outputs + self.compute
    }

    /// Bytes that become resident.
    pub fn resident(&self) -> u64 {
        self.model() + self.decoder()
    }

    /// Bytes of the buffers that llama.cpp reserves and reports: without the vocabulary's tables, with what stays untouched.
    pub fn reserved(&self) -> u64 {
        self.resident() - self.vocabulary + self.untouched
    }
}
