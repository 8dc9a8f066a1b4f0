#!/usr/bin/env python3
"""Counts generated texts that repeat other texts.

It counts runs of eight words, names, numbers and addresses from other users' texts on the item. It
also counts runs of eight words from the author's own history.

    # Predictions of `locket eval generation --out P.jsonl`, against the profiles that they were written for:
    copies.py predictions --profiles amazon_dev.jsonl.zst --predictions P.jsonl
    # Every person of the sample on four items, each time with the title of another person's text on it:
    copies.py sample --locket target/debug/locket --profiles tests/sample/sample.jsonl --model gemma-3-270m

The rules are implemented here a second time, independently of the engine.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

RUN = 8
WORD = re.compile(r"[^\W_]+")
NUMBER = re.compile(r"\d+")
ADDRESS = re.compile(r"https?:|www\.|\S@\S")


def words(text: str) -> list[str]:
    return [w.lower() for w in WORD.findall(text)]


def runs(text: str) -> set[tuple[str, ...]]:
    w = words(text)
    return {tuple(w[i : i + RUN]) for i in range(len(w) - RUN + 1)}


def names(text: str, common: set[str]) -> set[str]:
    """Returns capitalised words in mid-sentence that never occur in lower case."""
    found = set()
    inside = capitals = 0
    for m in WORD.finditer(text):
        before = text[: m.start()].rstrip()
        if not before or not (before[-1].isalnum() or before[-1] in ",'\u2019)&/"):
            continue
        inside += 1
        word = m.group()
        if len(word) > 1 and word[0].isupper() and word[1].islower():
            capitals += 1
            if word.lower() not in common:
                found.add(word.lower())
    # Return none for headlines and for languages that capitalise nouns.
    return set() if capitals * 6 > max(inside, 24) else found


def whole(i: dict) -> str:
    return f"{i.get('title') or ''}\n{i.get('text') or ''}"


def profiles(path: str) -> list[dict]:
    if path.endswith(".zst"):
        raw = subprocess.run(["zstdcat", path], check=True, capture_output=True).stdout.decode()
    else:
        raw = pathlib.Path(path).read_text(encoding="utf-8")
    return [json.loads(line) for line in raw.splitlines() if line.strip()]


class Population:
    def __init__(self, people: list[dict]) -> None:
        self.on_item = collections.defaultdict(list)
        self.common: set[str] = set()
        for p in people:
            for i in [*p.get("history", []), p["target"]]:
                self.on_item[i["item"]].append((p["user"], whole(i)))
                self.common.update(w for w in WORD.findall(whole(i)) if w[0].islower())

    def judge(self, said: str, user: str, item: str, asked: list[str], history: list[dict]) -> dict[str, bool]:
        others = [text for author, text in self.on_item[item] if author != user]
        own = [whole(i) for i in history]
        given = " ".join([*asked, *own, *(i.get("item_title") or "" for i in history)])
        granted = set().union(*(runs(a) for a in asked)) if asked else set()
        mine = runs(said) - granted
        their_runs = set().union(*(runs(t) for t in others)) if others else set()
        own_runs = set().union(*(runs(t) for t in own)) if own else set()
        said_words, given_words = set(words(said)), set(words(given))
        their_names = set().union(*(names(t, self.common) for t in others)) if others else set()
        their_numbers = set(NUMBER.findall(" ".join(others))) - set(NUMBER.findall(given))
        return {
            "a run of others": bool(mine & their_runs),
            "a run of the own": bool(mine & own_runs),
            "a name of others": bool((their_names - given_words) & said_words),
            "a number of others": bool(their_numbers & set(NUMBER.findall(said))),
            "an address": bool(ADDRESS.search(said)) and not ADDRESS.search(given),
            "nothing": not said.strip(),
        }


def report(name: str, judged: list[dict[str, bool]], more: str = "") -> None:
    counts = collections.Counter(k for j in judged for k, v in j.items() if v)
    told = ", ".join(f"{counts[k]} with {k}" for k in judged[0]) if judged else "nothing"
    print(f"{name}: {len(judged)} texts: {told}{more}")


def predictions(args: argparse.Namespace) -> None:
    people = profiles(args.profiles)
    population, by_user = Population(people), {p["user"]: p for p in people}
    judged = []
    rows = [json.loads(line) for line in pathlib.Path(args.predictions).read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if "prediction" not in row:
            continue
        person = by_user[row["user"]]
        target = person["target"]
        asked = [target.get("title") or "", target.get("item_title") or ""]
        verdict = population.judge(row["prediction"], row["user"], target["item"], asked, person.get("history", []))
        judged.append(verdict)
        if args.show and any(verdict.values()):
            print([k for k, v in verdict.items() if v], row["prediction"], file=sys.stderr)
    report(args.predictions, judged)


def sample(args: argparse.Namespace) -> None:
    people = profiles(args.profiles)
    population, judged, seconds, texts = Population(people), [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        pack, key = f"{scratch}/p.pack", f"{scratch}/key"

        def locket(*arguments: str) -> dict:
            command = [args.locket, "--key-file", key, *arguments, "--json"]
            return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

        locket("pack", "build", "--profiles", args.profiles, "--out", pack)
        for person in people[: args.people]:
            store = f"{scratch}/{person['user']}"
            records = [{"interaction": i, "origin": "real"} for i in person["history"]]
            export = f"{scratch}/export.json"
            pathlib.Path(export).write_text(json.dumps({"format": "locket-export", "version": 1, "records": records}))
            locket("import", "--store", store, "--from", export)
            written = {i["item"] for i in person["history"]}
            titled = [
                (i, author["user"])
                for author in people
                if author is not person
                for i in author["history"]
                if i["item"] not in written and i.get("title")
            ]
            step = max(1, len(titled) // args.items)
            for i, _ in titled[:: step][: args.items]:
                begun = time.monotonic()
                request = ["--item", i["item"], "--task", "text", "--title", i["title"], "--user", person["user"]]
                said = locket("generate", "--store", store, "--pack", pack, "--model", args.model, *request)
                seconds.append(time.monotonic() - begun)
                asked = [i["title"], i.get("item_title") or ""]
                verdict = population.judge(said["text"] or "", person["user"], i["item"], asked, person["history"])
                judged.append(verdict)
                texts.append((person["user"], i["item"], i["title"], said["text"], [k for k, v in verdict.items() if v]))
    if args.out:
        lines = [json.dumps(dict(zip(("user", "item", "title", "text", "faults"), t)), ensure_ascii=False) for t in texts]
        pathlib.Path(args.out).write_text("\n".join(lines) + "\n", encoding="utf-8")
    length = statistics.mean(len(words(t[3] or "")) for t in texts)
    report(args.locket, judged, f"; {statistics.median(seconds):.2f} s a text (median, loading included), {length:.1f} words")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("predictions")
    one.add_argument("--profiles", required=True)
    one.add_argument("--predictions", required=True)
    one.add_argument("--show", action="store_true", help="print the texts with a fault on stderr")
    one.set_defaults(run=predictions)
    two = commands.add_parser("sample")
    two.add_argument("--locket", default="target/debug/locket")
    two.add_argument("--profiles", default="tests/sample/sample.jsonl")
    two.add_argument("--model", default="gemma-3-270m")
    two.add_argument("--people", type=int, default=30)
    two.add_argument("--items", type=int, default=4)
    two.add_argument("--out", help="JSON lines of all texts")
    two.set_defaults(run=sample)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
