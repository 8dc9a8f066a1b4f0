#!/usr/bin/env python3
"""Fits a LoRA adapter by reinforcement learning.

It samples several texts after every prompt. It increases the probability of texts that are closer
to the true text and to the author's style.

    reinforce.py --model gemma.gguf --init adapter.gguf --examples a.jsonl b.jsonl --validation left-out.jsonl \
        --profiles amazon23.jsonl --run RUN --minutes 60 --out adapter.gguf

A text's advantage is its reward (reward.py) minus the mean reward after its prompt, divided by
their standard deviation. This is the group-relative baseline of GRPO (Shao et al. 2024, arXiv
2402.03300), on-policy and so without its clipping. A penalty on the divergence keeps the model near
the initial one. Ratings need no samples: their loss is the expected error over the five digits plus
a fifth of the cross-entropy. RUN keeps checkpoints and the log. The same command continues an
interrupted run.
"""

import argparse
import json
import os
import random
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch.nn import functional as F

import adapter
import gemma
import loop
import reward
import rollout

TEXTS_IN_ROW = 1280  # maximum tokens of a prompt and the texts after it in one training row


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, type=Path, help="the base model, a GGUF file")
    p.add_argument("--init", required=True, type=Path, help="adapter (GGUF) to begin with: one that knows the form")
    p.add_argument("--examples", required=True, nargs="+", type=Path, help="files of `locket align examples`")
    p.add_argument("--validation", nargs="*", default=[], type=Path, help="files of `locket align examples --left-out`, reported one by one")
    p.add_argument("--profiles", nargs="*", default=[], type=Path, help="profile files (JSON lines) of who is judged by style, too")
    p.add_argument("--run", required=True, type=Path, help="folder for checkpoints and the log")
    p.add_argument("--out", required=True, type=Path, help="adapter to write at the end")
    p.add_argument("--minutes", type=float, help="time to train, over all calls")
    p.add_argument("--steps", type=int, help="or the number of steps")
    p.add_argument("--snapshots", type=int, default=4, help="validations on the way, and adapters in RUN")
    p.add_argument("--prompts", type=int, default=64, help="prompts of a step")
    p.add_argument("--each", type=int, default=16, help="texts behind every prompt")
    p.add_argument("--ratings", type=int, default=32, help="ratings of a step")
    p.add_argument("--length", type=int, default=720, help="most tokens of a prompt; longer ones are left out")
    p.add_argument("--new", type=int, default=160, help="most tokens of a plan and a text together")
    p.add_argument("--rate", type=float, default=2e-4, help="highest learning rate; falls to a tenth")
    p.add_argument("--style", type=float, default=0.5, help="weight of the style's margin beside ROUGE-1 and METEOR")
    p.add_argument("--near", type=float, default=0.02, help="weight of the divergence from the first model")
    p.add_argument("--rating-weight", type=float, default=0.1, help="weight of a rating's expected error")
    p.add_argument("--batch-tokens", type=int, default=20000, help="tokens learnt from at once")
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--alpha", type=int, default=32)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="processes that judge texts")
    args = p.parse_args()
    if (args.minutes is None) == (args.steps is None):
        p.error("give --minutes or --steps")
    return args


@dataclass
class Example:
    """A request and its true answer. `leads` are the tokens that open its later phases."""

    user: str
    task: str
    prompt: list
    leads: list
    true: str
    shown: str
    answer: list


def spell(tokens, pieces):
    return b"".join(pieces[t] for t in tokens).decode(errors="replace").strip()


def read(files, pieces, longest):
    examples = []
    for file in files:
        for line in file.open():
            e = json.loads(line)
            if "tokens" not in e or e["prompt"] > longest:
                continue
            tokens, spans = e["tokens"], [s for s in e["learn"] if s["start"] >= e["prompt"]]
            leads = [tokens[a["end"] : b["start"]] for a, b in zip(spans, spans[1:])]
            answer = tokens[spans[-1]["start"] : spans[-1]["end"]]
            prompt = tokens[: e["prompt"]]
            true, shown = spell(answer, pieces), spell(prompt, pieces)
            examples.append(Example(e["user"], e["task"], prompt, leads, true, shown, answer))
    return examples


