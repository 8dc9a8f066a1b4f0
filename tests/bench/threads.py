#!/usr/bin/env python3
"""Measures speed on an idle and on a busy machine, with the default number of threads and with one.

    python3 tests/bench/threads.py [--locket target/debug/locket] [--old OTHER] [--model FILE] [--busy 2] [--turns 5]

Each turn runs `locket bench` on the idle machine, and `locket generate` both idle and next to
`--busy` programs that never sleep. Every run has its own process. With `--old`, each turn also runs
another executable, in alternating order. The output is the medians, and the medians of the ratios
of each turn. Expected ratios on a quiet machine: `idle new/old` of `prefill_tps` and `decode_tps`
at least .98, `busy default/one` of seconds at most 1.3. The machine must be quiet otherwise.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path.home() / ".cache/locket/models/gemma-3-270m-q4_k_m.gguf"
TEXTS = [
    ("mug", "Keeps tea warm for an hour. My hands too."),
    ("lamp", "Bright enough to read by, dim enough to fall asleep under. The switch is where I look for it."),
    ("pan", "Eggs slide off it. Heavy, but that is why nothing burns."),
]
KINDS = {"default": "0", "one": "1"}


def run(command, env):
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    return time.perf_counter() - begun, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locket", default=ROOT / "target/debug/locket")
    parser.add_argument("--old", help="another executable to compare with")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--prompt", default="512")
    parser.add_argument("--tokens", default="64")
    parser.add_argument("--busy", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--patience", type=float, default=120, help="seconds after which a text is given up")
    args = parser.parse_args()
    programs = {"new": str(args.locket)} | ({"old": args.old} if args.old else {})
    # Measure the default spinning of idle threads: remove variables that change it.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "OMP_", "LOCKET_"))}
    bench = ["bench", "--json", "--decoder-only", "--sequences", "1", "--model", str(args.model), "--prompt", args.prompt,
             "--tokens", args.tokens]
    figures = {}

    def note(turn, key, value):
        figures.setdefault(key, {})[turn] = value
        print(f"{turn} {' '.join(key):<32} {value:8.2f}", file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        store = ["--store", f"{folder}/me", "--key-file", f"{folder}/key"]
        pack = f"{folder}/sample.pack"
        run([programs["new"], "pack", "build", "--profiles", str(ROOT / "tests/sample/sample.jsonl"), "--out", pack], env)
        for item, text in TEXTS:
            run([programs["new"], "record", *store, "--item", item, "--text", text, "--rating", "5"], env)
        write = ["generate", "--task", "text", "--pack", pack, "--item", "teapot", "--title", "A pot at last", "--model", str(args.model)]
        for turn in range(args.turns):
            order = sorted(programs, reverse=turn % 2 == 1)
            for name in order:
                for kind, threads in KINDS.items():
                    _, said = run([programs[name], *bench, "--threads", threads], env)
                    for key in ("prefill_tps", "decode_tps"):
                        note(turn, ("idle", name, kind, key), json.loads(said)[key])
            for where, busy in (("idle", 0), ("busy", args.busy)):
                others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
                try:
                    for name in order:
                        for kind, threads in KINDS.items():
                            command = [programs[name], *write, *store, "--threads", threads]
                            if where == "busy":
                                command = ["timeout", str(args.patience), *command]
                            try:
                                seconds, _ = run(command, env)
                            except subprocess.CalledProcessError as e:
                                if e.returncode != 124:
                                    raise
                                seconds = args.patience
                            note(turn, (where, name, kind, "seconds"), seconds)
                finally:
                    for other in others:
                        other.kill()
                        other.wait()

    def ratio(a, b):
        return round(statistics.median(figures[a][t] / figures[b][t] for t in figures[a]), 3)

    out = {" ".join(key): round(statistics.median(values.values()), 3) for key, values in figures.items()}
    for name in programs:
        for where in ("idle", "busy"):
            out[f"{where} {name} default/one seconds"] = ratio((where, name, "default", "seconds"), (where, name, "one", "seconds"))
    if args.old:
        for kind in KINDS:
            for key in ("prefill_tps", "decode_tps", "seconds"):
                out[f"idle {kind} new/old {key}"] = ratio(("idle", "new", kind, key), ("idle", "old", kind, key))
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
