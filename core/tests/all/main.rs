//! Tests of the crate through its public interface, in one binary. `tests/load.rs` is a binary of
//! its own, because it measures the memory of its process.

mod contrast;
mod decoder;
mod disturb;
mod engine;
mod explain;
mod forget;
mod gguf;
mod hygiene;
mod kinds;
mod memory;
mod offline;
mod policy;
mod sampling;
mod session;
