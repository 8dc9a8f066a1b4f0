//! Hostile model files: each known attack on llama.cpp's loader is rejected with a typed error, and
//! files that pass the check do not crash it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::ops::ControlFlow;

use locket::{
    LoadOptions, Model, Sampling,
    internals::llm::{
        Calibration, DecoderOptions, Phase, Prompt, Request,
        gguf::{self, GgufError, ModelFacts},
    },
};
use locket_tests::tiny::{self, Parts, Value};

fn check(bytes: &[u8]) -> Result<ModelFacts, GgufError> {
    gguf::parse(bytes).and_then(|g| ModelFacts::of(&g))
}

fn refused(parts: Parts) -> GgufError {
    check(&parts.bytes()).unwrap_err()
}

/// An array value: element type, announced count, bytes.
fn array(kind: u32, count: u64, bytes: &[u8]) -> Value {
    Value::Raw(9, [&kind.to_le_bytes()[..], &count.to_le_bytes(), bytes].concat())
}

/// The file with another list entry for `tensor` from its dimensions on: count, dimensions, type,
/// offset.
fn with_tensor(dims: &[u64], announced: u32, kind: u32, offset: Option<u64>) -> Vec<u8> {
    let bytes = tiny::bytes();
    let name = b"output_norm.weight";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    let was = u64::from_le_bytes(bytes[at + 16..at + 24].try_into().unwrap());
    let mut entry = announced.to_le_bytes().to_vec();
    dims.iter().for_each(|d| entry.extend(d.to_le_bytes()));
    entry.extend(kind.to_le_bytes());
    entry.extend(offset.unwrap_or(was).to_le_bytes());
    [&bytes[..at], &entry, &bytes[at + 24..]].concat()
}

#[test]
fn the_tiny_model_passes_and_is_described() {
    let facts = check(&tiny::bytes()).unwrap();
    assert_eq!((facts.layers, facts.embedding, facts.heads, facts.key_length, facts.vocabulary), (2, 32, 2, 16, 354));
}

#[test]
#[ignore = "needs the default model"]
fn the_default_model_passes() {
    let path = locket_tests::model();
    let facts = gguf::check_model(&path).unwrap();
    assert_eq!((facts.layers, facts.kv_heads, facts.key_length, facts.vocabulary), (18, 1, 256, 262_144));
}

#[test]
fn headers() {
    let whole = tiny::bytes();
    let with = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut out = whole.clone();
        out[range].copy_from_slice(bytes);
        check(&out).unwrap_err()
    };
    assert_eq!(with(0..4, b"GGML"), GgufError::Magic);
    assert_eq!(with(4..8, &1u32.to_le_bytes()), GgufError::Version(1));
    // The other byte order.
    assert_eq!(with(4..8, &3u32.to_be_bytes()), GgufError::Version(0x0300_0000));
    assert!(matches!(with(8..16, &u64::MAX.to_le_bytes()), GgufError::Count { what: "tensors", .. }));
    assert!(matches!(with(16..24, &(1u64 << 40).to_le_bytes()), GgufError::Count { .. }));
    // Every shorter file is truncated.
    for end in (0..whole.len()).step_by(97).chain(whole.len() - 40..whole.len() - 1) {
        assert!(check(&whole[..end]).is_err(), "{end}");
    }
}

