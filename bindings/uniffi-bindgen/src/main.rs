//! Generates the Kotlin, Swift and Python bindings:
//! `uniffi-bindgen generate --library liblocket_ffi.so --language kotlin --out-dir DIR`.

fn main() {
    uniffi::uniffi_bindgen_main();
}
