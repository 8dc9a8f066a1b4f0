#!/usr/bin/env python3
"""Prints the trainer's log-probability of every learnt token, for comparison with llama.cpp.

    scores.py --model gemma.gguf --adapter adapter.gguf --examples a.jsonl --limit 8 > scores.jsonl

It prints one line per example: its tokens, the learnt positions, and their natural
log-probabilities over the whole vocabulary.
"""

import argparse
import json
from pathlib import Path

import torch

import gemma
import train


def trainers(args):
    """Returns a function that computes the logits at given positions of a text with the model of
    train.py."""
    model = train.load(args.model, args.rank, args.alpha, "cpu")
    if args.adapter:
        train.with_adapter(model, args.adapter)
    base = model.get_base_model()
    return lambda tokens, at: base.lm_head(base.model(input_ids=torch.tensor([tokens])).last_hidden_state[0, at])


def reinforced(args):
    """Returns the same function for the model of reinforce.py."""
    model = gemma.Gemma(args.model, args.rank, args.alpha, "cpu", torch.float32)
    if args.adapter:
        model.load_adapter(args.adapter)

    def logits(tokens, at):
        places = torch.arange(len(tokens)).unsqueeze(0)
        hidden = model.hidden(torch.tensor([tokens]), places, model.masks(places, torch.zeros_like(places)))
        return model.logits(hidden[0, at])

    return logits


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, type=Path)
    p.add_argument("--adapter", type=Path, help="without one: the base model")
    p.add_argument("--examples", required=True, nargs="+", type=Path)
    p.add_argument("--limit", type=int, default=8)
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--alpha", type=int, default=32)
    p.add_argument("--reinforced", action="store_true", help="by the model of reinforce.py instead of train.py's")
    args = p.parse_args()
    logits = (reinforced if args.reinforced else trainers)(args)
    for _, tokens, learn, _ in train.read(args.examples)[: args.limit]:
        with torch.no_grad():
            all_scores = torch.log_softmax(logits(tokens, torch.tensor(learn) - 1).float(), dim=-1)
        scores = all_scores[torch.arange(len(learn)), torch.tensor([tokens[i] for i in learn])]
        print(json.dumps({"tokens": tokens, "learn": learn, "scores": [round(s, 5) for s in scores.tolist()]}))


if __name__ == "__main__":
    main()
