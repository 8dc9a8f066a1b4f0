#!/usr/bin/env python3
"""Compares Locket with llama-cpp-python and bare llama.cpp: same file, prompt, threads and token
count.

    python3 -m venv V && V/bin/pip install llama-cpp-python
    V/bin/python3 tests/bench/peers.py [--locket target/debug/locket] [--model FILE] [--threads 2] [--pairs 7]

Each turn runs every engine once, in its own process, and the order alternates between turns. The
output is the medians, and the medians of the ratios of each turn. `bare` calls llama_decode with
given tokens and ignores the logits, as llama-bench does: it is the upper limit. `python` is
Llama.generate with greedy decoding, as an app would use it.
"""
import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path.home() / ".cache/locket/models/gemma-3-270m-q4_k_m.gguf"
# Same text as in `locket bench`.
TEXT = "The kettle boils fast and pours well, but the handle gets warm after a while. "


def peer(kind, model, threads, prompt, tokens):
    """Measures one run of a peer in this process."""
    import llama_cpp

    begun = time.perf_counter()
    llm = llama_cpp.Llama(model, n_ctx=prompt + tokens + 8, n_threads=threads, n_threads_batch=threads, n_batch=512, verbose=False)
    load = time.perf_counter() - begun
    ids = llm.tokenize((TEXT * (prompt // 8 + 2)).encode())[:prompt]
    greedy = dict(temp=0.0, top_k=64, repeat_penalty=1.1)
    if kind == "python":
        next(llm.generate(ids[:8], **greedy))
        llm.reset()
        begun = time.perf_counter()
        stream = llm.generate(ids, **greedy)
        next(stream)
        first = time.perf_counter() - begun
        begun = time.perf_counter()
        for _ in range(tokens - 1):
            next(stream)
        rest = time.perf_counter() - begun
    else:
        def decode(ids):
            # Keep the array alive: the batch only points to it.
            array = (llama_cpp.llama_token * len(ids))(*ids)
            batch = llama_cpp.llama_batch_get_one(array, len(ids))
            assert llama_cpp.llama_decode(llm.ctx, batch) == 0

        decode(ids[:8])
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(llm.ctx), True)
        begun = time.perf_counter()
        decode(ids)
        first = time.perf_counter() - begun
        begun = time.perf_counter()
        for n in range(tokens - 1):
            decode([ids[n % len(ids)]])
        rest = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(dict(load_ms=1000 * load, prefill_tps=prompt / first, decode_tps=(tokens - 1) / rest, peak_rss_bytes=peak)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locket", default=ROOT / "target/debug/locket")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--peer", choices=["python", "bare"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.peer, str(args.model), args.threads, args.prompt, args.tokens)

    sizes = ["--model", str(args.model), "--threads", str(args.threads), "--prompt", str(args.prompt), "--tokens", str(args.tokens)]
    engines = {
        "locket": [str(args.locket), "bench", "--json", "--sequences", "1", "--decoder-only", *sizes],
        "python": [sys.executable, __file__, "--peer", "python", *sizes],
        "bare": [sys.executable, __file__, "--peer", "bare", *sizes],
    }
    runs = {name: [] for name in engines}
    for turn in range(args.pairs):
        for name in sorted(engines, reverse=turn % 2 == 1):
            done = subprocess.run(engines[name], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            runs[name].append(json.loads(done.stdout))
    keys = ["load_ms", "prefill_tps", "decode_tps", "peak_rss_bytes"]
    out = {name: {key: statistics.median(r[key] for r in rows) for key in keys} for name, rows in runs.items()}
    for name in ("python", "bare"):
        ratios = {key: statistics.median(a[key] / b[key] for a, b in zip(runs["locket"], runs[name])) for key in keys}
        out[f"locket/{name}"] = {key: round(value, 3) for key, value in ratios.items()}
    import llama_cpp

    out["llama-cpp-python"] = llama_cpp.__version__
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