class Judges:
    """A pool of processes that measure texts, since a step has about a thousand."""

    def __init__(self, styles, workers):
        self.pool = ProcessPoolExecutor(workers, initializer=Judges.begin, initargs=(styles,))
        list(self.pool.map(int, range(workers)))

    @staticmethod
    def begin(styles):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        Judges.styles = styles

    @staticmethod
    def measure(job):
        task, user, true, prompt, texts = job
        shown = reward.eights(prompt)
        return [reward.measures(task, user, true, shown, text, Judges.styles) for text in texts]

    def __call__(self, examples, texts):
        jobs = [(e.task, e.user, e.true, e.shown, written) for e, written in zip(examples, texts)]
        return list(self.pool.map(Judges.measure, jobs, chunksize=4))


def texts_of(written, pieces, examples):
    """Returns the first line of the last phase of every text."""
    out, drawn, phases = (t.numpy() for t in written)
    text = lambda r, g: spell(out[r, g][drawn[r, g] & (phases[r, g] == len(examples[r].leads))], pieces).split("\n")[0]
    return [[text(r, g) for g in range(out.shape[1])] for r in range(len(examples))]


def rows_of(examples, written, advantages):
    """Yields rows of a prompt and texts after it.

    A row is (tokens, positions, branches, [(position of the state that predicts the token, token,
    advantage)]).
    """
    out, drawn, _ = (t.numpy() for t in written)
    for e, tokens, mine, worth in zip(examples, out, drawn, advantages):
        row = None
        for text, own, advantage in zip(tokens, mine, worth):
            text, own = text[text >= 0].tolist(), own[text >= 0]
            if row and len(row[0]) + len(text) > TEXTS_IN_ROW:
                yield row
                row = None
            if row is None:
                row = (list(e.prompt), list(range(len(e.prompt))), [0] * len(e.prompt), [])
            first, length = len(row[0]), len(e.prompt)
            row[0].extend(text)
            row[1].extend(range(length, length + len(text)))
            row[2].extend([row[2][-1] + 1] * len(text))
            before = [length - 1, *range(first, first + len(text) - 1)]
            row[3].extend((b, t, advantage) for b, t, o in zip(before, text, own) if o)
        if row:
            yield row


def tokens_of(row):
    return row[0]


def padded(lists, fill, device):
    longest = max(map(len, lists))
    return torch.tensor([[*l, *[fill] * (longest - len(l))] for l in lists], device=device)


