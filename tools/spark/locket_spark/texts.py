"""Tokenises texts: tokens, statistics and weights are those of `core/src/text.rs` and
`tools/builder/src/pack/terms.rs`."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from importlib import resources

import numpy as np
import scipy.sparse as sp
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from .order import KEPT, numbered
from .population import Numbered


TERMS_PER_ITEM = 64
TITLE_BOOST = 3
TERM_CHARS = 24
UPPER, LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
SPACE = "[\\x00-\\x20\\x7f-\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+"
"""The characters of Rust's char::is_whitespace and char::is_control."""

MARK = "[\\p{M}\\x{ff9e}\\x{ff9f}]"
KATAKANA = "[\\x{3031}-\\x{3035}\\x{30a1}-\\x{30fa}\\x{30fc}-\\x{30ff}\\x{31f0}-\\x{31ff}\\x{ff66}-\\x{ff9d}\\x{1aff0}-\\x{1affe}\\x{1b000}\\x{1b164}-\\x{1b167}]"
SINGLE = (
    "[[\\p{IsIdeographic}\\p{IsHiragana}\\p{IsThai}\\p{IsLao}\\p{IsMyanmar}\\p{IsKhmer}"
    "\\p{IsTai_Le}\\p{IsNew_Tai_Lue}\\p{IsTai_Tham}\\p{IsTai_Viet}\\p{IsAhom}]&&[\\p{IsAlphabetic}]&&[^\\p{M}\\p{Nd}]]"
)
LETTER = f"[[\\p{{IsAlphabetic}}\\p{{Nd}}\\p{{Nl}}]&&[^\\p{{M}}\\x{{ff9e}}\\x{{ff9f}}]&&[^{KATAKANA[1:-1]}]&&[^{SINGLE}]]"
WORD = f"(?:{KATAKANA}{MARK}*)+|{SINGLE}{MARK}*|\\p{{No}}{MARK}*|(?:{LETTER}{MARK}*)+"
"""The tokens of `words` in core/src/text.rs, as a Java pattern.

A token is a run of letters and digits with their marks. In scripts without spaces it is a single
character, and in Katakana a run.
"""
UNSPACED = (
    "[[\\x{e01}-\\x{e3a}\\x{e40}-\\x{e4e}\\x{e81}-\\x{ece}\\x{edc}-\\x{edf}\\x{1000}-\\x{103f}\\x{1050}-\\x{108f}\\x{109a}-\\x{109d}"
    "\\x{1780}-\\x{17d3}\\x{a9e0}-\\x{a9ef}\\x{a9fa}-\\x{a9fe}\\x{aa60}-\\x{aa7f}\\x{3005}-\\x{3007}\\x{3041}-\\x{309f}\\x{30a1}-\\x{30fa}"
    "\\x{30fc}-\\x{30ff}\\x{31f0}-\\x{31ff}\\x{3400}-\\x{9fff}\\x{f900}-\\x{faff}\\x{20000}-\\x{3ffff}]"
    "&&[\\p{IsAlphabetic}]&&[^\\p{M}]]"
)
"""The characters of `is_unspaced` in core/src/text.rs."""


@functools.cache
def stopwords() -> frozenset[str]:
    """Returns English words that carry no topic: the engine's list."""
    # The package may be a ZIP file on the cluster.
    return frozenset(resources.files(__package__).joinpath("stopwords.txt").read_text(encoding="utf-8").split())


def line(name: str) -> Column:
    """Returns a column with its text on one line."""
    spaced = F.regexp_replace(F.coalesce(F.col(name), F.lit("")), "<br ?/?>", " ")
    return F.trim(F.regexp_replace(spaced, SPACE, " "))


def words_of(name: str) -> Column:
    """Returns the lower-case words of a column, in any script."""
    return F.transform(F.regexp_extract_all(name, F.lit(f"({WORD})"), F.lit(1)), F.lower)


def terms_of(name: str) -> Column:
    """Returns the topical terms of a column."""
    stop = sorted(stopwords())
    long = lambda w: (F.length(w) > 1) | w.rlike(f"^{UNSPACED}")
    return F.filter(words_of(name), lambda w: long(w) & (F.length(w) <= TERM_CHARS) & ~w.isin(stop))


def item_terms() -> Column:
    """Returns the terms of an item's title, and its category as one more term."""
    category = F.concat(F.lit("="), F.translate("category", UPPER, LOWER))
    return F.concat(terms_of("title"), F.when(F.col("category") != "", F.array(category)).otherwise(F.array().cast("array<string>")))


