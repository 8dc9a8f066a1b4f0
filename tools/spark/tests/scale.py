"""Measures the cost of building a pack, by the number of interactions.

Both builders run one after the other, on generated populations.

    make bench-scale

A new call continues a stopped run. Peak memory is the sum of all processes' proportional set sizes,
sampled twice a second.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

from processes import below

REPO = pathlib.Path(__file__).resolve().parents[3]
LOCKET = REPO / "target/debug/locket"
TRIES = [
    # (interactions, words of each text, builder)
    *((10**n, 0, who) for n in (5, 6, 7) for who in ("one machine", "Spark")),
    *((10**n, words, "one machine") for n, all_words in ((5, (5, 20, 80)), (6, (5, 80))) for words in all_words),
    (10**5, 20, "Spark"),
]


def memory(root: int) -> dict[str, int]:
    """Returns the proportional set sizes of `root` and its descendants, in bytes, by program
    name."""
    sizes: dict[str, int] = {}
    for pid in (root, *below(root)):
        try:
            name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        kilobytes = next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
        sizes[name] = sizes.get(name, 0) + 1024 * kilobytes
    return sizes


def run(command: list[object], **environment: str) -> tuple[float, int, dict[str, int]]:
    """Returns the seconds, the peak memory in bytes, and the memory of each program at the peak."""
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **environment}, text=True)
    said: list[str] = []
    drain = threading.Thread(target=lambda: said.extend(child.stderr))
    drain.start()
    started, peak, of = time.monotonic(), 0, {}
    while child.poll() is None:
        now = memory(child.pid)
        if sum(now.values()) > peak:
            peak, of = sum(now.values()), now
        time.sleep(0.5)
    drain.join()
    if child.returncode:
        sys.exit("".join(said)[-3000:])
    return time.monotonic() - started, peak, of


def shuffled(log: pathlib.Path) -> dict[str, int]:
    """Returns totals over the stages and tasks in Spark's event log."""
    sums = {"stages": 0, "tasks": 0, "shuffle_bytes": 0, "spilled_bytes": 0}
    for file in log.iterdir():
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                event = json.loads(line)
                if event["Event"] == "SparkListenerStageCompleted":
                    sums["stages"] += 1
                elif event["Event"] == "SparkListenerTaskEnd" and (of := event.get("Task Metrics")):
                    sums["tasks"] += 1
                    sums["shuffle_bytes"] += of["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                    sums["spilled_bytes"] += of["Disk Bytes Spilled"]
    return sums


def measure(folder: pathlib.Path, interactions: int, words: int, who: str) -> dict[str, object]:
    population = folder / f"{interactions}-{words}.{'jsonl' if words else 'txt'}"
    if not population.exists():
        generate = ["eval", "population", "--interactions", interactions, "--words", words, "--out", population]
        subprocess.run(list(map(str, [LOCKET, *generate])), check=True, stdout=subprocess.DEVNULL)
    pack, parts, log = folder / f"{who.split()[0]}.pack", folder / "parts", folder / "log"
    source = ["--profiles" if words else "--edges", population]
    more: dict[str, object] = {}
    if who == "Spark":
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir()
        job = [sys.executable, "-m", "locket_spark", "--master", "local[2]", "--partitions", "2", *source, "--out", parts]
        logged = f"--conf spark.eventLog.enabled=true --conf spark.eventLog.dir=file://{log} --conf spark.eventLog.rolling.enabled=false --conf spark.eventLog.compress=false pyspark-shell"
        seconds, peak, of = run(job, PYTHONPATH=str(REPO / "tools/spark"), PYSPARK_SUBMIT_ARGS=logged)
        put, there, _ = run([LOCKET, "pack", "assemble", parts, "--out", pack])
        more = {**shuffled(log), "peak_of": of, "assemble_seconds": put, "assemble_peak": there}
    else:
        seconds, peak, _ = run([LOCKET, "pack", "build", *source, "--out", pack])
    facts = json.loads(subprocess.run([LOCKET, "pack", "inspect", pack, "--json"], check=True, capture_output=True).stdout)
    kept = {name: facts[name] for name in ("items", "users", "edges", "texts", "people_edges", "content_edges", "bytes")}
    return {"interactions": interactions, "words": words, "who": who, "seconds": seconds, "peak": peak, "input": population.stat().st_size, **kept, **more}


def slope(points: list[tuple[float, float]]) -> float:
    """Returns the slope of the least-squares line in log-log scale."""
    xs, ys = zip(*((math.log(x), math.log(y)) for x, y in points))
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sum((x - mx) ** 2 for x in xs)


def plot(found: list[dict], out: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "locket"
    from matplotlib import pyplot

    figure, (time_, room, text) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for axes, name, unit, scale in ((time_, "seconds", "s", 1), (room, "peak", "GB", 1e9)):
        for who, mark in (("one machine", "o-"), ("Spark", "s--")):
            points = sorted((f["edges"], f[name] / scale) for f in found if f["who"] == who and f["words"] == 0)
            if len(points) > 1:
                steps = [f"{slope(points[n : n + 2]):.2f}" for n in range(len(points) - 1)]
                axes.plot(*zip(*points), mark, label=f"{who}: slope {', '.join(steps)}")
        axes.set(xscale="log", yscale="log", xlabel="interactions", ylabel=unit, title={"s": "Time", "GB": "Peak memory"}[unit])
        axes.legend()
        axes.grid(alpha=0.3)
    for interactions in sorted({f["interactions"] for f in found if f["words"]}):
        points = sorted((f["input"] / 1e6, f["peak"] / 1e6) for f in found if f["who"] == "one machine" and f["words"] and f["interactions"] == interactions)
        text.plot(*zip(*points), "o-", label=f"{interactions:,} interactions")
    text.set(xlim=(0, None), ylim=(0, None), xlabel="length of the profiles, MB", ylabel="MB", title="One machine: memory and texts")
    text.legend(loc="lower right")
    text.grid(alpha=0.3)
    figure.savefig(out, metadata={"Date": None})


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--folder", type=pathlib.Path, default=REPO / "target/scale")
    p.add_argument("--plot", type=pathlib.Path, help="draw what was measured, as SVG")
    p.add_argument("--most", type=int, default=10**7, help="interactions")
    args = p.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    results = args.folder / "results.jsonl"
    found = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    for interactions, words, who in TRIES:
        if interactions <= args.most and not any((f["interactions"], f["words"], f["who"]) == (interactions, words, who) for f in found):
            found.append(measure(args.folder, interactions, words, who))
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[-1]) + "\n")
            print(json.dumps(found[-1]), flush=True)
    if args.plot:
        plot(found, args.plot)


if __name__ == "__main__":
    main()
