//! Model sizes from the metadata of a checked GGUF file.

use super::{Gguf, GgufError, Value, vocabulary};

/// Metadata key for the SHA-256 of the file that a trimmed model was cut from.
pub const TRIMMED: &str = "locket.trimmed.from";

/// Dense decoder architectures with metadata checked key by key. llama.cpp may run others, but the
/// inputs that would abort the process there are not known.
const ARCHITECTURES: [&str; 11] =
    ["llama", "gemma", "gemma2", "gemma3", "qwen2", "qwen3", "phi3", "smollm3", "mistral3", "olmo2", "granite"];
/// Maximum number of layers in llama.cpp.
const MAX_LAYERS: u32 = 512;

/// Sizes of a checked model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// Name of the architecture.
    pub architecture: String,
    /// Number of layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub embedding: u32,
    /// Width of the feed-forward layers.
    pub feed_forward: u32,
    /// Number of attention heads.
    pub heads: u32,
    /// Number of key and value heads.
    pub kv_heads: u32,
    /// Numbers per key and head.
    pub key_length: u32,
    /// Numbers per value and head.
    pub value_length: u32,
    /// Number of tokens in the vocabulary.
    pub vocabulary: u32,
    /// Context length in training, in tokens.
    pub context: u32,
    /// Whether some layers use sliding-window attention.
    pub sliding_window: bool,
    /// Bytes of weights in the file.
    pub weights: u64,
    /// Bytes of weights that llama.cpp copies into another order for this CPU.
    pub repacked: u64,
    /// SHA-256 of the file that a trimmed model was cut from; `None` for other models.
    pub trimmed_from: Option<String>,
}

impl ModelFacts {
    /// Reads and checks the sizes.
    ///
    /// # Errors
    /// [`GgufError`] names the first invalid, missing or unsupported entry.
    pub fn of(gguf: &Gguf<'_>) -> Result<Self, GgufError> {
        let name =
            gguf.text("general.architecture")?.ok_or_else(|| GgufError::Missing("general.architecture".into()))?;
        if !ARCHITECTURES.contains(&name) {
            return Err(GgufError::Architecture(name.chars().take(40).collect()));
        }
        if let Some(kind) = gguf.text("general.type")?.filter(|k| *k != "model") {
            return Err(GgufError::Value { key: "general.type".into(), value: kind.chars().take(40).collect() });
        }
        let keys = Keys { gguf, prefix: name };
        let layers = keys.need("block_count", 1, MAX_LAYERS)?;
        let embedding = keys.need("embedding_length", 1, 1 << 17)?;
        let heads = keys.need("attention.head_count", 1, 1 << 12)?;
        let kv_heads = keys.optional("attention.head_count_kv", 1, heads)?.unwrap_or(heads);
        keys.demand(heads % kv_heads == 0, "attention.head_count_kv", kv_heads)?;
        let length = |key| -> Result<u32, GgufError> {
            let length = keys.optional(key, 1, 1 << 12)?.unwrap_or(embedding / heads);
            // Rotary position embeddings rotate pairs of numbers.
            keys.demand(length > 0 && length % 2 == 0, key, length)?;
            Ok(length)
        };
        let (key_length, value_length) = (length("attention.key_length")?, length("attention.value_length")?);
        let rotated = keys.optional("rope.dimension_count", 1, key_length)?.unwrap_or(key_length);
        keys.demand(rotated % 2 == 0, "rope.dimension_count", rotated)?;
        keys.ratio("attention.layer_norm_rms_epsilon", 0.0..=1.0)?
            .ok_or_else(|| GgufError::Missing(keys.name("attention.layer_norm_rms_epsilon")))?;
        keys.ratio("rope.freq_base", 1.0..=1e12)?;
        keys.ratio("rope.scaling.factor", 0.0..=1e6)?;
        let scaling = keys.name("rope.scaling.type");
        if let Some(kind) = gguf.text(&scaling)?.filter(|k| !["none", "linear", "yarn", "longrope"].contains(k)) {
            return Err(GgufError::Value { key: scaling, value: kind.chars().take(40).collect() });
        }
        // Mixtures of experts and files in several parts are not supported.
        keys.optional("expert_count", 0, 0)?;
        keys.optional("expert_used_count", 0, 0)?;
        keys.optional("expert_group_count", 0, 0)?;
        keys.optional("nextn_predict_layers", 0, 0)?;
        if !matches!(gguf.get("split.count"), None | Some(Value::Unsigned(0 | 1))) {
            return Err(GgufError::Value { key: "split.count".into(), value: "more than one file".into() });
        }
        if !matches!(gguf.get(&keys.name("attention.causal")), None | Some(Value::Bool(true))) {
            return Err(GgufError::Value { key: keys.name("attention.causal"), value: "false".into() });
        }
        let facts = Self {
            architecture: name.to_owned(),
            layers,
            embedding,
            feed_forward: keys.need("feed_forward_length", 1, 1 << 20)?,
            heads,
            kv_heads,
            key_length,
            value_length,
            vocabulary: u32::try_from(vocabulary::check(gguf)?).unwrap_or(u32::MAX),
            context: keys.need("context_length", 1, 1 << 24)?,
            sliding_window: keys.optional("attention.sliding_window", 0, u32::MAX)?.is_some_and(|n| n > 0),
            weights: gguf.data_bytes,
            repacked: gguf.tensors.iter().filter(|t| t.is_repacked()).map(|t| t.bytes).sum(),
            trimmed_from: gguf.text(TRIMMED)?.map(|sum| sum.chars().take(64).collect()),
        };
        facts.check_tensors(gguf)?;
        Ok(facts)
    }

