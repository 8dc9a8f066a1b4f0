"""Interactions in, pack parts out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import scipy.sparse as sp
from pyspark.sql import DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from . import filters, tables
from .algebra import Fit, fnv
from .filters import Filters
from .parts import Writer
from .texts import content_row, idf, item_terms, one_line, terms, words

LEARNERS, ROUNDS = 1_000, 4

INTERACTION = T.StructType(
    [
        T.StructField("item", T.StringType()),
        T.StructField("item_title", T.StringType()),
        T.StructField("category", T.StringType()),
        T.StructField("title", T.StringType()),
        T.StructField("text", T.StringType()),
        T.StructField("rating", T.FloatType()),
        T.StructField("time", T.LongType()),
    ]
)
PROFILE = T.StructType(
    [
        T.StructField("user", T.StringType()),
        T.StructField("history", T.ArrayType(INTERACTION)),
        T.StructField("target", INTERACTION),
    ]
)


def from_profiles(spark: SparkSession, paths: list[str]) -> DataFrame:
    """Interactions of profile files (JSON lines), in the order of the files: column `seq` is that order."""
    lines = spark.sparkContext.textFile(",".join(paths)).zipWithIndex()
    numbered = spark.createDataFrame(lines.map(lambda l: Row(line=l[0], n=l[1])))
    profile = numbered.select(F.from_json("line", PROFILE).alias("p"), "n").where(F.col("p").isNotNull())
    all_of_them = F.concat(F.coalesce("p.history", F.array()), F.array("p.target"))
    met = profile.select(F.col("p.user").alias("user"), "n", F.posexplode(all_of_them).alias("k", "i"))
    return met.select("user", "i.*", (F.col("n") * 1_000_000 + F.col("k")).alias("seq"))


def from_edges(spark: SparkSession, path: str) -> DataFrame:
    """Interactions without texts: one user a line, `user item item ...`, as LightGCN's data sets have them."""

    def met(line: tuple[str, int]) -> Iterator[Row]:
        user, *items = line[0].split()
        for k, item in enumerate(items):
            yield Row(user=user, item=item, seq=line[1] * 1_000_000 + k)

    rows = spark.sparkContext.textFile(path).zipWithIndex().flatMap(met)
    frame = spark.createDataFrame(rows, "user string, item string, seq long")
    for name in ("item_title", "category", "title", "text"):
        frame = frame.withColumn(name, F.lit(None).cast("string"))
    return frame.withColumn("rating", F.lit(None).cast("float")).withColumn("time", F.lit(None).cast("long"))


@dataclass(frozen=True)
class Numbered:
    """Interactions with the numbers that the pack knows people and items by: in the order in which they first appear."""

    rows: DataFrame
    texts: DataFrame
    items: DataFrame
    people: int
    keys: np.ndarray


def number(rows: DataFrame, keep: Filters, dropped: dict[str, int]) -> Numbered:
    def numbers(frame: DataFrame, name: str) -> DataFrame:
        ordered = frame.orderBy("seq", name).rdd.zipWithIndex().map(lambda r: Row(**r[0].asDict(), number=r[1]))
        return ordered.toDF()

    people = numbers(rows.groupBy("user").agg(F.min("seq").alias("seq")), "user").cache()
    rows = filters.known(rows, keep, dropped)
    first = Window.partitionBy("item").orderBy("seq").rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    # The first name and category that anybody gave.
    named = rows.select(
        "item",
        F.min("seq").over(first).alias("seq"),
        F.first(F.when(F.col("item_title") != "", F.col("item_title")), ignorenulls=True).over(first).alias("title"),
        F.first(F.when(F.col("category") != "", F.col("category")), ignorenulls=True).over(first).alias("category"),
    ).dropDuplicates(["item"])
    clean = F.udf(lambda s: one_line(s) if s else "")
    items = numbers(named.select("item", "seq", clean("title").alias("title"), clean("category").alias("category")), "item").cache()
    joined = rows.join(items.select(F.col("number").alias("item_number"), "item"), "item")
    joined = joined.join(people.select(F.col("number").alias("user_number"), "user"), "user")
    keys = np.array([fnv(r.item) for r in items.orderBy("number").select("item").toLocalIterator()], dtype=np.uint64)
    joined = joined.cache()
    return Numbered(joined, filters.texts(joined, keep, dropped).cache(), items, people.count(), keys)


@dataclass(frozen=True)
class Vocabulary:
    """Terms in byte order with the number of texts that contain each: the statistics of BM25 and TF-IDF."""

    terms: list[str]
    documents: np.ndarray
    texts: int
    words: int

    def weights(self) -> np.ndarray:
        return np.array([idf(self.texts, int(n)) for n in self.documents], dtype=np.float32)


def vocabulary(data: Numbered) -> Vocabulary:
    said = data.texts.select(F.coalesce("title", F.lit("")).alias("title"), F.coalesce("text", F.lit("")).alias("text"))

    def of_text(row: Row) -> set[str]:
        return {*terms(one_line(row.title)), *terms(one_line(row.text))}

    counts = dict(said.rdd.flatMap(of_text).map(lambda t: (t, 1)).reduceByKey(lambda a, b: a + b).toLocalIterator())
    own = data.items.rdd.flatMap(lambda i: item_terms(i.title, i.category)).distinct()
    for term in own.toLocalIterator():
        counts.setdefault(term, 1)
    known = sorted(counts, key=str.encode)
    length = said.rdd.map(lambda r: sum(1 for _ in words(one_line(r.text)))).sum()
    return Vocabulary(known, np.array([counts[t] for t in known], dtype=np.uint32), said.count(), length)