@dataclass(frozen=True)
class Vocabulary:
    """The statistics of BM25 and TF-IDF.

    `terms`: number, term, documents, which is the number of texts that contain the term; in byte
    order of the terms. `texts` and `words`: the number of texts and of their words.
    """

    terms: DataFrame
    size: int
    texts: int
    words: int


def vocabulary(data: Numbered) -> Vocabulary:
    own = data.items.select(F.explode(item_terms()).alias("term")).distinct().withColumn("count", F.lit(1).cast("long"))
    texts = words = 0
    found = own.withColumnRenamed("count", "documents")
    if data.said is not None:
        both = F.array_distinct(F.concat(terms_of("title"), terms_of("text")))
        counts = data.said.select(F.explode(both).alias("term")).groupBy("term").count()
        found = counts.unionByName(own.join(counts, "term", "left_anti")).withColumnRenamed("count", "documents")
        texts, words = data.said.select(F.count("seq"), F.coalesce(F.sum(F.size(words_of("text"))), F.lit(0))).first()
    known = numbered(found, "term").persist(KEPT)
    return Vocabulary(known, known.count(), texts, words)


def idf(texts: int, documents: int) -> np.float32:
    n, d = np.float32(texts), np.float32(documents)
    half = np.float32(0.5)
    return np.float32(math.log(1 + max(n - d + half, np.float32(0)) / (d + half)))


def content(data: Numbered, known: Vocabulary) -> sp.csr_matrix:
    """Returns the item-term matrix C. Shape: (items, terms)."""
    return stack(content_rows(data.items, data.said, known), len(data.keys), known.size)


def without(whole: sp.csr_matrix, data: Numbered, known: Vocabulary, held: DataFrame) -> sp.csr_matrix:
    """Returns C without the texts of `held` (user, item). Only the rows of those items differ."""
    if data.said is None:
        return whole
    touched = F.broadcast(held.select("item").distinct())
    said = data.said.join(touched, "item", "left_semi").join(F.broadcast(held), ["user", "item"], "left_anti")
    items = data.items.join(touched, data.items.number == touched.item, "left_semi")
    rows = {n: (whole.indices[a:b], whole.data[a:b]) for n, (a, b) in enumerate(zip(whole.indptr, whole.indptr[1:]))}
    empty = (np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))
    rows.update({r.item: empty for r in held.select("item").collect()})
    rows.update(content_rows(items, said, known))
    return stack(rows, *whole.shape)


def content_rows(items: DataFrame, said: DataFrame | None, known: Vocabulary) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns each item's strongest terms by TF-IDF, as a row of length 1: terms ascending, and
    their weights.

    Items without terms have no row.
    """
    counted = items.select(F.col("number").cast("int").alias("item"), F.explode(item_terms()).alias("term"), F.lit(TITLE_BOOST).alias("n"))
    if said is not None:
        both = F.concat(terms_of("title"), terms_of("text"))
        counted = counted.unionByName(said.select("item", F.explode(both).alias("term"), F.lit(1).alias("n")))
    frequency = counted.groupBy("item", "term").agg(F.sum("n").alias("n")).join(known.terms, "term")
    rows = frequency.groupBy("item").agg(F.sort_array(F.collect_list(F.struct("number", "documents", "n"))).alias("of"))
    texts = known.texts

    def row(item: int, of: list) -> tuple[int, bytes, bytes]:
        numbers = np.fromiter((o[0] for o in of), dtype=np.int64, count=len(of))
        weights = np.array([idf(texts, o[1]) for o in of], dtype=np.float32)
        value = np.log1p(np.fromiter((o[2] for o in of), dtype=np.float32, count=len(of))) * weights
        best = np.sort(np.lexsort((numbers, -value))[:TERMS_PER_ITEM])
        value = value[best]
        norm = max(np.sqrt((value * value).sum(dtype=np.float32)), np.finfo(np.float32).tiny)
        return item, numbers[best].astype(np.int32).tobytes(), (value / norm).tobytes()

    found = rows.rdd.map(lambda r: row(r.item, r.of)).collect()
    return {item: (np.frombuffer(n, dtype=np.int32), np.frombuffer(v, dtype=np.float32)) for item, n, v in found}


def stack(rows: dict[int, tuple[np.ndarray, np.ndarray]], items: int, terms: int) -> sp.csr_matrix:
    starts = np.zeros(items + 1, dtype=np.int64)
    for item, (numbers, _) in rows.items():
        starts[item + 1] = len(numbers)
    order = [rows[item] for item in sorted(rows)]
    columns = np.concatenate([n for n, _ in order]) if order else np.empty(0, dtype=np.int32)
    values = np.concatenate([v for _, v in order]) if order else np.empty(0, dtype=np.float32)
    return sp.csr_matrix((values, columns, np.cumsum(starts)), shape=(items, terms))