class Learner:
    def __init__(self, model, args):
        self.model, self.args = model, args
        self.first = model.merged()
        self.digits = torch.tensor([model.token[str(d).encode()] for d in range(1, 6)], device=model.device)

    def states(self, batch, linear=None):
        ids, places = padded([r[0] for r in batch], 0, self.model.device), padded([r[1] for r in batch], 0, self.model.device)
        masks = self.model.masks(places, padded([r[2] for r in batch], -1, self.model.device))
        rows = [n for n, r in enumerate(batch) for _ in r[3]]
        return self.model.hidden(ids, places, masks, linear)[rows, [p for r in batch for p, *_ in r[3]]]

    def texts(self, rows):
        """Runs one backward pass over all rows.

        Returns the mean log-probability of the sampled tokens and the mean divergence, both per
        token.
        """
        model, total = self.model, sum(len(r[3]) for r in rows)
        says, away = 0.0, 0.0
        for batch in loop.batches(rows, tokens_of, self.args.batch_tokens):
            wanted = model.place[torch.tensor([t for r in batch for _, t, _ in r[3]], device=model.device)]
            advantage = torch.tensor([a for r in batch for *_, a in r[3]], device=model.device)
            score = lambda h: -F.cross_entropy(model.logits(h), wanted, reduction="none")
            with torch.no_grad():
                before = score(self.states(batch, lambda name, x: F.linear(x, self.first[name])))
            now = score(self.states(batch))
            ratio = (before - now).clamp(max=10)
            divergence = ratio.exp() - 1 - ratio
            loss = (self.args.near * divergence - advantage * now).sum() / total
            loss.backward()
            says, away = says + now.detach().sum().item(), away + divergence.detach().sum().item()
        return says / total, away / total

    def ratings(self, examples, learn=True):
        """Returns the errors of the most likely digit.

        With `learn`, it also runs a backward pass of the rating loss.
        """
        errors = []
        for batch in loop.batches([self.rating(e) for e in examples], tokens_of, self.args.batch_tokens):
            with torch.set_grad_enabled(learn):
                logits = F.linear(self.states(batch), self.model.output[self.model.place[self.digits]]).float()
                true = torch.tensor([stars for r in batch for *_, stars in r[3]], device=logits.device)
                away = (torch.arange(1, 6, device=logits.device) - true.unsqueeze(1)).abs().float()
                loss = (logits.softmax(-1) * away).sum(-1) + 0.2 * F.cross_entropy(logits, true - 1, reduction="none")
                if learn:
                    (self.args.rating_weight * loss.sum() / len(examples)).backward()
            errors += away.gather(1, logits.argmax(-1, keepdim=True)).flatten().tolist()
        return errors

    def rating(self, e):
        digit = next(n for n, t in enumerate(e.answer) if t in self.digits.tolist())
        tokens = e.prompt + e.answer[:digit]
        return tokens, list(range(len(tokens))), [0] * len(tokens), [(len(tokens) - 1, 0, int(self.model.pieces[e.answer[digit]]))]


