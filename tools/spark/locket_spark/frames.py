"""Reads interactions as data frames and numbers users and items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from . import clean, filters
from .algebra import fnv
from .filters import Filters
from .order import KEPT, numbered
from .population import Numbered
from .texts import line

INTERACTION = T.StructType(
    [
        T.StructField("item", T.StringType()),
        T.StructField("item_title", T.StringType()),
        T.StructField("category", T.StringType()),
        T.StructField("title", T.StringType()),
        T.StructField("text", T.StringType()),
        T.StructField("rating", T.FloatType()),
        T.StructField("time", T.LongType()),
        T.StructField("kind", T.StringType()),
    ]
)
PROFILE = T.StructType(
    [
        T.StructField("user", T.StringType()),
        T.StructField("history", T.ArrayType(INTERACTION)),
        T.StructField("target", INTERACTION),
    ]
)
FLAT = T.StructType([T.StructField("user", T.StringType()), *INTERACTION.fields, T.StructField("seq", T.LongType())])
PER_LINE = 1_000_000
"""`seq` of the first interaction of a line is the line's number times this."""


def lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """Returns the non-blank lines of text files with their numbers (`line`, `n`)."""
    numbered = spark.sparkContext.textFile(",".join(paths)).zipWithIndex()
    return spark.createDataFrame(numbered, "line string, n long", verifySchema=False).where(F.trim("line") != "")


def from_profiles(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """Returns the interactions of profile files (JSON lines, one user each).

    Column `seq` is the order of the files. A line that is not a profile stops the job.
    """
    parsed = lines(spark, paths).select(F.from_json("line", PROFILE, {"mode": "FAILFAST"}).alias("p"), "n")
    whole = F.col("p.user").isNotNull() & F.col("p.target.item").isNotNull()
    wrong = F.raise_error(F.concat(F.lit("line "), F.col("n") + 1, F.lit(": a profile needs a user and a target with an item")))
    profile = parsed.select(F.when(whole, F.col("p")).otherwise(wrong).alias("p"), "n")
    both = F.concat(F.coalesce("p.history", F.array()), F.array("p.target"))
    met = profile.select(F.col("p.user").alias("user"), "n", F.posexplode(both).alias("k", "i"))
    return met.select("user", "i.*", (F.col("n") * PER_LINE + F.col("k")).alias("seq"))


def from_edges(spark: SparkSession, path: str) -> DataFrame:
    """Returns interactions without texts: one user per line, `user item item ...`, the format of
    LightGCN's data sets."""
    ids = lines(spark, [path]).select(F.split(F.trim("line"), r"\s+").alias("ids"), "n")
    met = ids.select(F.col("ids")[0].alias("user"), "n", F.posexplode(F.slice("ids", 2, F.size("ids"))).alias("k", "item"))
    return met.select("user", "item", (F.col("n") * PER_LINE + F.col("k")).alias("seq"))


def from_interactions(spark: SparkSession, path: str) -> DataFrame:
    """Returns interactions from a table, one per row: Parquet, or JSON if the name ends so.

    Columns are `user`, `item`, and any of `item_title, category, title, text, rating, time, seq`.
    `time` is a timestamp, or milliseconds since 1970. Without `seq`, the interactions are in the
    order of their times.
    """
    if not path.rstrip("/").endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")):
        return spark.read.parquet(path)
    # Name all columns beforehand: schema inference would read everything twice.
    rows = spark.read.schema(FLAT).json(path)
    return rows.drop("seq") if rows.where(F.col("seq").isNull()).head(1) else rows


def complete(rows: DataFrame, dropped: dict[str, object]) -> DataFrame:
    """Returns the rows with all columns, null where the input has none, and with an order
    (`seq`). Rows without an item are dropped, and texts of other kinds than reviews: replies and
    e-mails are private, they link items and nobody reads them."""
    for field in FLAT.fields[:-1]:
        there = F.col(field.name) if field.name in rows.columns else F.lit(None)
        if field.name in rows.columns and isinstance(rows.schema[field.name].dataType, T.TimestampType):
            there = F.unix_millis(there)
        rows = rows.withColumn(field.name, there.cast(field.dataType))
    if "seq" not in rows.columns:
        rows = numbered(rows, F.col("time").asc_nulls_first(), "user", "item", "title", "text").withColumnRenamed("number", "seq")
    rows = rows.where(F.col("user").isNotNull() & F.col("item").isNotNull())
    public, named = F.coalesce("kind", F.lit("review")) == "review", F.trim("item") != ""
    counts = rows.agg(F.sum((~named).cast("long")).alias("without_item"), F.sum((named & ~public).cast("long")).alias("private_texts"))
    dropped.update({name: count or 0 for name, count in counts.head(1)[0].asDict().items()})
    rows = rows.withColumns({name: F.when(public, F.col(name)) for name in ("title", "text")})
    return rows.where(named).drop("kind")


def number(rows: DataFrame, keep: Filters) -> tuple[Numbered, dict[str, object]]:
    """Returns the kept interactions, and the counts of filtered ones by reason."""
    dropped: dict[str, object] = {}
    on_line = {name: line(name) for name in ("item_title", "category", "title")}
    rows = filters.interactions(complete(rows, dropped), keep, dropped).withColumns({**on_line, "text": F.when(F.col("text").isNotNull(), line("text"))})
    rows = rows.withColumn("clean", clean.cleaned("title", "text")).persist(KEPT)
    dropped["cleaned"] = clean.counted(rows, "clean.counts")
    # A text that was only a seller's answer is null after cleaning.
    rows = rows.withColumns({"title": line("clean.title"), "text": F.when(F.col("clean.text").isNotNull(), line("clean.text"))}).drop("clean")
    people = numbered(rows.groupBy("user").agg(F.min("seq").alias("seq")), "seq", "user").drop("seq").persist(KEPT)
    with_texts = bool(rows.where(F.col("text").isNotNull()).head(1))
    public = filters.once(rows, dropped) if with_texts else rows.limit(0)
    known, public = filters.known(rows, public, keep, dropped)

    def first(name: str) -> Column:
        given = F.when(F.col(name) != "", F.struct("seq", name))
        return F.coalesce(F.min(given)[name], F.lit(""))

    named = known.groupBy("item").agg(F.min("seq").alias("seq"), first("item_title").alias("title"), first("category").alias("category"))
    items = numbered(named, "seq", "item").drop("seq").persist(KEPT)
    to_item, to_user = items.select("item", F.col("number").alias("i")), people.select("user", F.col("number").alias("u"))

    def by_number(frame: DataFrame) -> DataFrame:
        return frame.join(to_item, "item").join(to_user, "user")

    met = by_number(known.groupBy("user", "item").agg(F.min("seq").alias("seq"))).select(
        F.col("u").alias("user"), F.col("i").cast("int").alias("item"), "seq"
    )
    said = None
    if with_texts:
        chosen = filters.texts(public, keep, dropped)
        said = by_number(chosen).select(
            F.col("u").alias("user"), F.col("i").cast("int").alias("item"), "seq", "title", "text", "rating", "time", F.col("user").alias("author")
        ).persist(KEPT)
    if items.isEmpty():
        raise ValueError("no interactions are left: the input is empty, or the filters leave out everything")
    keys = np.array([fnv(r.item) for r in items.orderBy("number").select("item").toLocalIterator()], dtype=np.uint64)
    return Numbered(rows.sparkSession, met.persist(KEPT), said, items, people.count(), keys), dropped
