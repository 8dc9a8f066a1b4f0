#!/usr/bin/env bash
# Runs every fuzz target: RUNS executions each (10 million), at most 256 MB and 5 seconds for an input.
#   fuzz/run.sh [TARGET...]
# Needs cargo-fuzz (cargo install cargo-fuzz). The stable compiler does, with RUSTC_BOOTSTRAP=1.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1 ASAN_OPTIONS="quarantine_size_mb=8:detect_leaks=1"
runs=${RUNS:-10000000}
[ $# -gt 0 ] || set -- gguf pack profile record mail chat

corpus=fuzz/corpus
mkdir -p $corpus/{gguf,pack,profile,record,mail,chat} fuzz/target
cp fuzz/seeds/mail/* $corpus/mail
cp fuzz/seeds/chat/* $corpus/chat
case " $* " in *\ gguf\ * | *\ pack\ * | *\ profile\ * | *\ record\ *)
    LOCKET_SEEDS=$PWD/$corpus/gguf cargo test -q --workspace --test all gguf::write_seeds -- --ignored >/dev/null
    LOCKET_SEEDS=$PWD/$corpus/record cargo test -q --workspace --lib store::golden::write_seeds -- --ignored >/dev/null
    split -l 1 tests/sample/sample.jsonl $corpus/profile/sample-
    head -3 tests/sample/sample.jsonl >fuzz/target/three.jsonl
    cargo build -q --workspace
    target/debug/locket pack build --profiles fuzz/target/three.jsonl --out $corpus/pack/three.pack
    ;;
esac

for target in "$@"; do
    longest=4096
    [ "$target" = pack ] && longest=32768
    # These two build without the engine, and so without llama.cpp.
    features=()
    case "$target" in mail | chat) features=(--no-default-features) ;; esac
    echo "== $target"
    cargo fuzz run "${features[@]}" "$target" -- -runs="$runs" -max_len=$longest -rss_limit_mb=256 -malloc_limit_mb=256 -timeout=5 \
        -print_final_stats=1 -verbosity=0
done
