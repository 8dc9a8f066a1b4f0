//! Decrypted records of a store: any bytes are rejected, or decode into records that encode again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| locket::fuzzing::records(bytes));
