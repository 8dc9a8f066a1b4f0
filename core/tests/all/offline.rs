//! Checks that the engine uses no network: linked symbols and system calls.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
};

use locket_builder::pack::BuildOptions;

/// Returns the path of the example that calls every part of the engine. It is built as an app
/// builds it, without the pack builder. For tests that "need the offline example".
fn example() -> PathBuf {
    locket_tests::needed(locket_tests::root().join("target/offline"), "run `make offline`")
}

/// All functions of the C library that open, use or name a network.
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
#[ignore = "needs the offline example"]
fn the_engine_links_no_networking_symbol() {
    no_networking_symbol(&example());
}

/// The library that Kotlin, Swift and Python load.
#[test]
#[ignore = "needs the app library"]
fn the_app_library_links_no_networking_symbol() {
    let library = locket_tests::root().join("target/debug/liblocket_ffi.so");
    no_networking_symbol(&locket_tests::needed(library, "run `make build`"));
}

fn no_networking_symbol(binary: &Path) {
    let out = Command::new("nm").args(["-D", "--undefined-only"]).arg(binary).output().expect("nm, of binutils");
    let symbols = String::from_utf8(out.stdout).unwrap();
    let names: Vec<&str> = symbols.lines().filter_map(|l| l.split_whitespace().last()?.split('@').next()).collect();
    // The list is not empty: the library reads and writes files.
    assert!(names.contains(&"read") && names.contains(&"fsync"), "{symbols}");
    let found: Vec<&&str> = names.iter().filter(|n| NETWORK.contains(n)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
#[ignore = "needs the offline example and strace"]
fn the_engine_makes_no_network_call() {
    let dir = tempfile::tempdir().unwrap();
    no_network_call(&locket_tests::tiny::write(dir.path()));
}

#[test]
#[ignore = "needs the offline example, strace and the default model"]
fn the_engine_makes_no_network_call_with_the_default_model() {
    no_network_call(&locket_tests::model());
}

fn no_network_call(model: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let pack = dir.path().join("p.pack");
    locket_builder::pack::build(&[locket_tests::sample()], &pack, &BuildOptions::default(), |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let trace = dir.path().join("trace");
    let out = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=%network,openat", "-o"])
        .arg(&trace)
        .arg(example())
        .args([dir.path(), &pack, model])
        .output()
        .expect("this test needs strace");
    let said = String::from_utf8(out.stderr).unwrap();
    // Some sandboxes forbid tracing. There `strace -o /dev/null true` fails too.
    assert!(!said.contains("ptrace"), "this test needs a machine on which strace may trace: {said}");
    assert!(out.status.success(), "{said}");
    let calls = std::fs::read_to_string(&trace).unwrap();
    // The trace shows the opened model and no network call.
    assert!(calls.contains(model.file_name().unwrap().to_str().unwrap()), "{calls}");
    let network: Vec<&str> = calls.lines().filter(|l| !l.contains("openat(")).collect();
    let network: Vec<&&str> = network.iter().filter(|l| l.contains('(')).collect();
    assert!(network.is_empty(), "{network:?}");
    println!("{} calls to open files, no call to a network; {}", calls.lines().count(), said.lines().next().unwrap());
}
