"""Words: the same tokens, statistics and weights as `core/src/text.rs` and `core/src/pack/terms.rs`."""

from __future__ import annotations

import functools
import math
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

TERMS_PER_ITEM = 64
TITLE_BOOST = 3.0
TERM_BYTES = 24

_WORD = re.compile(r"[A-Za-z0-9]+")
_BREAK = re.compile(r"<br ?/?>")
# What Rust's char::is_whitespace and char::is_control name.
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


@functools.cache
def stopwords() -> frozenset[str]:
    """English words that carry no topic: the engine's own list."""
    return frozenset((pathlib.Path(__file__).parent / "stopwords.txt").read_text(encoding="utf-8").split())


def words(text: str) -> Iterator[str]:
    """Lower-cased runs of ASCII letters and digits."""
    return (w.lower() for w in _WORD.findall(text))


def one_line(text: str) -> str:
    return " ".join(w for w in _SPACE.split(_BREAK.sub(" ", text)) if w)


def terms(text: str) -> Iterator[str]:
    """The topical terms of a text."""
    stop = stopwords()
    return (w for w in words(text) if 1 < len(w) <= TERM_BYTES and w not in stop)


def item_terms(title: str, category: str) -> list[str]:
    found = list(terms(title))
    return found + [f"={category.lower()}"] if category else found


def idf(texts: int, documents: int) -> np.float32:
    n, d = np.float32(texts), np.float32(documents)
    half = np.float32(0.5)
    return np.float32(math.log(1 + max(n - d + half, np.float32(0)) / (d + half)))


def content_row(
    own: Iterable[str], said: Iterable[str], vocabulary: dict[str, int], weights: np.ndarray
) -> tuple[list[int], list[float]]:
    """An item's strongest terms by TF-IDF, a row of length 1: terms ascending."""
    frequency: Counter[int] = Counter()
    for term in own:
        frequency[vocabulary[term]] += TITLE_BOOST
    for term in said:
        frequency[vocabulary[term]] += 1.0
    if not frequency:
        return [], []
    numbers = np.fromiter(frequency, dtype=np.int64)
    value = np.log1p(np.fromiter(frequency.values(), dtype=np.float32)) * weights[numbers]
    best = np.lexsort((numbers, -value))[:TERMS_PER_ITEM]
    numbers, value = numbers[best], value[best]
    norm = max(np.sqrt((value * value).sum(dtype=np.float32)), np.finfo(np.float32).tiny)
    order = np.argsort(numbers)
    return numbers[order].tolist(), (value[order] / norm).tolist()