/// Element types are checked before any element is read (llama.cpp PR 26690).
#[test]
fn array_element_types() {
    let tokens = "tokenizer.ggml.tokens";
    let integers = array(5, 354, &[0; 354 * 4]);
    assert_eq!(refused(tiny::parts().set(tokens, integers)), GgufError::Type(tokens.into()));
    let scores = "tokenizer.ggml.scores";
    let bytes = array(0, 354, &[0; 354]);
    assert_eq!(refused(tiny::parts().set(scores, bytes)), GgufError::Type(scores.into()));
    let kinds = "tokenizer.ggml.token_type";
    let wide = array(11, 354, &[0; 354 * 8]);
    assert_eq!(refused(tiny::parts().set(kinds, wide)), GgufError::Type(kinds.into()));
    // Shorter than the list that indexes it.
    let short = array(6, 2, &[0; 8]);
    assert!(matches!(refused(tiny::parts().set(scores, short)), GgufError::Vocabulary(_)));
    // Arrays of arrays, and unknown types.
    for kind in [9, 13, u32::MAX] {
        assert!(matches!(refused(tiny::parts().set("x", array(kind, 1, &[0; 64]))), GgufError::ValueType { .. }));
    }
    assert!(matches!(refused(tiny::parts().set("x", Value::Raw(77, vec![0; 8]))), GgufError::ValueType { .. }));
    assert!(matches!(refused(tiny::parts().set("x", Value::Raw(7, vec![2]))), GgufError::Value { .. }));
    assert!(matches!(refused(tiny::parts().set("x", array(7, 2, &[1, 2]))), GgufError::Value { .. }));
    // A string in place of a number, and the reverse.
    assert!(matches!(refused(tiny::parts().set("llama.block_count", Value::Text("2"))), GgufError::Type(_)));
    assert!(matches!(refused(tiny::parts().set("general.architecture", Value::U32(1))), GgufError::Type(_)));
}

/// Byte tokens that write out of bounds (PR 25969), and other damage to the vocabulary.
#[test]
fn vocabularies() {
    let Some((_, Value::Texts(tokens))) = tiny::parts().metadata.into_iter().find(|e| e.0 == "tokenizer.ggml.tokens")
    else {
        panic!()
    };
    let with = |n: usize, text: &str| {
        let mut tokens = tokens.clone();
        tokens[n] = text.into();
        refused(tiny::parts().set("tokenizer.ggml.tokens", Value::Texts(tokens)))
    };
    for byte in ["<0x-1>", "<0xFFF>", "<0x>", "<0xG0>", "x"] {
        assert!(matches!(with(7, byte), GgufError::Vocabulary(_)), "{byte}");
    }
    // A duplicate text, an empty text, and a byte without a token.
    assert!(matches!(with(300, "A"), GgufError::Vocabulary(_)));
    assert!(matches!(with(300, ""), GgufError::Vocabulary(_)));
    let kinds = |n: usize, kind: i32| {
        let mut kinds = vec![1; 354];
        kinds[n] = kind;
        refused(tiny::parts().set("tokenizer.ggml.token_type", Value::I32s(kinds)))
    };
    assert!(matches!(kinds(0, 9), GgufError::Vocabulary(_)));
    assert!(matches!(kinds(0, -1), GgufError::Vocabulary(_)));
    assert!(matches!(
        refused(tiny::parts().set("tokenizer.ggml.bos_token_id", Value::U32(354))),
        GgufError::Value { .. }
    ));
    assert!(matches!(refused(tiny::parts().set("tokenizer.ggml.model", Value::Text("t5"))), GgufError::Vocabulary(_)));
    assert!(matches!(refused(tiny::parts().without("tokenizer.ggml.tokens")), GgufError::Missing(_)));
    let bpe = |merges: &[&str]| {
        let merges = Value::Texts(merges.iter().map(|m| (*m).to_owned()).collect());
        tiny::parts().set("tokenizer.ggml.model", Value::Text("gpt2")).set("tokenizer.ggml.merges", merges)
    };
    assert!(check(&bpe(&["a b", "é ü", "  x"]).bytes()).is_ok());
    for wrong in ["", "a", "ab ", " x", "é"] {
        assert!(matches!(refused(bpe(&[wrong])), GgufError::Vocabulary(_)), "{wrong:?}");
    }
}

