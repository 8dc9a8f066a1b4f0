"""Writes pack parts: Parquet folders, and facts."""

from __future__ import annotations

import json

import numpy as np
import scipy.sparse as sp
from pyspark import RDD
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from .algebra import fnv
from .order import KEPT

ROWS = 4096
"""Table rows per RDD record."""


class Writer:
    """A writer of parts, each sorted by its number, so that the files are in order when read by
    name.

    `out` may be in any file system that Spark supports.
    """

    def __init__(self, spark: SparkSession, out: str, partitions: int) -> None:
        self.spark, self.out, self.partitions = spark, out.rstrip("/"), partitions

    def frame(self, name: str, frame: DataFrame, *by: str) -> None:
        ordered = frame.repartitionByRange(self.partitions, by[0]).sortWithinPartitions(*by)
        ordered.write.mode("overwrite").option("compression", "snappy").parquet(f"{self.out}/{name}")

    def lists(self, name: str, rows: RDD) -> None:
        """Writes rows (item, targets, weights)."""
        schema = "item int, targets array<int>, weights array<float>"
        # Persist: the range partitioner samples the rows in a first pass.
        made = self.spark.createDataFrame(rows, schema, verifySchema=False).persist(KEPT)
        self.frame(name, made, "item")
        made.unpersist()

    def matrix(self, name: str, rows: np.ndarray) -> None:
        pieces = [(first, rows[first : first + ROWS]) for first in range(0, len(rows), ROWS)]
        numbered = self.spark.sparkContext.parallelize(pieces, max(len(pieces), 1)).flatMap(
            lambda piece: ((piece[0] + n, row.tolist()) for n, row in enumerate(piece[1]))
        )
        self.frame(name, self.spark.createDataFrame(numbered, "item int, vector array<float>", verifySchema=False), "item")

    def content(self, name: str, matrix: sp.csr_matrix) -> None:
        pieces = [(first, matrix[first : first + ROWS]) for first in range(0, matrix.shape[0], ROWS)]

        def rows(piece: tuple[int, sp.csr_matrix]):
            first, some = piece
            for n in range(some.shape[0]):
                at = slice(some.indptr[n], some.indptr[n + 1])
                yield first + n, some.indices[at].tolist(), some.data[at].tolist()

        self.lists(name, self.spark.sparkContext.parallelize(pieces, max(len(pieces), 1)).flatMap(rows))

    def texts(self, name: str, said: DataFrame | None) -> None:
        # The same 64 bits as a signed number.
        signed = F.udf(lambda user: (fnv(user) ^ 1 << 63) - (1 << 63), "long")
        stars = F.coalesce(F.least(F.greatest(F.round("rating"), F.lit(1)), F.lit(5)).cast("int"), F.lit(0))
        if said is None:
            columns = "item int, seq long, title string, text string, stars int, author long, time long"
            self.frame(name, self.spark.createDataFrame([], columns), "item")
            return
        keys = said.select("author").distinct().withColumn("key", signed("author"))
        rows = said.join(keys, "author").select("item", "seq", "title", "text", stars.alias("stars"), F.col("key").alias("author"), "time")
        self.frame(name, rows, "item", "seq")

    def facts(self, facts: dict[str, object]) -> None:
        one = self.spark.createDataFrame([(json.dumps(facts),)], "value string").coalesce(1)
        one.write.mode("overwrite").text(f"{self.out}/facts")
