"""Gemma 3 with a LoRA adapter in plain PyTorch, for reinforcement learning.

Unlike the libraries' models, it prefills each prompt once for the many texts after it. In decoding,
the texts share one KV cache of the prompt, and one CUDA graph computes each token. In training, one
row holds the prompt and every text after it, and an attention mask separates the texts.
"""

import math
import re

import gguf
import torch
from torch.nn import functional as F

import adapter

# RoPE base of local layers, which attend within the window; every sixth layer is global
LOCAL_BASE = 10_000.0
GLOBAL_EVERY = 6
ALWAYS = [b"\n", b"\n\n", b"1", b"2", b"3", b"4", b"5"]  # line ends and ratings


def everywhere(n):
    """Returns whether layer `n` is global.

    The result indexes pairs of values for local (0) and global (1) layers.
    """
    return n % GLOBAL_EVERY == GLOBAL_EVERY - 1


def pieces(reader):
    """Returns the bytes of each token, and the token of each byte string.

    Byte tokens are excluded from the second.
    """
    field = reader.fields["tokenizer.ggml.tokens"]
    spelled, token = [], {}
    for n, index in enumerate(field.data):
        piece = bytes(field.parts[index])
        byte = re.fullmatch(rb"<0x([0-9A-F]{2})>", piece)
        spelled.append(bytes([int(byte[1], 16)]) if byte else piece.replace("▁".encode(), b" "))
        if not byte:
            token[spelled[-1]] = n
    return spelled, token


