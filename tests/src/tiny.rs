//! A GGUF model of about 150 kB: a two-layer Llama with random weights over single characters. It
//! generates nonsense, through every part of the real code.

use std::path::{Path, PathBuf};

const WIDTH: u64 = 32;
const HIDDEN: u64 = 64;
const LAYERS: u32 = 2;
/// Token type of ordinary text tokens.
const NORMAL: i32 = 1;

/// A metadata value.
#[derive(Clone)]
#[allow(missing_docs)]
pub enum Value {
    U32(u32),
    Bool(bool),
    F32(f32),
    Text(&'static str),
    Texts(Vec<String>),
    F32s(Vec<f32>),
    I32s(Vec<i32>),
    /// A type number and the bytes that follow it, unchecked.
    Raw(u32, Vec<u8>),
}

/// The parts of the tiny model's file, for tests that corrupt them.
pub struct Parts {
    /// Metadata in the file's order.
    pub metadata: Vec<(&'static str, Value)>,
    /// Name and shape of each tensor.
    pub tensors: Vec<(String, Vec<u64>)>,
}

impl Parts {
    /// Replaces the value of a key, or adds it.
    #[must_use]
    pub fn set(mut self, key: &'static str, value: Value) -> Self {
        match self.metadata.iter_mut().find(|e| e.0 == key) {
            Some(entry) => entry.1 = value,
            None => self.metadata.push((key, value)),
        }
        self
    }

    /// Removes a key.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.metadata.retain(|e| e.0 != key);
        self
    }

