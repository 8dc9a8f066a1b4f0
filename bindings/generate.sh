#!/usr/bin/env bash
# Writes the foreign sides of the bindings: bindings/generate.sh LIBRARY LANGUAGE FOLDER. Nothing of it is committed.
set -euo pipefail
library=$1 language=$2 folder=$3
cd "$(dirname "$0")/.."
bindgen=target/debug/uniffi-bindgen
[ -x $bindgen ] || { echo "no $bindgen: make build" >&2; exit 1; }
mkdir -p "$folder"
$bindgen generate --library "$library" --language "$language" --out-dir "$folder" --no-format
