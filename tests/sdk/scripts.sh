#!/usr/bin/env bash
# The scripts that build the AAR's libraries and the XCFramework, where what they need may be missing: they must get as far as the
# generated sources and then say what is missing.
set -uo pipefail
cd "$(dirname "$0")/../.."
for script in android/scripts/build-native.sh ios/scripts/build-xcframework.sh; do
    said=$($script 2>&1)
    code=$?
    if [ $code -eq 0 ]; then
        echo "$script: built"
    elif [ $code -eq 2 ] && grep -q '^generated: ' <<<"$said" && grep -q 'rustup target add' <<<"$said"; then
        echo "$script: generated, and says what is missing"
    else
        echo "$script failed with $code:" >&2
        echo "$said" >&2
        exit 1
    fi
done
