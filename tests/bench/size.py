"""Prints the size of the library for apps, by section and by component.

    CARGO_PROFILE_RELEASE_STRIP=none cargo build --release --locked -p locket-ffi
    python3 tests/bench/size.py target/release/liblocket_ffi.so

Sizes are those of the library after `strip`. The shares come from the symbols of the unstripped
library.
"""

import collections
import os
import re
import subprocess
import sys
import tempfile

GROUPS = [
    ("llama.cpp: models and vocabularies", r"^(llama|unicode|llm_|common_|gguf_|void std::__.*llama|std::.*llama|std::_(Hash|Rb).*(llama|token))"),
    ("ggml: kernels and graphs", r"^(ggml|quantize_|dequantize_|iq[0-9]|gemm|gemv|void tinyBLAS|.*tinyBLAS|ggml::|repack|void ggml|bool ggml|.*block_q|void \(anonymous namespace\))"),
    ("GGUF template engine (minja, nlohmann)", r"(minja|nlohmann|jinja)"),
    ("C++ library", r"^(std::__|std::(basic|vector|map|unordered|regex|function|thread|string|mutex|locale|_Hash|_Rb|deque|_Function)|__gnu|operator |void std::|bool std::|__cxa)"),
    ("regular expressions", r"^(regex|aho_corasick|memchr)"),
    ("locket: engine", r"<?(&?)locket::"),
    ("locket: bindings", r"(locket_ffi|uniffi|UNIFFI)"),
    ("redb: the store", r"redb"),
    ("sprs, ndarray, rayon", r"(sprs|ndarray|rayon|matrixmultiply)"),
    ("zstd", r"^(ZSTD|HUF|FSE|zstd|HIST|COVER|ZDICT|_?HUF)"),
    ("cryptography", r"(chacha|poly1305|sha2|hkdf|hmac|blake)"),
    ("serde and formats", r"(serde|bincode)"),
    ("tracing, async", r"(tracing|async_|blocking|futures|concurrent_queue)"),
    ("Rust library", r"<?(&?)(core|std|alloc|gimli|addr2line|miniz|rustc_demangle|hashbrown|__rust)"),
]


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    library = sys.argv[1]
    with tempfile.NamedTemporaryFile() as stripped:
        run("strip", "--strip-unneeded", "-o", stripped.name, library)
        total = os.path.getsize(stripped.name)
        compressed = len(run_bytes("xz", "-9e", "-c", stripped.name))
        sections = [line.split() for line in run("size", "-A", stripped.name).splitlines()]
    print(f"{total:,} bytes stripped, {compressed:,} as xz packs it\n")
    print("| section | bytes |\n|---|---|")
    large = [(s[0], int(s[1])) for s in sections if len(s) == 3 and s[1].isdigit() and int(s[1]) > total / 200 and s[0] != "Total"]
    for name, size in sorted(large, key=lambda s: -s[1]):
        print(f"| {name} | {size:,} |")
    by_group: collections.Counter[str] = collections.Counter()
    for line in run("nm", "-S", "--demangle", library).splitlines():
        # Columns: address, size, kind, name. Undefined symbols lack the first two.
        parts = line.split(None, 3)
        if len(parts) == 4 and len(parts[2]) == 1 and parts[2] not in "bB":
            group = next((name for name, pattern in GROUPS if re.search(pattern, parts[3])), "other")
            by_group[group] += int(parts[1], 16)
    print("\n| part | bytes of symbols |\n|---|---|")
    for name, size in by_group.most_common():
        print(f"| {name} | {size:,} |")


def run_bytes(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


main()
