#!/usr/bin/env python3
"""Prints the first table of research/log/experiments.md.

It covers every method on the PGraphRAG dev sets, and the history curve on amazon23.

    tests/bench/table.py --data ../shared/data --out runs [--limit 200] [--caps-limit 60] [--model gemma-3-270m]

It runs `locket eval generation` for each cell and prints Markdown. Each run stores its predictions
under --out, so a new call continues a stopped run, and a call on finished runs only prints.
"""

import argparse
import json
import os
import subprocess

METHODS = ["none", "copy", "history", "graph", "reasoning", "synthetic", "full"]
SETS = ["amazon", "hotel", "gap"]
CAPS = [0, 2, 4]


def run(args, name, synthetic, profiles, method, limit, extra=()):
    """Returns the JSON summary of the evaluation of one cell."""
    command = [
        args.locket, "eval", "generation", "--profiles", profiles, "--model", args.model, "--adapter", args.adapter, "--task", "text",
        "--method", method, "--limit", str(limit), "--seed", "1", "--json",
        "--out", os.path.join(args.out, f"{name}.jsonl"),
        "--synthetic-file", os.path.join(args.out, f"{synthetic}.syn.jsonl"), *extra,
    ]
    # Use relative paths to the data: paths are part of a run's settings.
    done = subprocess.run(command, cwd=args.data, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def cell(value, key):
    return f"{value[key]:.3f} ± {value[key + '_se']:.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--caps-limit", type=int, default=60)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--adapter", default="none")
    parser.add_argument("--locket", default=os.path.join(os.path.dirname(__file__), "../../target/debug/locket"))
    args = parser.parse_args()
    args.out, args.locket = os.path.abspath(args.out), os.path.abspath(args.locket)
    os.makedirs(args.out, exist_ok=True)

    print("| set | method | ROUGE-1 | ROUGE-L | METEOR | history 0: ROUGE-1 | history >= 1: ROUGE-1 (n) | words | tokens per person |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in SETS:
        for method in METHODS:
            v = run(args, f"{name}.{method}", name, f"pgraphrag/{name}_dev.jsonl.zst", method, args.limit)
            later = v["history1plus"]
            print(
                f"| {name} | {method} | {cell(v, 'rouge1')} | {cell(v, 'rougeL')} | {cell(v, 'meteor')} "
                f"| {cell(v['history0'], 'rouge1')} | {cell(later, 'rouge1')} ({later['n']}) "
                f"| {v['words']:.0f} of {v['words_true']:.0f} | {v['tokens_per_user']:.0f} |"
            )
    print()
    print("| history cap | method | n | ROUGE-1 | ROUGE-L | METEOR | synthetic per person | refused by the gate |")
    print("|---|---|---|---|---|---|---|---|")
    for cap in CAPS:
        for method in ["history", "full"]:
            extra = ["--history-cap", str(cap)]
            v = run(args, f"a23.{cap}.{method}", f"a23.{cap}", "amazon23/profiles_dev.jsonl.zst", method, args.caps_limit, extra)
            print(
                f"| {cap} | {method} | {v['n']} | {cell(v, 'rouge1')} | {cell(v, 'rougeL')} | {cell(v, 'meteor')} "
                f"| {v['synthetic_per_user']:.2f} | {v['refused'] or '-'} |"
            )


if __name__ == "__main__":
    main()
