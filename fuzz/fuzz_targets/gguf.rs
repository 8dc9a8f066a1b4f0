//! Model and adapter files: any bytes are rejected or described, within the memory limit of the
//! run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locket::internals::llm::gguf;

fuzz_target!(|bytes: &[u8]| {
    let Ok(parsed) = gguf::parse(bytes) else { return };
    if let Ok(facts) = gguf::ModelFacts::of(&parsed) {
        assert!(facts.heads % facts.kv_heads == 0 && facts.weights <= bytes.len() as u64 + (1 << 16));
    }
    let _ = gguf::check_adapter(&parsed, &parsed);
});