def content(
    data: Numbered, known: Vocabulary, hidden: frozenset[tuple[int, int]] = frozenset()
) -> sp.csr_matrix:
    """The item-term matrix C without the texts of `hidden` (person, item). Shape: (items, terms)."""
    context = data.rows.sparkSession.sparkContext
    places = context.broadcast({t: n for n, t in enumerate(known.terms)})
    weights, out = context.broadcast(known.weights()), context.broadcast(hidden)

    def said(row: Row) -> Iterator[tuple[int, list[str]]]:
        if (row.user_number, row.item_number) not in out.value:
            text = f"{one_line(row.title or '')}\n{one_line(row.text or '')}"
            yield row.item_number, list(terms(text))

    own = data.items.rdd.map(lambda i: (i.number, item_terms(i.title, i.category)))
    of_texts = data.texts.select("user_number", "item_number", "title", "text").rdd.flatMap(said)
    rows = own.cogroup(of_texts).map(
        lambda found: (
            found[0],
            content_row(
                (t for some in found[1][0] for t in some), (t for some in found[1][1] for t in some), places.value, weights.value
            ),
        )
    )
    found = dict(rows.collect())
    items = len(data.keys)
    starts = np.zeros(items + 1, dtype=np.int64)
    starts[1:] = np.cumsum([len(found[n][0]) for n in range(items)])
    columns = np.fromiter((t for n in range(items) for t in found[n][0]), dtype=np.int32)
    values = np.fromiter((w for n in range(items) for w in found[n][1]), dtype=np.float32)
    return sp.csr_matrix((values, columns, starts), shape=(items, len(known.terms)))


@dataclass(frozen=True)
class Held:
    """A held-out interaction: of whom, with what before it."""

    user: int
    seeds: list[int]
    target: int


def cuts(data: Numbered) -> list[list[Held]]:
    """Rounds of held-out interactions that the weights of the evidence are learned from: `cuts` in core/src/pack/link.rs."""

    def in_order(rows: Iterable[tuple[int, int]]) -> list[int]:
        return list(dict.fromkeys(item for _, item in sorted(rows)))

    met = data.rows.select("user_number", "seq", "item_number").rdd.map(lambda r: (r[0], (r[1], r[2]))).groupByKey()
    people = met.mapValues(in_order).filter(lambda p: len(p[1]) > 1).sortByKey().cache()
    found: list[list[Held]] = []
    while len(found) < ROUNDS and sum(map(len, found)) < LEARNERS:
        round_ = len(found)
        able = people.filter(lambda p: len(p[1]) > 1 + round_).zipWithIndex()
        step = max(-(-able.count() // LEARNERS), 1)
        some = able.filter(lambda p: p[1] % step == 0).keys().collect()
        found.append([Held(user, items[: -1 - round_], items[-1 - round_]) for user, items in some])
    return [cut for cut in found if cut]


def build(rows: DataFrame, out: str, keep: Filters = Filters(), fit: Fit = Fit(), partitions: int = 4) -> dict[str, object]:
    """Writes the parts of a pack to the folder `out`, as Parquet; `locket pack assemble` makes the pack of them."""
    spark = rows.sparkSession
    dropped: dict[str, int] = {}
    data = number(filters.interactions(rows, keep, dropped), keep, dropped)
    known = vocabulary(data)
    edges = data.rows.select(F.col("user_number").alias("user"), F.col("item_number").alias("item")).distinct().cache()
    sets = [("full", edges, content(data, known))]
    held = cuts(data)
    for n, cut in enumerate(held):
        gone = [(h.user, h.target) for h in cut]
        rest = edges.join(spark.createDataFrame(gone, "user long, item long"), ["user", "item"], "left_anti").cache()
        sets.append((f"cut{n}", rest, content(data, known, frozenset(gone))))
    write = Writer(spark, out, partitions)
    for name, some, matrix in sets:
        graph = tables.Graph(spark.sparkContext, some, len(data.keys), partitions)
        values, vectors = tables.spectrum(graph, data.keys, fit, data.people)
        vectors = tables.filtered(values, vectors, fit)
        write.lists(f"{name}/people", tables.neighbours(graph, vectors, data.keys, fit))
        write.lists(f"{name}/alike", tables.content_edges(spark.sparkContext, matrix, data.keys))
        write.matrix(f"{name}/factors", vectors[:, : fit.dimension])
    write.frame("edges", edges, "user", "item")
    write.content("content", sets[0][2])
    write.texts("texts", data.texts)
    write.frame("items", data.items.select("number", "item", "title", "category"), "number")
    terms_frame = spark.createDataFrame(
        [(n, t, int(d)) for n, (t, d) in enumerate(zip(known.terms, known.documents))], "number long, term string, documents long"
    )
    write.frame("terms", terms_frame, "number")
    for n, cut in enumerate(held):
        write.frame(f"cut{n}/held", spark.createDataFrame([(k, h.user, h.seeds, h.target) for k, h in enumerate(cut)],
                    "number long, user long, seeds array<int>, target int"), "number")
    facts: dict[str, object] = {"dropped": dropped, "people": data.people, "texts": known.texts, "words": known.words, "cuts": len(held), "dimension": min(fit.dimension, vectors.shape[1])}
    write.facts({"version": 1, "fit": asdict(fit), **facts})
    return facts
