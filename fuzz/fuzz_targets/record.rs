//! What lies behind the store's encryption: any bytes are refused, or decode into records that encode again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| locket::fuzzing::records(bytes));
