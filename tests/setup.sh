#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks. Debian and Ubuntu; elsewhere it says what to get.
set -euo pipefail

missing=()
command -v cmake >/dev/null || missing+=(cmake)
command -v cc >/dev/null || missing+=(build-essential)
command -v clang >/dev/null || missing+=(clang)
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing+=(python3 python3-venv)
# bindgen loads libclang itself; the compiler alone is not enough.
if ! ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1; then missing+=(libclang-dev); fi
command -v nm >/dev/null || missing+=(binutils)
command -v strace >/dev/null || missing+=(strace)
command -v setpriv >/dev/null || missing+=(util-linux)
command -v javac >/dev/null || missing+=(openjdk-17-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
[ -e /usr/share/wordnet/data.noun ] || missing+=(wordnet-base)

if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "please install: ${missing[*]} (Debian's names)" >&2
        exit 1
    fi
    echo "installing ${missing[*]}"
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

command -v cargo >/dev/null || { echo "please install Rust 1.95 or newer (rustup has it)" >&2; exit 1; }
