#!/usr/bin/env python3
"""Plots time and memory against the number of history texts and synthetic interactions.

The plot is docs/src/images/cost.svg.

    python3 -m venv V && V/bin/pip install matplotlib
    V/bin/python3 tests/bench/curves.py --out docs/src/images --points FILE [--model gemma-3-270m] [--threads 2] [--times 3]

Every point is a separate process (`locket bench`) that runs several times. Lines connect the
medians.
"""
import argparse
import json
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HISTORY = [0, 1, 2, 4, 8, 16, 32, 64, 128, 200]
K = [1, 2, 4, 8, 16, 32]


def bench(args, **options):
    # A small decoder, so that the peak memory is that of the engine.
    options = dict(prompt=32, tokens=2, sequences=1, restarts=0, threads=args.threads) | options
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([args.locket, "bench", "--json", "--model", args.model, "--adapter", "none", *words], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def points(args, name, values, **options):
    """Returns the medians for every value. Values already in --points are not measured again."""
    known = [json.loads(line) for line in args.points.read_text().splitlines()] if args.points.exists() else []
    rows = []
    for value in values:
        row = next((row for of, at, row in known if (of, at) == (name, value)), None)
        if row:
            rows.append(row)
            continue
        runs = [bench(args, **{name: value}, **options) for _ in range(args.times)]
        keys = [key for key, seen in runs[0].items() if isinstance(seen, (int, float))]
        rows.append({key: statistics.median(run[key] for run in runs) for key in keys})
        with args.points.open("a") as file:
            file.write(json.dumps([name, value, rows[-1]]) + "\n")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locket", default=str(ROOT / "target/debug/locket"))
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--points", type=Path, required=True, help="file of what was measured; a stopped run goes on from it")
    args = parser.parse_args()
    history = points(args, "history", HISTORY, augment=0)
    augment = points(args, "augment", K)

    import matplotlib
    import matplotlib.ticker

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "locket"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(10, 6.4))
    (time, memory), (seconds, more) = axes
    # A logarithmic axis: most values are small.
    time.set_xscale("symlog", base=2)
    memory.set_xscale("symlog", base=2)
    time.plot(HISTORY, [r["history_ttft_cold_ms"] for r in history], "o-", label="first token, prompt not read before")
    time.plot(HISTORY, [r["history_ttft_warm_ms"] for r in history], "s-", label="first token, history read before")
    time.plot(HISTORY, [r["generate_ms"] for r in history], "^-", label="a text of 32 tokens, history read before")
    time.set(xlabel="texts in the history", ylabel="ms")
    memory.plot(HISTORY, [r["history_peak_rss_bytes"] / 1e6 for r in history], "o-")
    memory.set(xlabel="texts in the history", ylabel="peak resident, MB")
    seconds.plot(K, [r["augment_seconds"] for r in augment], "o-", label="together")
    seconds.plot(K, [r["augment_tokens"] / r["augment_in_turn_tps"] for r in augment], "s-", label="in turn, history read once")
    seconds.plot(K, [r["augment_tokens"] / r["augment_alone_tps"] for r in augment], "^-", label="a call for each")
    seconds.set(xlabel="synthetic interactions", ylabel="s")
    more.plot(K, [r["augment_peak_rss_bytes"] / 1e6 for r in augment], "o-")
    more.set(xlabel="synthetic interactions", ylabel="peak resident, MB")
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        axis.set_ylim(0, 1.08 * max(max(line.get_ydata()) for line in axis.lines))
    for axis in axes[0]:
        axis.xaxis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
    time.legend()
    seconds.legend()
    figure.suptitle(f"{args.model}, {args.threads} threads")
    figure.tight_layout()
    figure.savefig(args.out / "cost.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