    /// Checks that the required tensors have the sizes in the metadata, and that every layer has
    /// tensors. No tensor may belong to a layer beyond the last. llama.cpp compares the shapes of
    /// all other tensors and refuses mismatches.
    fn check_tensors(&self, gguf: &Gguf<'_>) -> Result<(), GgufError> {
        let (embedding, vocabulary) = (u64::from(self.embedding), u64::from(self.vocabulary));
        let required = [("token_embd.weight", [embedding, vocabulary]), ("output_norm.weight", [embedding, 1])];
        for (name, [width, height]) in required {
            let tensor = gguf.tensor(name).ok_or_else(|| GgufError::Missing(name.to_owned()))?;
            if tensor.shape != [width, height, 1, 1] {
                let what = "its shape is not what the metadata says";
                return Err(GgufError::Tensor { name: name.to_owned(), what });
            }
        }
        let mut seen = vec![false; self.layers as usize];
        for tensor in &gguf.tensors {
            let Some(rest) = tensor.name.strip_prefix("blk.") else { continue };
            let number = rest.split_once('.').and_then(|(n, _)| n.parse::<usize>().ok());
            match number.and_then(|n| seen.get_mut(n)) {
                Some(seen) => *seen = true,
                None => {
                    let what = "it belongs to a layer that the model does not have";
                    return Err(GgufError::Tensor { name: tensor.name.to_owned(), what });
                }
            }
        }
        match seen.iter().position(|s| !s) {
            Some(layer) => Err(GgufError::Missing(format!("tensors of layer {layer}"))),
            None => Ok(()),
        }
    }
}

/// Metadata keys that begin with the architecture's name.
struct Keys<'a> {
    gguf: &'a Gguf<'a>,
    prefix: &'a str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn demand(&self, holds: bool, key: &str, value: impl ToString) -> Result<(), GgufError> {
        if holds { Ok(()) } else { Err(GgufError::Value { key: self.name(key), value: value.to_string() }) }
    }

    fn optional(&self, key: &str, least: u32, most: u32) -> Result<Option<u32>, GgufError> {
        let value = self.gguf.u32(&self.name(key))?;
        value.map_or(Ok(()), |v| self.demand((least..=most).contains(&v), key, v))?;
        Ok(value)
    }

    fn need(&self, key: &str, least: u32, most: u32) -> Result<u32, GgufError> {
        self.optional(key, least, most)?.ok_or_else(|| GgufError::Missing(self.name(key)))
    }

    fn ratio(&self, key: &str, range: std::ops::RangeInclusive<f64>) -> Result<Option<f64>, GgufError> {
        match self.gguf.get(&self.name(key)) {
            None => Ok(None),
            Some(Value::Float(v)) => {
                self.demand(range.contains(&v), key, v)?;
                Ok(Some(v))
            }
            Some(_) => Err(GgufError::Type(self.name(key))),
        }
    }
}
