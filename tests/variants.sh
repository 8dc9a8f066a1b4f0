#!/bin/sh
# What is shipped for Linux: the command with llama.cpp's libraries beside it, one of kernels for every kind of processor, in
# target/bundle; then a check that each processor gets the best one that it can run, on processors made by qemu-user.
#
#   tests/variants.sh [MODEL.gguf]      PROFILE=dev skips link-time optimisation
set -eu
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
target=${CARGO_TARGET_DIR:-target}
model=${1:-$HOME/.cache/locket/models/gemma-3-270m-q4_k_m.gguf}
case $(uname -m) in
x86_64) baseline=x86-64 ;;
*) baseline=generic ;;
esac
# The oldest processor of the architecture: everything newer is left to the kernels.
RUSTFLAGS="-C target-cpu=$baseline" cargo build --profile "$profile" --locked -p locket-cli --features cpu-variants
built=$(ls -dt "$target/$profile"/build/llama-cpp-sys-2-*/out/backends | head -1)
rm -rf target/bundle
mkdir -p target/bundle
cp "$target/$profile/locket" "$built"/*.so target/bundle/
# AMX as GCC 12 builds it ends in SIGSEGV (.cargo/config.toml); processors that have it take the next best.
rm -f target/bundle/libggml-cpu-sapphirerapids.so
for library in "$built"/../lib/*.so.[0-9]; do cp -L "$library" target/bundle/; done
du -ch target/bundle/* | sort -h

[ "$(uname -m)" = x86_64 ] && command -v qemu-x86_64 >/dev/null || { echo "skipped: no qemu-x86_64 to mask features with (Debian: qemu-user)"; exit 0; }
check() {
	# The kernels that were opened last are the ones in use: the others were opened to ask what they need.
	said=$(qemu-x86_64 -strace -cpu "$1" target/bundle/locket bench --model "$model" --json --threads 1 --gpu off \
		--prompt 10 --tokens 2 --sequences 1 --decoder-only 2>&1)
	used=$(printf '%s' "$said" | tr -d '\000' | grep -a 'openat.*libggml-cpu-.* = [0-9]' | tail -1 | sed 's/.*libggml-cpu-\([a-z0-9]*\)\.so.*/\1/')
	printf '%s' "$said" | grep -aq decode_tps || { echo "$1: failed with $used"; exit 1; }
	[ "$used" = "$2" ] || { echo "$1: uses $used, not $2"; exit 1; }
	echo "$1: $used"
}
check qemu64 x64
check Nehalem sse42
check SandyBridge sandybridge
check Haswell haswell
