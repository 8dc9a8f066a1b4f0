#!/usr/bin/env python3
"""Fits a LoRA adapter to the examples of `locket align` and writes it as a GGUF file for llama.cpp.

    train.py --model gemma.gguf --examples a.jsonl b.jsonl --run RUN --minutes 60 --out adapter.gguf

The base model is the dequantized GGUF file, so the adapter fits the weights that run on the device.
RUN keeps checkpoints and the log. The same command continues an interrupted run. The loss is the
mean negative log-likelihood of the tokens that the examples mark, over the vocabulary of the
examples. The full softmax over 262,144 tokens would be most of the work, and tokens that no review
contains are unlikely before training already.
"""

import argparse
import json
import math
import os
import random
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import AutoModelForCausalLM, GgufConfig

import adapter
import loop

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

# A rating is one token among a thousand of texts and plans, and a title four. Without weights the
# model hardly learns them.
RATING_WEIGHT, TITLE_WEIGHT = 8.0, 3.0
RATING_TOKENS, TITLE_TOKENS = 3, 20


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, type=Path, help="the base model, a GGUF file")
    p.add_argument("--examples", required=True, nargs="+", type=Path, help="files of `locket align`")
    p.add_argument("--run", required=True, type=Path, help="folder for checkpoints and the log")
    p.add_argument("--out", type=Path, help="adapter to write at the end")
    p.add_argument("--init", type=Path, help="adapter (GGUF) to begin with: the round before")
    p.add_argument("--minutes", type=float, help="time to train, over all calls")
    p.add_argument("--steps", type=int, help="or the number of steps")
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--alpha", type=int, default=32)
    p.add_argument("--rate", type=float, default=8e-4, help="highest learning rate; cosine to a twentieth")
    p.add_argument("--step-tokens", type=int, default=4800, help="tokens per step of the optimizer")
    p.add_argument("--batch-tokens", type=int, default=2400, help="tokens per forward pass, padding included")
    p.add_argument("--validation", nargs="+", type=Path, help="files of `locket align examples --left-out` for the validation loss")
    p.add_argument("--held-out", type=int, default=48, help="else: so many examples, of people whose texts still stand in others' prompts")
    p.add_argument("--save-minutes", type=float, default=5)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--compile", action="store_true", help="fuse the layers: a minute more at the start, up to twice as fast after")
    p.add_argument(
        "--dtype",
        choices=["float32", "bfloat16"],
        help="of the arithmetic; weights are 32-bit floats. Default: bfloat16 where the hardware multiplies it (CUDA, AMX)",
    )
    args = p.parse_args()
    if (args.minutes is None) == (args.steps is None):
        p.error("give --minutes or --steps")
    return args


def weight(task, tokens):
    """Returns the weight of a token in a span of `tokens` tokens.

    A plan is longer than a rating, but a short plan before a title has the title's weight.
    """
    if task == "rating" and tokens <= RATING_TOKENS:
        return RATING_WEIGHT
    return TITLE_WEIGHT if task == "title" and tokens <= TITLE_TOKENS else 1.0


def read(files):
    """Reads examples as (user, tokens, learnt positions, weight of each position)."""
    examples = []
    for file in files:
        for line in file.open():
            e = json.loads(line)
            if "tokens" not in e:
                continue  # the header with the settings of a search
            learn, weights = [], []
            for span in e["learn"]:
                here = range(span["start"], span["end"])
                learn += here
                weights += [weight(e["task"], len(here))] * len(here)
            examples.append((e["user"], e["tokens"], learn, weights))
    return examples


def tokens_of(example):
    return example[1]


def load(path, rank, alpha, device):
    quantized = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, quantization_config=quantized, dtype=torch.float32, attn_implementation="sdpa"
    )
    model.requires_grad_(False)
    model.config.use_cache = False
    lora = LoraConfig(r=rank, lora_alpha=alpha, target_modules=TARGETS, task_type="CAUSAL_LM")
    return get_peft_model(model, lora).to(device)


def with_adapter(model, path):
    """Loads the weights of an adapter file into the model and returns it."""
    set_peft_model_state_dict(model, adapter.read(path, get_peft_model_state_dict(model)))
    return model


def arithmetic(device):
    """Returns bfloat16 if the hardware has matrix units for it, else float32.

    With matrix units bfloat16 is several times faster. Other processors only emulate it.
    """
    matrix_units = device == "cuda" or torch.cpu.get_capabilities().get("amx_bf16", False)
    return "bfloat16" if matrix_units else "float32"


