//! An empty build script. The build dependencies in Cargo.toml take effect only with one.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