    /// Returns the file.
    pub fn bytes(self) -> Vec<u8> {
        gguf(self.metadata, self.tensors)
    }
}

/// Writes the model to `dir/tiny.gguf` and returns its path.
pub fn write(dir: &Path) -> PathBuf {
    put_file(dir, "tiny.gguf", &bytes())
}

/// Writes the same model with a chat template (ChatML) to `dir/chat.gguf` and returns its path.
pub fn write_chat(dir: &Path) -> PathBuf {
    const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + \
        '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    put_file(dir, "chat.gguf", &parts().set("tokenizer.chat_template", Value::Text(CHATML)).bytes())
}

/// Writes a LoRA adapter of rank 4 for the model's queries to `dir/lora-WIDTH.gguf` and returns its
/// path. It fits the model if `width` is 32.
pub fn write_adapter(dir: &Path, width: u64) -> PathBuf {
    put_file(dir, &format!("lora-{width}.gguf"), &adapter(width).bytes())
}

/// Returns the smallest model that passes the check.
pub fn smallest_parts() -> Parts {
    let mut model = parts()
        .set("llama.embedding_length", Value::U32(2))
        .set("llama.block_count", Value::U32(1))
        .set("llama.attention.head_count", Value::U32(1))
        .set("llama.attention.head_count_kv", Value::U32(1))
        .set("llama.rope.dimension_count", Value::U32(2))
        .set("tokenizer.ggml.model", Value::Text("gpt2"))
        .set("tokenizer.ggml.merges", Value::Texts(vec!["a b".into()]))
        .set("tokenizer.ggml.tokens", Value::Texts((b'a'..b'q').map(|b| char::from(b).to_string()).collect()))
        .set("tokenizer.ggml.token_type", Value::I32s(vec![1; 16]))
        .set("tokenizer.ggml.scores", Value::F32s(vec![0.0; 16]));
    model.tensors = vec![
        ("token_embd.weight".into(), vec![2, 16]),
        ("output_norm.weight".into(), vec![2]),
        ("blk.0.attn_q.weight".into(), vec![2, 2]),
    ];
    model
}

fn adapter(width: u64) -> Parts {
    let metadata = vec![
        ("general.architecture", Value::Text("llama")),
        ("general.type", Value::Text("adapter")),
        ("adapter.type", Value::Text("lora")),
        ("adapter.lora.alpha", Value::F32(64.0)),
    ];
    let tensors = (0..LAYERS).flat_map(|layer| {
        let name = format!("blk.{layer}.attn_q.weight");
        [(format!("{name}.lora_a"), vec![width, 4]), (format!("{name}.lora_b"), vec![4, width])]
    });
    Parts { metadata, tensors: tensors.collect() }
}

/// Returns the parts of the adapter of [`write_adapter`] that fits the model.
pub fn adapter_parts() -> Parts {
    adapter(WIDTH)
}

fn put_file(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Returns the model file.
pub fn bytes() -> Vec<u8> {
    parts().bytes()
}

/// Returns the model file with additional tokens.
pub fn with_tokens(more: &[&str]) -> Vec<u8> {
    parts_with(more).bytes()
}

/// Returns the parts of the model file.
pub fn parts() -> Parts {
    parts_with(&[])
}

fn parts_with(more: &[&str]) -> Parts {
    let (mut tokens, mut kinds) = vocabulary();
    tokens.extend(more.iter().map(|token| (*token).to_owned()));
    kinds.resize(tokens.len(), NORMAL);
    let size = tokens.len() as u64;
    let scores = (0..tokens.len()).map(|n| -(n as f32)).collect();
    let metadata = vec![
        ("general.architecture", Value::Text("llama")),
        ("general.name", Value::Text("tiny")),
        ("llama.context_length", Value::U32(4096)),
        ("llama.embedding_length", Value::U32(WIDTH as u32)),
        ("llama.block_count", Value::U32(LAYERS)),
        ("llama.feed_forward_length", Value::U32(HIDDEN as u32)),
        ("llama.attention.head_count", Value::U32(2)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.dimension_count", Value::U32(16)),
        ("tokenizer.ggml.model", Value::Text("llama")),
        ("tokenizer.ggml.tokens", Value::Texts(tokens)),
        ("tokenizer.ggml.scores", Value::F32s(scores)),
        ("tokenizer.ggml.token_type", Value::I32s(kinds)),
        ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.ggml.add_space_prefix", Value::Bool(false)),
    ];
    let mut tensors: Vec<(String, Vec<u64>)> = vec![
        ("token_embd.weight".into(), vec![WIDTH, size]),
        ("output_norm.weight".into(), vec![WIDTH]),
        ("output.weight".into(), vec![WIDTH, size]),
    ];
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("attn_norm", vec![WIDTH]),
            ("attn_q", vec![WIDTH, WIDTH]),
            ("attn_k", vec![WIDTH, WIDTH]),
            ("attn_v", vec![WIDTH, WIDTH]),
            ("attn_output", vec![WIDTH, WIDTH]),
            ("ffn_norm", vec![WIDTH]),
            ("ffn_gate", vec![WIDTH, HIDDEN]),
            ("ffn_up", vec![WIDTH, HIDDEN]),
            ("ffn_down", vec![HIDDEN, WIDTH]),
        ] {
            tensors.push((format!("blk.{layer}.{name}.weight"), shape));
        }
    }
    Parts { metadata, tensors }
}

/// Returns a GGUF file (version 3) with random F32 weights.
fn gguf(metadata: Vec<(&'static str, Value)>, tensors: Vec<(String, Vec<u64>)>) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut out, key);
        put(&mut out, value);
    }
    let mut offset = 0u64;
    for (name, shape) in &tensors {
        text(&mut out, name);
        out.extend((shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|d| out.extend(d.to_le_bytes()));
        out.extend(0u32.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += (shape.iter().product::<u64>() * 4).next_multiple_of(32);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    let mut random = crate::Draw(0x2545_f491_4f6c_dd1d);
    for (name, shape) in &tensors {
        for _ in 0..shape.iter().product::<u64>() {
            let uniform = (random.bits() >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
            let weight = if name.contains("norm") { 1.0 } else { uniform };
            out.extend(weight.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(32), 0);
    }
    out
}

/// Returns the control tokens, all bytes, and the printable ASCII characters ("▁" for the space).
fn vocabulary() -> (Vec<String>, Vec<i32>) {
    let (unknown, control, byte_kind) = (2, 3, 6);
    let mut tokens = vec!["<unk>".to_owned(), "<s>".into(), "</s>".into()];
    let mut kinds = vec![unknown, control, control];
    for byte in 0..=255u8 {
        tokens.push(format!("<0x{byte:02X}>"));
        kinds.push(byte_kind);
    }
    tokens.push("▁".into());
    tokens.extend((b'!'..=b'~').map(|b| char::from(b).to_string()));
    kinds.resize(tokens.len(), NORMAL);
    (tokens, kinds)
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend((value.len() as u64).to_le_bytes());
    out.extend(value.as_bytes());
}

fn put(out: &mut Vec<u8>, value: Value) {
    let array = |out: &mut Vec<u8>, kind: u32, len: usize| {
        out.extend(9u32.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend((len as u64).to_le_bytes());
    };
    match value {
        Value::U32(v) => {
            out.extend(4u32.to_le_bytes());
            out.extend(v.to_le_bytes());
        }
        Value::Bool(v) => {
            out.extend(7u32.to_le_bytes());
            out.push(u8::from(v));
        }
        Value::F32(v) => {
            out.extend(6u32.to_le_bytes());
            out.extend(v.to_le_bytes());
        }
        Value::Raw(kind, bytes) => {
            out.extend(kind.to_le_bytes());
            out.extend(bytes);
        }
        Value::Text(v) => {
            out.extend(8u32.to_le_bytes());
            text(out, v);
        }
        Value::Texts(v) => {
            array(out, 8, v.len());
            v.iter().for_each(|s| text(out, s));
        }
        Value::F32s(v) => {
            array(out, 6, v.len());
            v.iter().for_each(|f| out.extend(f.to_le_bytes()));
        }
        Value::I32s(v) => {
            array(out, 5, v.len());
            v.iter().for_each(|i| out.extend(i.to_le_bytes()));
        }
    }
}
