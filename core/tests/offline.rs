//! Proof that the engine has no network: what it links, and what it asks of the system.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
};

use locket::pack::{self, BuildOptions};

/// The example that goes the engine's whole way, built as an app builds it: without the pack builder. `make offline` puts it
/// there.
fn example() -> Option<PathBuf> {
    let built = locket_tests::root().join("target/offline");
    if !built.exists() {
        assert!(std::env::var_os("LOCKET_REQUIRE").is_none(), "`make offline` builds what this needs");
        println!("skipped: `make offline` builds what this needs");
        return None;
    }
    Some(built)
}

/// Everything in the C library that opens, uses or names a network.
const NETWORK: [&str; 26] = [
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "send",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "shutdown",
    "getsockopt",
    "setsockopt",
    "getpeername",
    "getaddrinfo",
    "freeaddrinfo",
    "gethostbyname",
    "gethostbyname_r",
    "getnameinfo",
    "res_query",
    "curl_easy_init",
];

#[test]
fn it_links_no_networking_symbol() {
    let Some(example) = example() else { return };
    no_networking_symbol(&example);
}

/// What Kotlin, Swift and Python load.
#[test]
fn nor_does_the_library_for_apps() {
    let library = locket_tests::root().join("target/release/liblocket_ffi.so");
    if library.exists() {
        no_networking_symbol(&library);
    } else {
        assert!(std::env::var_os("LOCKET_REQUIRE").is_none(), "`make build` builds what this needs");
        println!("skipped: `make build` builds what this needs");
    }
}

fn no_networking_symbol(binary: &Path) {
    let out = Command::new("nm").args(["-D", "--undefined-only"]).arg(binary).output().expect("nm, of binutils");
    let symbols = String::from_utf8(out.stdout).unwrap();
    let names: Vec<&str> = symbols.lines().filter_map(|l| l.split_whitespace().last()?.split('@').next()).collect();
    // That the list is one: it reads and writes files.
    assert!(names.contains(&"read") && names.contains(&"fsync"), "{symbols}");
    let found: Vec<&&str> = names.iter().filter(|n| NETWORK.contains(n)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn it_makes_no_network_call() {
    let Some(example) = example() else { return };
    let dir = tempfile::tempdir().unwrap();
    let pack = dir.path().join("p.pack");
    pack::build(&[locket_tests::sample()], &pack, &BuildOptions::default(), |_| ControlFlow::Continue(())).unwrap();
    let model = locket_tests::model().unwrap_or_else(|| locket_tests::tiny::write(dir.path()));
    let trace = dir.path().join("trace");
    let run = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=%network,openat", "-o"])
        .arg(&trace)
        .arg(example)
        .args([dir.path(), &pack, &model])
        .output();
    let out = match run {
        Ok(out) if !String::from_utf8_lossy(&out.stderr).contains("ptrace") => out,
        other => {
            // Some sandboxes forbid tracing; what is linked is checked everywhere.
            println!("skipped: strace cannot run here ({other:?})");
            return;
        }
    };
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{said}");
    let calls = std::fs::read_to_string(&trace).unwrap();
    // The trace sees the model being opened, and nothing of a network.
    assert!(calls.contains(model.file_name().unwrap().to_str().unwrap()), "{calls}");
    let network: Vec<&str> = calls.lines().filter(|l| !l.contains("openat(")).collect();
    let network: Vec<&&str> = network.iter().filter(|l| l.contains('(')).collect();
    assert!(network.is_empty(), "{network:?}");
    println!("{} calls to open files, no call to a network; {}", calls.lines().count(), said.lines().next().unwrap());
}
