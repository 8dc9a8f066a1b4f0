"""The job that turns interactions into pack parts."""

from __future__ import annotations

from dataclasses import asdict

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from . import tables, texts
from .algebra import Fit
from .filters import Filters
from .frames import number
from .order import KEPT, numbered
from .population import Numbered
from .parts import Writer

LEARNERS, ROUNDS = 1_000, 4


def cuts(data: Numbered) -> list[list[tuple[int, list[int], int]]]:
    """Returns rounds of held-out interactions for learning the weights of the evidence.

    An entry is (user, items before, item). Same as `cuts` in tools/builder/src/pack/link.rs.
    """
    counts = data.met.groupBy("user").agg(F.count("item").alias("n")).where(F.col("n") > 1).persist(KEPT)
    # Fetch all at once for few users, and one round at a time for many.
    all_of_them = of(data, counts.select("user")) if counts.count() <= ROUNDS * LEARNERS else None
    found: list[list[tuple[int, list[int], int]]] = []
    while len(found) < ROUNDS and sum(map(len, found)) < LEARNERS:
        least = 2 + len(found)
        if all_of_them is not None:
            able = [(user, items) for user, items in all_of_them if len(items) >= least]
            some = able[:: max(-(-len(able) // LEARNERS), 1)]
        else:
            ranked = numbered(counts.where(F.col("n") >= least), "user")
            step = max(-(-ranked.count() // LEARNERS), 1)
            some = of(data, ranked.where(F.col("number") % step == 0).select("user"))
        found.append([(user, items[: 1 - least], items[1 - least]) for user, items in some])
    return [cut for cut in found if cut]


def of(data: Numbered, people: DataFrame) -> list[tuple[int, list[int]]]:
    """Returns the items of these users in the order of interaction, by user."""
    met = data.met.join(F.broadcast(people), "user").groupBy("user")
    ordered = met.agg(F.sort_array(F.collect_list(F.struct("seq", "item"))).alias("of")).orderBy("user")
    return [(user, [item for _, item in items]) for user, items in ordered.collect()]


def build(rows: DataFrame, out: str, keep: Filters = Filters(), fit: Fit = Fit(), partitions: int = 4) -> dict[str, object]:
    """Writes the parts of a pack to the folder `out`, as Parquet. `locket pack assemble` makes the
    pack from them.

    `rows` has the columns of `from_interactions`. Users are fitted in `partitions`, one per task.
    Use few and large partitions, since the sums over users are as large as the item vectors.
    """
    spark = rows.sparkSession
    data, dropped = number(rows, keep)
    write = Writer(spark, out, partitions)
    # Incomplete parts, or a mixture with older ones, must not assemble to a pack.
    write.facts({"unfinished": True})
    known = texts.vocabulary(data)
    whole = texts.content(data, known)
    write.frame("items", data.items.select("number", "item", "title", "category"), "number")
    write.frame("terms", known.terms.select("number", "term", "documents"), "number")
    write.texts("texts", data.said)
    write.frame("edges", data.met.select("user", "item"), "user", "item")
    write.content("content", whole)
    dimension = fit_set(write, "full", data, whole, None, fit, partitions)
    held = cuts(data)
    for n, cut in enumerate(held):
        rounds = [(k, user, seeds, target) for k, (user, seeds, target) in enumerate(cut)]
        write.frame(f"cut{n}/held", spark.createDataFrame(rounds, "number long, user long, seeds array<int>, target int"), "number")
        gone = spark.createDataFrame([(user, target) for user, _, target in cut], "user long, item int")
        fit_set(write, f"cut{n}", data, texts.without(whole, data, known, gone), gone, fit, partitions)
    facts: dict[str, object] = {
        "dropped": dropped, "people": data.people, "texts": known.texts, "words": known.words, "cuts": len(held), "dimension": dimension,
    }
    write.facts({"version": 1, "fit": asdict(fit), **facts})
    return facts


def fit_set(write: Writer, name: str, data: Numbered, content, gone: DataFrame | None, fit: Fit, partitions: int) -> int:
    """Fits the tables of all edges except `gone`. Returns the dimension of the item vectors."""
    context = data.spark.sparkContext
    edges = data.met if gone is None else data.met.join(F.broadcast(gone), ["user", "item"], "left_anti")
    graph = tables.Graph(context, edges, data.keys, fit, partitions)
    values, vectors = tables.spectrum(graph, data.people)
    vectors = tables.filtered(values, vectors, fit)
    write.lists(f"{name}/people", tables.neighbours(graph, vectors))
    write.lists(f"{name}/alike", tables.content_edges(context, content, data.keys))
    write.matrix(f"{name}/factors", vectors[:, : fit.dimension])
    graph.parts.unpersist()
    return min(fit.dimension, vectors.shape[1])
