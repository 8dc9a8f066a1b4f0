#!/usr/bin/env python3
"""Cleans profiles for training: HTML becomes text, and near copies of a person's own texts go.

    prepare.py profiles.jsonl.zst --out clean.jsonl [--skip-user ID ...] [--titles]

A text goes if half of its runs of five words stand in an earlier text of the same person: such a
pair would teach the model to copy the history. A person without a target goes as a whole. With
--titles, a short first sentence of half of the texts without a title becomes their title.
"""

import argparse
import html
import json
import random
import re
import subprocess
from pathlib import Path

RUN = 5
# Maximum length of a first sentence that becomes a title, and minimum length of the text after it.
TITLE_WORDS, REST_WORDS = 6, 8


def clean(text):
    """Returns a text without HTML entities and tags, with line breaks for <br>."""
    for _ in range(2):  # some sets escape twice
        text = html.unescape(text)
    text = re.sub(r"\s*<br\s*/?>\s*", "\n", text)
    return re.sub(r"</?(?:p|b|i|u|em|strong|a|span|div)\b[^>]*>", "", text).strip()


def titled(interaction, draws):
    """Moves the first sentence of a text into its title, if it is short, in half of the draws."""
    parts = re.match(r"([^.!?\n]+[.!?]+)\s+(.+)", interaction["text"], re.DOTALL)
    if interaction.get("title") or not parts or draws.random() < 0.5:
        return
    first, rest = parts.groups()
    if len(first.split()) <= TITLE_WORDS and len(rest.split()) >= REST_WORDS:
        interaction["title"], interaction["text"] = first.rstrip("."), rest


def runs(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[n : n + RUN]) for n in range(max(1, len(words) - RUN + 1))}


def without_copies(texts):
    """Returns the interactions whose text is not mostly a copy of an earlier one."""
    seen, kept = set(), []
    for interaction in texts:
        own = runs(interaction["text"])
        if len(own & seen) * 2 < len(own):
            kept.append(interaction)
        seen |= own
    return kept


def lines(path):
    if path.suffix == ".zst":
        packed = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True, text=True).stdout
        yield from filter(None, packed.split("\n"))
    else:
        yield from path.open()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("profiles", type=Path)
    p.add_argument("--out", required=True, type=Path)
    p.add_argument("--skip-user", nargs="*", default=[], help="people whose texts have no licence")
    p.add_argument("--titles", action="store_true", help="make titles from short first sentences")
    args = p.parse_args()
    people = texts = dropped = 0
    with args.out.open("w") as out:
        for line in lines(args.profiles):
            profile = json.loads(line)
            if profile["user"] in args.skip_user:
                continue
            every = profile["history"] + [profile["target"]]
            for interaction in every:
                for key in ("text", "title", "context"):
                    if interaction.get(key):
                        interaction[key] = clean(interaction[key])
            kept = [i for i in without_copies(every) if i["text"]]
            dropped += len(every) - len(kept)
            if args.titles:
                draws = random.Random(profile["user"])
                for interaction in kept:
                    titled(interaction, draws)
            if not kept:
                continue
            people, texts = people + 1, texts + len(kept)
            out.write(json.dumps({"user": profile["user"], "history": kept[:-1], "target": kept[-1]}, ensure_ascii=False) + "\n")
    print(json.dumps({"people": people, "texts": texts, "dropped": dropped}))


if __name__ == "__main__":
    main()
