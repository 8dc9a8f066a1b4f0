#!/usr/bin/env bash
# The wheel, into target/python/dist: bindings/python/build.sh [LIBRARY [PYTHON]]
set -euo pipefail
cd "$(dirname "$0")/../.."
library=${1:-target/debug/liblocket_ffi.so}
python=${2:-python3}
work=target/python
rm -rf $work && mkdir -p $work/dist
cp -r bindings/python/{pyproject.toml,setup.py,README.md,src} $work/
bindings/generate.sh "$library" python $work/generated >/dev/null
# The module that users import stands in front of the generated one.
mv $work/generated/locket.py $work/src/locket/_core.py
cp "$library" $work/src/locket/
case $library in *.so) strip --strip-unneeded $work/src/locket/*.so ;; esac
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $work/dist $work
ls $work/dist