def validate(files, model, learner, judges, room, samples):
    """Returns means by file.

    They are ROUGE-1, METEOR, style margin and copied share of greedy texts, and the MAE of ratings.
    """
    values = {}
    for name, examples in files.items():
        ratings = [e for e in examples if e.task == "rating" and not e.leads]
        if ratings:
            errors = learner.ratings(ratings, learn=False)
            values[f"{name} mae"] = round(sum(errors) / len(errors), 4)
        others, measured = [e for e in examples if e.task != "rating"], []
        for first in range(0, len(others), room.rows):
            group = others[first : first + room.rows]
            texts = texts_of(room.write([e.prompt for e in group], [e.leads for e in group]), model.pieces, group)
            measured += [m[0] for m in judges(group, texts)]
            for e, (text, *_) in zip(group, texts):
                samples.append({"file": name, "task": e.task, "true": e.true, "written": text})
        mean = lambda all: round(sum(all) / max(len(all), 1), 4)
        if measured:
            values |= {f"{name} {what}": mean([m[n] for m in measured]) for n, what in enumerate(["rouge1", "meteor"])}
            values[f"{name} copied"] = mean([m[3] for m in measured])
            if margins := [m[2] for m in measured if m[2] is not None]:
                values[f"{name} margin"] = mean(margins)
    return values


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run = loop.Run(args.run)
    # A signal ends the run after the current step, with a checkpoint.
    stopped = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.append(True))
    judges = Judges(reward.Styles(args.profiles, 3, args.seed) if args.profiles else None, args.workers)
    examples, files = [], {}

    def occurring(pieces):
        """Returns the tokens of all examples and reads the examples.

        Reading needs the tokens' bytes, and the model needs this vocabulary.
        """
        examples.extend(read(args.examples, pieces, args.length))
        files.update({file.stem: read([file], pieces, args.length) for file in args.validation})
        return {t for e in [*examples, *(e for f in files.values() for e in f)] for t in [*e.prompt, *e.answer, *sum(e.leads, [])]}

    model = gemma.Gemma(args.model, args.rank, args.alpha, device, torch.bfloat16 if device == "cuda" else torch.float32, occurring)
    ratings = [e for e in examples if e.task == "rating" and not e.leads]
    examples = [e for e in examples if e.task != "rating"]
    model.load_adapter(args.init)
    learner = Learner(model, args)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.0)
    done = {"step": 0, "seconds": 0.0, "prompts": 0, "texts": 0, "tokens": 0}
    if run.checkpoint.exists():
        saved = torch.load(run.checkpoint, map_location=device, weights_only=True)
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), saved["adapter"]):
                parameter.copy_(value)
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["done"]
    room = rollout.Rollout(model, args.prompts, args.each, args.length, args.new, 1.0) if args.prompts else None
    greedy = rollout.Rollout(model, max(4 * args.prompts, 16), 1, args.length, args.new, 0)

    def log(**values):
        run.log(**done, **values)

    def fraction():
        return done["step"] / args.steps if args.steps else done["seconds"] / 60 / args.minutes

    def snapshot():
        run.save({"adapter": [p.detach() for p in model.parameters()], "optimizer": optimizer.state_dict(), "done": done})
        samples = []
        log(**validate(files, model, learner, judges, greedy, samples))
        (args.run / f"samples-{done['step']}.jsonl").write_text("".join(json.dumps(s) + "\n" for s in samples))
        adapter.write(args.run / f"step-{done['step']}.gguf", model.state(), args.alpha)

    @cache
    def order(size, epoch):
        return random.Random(f"{args.seed} {epoch}").sample(range(size), size)

    def draw(all, number, at):
        """Returns the next examples of endless passes. Each pass has its own order."""
        places = (divmod(n, len(all)) for n in range(at, at + min(number, len(all))))
        return [all[order(len(all), epoch)[place]] for epoch, place in places]

    def practise(group):
        """Samples texts after each prompt, measures them and accumulates gradients.

        Returns the values to log.
        """
        written = room.write([e.prompt for e in group], [e.leads for e in group])
        measured = judges(group, texts_of(written, model.pieces, group))
        worth = torch.tensor([[reward.reward(e.task, m, args.style) for m in ms] for e, ms in zip(group, measured)])
        advantages = (worth - worth.mean(1, keepdim=True)) / (worth.std(1, keepdim=True) + 0.02)
        says, away = learner.texts(list(rows_of(group, written, advantages.tolist())))
        done["prompts"] += len(group)
        done["texts"] += worth.numel()
        done["tokens"] += int(written[1].sum())
        means = {n: sum(m[i] for ms in measured for m in ms) / worth.numel() for i, n in [(0, "rouge1"), (1, "meteor"), (3, "copied")]}
        values = {"reward": worth.mean().item(), "best": worth.max(1).values.mean().item(), **means, "log_prob": says, "divergence": away}
        return {name: round(value, 4) for name, value in values.items()}

    if done["step"] == 0:
        snapshot()
    shots = int(fraction() * args.snapshots)
    while fraction() < 1 and not stopped:
        clock = time.monotonic()
        rate = args.rate * min(1, (done["step"] + 1) / 10) * (1 - 0.9 * fraction())
        for g in optimizer.param_groups:
            g["lr"] = rate
        said = practise(draw(examples, args.prompts, done["step"] * args.prompts)) if args.prompts else {}
        errors = learner.ratings(draw(ratings, args.ratings, done["step"] * args.ratings)) if ratings and args.ratings else [0.0]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        optimizer.step()
        optimizer.zero_grad()
        done["seconds"] += time.monotonic() - clock
        done["step"] += 1
        seconds = round(time.monotonic() - clock, 2)
        log(**said, error=round(sum(errors) / len(errors), 3), norm=round(norm, 3), rate=round(rate, 6), seconds_a_step=seconds)
        if int(fraction() * args.snapshots) > shots:
            shots = int(fraction() * args.snapshots)
            snapshot()
    if stopped:
        return snapshot()
    adapter.write(args.out, model.state(), args.alpha)


if __name__ == "__main__":
    main()
