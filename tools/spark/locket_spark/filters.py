"""Filters the interactions for a pack, as `tools/builder/src/pack/filter.rs` and `select.rs` do, on
a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from .texts import terms_of

COMPARED = 200
SHORT = np.float32(400)
DIVERSITY = np.float32(2)


@dataclass(frozen=True)
class Filters:
    """Filter settings.

    The default filters nothing. `removed` are ids of users who requested removal.
    """

    removed: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    people_per_item: int = 1
    authors_per_item: int = 1
    texts_per_author: int | None = None
    texts_per_item: int | None = None


def interactions(rows: DataFrame, filters: Filters, dropped: dict[str, object]) -> DataFrame:
    """Returns the rows without removed users and other categories."""
    if filters.removed:
        gone = F.broadcast(rows.sparkSession.createDataFrame([(user,) for user in sorted(filters.removed)], "user string"))
        dropped["removed_people"] = rows.join(gone, "user", "left_semi").select("user").distinct().count()
        rows = rows.join(gone, "user", "left_anti")
    if filters.categories:
        here = F.coalesce("category", F.lit("")).isin(list(filters.categories))
        dropped["other_categories"] = rows.where(~here).count()
        rows = rows.where(here)
    return rows


def once(rows: DataFrame, dropped: dict[str, object]) -> DataFrame:
    """Returns the rows with texts, without texts that repeat one by the same author on the same
    item."""
    said = rows.where(F.col("text").isNotNull())
    again = F.row_number().over(Window.partitionBy("user", "item", "title", "text").orderBy("seq"))
    kept = said.withColumn("again", again).where(F.col("again") == 1).drop("again")
    dropped["duplicates"] = said.count() - kept.count()
    return kept


def known(rows: DataFrame, said: DataFrame, filters: Filters, dropped: dict[str, object]) -> tuple[DataFrame, DataFrame]:
    """Returns interactions and texts without items that too few users interacted with
    (k-anonymity)."""
    if filters.people_per_item > 1:
        people = rows.groupBy("item").agg(F.countDistinct("user").alias("people"))
        few = people.where(F.col("people") < filters.people_per_item).select("item")
        dropped["rare_items"] = few.count()
        dropped["rare_edges"] = rows.join(few, "item", "left_semi").count()
        dropped["rare_texts"] = said.join(few, "item", "left_semi").count()
        rows, said = rows.join(few, "item", "left_anti"), said.join(few, "item", "left_anti")
    return rows, said


def texts(said: DataFrame, filters: Filters, dropped: dict[str, object]) -> DataFrame:
    """Returns the public texts."""
    if filters.authors_per_item > 1:
        authors = said.groupBy("item").agg(F.countDistinct("user").alias("authors"))
        enough = said.join(authors.where(F.col("authors") >= filters.authors_per_item), "item").drop("authors")
        dropped["rare_texts"] = dropped.get("rare_texts", 0) + said.count() - enough.count()
        said = enough
    latest = (F.desc_nulls_last("time"), F.desc("seq"))
    if filters.texts_per_author is not None:
        ranked = said.withColumn("rank", F.row_number().over(Window.partitionBy("user").orderBy(*latest)))
        kept = ranked.where(F.col("rank") <= filters.texts_per_author).drop("rank")
        dropped["texts_per_author"] = said.count() - kept.count()
        said = kept
    if filters.texts_per_item is not None:
        most = filters.texts_per_item
        placed = said.withColumn("place", F.row_number().over(Window.partitionBy("item").orderBy(*latest)))
        # Texts that are not among an item's latest rank after them anyway.
        shown = placed.where(F.col("place") <= COMPARED).select(
            "item", "seq", "place", F.octet_length("text").alias("length"), F.array_distinct(F.concat(terms_of("title"), terms_of("text"))).alias("terms")
        )
        chosen = shown.rdd.map(lambda r: (r.item, (r.place, r.seq, r.length, r.terms))).groupByKey().flatMap(lambda g: ranks(g[1]))
        ranked = said.sparkSession.createDataFrame(chosen, "seq long, rank int")
        kept = placed.join(ranked, "seq", "left").where(F.coalesce("rank", F.col("place") - 1) < most).drop("rank", "place")
        dropped["texts_per_item"] = said.count() - kept.count()
        said = kept
    return said


def ranks(latest_first: Iterable[tuple[int, int, int, list[str]]]) -> list[tuple[int, int]]:
    """Returns (seq, rank) of the texts of one item, given as (place, seq, bytes, terms).

    The ranking is greedy (MMR). The next text is the one with the highest score: a bonus for short
    and late texts, minus its similarity to the nearest text ranked before it.
    """
    rows = sorted(latest_first)
    said = [frozenset(terms) for *_, terms in rows]
    lengths = [np.float32(max(length, 1)) for _, _, length, _ in rows]
    count = np.float32(len(rows))

    def worth(at: int) -> np.float32:
        if not said[at]:
            return -DIVERSITY
        return min(SHORT / lengths[at], np.float32(1)) + np.float32(1) - np.float32(at) / count

    values = [worth(at) for at in range(len(rows))]
    nearest = [np.float32(0)] * len(rows)
    open_ = list(range(len(rows)))
    ranked = []
    while open_:
        best = max(open_, key=lambda at: (values[at] - DIVERSITY * nearest[at], -at))
        open_.remove(best)
        for other in open_:
            nearest[other] = max(nearest[other], jaccard(said[best], said[other]))
        ranked.append((rows[best][1], len(ranked)))
    return ranked


def jaccard(a: frozenset[str], b: frozenset[str]) -> np.float32:
    either = len(a | b)
    return np.float32(len(a & b)) / np.float32(either) if either else np.float32(1)
