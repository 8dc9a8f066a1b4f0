#!/usr/bin/env bash
# The native libraries and generated sources of the Android library: android/scripts/build-native.sh [ABI...]
# Then: gradle -p android :locket:assembleRelease
set -euo pipefail
cd "$(dirname "$0")/../.."
abis=("$@")
[ ${#abis[@]} -gt 0 ] || abis=(arm64-v8a armeabi-v7a x86_64)
declare -A targets=([arm64-v8a]=aarch64-linux-android [armeabi-v7a]=armv7-linux-androideabi [x86_64]=x86_64-linux-android)
out=android/locket/build

# The host's library says what the API is.
cargo build --locked --workspace
bindings/generate.sh target/debug/liblocket_ffi.so kotlin $out/generated/uniffi
echo "generated: $(find $out/generated -name '*.kt')"

missing=()
command -v cargo-ndk >/dev/null || missing+=("cargo-ndk: cargo install --locked cargo-ndk")
ndk=${ANDROID_NDK_HOME:-${ANDROID_NDK_ROOT:-}}
[ -d "$ndk/toolchains/llvm" ] || missing+=("the Android NDK, r28 or newer: sdkmanager 'ndk;28.2.13676358', and ANDROID_NDK_HOME set to it")
libdir=$(rustc --print sysroot)/lib/rustlib
for abi in "${abis[@]}"; do
    target=${targets[$abi]:?"no such ABI: $abi"}
    [ -d "$libdir/$target" ] || missing+=("Rust's library for $abi: rustup target add $target")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "the generated sources are there; the native libraries need:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 2
fi

for abi in "${abis[@]}"; do
    cargo ndk --target "$abi" --platform 26 --output-dir $out/native build --release --locked -p locket-ffi
    # Devices with pages of 16 KB refuse anything less.
    readelf=$(echo "$ndk"/toolchains/llvm/prebuilt/*/bin/llvm-readelf)
    "$readelf" -lW "$out/native/$abi/liblocket_ffi.so" | awk '$1 == "LOAD" && strtonum($NF) < 16384 { bad = 1 } END { exit bad }' \
        || { echo "$abi: segments are not aligned to 16 KB" >&2; exit 1; }
    ls -l "$out/native/$abi/liblocket_ffi.so"
done
