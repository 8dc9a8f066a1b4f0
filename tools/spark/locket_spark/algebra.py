"""Hashes, draws and the randomised range finder, as `tools/builder/src/graph` defines them.

Data that grows with users is distributed. Data that grows with items fits on one machine, since a
pack must fit on a phone, and is broadcast. 32-bit floats and the order of sums are those of the
engine's own builder, so both give the same pack up to rounding. Sums over partitions follow the
order of the partitions, so a repeated task changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OVERSAMPLING = 32


@dataclass(frozen=True)
class Fit:
    """Options for fitting tables: fields and defaults of `FitOptions` in
    tools/builder/src/graph/fit.rs."""

    user_exponent: float = 0.7
    source_exponent: float = 0.6
    people_target_exponent: float = 0.4
    spectral_target_exponent: float = -0.36
    spectral_users: float = 0.35
    spectral_items: float = 0.4
    rank: int = 1024
    iterations: int = 6
    ridge: float = 0.05
    spectral_weight: float = 3.5
    sharpness: float = 1.7
    row_exponent: float = 0.7
    neighbours: int = 100
    candidates: int = 2_000
    people_per_item: int = 10_000
    items_per_person: int = 2_000
    dimension: int = 64

    def rank_for(self, items: int) -> int:
        return max(min(self.rank, (1 << 28) // max(items, 1)), self.dimension)


def fnv(text: str) -> int:
    """Returns the 64-bit FNV-1a hash of the UTF-8 bytes."""
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def draw(keys: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Returns draw `n` of each key's sequence (SplitMix64)."""
    with np.errstate(over="ignore"):
        z = keys ^ ((n.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def drawn(keys: np.ndarray, n: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Returns whether draw `n` of each key falls into the fraction `part` of all draws.

    Skips draws where `part` is 1 or more.
    """
    out = np.ones(len(part), dtype=bool)
    some = np.flatnonzero(part < 1)
    out[some] = (draw(keys[some], n[some]) >> np.uint64(11)).astype(np.float64) < part[some] * np.float64(1 << 53)
    return out


def runs(values: np.ndarray) -> list[slice]:
    """Returns the slices of equal values in sorted, non-negative `values`."""
    bounds = np.flatnonzero(np.diff(values, prepend=-1, append=-1))
    return [slice(first, last) for first, last in zip(bounds, bounds[1:])]


def uniform(keys: np.ndarray, count: int) -> np.ndarray:
    """Returns the first `count` draws of every key, uniform in -1..1. Shape: (keys, count)."""
    out = np.empty((len(keys), count), dtype=np.float32)
    for n in range(count):
        out[:, n] = (draw(keys, np.array([n])) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    return out


def power(degrees: np.ndarray, exponent: float) -> np.ndarray:
    """Returns degrees^-exponent, with degrees of at least 1."""
    return np.maximum(degrees, 1).astype(np.float32) ** np.float32(-exponent)


def eigen(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the eigenvalues, largest first, and their vectors as columns."""
    values, vectors = np.linalg.eigh(symmetric.astype(np.float64))
    return values[::-1], vectors[:, ::-1]


def orthonormal(x: np.ndarray) -> np.ndarray:
    """Returns an orthonormal basis of the columns of x, by whitening.

    Directions that x lacks become zero.
    """
    norms = np.maximum(np.sqrt((x * x).sum(axis=0, dtype=np.float32)), np.finfo(np.float32).tiny)
    x = x / norms
    values, vectors = eigen(x.T @ x)
    kept = values > values[0] * 1e-6
    whiten = np.where(kept, vectors / np.sqrt(np.where(kept, values, 1.0)), 0.0).astype(np.float32)
    return x @ whiten


def largest(weights: np.ndarray, keys: np.ndarray, k: int) -> np.ndarray:
    """Returns the indices of the k largest weights. Ties go to the larger key."""
    if len(weights) <= k:
        return np.arange(len(weights))
    least = np.partition(weights, -k)[-k]
    above, ties = np.flatnonzero(weights > least), np.flatnonzero(weights == least)
    return np.concatenate([above, ties[np.argsort(keys[ties])[::-1][: k - len(above)]]])
