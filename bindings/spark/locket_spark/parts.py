"""Pack parts: Parquet folders and a file of facts."""

from __future__ import annotations

import json

import numpy as np
import scipy.sparse as sp
from pyspark import RDD
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from .algebra import fnv
from .texts import one_line


class Writer:
    """Writes each part sorted by its number, so that the files, read by name, are in order."""

    def __init__(self, spark: SparkSession, out: str, partitions: int) -> None:
        self.spark, self.out, self.partitions = spark, out.rstrip("/"), partitions

    def frame(self, name: str, frame: DataFrame, *by: str) -> None:
        ordered = frame.repartitionByRange(self.partitions, by[0]).sortWithinPartitions(*by)
        ordered.write.mode("overwrite").option("compression", "snappy").parquet(f"{self.out}/{name}")

    def lists(self, name: str, rows: RDD) -> None:
        """Rows (item, targets, weights)."""
        self.frame(name, self.spark.createDataFrame(rows, "item int, targets array<int>, weights array<float>"), "item")

    def matrix(self, name: str, rows: np.ndarray) -> None:
        numbered = [(n, row.tolist()) for n, row in enumerate(rows)]
        self.frame(name, self.spark.createDataFrame(numbered, "item int, vector array<float>"), "item")

    def content(self, name: str, matrix: sp.csr_matrix) -> None:
        starts = matrix.indptr
        rows = [
            (n, matrix.indices[starts[n] : starts[n + 1]].tolist(), matrix.data[starts[n] : starts[n + 1]].tolist())
            for n in range(matrix.shape[0])
        ]
        self.lists(name, self.spark.sparkContext.parallelize(rows, self.partitions))

    def texts(self, name: str, rows: DataFrame) -> None:
        signed = F.udf(lambda user: fnv(user) - (1 << 64 if fnv(user) >> 63 else 0), "long")
        line = F.udf(lambda s: one_line(s or ""))
        stars = F.coalesce(F.least(F.greatest(F.round("rating"), F.lit(1)), F.lit(5)).cast("int"), F.lit(0))
        texts = rows.select(
            F.col("item_number").cast("int").alias("item"), "seq", line("title").alias("title"), line("text").alias("text"),
            stars.alias("stars"), signed("user").alias("author"), "time",
        )
        self.frame(name, texts, "item", "seq")

    def facts(self, facts: dict[str, object]) -> None:
        with open(f"{self.out}/facts.json", "w", encoding="utf-8") as file:
            json.dump(facts, file, indent=1)