/// Dimension products that overflow (PR 18674), offsets, types without products.
#[test]
fn tensors() {
    let tensor = |bytes: Vec<u8>| match check(&bytes).unwrap_err() {
        GgufError::Tensor { what, .. } => what,
        other => panic!("{other}"),
    };
    let half = 1u64 << 32;
    assert!(tensor(with_tensor(&[half, half, half, 2], 4, 0, None)).contains("overflow"));
    assert!(tensor(with_tensor(&[half, half], 2, 0, None)).contains("overflow"));
    assert!(tensor(with_tensor(&[u64::MAX / 64 * 64], 1, 0, None)).contains("overflow"));
    assert!(tensor(with_tensor(&[0], 1, 0, None)).contains("at least one"));
    assert!(tensor(with_tensor(&[], 0, 0, None)).contains("dimensions"));
    assert!(tensor(with_tensor(&[1, 1, 1, 1], 5, 0, None)).contains("dimensions"));
    assert!(tensor(with_tensor(&[32], 1, 0, Some(1 << 50))).contains("follow"));
    assert!(tensor(with_tensor(&[32], 1, 0, Some(u64::MAX - 3))).contains("follow"));
    // Removed types, future types, integers, 64-bit floats, intermediate results.
    for kind in [4, 5, 9, 15, 24, 26, 28, 31, 43, u32::MAX] {
        assert!(tensor(with_tensor(&[32], 1, kind, None)).contains("type"), "{kind}");
    }
    assert!(tensor(with_tensor(&[40], 1, 8, None)).contains("blocks"));
    assert!(tensor(with_tensor(&[32], 1, 8, None)).contains("floats"));
    // Data beyond the end of the file.
    assert!(matches!(check(&with_tensor(&[1 << 40], 1, 0, None)).unwrap_err(), GgufError::Tensor { .. }));
    let mut parts = tiny::parts();
    parts.tensors[0].1 = vec![32, 353];
    assert!(matches!(refused(parts), GgufError::Tensor { .. }), "an embedding smaller than the vocabulary");
    let mut parts = tiny::parts();
    parts.tensors[3].0 = parts.tensors[4].0.clone();
    assert!(matches!(refused(parts), GgufError::Name(_)), "two tensors of one name");
    let mut parts = tiny::parts();
    parts.tensors[3].0 = "blk.7.attn_norm.weight".into();
    assert!(matches!(refused(parts), GgufError::Tensor { .. }), "a layer that is not there");
}

/// Layer and head counts (PRs 25821, 26051), alignment (24997), and required values.
#[test]
fn metadata() {
    for (key, values) in [
        ("llama.block_count", &[0, 3, 513, u32::MAX][..]),
        ("llama.attention.head_count", &[0, u32::MAX, 33]),
        ("llama.attention.head_count_kv", &[0, 3]),
        ("llama.rope.dimension_count", &[0, 15, 18, 1 << 20]),
        ("llama.attention.key_length", &[0, 7, 1 << 20]),
        ("llama.embedding_length", &[0, 64]),
        ("llama.expert_count", &[8, 1 << 20]),
        ("llama.feed_forward_length", &[0]),
        ("llama.context_length", &[0, u32::MAX]),
        ("split.count", &[2]),
        ("general.alignment", &[0, 3, 1 << 17, 1 << 31]),
    ] {
        for &value in values {
            let error = refused(tiny::parts().set(key, Value::U32(value)));
            assert!(!matches!(error, GgufError::Truncated(_)), "{key} = {value}: {error}");
        }
    }
    assert!(matches!(refused(tiny::parts().set("general.alignment", Value::F32(32.0))), GgufError::Type(_)));
    let epsilon = "llama.attention.layer_norm_rms_epsilon";
    for value in [f32::NAN, f32::INFINITY, -1.0] {
        assert!(matches!(refused(tiny::parts().set(epsilon, Value::F32(value))), GgufError::Value { .. }));
    }
    let scaling = tiny::parts().set("llama.rope.scaling.type", Value::Text("sideways"));
    assert!(matches!(refused(scaling), GgufError::Value { .. }));
    for key in [
        "general.architecture",
        "llama.block_count",
        "llama.context_length",
        "llama.embedding_length",
        "llama.attention.head_count",
        epsilon,
    ] {
        assert!(matches!(refused(tiny::parts().without(key)), GgufError::Missing(_)), "{key}");
    }
    let foreign = tiny::parts().set("general.architecture", Value::Text("clip"));
    assert_eq!(refused(foreign), GgufError::Architecture("clip".into()));
    let mut twice = tiny::parts();
    twice.metadata.push(("llama.block_count", Value::U32(2)));
    assert!(matches!(refused(twice), GgufError::Name(_)));
}