class Gemma:
    """The weights of a GGUF file and a LoRA adapter.

    The adapter `lora` is {"blk.0.attn_q": (A, B)} with A (rank, in) and B (out, rank), 32-bit
    floats. `vocabulary` selects the tokens that the model reads and writes, from the bytes of each
    token. Without it the model uses all tokens, which is most of the work.
    """

    def __init__(self, path, rank, alpha, device, dtype, vocabulary=None):
        reader = gguf.GGUFReader(str(path))
        value = lambda key: reader.fields[f"gemma3.{key}"].contents()
        if value("attention.head_count_kv") != 1:
            raise SystemExit(f"{path}: only models whose heads share their keys can be fitted by reward")
        self.layers, self.width = value("block_count"), value("embedding_length")
        self.heads, self.head = value("attention.head_count"), value("attention.key_length")
        self.eps, self.window = value("attention.layer_norm_rms_epsilon"), value("attention.sliding_window")
        self.device, self.dtype, self.scale, self.rank, self.alpha = torch.device(device), dtype, alpha / rank, rank, alpha
        self.pieces, self.token = pieces(reader)
        self.weights = {}
        for t in reader.tensors:
            if t.name == "token_embd.weight":
                self.embeddings = t
                continue
            data = torch.tensor(gguf.quants.dequantize(t.data, t.tensor_type))
            name = t.name.removesuffix(".weight")
            kind = torch.float32 if name.endswith("norm") else dtype
            self.weights[name] = data.to(device=self.device, dtype=kind)
        self.speaks(range(len(self.pieces)) if vocabulary is None else vocabulary(self.pieces))
        bases = LOCAL_BASE, value("rope.freq_base")
        self.frequencies = [b ** (-torch.arange(0, self.head, 2, device=self.device).float() / self.head) for b in bases]
        self.lora = {}
        for n in range(self.layers):
            for name in adapter.NAMES.values():
                out, into = self.weights[f"blk.{n}.{name}"].shape
                a = torch.randn(rank, into, device=self.device) / math.sqrt(into)
                self.lora[f"blk.{n}.{name}"] = (a.requires_grad_(), torch.zeros(out, rank, device=self.device, requires_grad=True))

    def speaks(self, vocabulary):
        wanted = sorted({*vocabulary, *(self.token[piece] for piece in ALWAYS)})
        self.vocabulary = torch.tensor(wanted, device=self.device)
        self.place = torch.full((len(self.pieces),), -1, dtype=torch.long, device=self.device)
        self.place[self.vocabulary] = torch.arange(len(self.vocabulary), device=self.device)
        rows = gguf.quants.dequantize(self.embeddings.data[wanted], self.embeddings.tensor_type)
        self.output = torch.tensor(rows).to(device=self.device, dtype=self.dtype)

    def parameters(self):
        return [p for pair in self.lora.values() for p in pair]

    def state(self):
        """Returns the adapter under the names that `adapter.write` expects."""
        names = {v: k for k, v in adapter.NAMES.items()}
        key = lambda name: "layers.{}.{}".format(name.split(".")[1], names[name.split(".")[2]])
        return {f"{key(n)}.lora_{side}.weight": p.detach() for n, pair in self.lora.items() for side, p in zip("AB", pair)}

    @torch.no_grad()
    def load_adapter(self, path):
        for into, weights in zip(self.parameters(), adapter.read(path, self.state()).values(), strict=True):
            into.copy_(weights)

    @torch.no_grad()
    def merged(self):
        """Returns the linear maps with the adapter merged into them."""
        add = lambda name, a, b: (self.weights[name].float() + self.scale * (b @ a)).to(self.dtype)
        return {name: add(name, a, b) for name, (a, b) in self.lora.items()}

    def norm(self, x, name):
        return F.rms_norm(x, (x.shape[-1],), self.weights[name], self.eps)

    def turn(self, places):
        """Returns the RoPE cosines and sines at these positions, for local and for global layers.

        Shape: (..., head / 2).
        """
        angles = [places.unsqueeze(-1).float() * f for f in self.frequencies]
        return [(a.cos(), a.sin()) for a in angles]

    @staticmethod
    def rotate(x, turn):
        """Returns the rotary embedding of x (..., head) by cosines and sines (..., head / 2)."""
        a, b = x.float().chunk(2, -1)
        cos, sin = turn
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def layer(self, n, x, turn, attend, linear):
        """Applies one layer to x (..., width).

        `attend` takes queries (..., heads, head), keys and values (..., head).
        """
        blk = f"blk.{n}."
        h = self.norm(x, blk + "attn_norm").to(self.dtype)
        q = linear(blk + "attn_q", h).unflatten(-1, (self.heads, self.head))
        k, v = linear(blk + "attn_k", h), linear(blk + "attn_v", h)
        here = turn[everywhere(n)]
        q = self.rotate(self.norm(q.float(), blk + "attn_q_norm"), [t.unsqueeze(-2) for t in here]).to(self.dtype)
        k = self.rotate(self.norm(k.float(), blk + "attn_k_norm"), here).to(self.dtype)
        a = linear(blk + "attn_output", attend(n, q, k, v).flatten(-2))
        x = x + self.norm(a.float(), blk + "post_attention_norm")
        h = self.norm(x, blk + "ffn_norm").to(self.dtype)
        h = F.gelu(linear(blk + "ffn_gate", h), approximate="tanh") * linear(blk + "ffn_up", h)
        return x + self.norm(linear(blk + "ffn_down", h).float(), blk + "post_ffw_norm")

    def embed(self, ids):
        return self.output[self.place[ids]].float() * math.sqrt(self.width)

    def adapted(self, name, x):
        a, b = self.lora[name]
        return F.linear(x, self.weights[name]) + F.linear(F.linear(x, a.to(x.dtype)), (self.scale * b).to(x.dtype))

    def hidden(self, ids, places, masks, linear=None, keep=None):
        """Returns the last hidden states (rows, length, width) of `ids`.

        `masks` are the attention masks of local and of global layers (rows or 1, 1, length,
        length).
        """

        def attend(n, q, k, v):
            if keep is not None:
                keep.append((k, v))
            heads = lambda t: t.unsqueeze(1).expand(-1, self.heads, -1, -1)
            mask = masks[everywhere(n)]
            y = F.scaled_dot_product_attention(q.transpose(1, 2), heads(k), heads(v), attn_mask=mask, scale=self.head**-0.5)
            return y.transpose(1, 2)

        turn, x = self.turn(places), self.embed(ids)
        for n in range(self.layers):
            x = self.layer(n, x, turn, attend, linear or self.adapted)
        return self.norm(x, "output_norm").to(self.dtype)

    def masks(self, places, branches):
        """Returns attention masks for rows of a prompt (branch 0) and the texts after it (from 1).

        A token attends to the prompt and to its own text, up to itself. In local layers it attends
        within the window only. Padding is a separate branch (-1).
        """
        back = places.unsqueeze(-1) - places.unsqueeze(-2)
        mine = (branches.unsqueeze(-2) == 0) & (branches.unsqueeze(-1) >= 0) | (branches.unsqueeze(-1) == branches.unsqueeze(-2))
        everything = (mine & (back >= 0)).unsqueeze(1)
        return everything & (back < self.window).unsqueeze(1), everything

    def logits(self, hidden):
        return F.linear(hidden, self.output).float()
