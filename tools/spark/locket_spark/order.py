"""Numbers rows by their place in an order.

A pack refers to users, items and terms by these numbers.
"""

from __future__ import annotations

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KEPT = StorageLevel.MEMORY_AND_DISK
"""Storage level of data that is needed again."""


def numbered(frame: DataFrame, *order: str | Column) -> DataFrame:
    """Returns the rows with their place in this order, from 0, as column `number`."""
    within = 33
    placed = frame.orderBy(*order).withColumn("place", F.monotonically_increasing_id()).persist(KEPT)
    part = F.shiftright("place", within)
    start, starts = 0, []
    for number, count in sorted(placed.groupBy(part.alias("part")).count().collect()):
        starts.append((number, start))
        start += count
    begins = frame.sparkSession.createDataFrame(starts, "part long, begin long")
    rows = placed.join(F.broadcast(begins), part == F.col("part"))
    inner = F.col("place").bitwiseAND(F.lit((1 << within) - 1))
    return rows.withColumn("number", F.col("begin") + inner).drop("place", "part", "begin")