/// Lengths and counts beyond the available memory (ollama PR 17042) are rejected before any
/// allocation.
#[test]
fn huge_lengths() {
    let text = |length: u64| Value::Raw(8, length.to_le_bytes().to_vec());
    assert!(matches!(refused(tiny::parts().set("x", text(u64::MAX))), GgufError::Long(_)));
    assert!(matches!(refused(tiny::parts().set("x", text(1 << 20))), GgufError::Truncated(_)));
    assert!(matches!(refused(tiny::parts().set("x", array(8, u64::MAX, &[]))), GgufError::Count { .. }));
    assert!(matches!(refused(tiny::parts().set("x", array(12, 1 << 22, &[]))), GgufError::Truncated(_)));
}

#[test]
fn adapters() {
    let base = tiny::bytes();
    let base = gguf::parse(&base).unwrap();
    let check = |parts: Parts| {
        let bytes = parts.bytes();
        gguf::parse(&bytes).and_then(|a| gguf::check_adapter(&a, &base))
    };
    assert_eq!(check(tiny::adapter_parts()), Ok(()));
    let refused = |parts: Parts| check(parts).unwrap_err();
    for (key, value) in [
        ("general.type", Value::Text("model")),
        ("adapter.type", Value::Text("control")),
        ("general.architecture", Value::Text("gemma3")),
        ("adapter.lora.alpha", Value::U32(64)),
        ("adapter.lora.alpha", Value::F32(f32::NAN)),
        ("adapter.alora.invocation_tokens", Value::I32s(vec![-1])),
        (gguf::CALIBRATION, Value::F32s(vec![1.0; 5])),
        (gguf::CALIBRATION, Value::F32s(vec![-1.0, 0.0, 0.0, 0.0, 0.0, 0.0])),
        (gguf::CALIBRATION, Value::F32s(vec![1.0, 0.0, f32::NAN, 0.0, 0.0, 0.0])),
        (gguf::CALIBRATION, Value::I32s(vec![1; 6])),
        (gguf::CALIBRATION, Value::Texts(vec!["1".into(); 6])),
    ] {
        assert!(matches!(refused(tiny::adapter_parts().set(key, value)), GgufError::Adapter(_)), "{key}");
    }
    assert!(matches!(refused(tiny::adapter_parts().set("general.type", Value::U32(0))), GgufError::Type(_)));
    for (n, name, shape) in [
        (0, "blk.0.attn_q.weight.lora_a", vec![16, 4]),
        (0, "blk.9.attn_q.weight.lora_a", vec![32, 4]),
        (0, "blk.0.attn_q.weight.lora_c", vec![32, 4]),
        (1, "blk.0.attn_q.weight.lora_b", vec![8, 32]),
        (1, "blk.0.attn_q.weight.lora_b", vec![4, 32, 2]),
        (1, "blk.1.attn_k.weight.lora_b", vec![4, 32]),
    ] {
        let mut parts = tiny::adapter_parts();
        parts.tensors[n] = (name.into(), shape);
        assert!(matches!(refused(parts), GgufError::Adapter(_)), "{name}");
    }
    let mut none = tiny::adapter_parts();
    none.tensors.clear();
    assert!(matches!(refused(none), GgufError::Adapter(_)));
    assert!(matches!(refused(tiny::parts()), GgufError::Adapter(_)));
}

#[test]
fn a_calibration_is_added_and_replaced() {
    let bytes = tiny::adapter_parts().bytes();
    let mut numbers = [1.5, -0.5, 0.0, 0.25, 0.5, 1.0];
    let mut once = locket_builder::gguf::with_floats(&bytes, gguf::CALIBRATION, &numbers).unwrap();
    for _ in 0..2 {
        let (before, after) = (gguf::parse(&bytes).unwrap(), gguf::parse(&once).unwrap());
        assert_eq!(gguf::calibration(&before).unwrap(), Calibration::default());
        assert_eq!(gguf::calibration(&after).unwrap().numbers(), numbers);
        assert_eq!(after.tensors, before.tensors);
        assert_eq!(bytes[before.data as usize..], once[after.data as usize..]);
        assert_eq!(after.get("adapter.type"), before.get("adapter.type"));
        gguf::check_adapter(&after, &gguf::parse(&tiny::bytes()).unwrap()).unwrap();
        numbers[1] = 0.75;
        let twice = locket_builder::gguf::with_floats(&once, gguf::CALIBRATION, &numbers).unwrap();
        assert_eq!(twice.len(), once.len(), "replaced, not added");
        once = twice;
    }
    assert!(locket_builder::gguf::with_floats(b"GGUF", gguf::CALIBRATION, &numbers).is_err());
}

