"""Functions that both trainers' loops share: batches of similar length, the log, checkpoints."""

import json
import os

import torch


def batches(items, tokens, limit):
    """Yields batches of items of similar length, with up to `limit` tokens including padding.

    `tokens` returns the tokens of an item.
    """
    batch, longest = [], 0
    for item in sorted(items, key=lambda item: len(tokens(item))):
        longest = max(longest, len(tokens(item)))
        if batch and longest * (len(batch) + 1) > limit:
            yield batch
            batch, longest = [], len(tokens(item))
        batch.append(item)
    if batch:
        yield batch


class Run:
    """A folder with the log of a run and its latest checkpoint."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.checkpoint = folder, folder / "checkpoint.pt"

    def log(self, **values):
        line = json.dumps(values)
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a") as f:
            f.write(line + "\n")

    def save(self, state):
        torch.save(state, self.folder / "checkpoint.new")
        os.replace(self.folder / "checkpoint.new", self.checkpoint)