class Objective:
    """The loss of a batch over the vocabulary of the examples."""

    def __init__(self, model, examples, dtype):
        base = model.get_base_model()
        self.body, self.device, self.dtype = base.model, model.device, dtype
        occurring = torch.tensor(sorted({t for _, tokens, *_ in examples for t in tokens}))
        self.place = torch.full((base.config.vocab_size,), -1, dtype=torch.long)
        self.place[occurring] = torch.arange(len(occurring))
        self.place = self.place.to(self.device)
        self.head = base.lm_head.weight[occurring.to(self.device)].detach().to(dtype)

    def __call__(self, batch):
        """Returns the summed weighted loss and the sum of the weights.

        Padding is on the right, where causal attention ignores it.
        """
        longest = max(len(tokens) for _, tokens, *_ in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        rows, columns, weights = [], [], []
        for n, (_, tokens, learn, weight) in enumerate(batch):
            ids[n, : len(tokens)] = torch.tensor(tokens)
            rows += [n] * len(learn)
            columns += learn
            weights += weight
        ids = ids.to(self.device)
        rows, columns = torch.tensor(rows, device=self.device), torch.tensor(columns, device=self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            hidden = self.body(input_ids=ids).last_hidden_state
            logits = torch.nn.functional.linear(hidden[rows, columns - 1], self.head).float()
        wanted = self.place[ids[rows, columns]]
        losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        weights = torch.tensor(weights, device=self.device)
        return (losses * weights).sum(), weights.sum().item()


def in_runs_of_similar_length(examples, draws, pool=512, run=8):
    """Returns a random order of the examples in which runs of `run` have similar lengths."""
    order = list(range(len(examples)))
    draws.shuffle(order)
    runs = []
    for first in range(0, len(order), pool):
        near = sorted(order[first : first + pool], key=lambda n: len(examples[n][1]))
        runs += [near[n : n + run] for n in range(0, len(near), run)]
    draws.shuffle(runs)
    return [n for run in runs for n in run]


def steps(examples, at, tokens, seed):
    """Yields endless groups of examples for one step each, starting at example `at`.

    Every pass has its own order. The examples of a group have similar lengths, so that little of a
    batch is padding.
    """
    while True:
        epoch, first = divmod(at, len(examples))
        order = in_runs_of_similar_length(examples, random.Random(f"{seed} {epoch}"))
        group, size = [], 0
        for n in order[first:]:
            group.append(examples[n])
            size += len(examples[n][1])
            at += 1
            if size >= tokens:
                yield at, group
                group, size = [], 0
        if group:
            yield at, group


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = args.dtype or arithmetic(device)
    run = loop.Run(args.run)

    everything = read(args.examples)
    left_out = read(args.validation or [])
    people = sorted({e[0] for e in everything})
    random.Random(args.seed).shuffle(people)
    held, unseen = set(), list(left_out)
    for person in people:
        if left_out or len(unseen) >= args.held_out:
            break
        held.add(person)
        unseen += [e for e in everything if e[0] == person]
    examples = [e for e in everything if e[0] not in held]

    model = load(args.model, args.rank, args.alpha, device)
    if args.compile:
        # Masked or not, one or several texts, and both kinds of layer each compile separately.
        torch._dynamo.config.recompile_limit = 32
        for layer in model.get_base_model().model.layers:
            layer.compile(dynamic=True)
    trained = [p for p in model.parameters() if p.requires_grad]
    objective = Objective(model, everything + left_out, getattr(torch, dtype))
    optimizer = torch.optim.AdamW(trained, lr=args.rate, betas=(0.9, 0.98), weight_decay=0.0)
    done = {"step": 0, "at": 0, "seconds": 0.0, "tokens": 0, "learnt": 0}
    if args.init and not run.checkpoint.exists():
        with_adapter(model, args.init)
    if run.checkpoint.exists():
        saved = torch.load(run.checkpoint, map_location=device, weights_only=True)
        set_peft_model_state_dict(model, saved["adapter"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["done"]

    def save():
        run.save({"adapter": get_peft_model_state_dict(model), "optimizer": optimizer.state_dict(), "done": done})

    def log(**values):
        run.log(**done, **values)

    @torch.no_grad()
    def validate():
        model.eval()
        with torch.compiler.set_stance("force_eager"):
            sums = [objective(b) for b in loop.batches(unseen, tokens_of, args.batch_tokens)]
        model.train()
        return sum(s.item() for s, _ in sums) / sum(n for _, n in sums)

    def fraction():
        return done["step"] / args.steps if args.steps else done["seconds"] / 60 / args.minutes

    clock = saved_at = time.monotonic()
    if done["step"] == 0:
        log(validation=round(validate(), 4), examples=len(examples), vocabulary=len(objective.head), arithmetic=dtype)
    model.train()
    smooth = None
    for at, group in steps(examples, done["at"], args.step_tokens, args.seed):
        if fraction() >= 1:
            break
        rate = args.rate * min(1, (done["step"] + 1) / 20) * max(0.05, 0.5 * (1 + math.cos(math.pi * fraction())))
        for g in optimizer.param_groups:
            g["lr"] = rate
        learnt, total = sum(sum(e[3]) for e in group), 0.0
        for batch in loop.batches(group, tokens_of, args.batch_tokens):
            loss, _ = objective(batch)
            (loss / learnt).backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        now = time.monotonic()
        done["seconds"] += now - clock
        clock = now
        done["step"], done["at"] = done["step"] + 1, at
        done["tokens"] += sum(len(e[1]) for e in group)
        done["learnt"] += sum(len(e[2]) for e in group)
        smooth = total / learnt if smooth is None else 0.9 * smooth + 0.1 * total / learnt
        if done["step"] % 10 == 0:
            log(loss=round(smooth, 4), rate=round(rate, 6), tokens_per_second=round(done["tokens"] / done["seconds"]))
        if now - saved_at > 60 * args.save_minutes:
            save()
            log(validation=round(validate(), 4))
            clock = saved_at = time.monotonic()
    save()
    log(validation=round(validate(), 4))
    if args.out:
        adapter.write(args.out, get_peft_model_state_dict(model), args.alpha, model.config.model_type)


if __name__ == "__main__":
    main()
