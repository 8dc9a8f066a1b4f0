//! Does nothing; see the build dependencies.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
