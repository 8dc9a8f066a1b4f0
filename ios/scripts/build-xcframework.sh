#!/usr/bin/env bash
# The binary framework and generated source of the Swift package: ios/scripts/build-xcframework.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
host=target/debug/liblocket_ffi.so
[ "$(uname)" = Darwin ] && host=target/debug/liblocket_ffi.dylib

cargo build --locked --workspace
generated=target/sdk/swift
rm -rf $generated
bindings/generate.sh $host swift $generated
mkdir -p ios/Sources/LocketCore
cp $generated/LocketCore.swift ios/Sources/LocketCore/
echo "generated: ios/Sources/LocketCore/LocketCore.swift"

missing=()
command -v xcodebuild >/dev/null || missing+=("Xcode 16 or newer, on a Mac (xcodebuild, lipo)")
libdir=$(rustc --print sysroot)/lib/rustlib
for target in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin; do
    [ -d "$libdir/$target" ] || missing+=("Rust's library for $target: rustup target add $target")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "the generated source is there; the framework needs:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 2
fi

headers=$generated/headers
mkdir -p $headers
cp $generated/LocketCoreFFI.h $headers/
# Xcode looks for this name only.
cp $generated/LocketCoreFFI.modulemap $headers/module.modulemap
for target in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin; do
    IPHONEOS_DEPLOYMENT_TARGET=16.0 MACOSX_DEPLOYMENT_TARGET=13.0 \
        cargo build --release --locked -p locket-ffi --features metal --target $target
done
simulator=$generated/simulator/liblocket_ffi.a
mkdir -p "$(dirname $simulator)"
lipo -create target/{aarch64-apple-ios-sim,x86_64-apple-ios}/release/liblocket_ffi.a -output $simulator
rm -rf ios/Frameworks/LocketCoreFFI.xcframework
xcodebuild -create-xcframework \
    -library target/aarch64-apple-ios/release/liblocket_ffi.a -headers $headers \
    -library $simulator -headers $headers \
    -library target/aarch64-apple-darwin/release/liblocket_ffi.a -headers $headers \
    -output ios/Frameworks/LocketCoreFFI.xcframework