/// Files with a few changed bytes. Most are rejected. llama.cpp loads the others and decodes with
/// them, or returns an error. An abort would end this test.
#[test]
fn what_passes_does_not_bring_llama_cpp_down() {
    let whole = tiny::bytes();
    let data = gguf::parse(&whole).unwrap().data as usize;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    let mut random = locket_tests::Draw(0x9e37_79b9_7f4a_7c15);
    let mut draw = |below: usize| random.below(below as u64) as usize;
    let (mut passed, mut loaded) = (0, 0);
    for round in 0..3000 {
        let mut bytes = whole.clone();
        // Half of the changes are in the hyperparameters, which precede the vocabulary.
        let range = if round % 2 == 0 { 900 } else { data };
        for _ in 0..1 + draw(3) {
            let at = draw(range);
            bytes[at] = match draw(3) {
                0 => draw(256) as u8,
                1 => bytes[at] ^ (1 << draw(8)),
                _ => [0, 1, 0x7f, 0x80, 0xff][draw(5)],
            };
        }
        if check(&bytes).is_err() {
            continue;
        }
        passed += 1;
        std::fs::write(&path, &bytes).unwrap();
        let Ok(model) = Model::load(&path, LoadOptions::default()) else { continue };
        let Ok(mut decoder) =
            model.decoder(DecoderOptions { context: 64, sequences: 1, threads: 1, ..DecoderOptions::default() })
        else {
            continue;
        };
        let phase = Phase::new(3, Sampling::GREEDY);
        let prompt = model.prompt_tokens(&Prompt { body: "héllo\u{1}".into(), lead: "go:".into() });
        if prompt.is_empty() {
            continue;
        }
        let request = Request { prompt, phases: vec![phase], deadline: None, boundary: None, contrast: None };
        if decoder.run_one(&request, &mut |_| ControlFlow::Continue(())).is_ok() {
            loaded += 1;
        }
    }
    println!("{passed} of 3000 passed the check, {loaded} of them loaded and decoded");
    assert!(passed > 100 && loaded > 50, "{passed} {loaded}");
}

/// Seeds for the fuzzer: valid files, and one file of every known class of attack.
///
/// `LOCKET_SEEDS=DIR cargo test ... -- --ignored`
#[test]
#[ignore = "writes seeds for the fuzzer"]
fn write_seeds() {
    let dir = std::path::PathBuf::from(std::env::var_os("LOCKET_SEEDS").unwrap());
    std::fs::create_dir_all(&dir).unwrap();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(dir.join(name), bytes).unwrap();
    let model = tiny::smallest_parts().bytes();
    check(&model).unwrap();
    let mut adapter = tiny::adapter_parts();
    adapter.tensors = vec![("x".into(), vec![2, 2]), ("x.lora_a".into(), vec![2, 1]), ("x.lora_b".into(), vec![1, 2])];
    write("adapter", adapter.bytes());
    let name = b"output_norm.weight";
    let at = model.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    let huge = [&4u32.to_le_bytes()[..], &[0, 0, 0, 0, 1, 0, 0, 0].repeat(4)].concat();
    write("dimensions", [&model[..at], &huge, &model[at + 12..]].concat());
    write("model", model);
    let tokens = "tokenizer.ggml.tokens";
    for (file, key, value) in [
        ("array-type", tokens, array(5, 16, &[0; 64])),
        ("byte-token", "tokenizer.ggml.token_type", Value::I32s(vec![6; 16])),
        ("duplicate-token", tokens, Value::Texts(vec!["a".into(); 16])),
        ("blocks", "llama.block_count", Value::U32(513)),
        ("heads", "llama.attention.head_count_kv", Value::U32(0)),
        ("alignment", "general.alignment", Value::U32(1 << 31)),
        ("metadata", "general.name", Value::Raw(8, u64::MAX.to_le_bytes().to_vec())),
        ("long-array", "general.name", array(8, 1 << 60, &[])),
    ] {
        let bytes = tiny::smallest_parts().set(key, value).bytes();
        assert!(check(&bytes).is_err(), "{file}");
        write(file, bytes);
    }
}
